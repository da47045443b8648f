//! Finding endpoints and the kinds of stored values.

use super::{
    access::ACCESS,
    agent::AGENT,
    cluster::CLUSTER,
    disk::DISK,
    endpoint::{Endpoint, Method},
    firewall::FIREWALL,
    guest::GUEST,
    guest_config::CONFIG,
    guest_firewall::GUEST_FIREWALL,
    ha::HA,
    mapping::MAPPING,
    network::NETWORK,
    node::NODE,
    node_firewall::NODE_FIREWALL,
    param::{self, Shape},
    power::POWER,
    replication::REPLICATION,
    sdn::SDN,
    storage::STORAGE,
};
use std::collections::BTreeMap;

const TABLES: &[&[Endpoint]] = &[
    ACCESS,
    AGENT,
    CLUSTER,
    DISK,
    FIREWALL,
    GUEST,
    GUEST_FIREWALL,
    HA,
    MAPPING,
    NETWORK,
    NODE,
    NODE_FIREWALL,
    POWER,
    REPLICATION,
    SDN,
    STORAGE,
];

/// Every endpoint.
pub(crate) fn all() -> impl Iterator<Item = &'static Endpoint> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The endpoint for a method and a decoded path, with the parameters of the path. Fixed parts win over parameters.
pub(crate) fn find(
    method: Method,
    path: &str,
) -> Option<(&'static Endpoint, BTreeMap<String, String>)> {
    all()
        .filter(|endpoint| endpoint.method == method)
        .filter_map(|endpoint| Some((endpoint, endpoint.captures(path)?)))
        .min_by_key(|(_, captures)| captures.len())
}

/// The shape of a guest's option.
pub(crate) fn config_kind(key: &str) -> Option<Shape> {
    param::find(&[CONFIG], key).map(|param| param.kind.shape)
}

/// The shape of a firewall option, of any file.
pub(crate) fn firewall_kind(name: &str) -> Option<Shape> {
    FIREWALL
        .iter()
        .chain(GUEST_FIREWALL)
        .chain(NODE_FIREWALL)
        .filter(|endpoint| endpoint.method == Method::Put && endpoint.path.ends_with("/options"))
        .find_map(|endpoint| param::find(endpoint.params, name))
        .map(|param| param.kind.shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::api::table::{
        endpoint::PATH,
        format,
        param::{Param, Params},
        pattern,
    };

    fn walk(params: Params, visit: &mut dyn FnMut(&Param)) {
        for param in params.iter().flat_map(|list| list.iter()) {
            visit(param);
            if let Shape::Properties(inner) | Shape::List(Some(inner)) = param.kind.shape {
                walk(inner, visit);
            }
        }
    }

    #[test]
    fn every_format_and_pattern_of_the_table_has_a_check() {
        let mut seen = 0;
        let mut visit = |param: &Param| {
            seen += 1;
            if let Some(name) = param.kind.format {
                assert!(format::is_known(name), "format {name} of {}", param.name);
            }
            if let Some(text) = param.kind.pattern {
                assert!(
                    pattern::known(text).is_some(),
                    "pattern {text} of {}",
                    param.name
                );
            }
        };
        for endpoint in all() {
            walk(endpoint.params, &mut visit);
        }
        walk(&[PATH], &mut visit);
        assert!(seen > 1_000, "only {seen} parameters were looked at");
    }

    #[test]
    fn fixed_parts_of_a_path_win_and_a_network_may_hold_a_slash() {
        let (endpoint, captures) =
            find(Method::Get, "/cluster/firewall/ipset/lan/10.0.0.0/8").expect("known");
        assert_eq!(endpoint.path, "/cluster/firewall/ipset/{name}/{cidr}");
        assert_eq!(captures["cidr"], "10.0.0.0/8");
        let (endpoint, _) = find(
            Method::Delete,
            "/nodes/pve/storage/local/content/local:iso/x.iso",
        )
        .expect("known");
        assert_eq!(
            endpoint.path,
            "/nodes/{node}/storage/{storage}/content/{volume}"
        );
        assert!(find(Method::Put, "/version").is_none());
        assert!(find(Method::Get, "/nope").is_none());
    }
}
