//! The interfaces behind which a zone stands.

use super::{Noun, Scope, names::entries};
use crate::inventory::{codes, document};
use crate::model::ids::HostName;
use std::collections::BTreeMap;

/// Those of a zone, by guest or external host.
pub(super) fn of_zone(zone: &document::Zone, scope: &mut Scope<'_>) -> BTreeMap<HostName, String> {
    let mut out = BTreeMap::new();
    if let (Some(at), Some(bridge)) = (&zone.interfaces, &zone.bridge) {
        scope
            .error(codes::ZONE_INTERFACE, "a zone has a bridge or interfaces")
            .at(at.span, "behind these")
            .at(bridge.span, "and on this bridge")
            .help("`bridge` is for guests with a card in the zone, `interfaces` for tunnels and for cards of external hosts");
    }
    for (key, at) in entries(&zone.interfaces) {
        let host = scope.refer::<HostName>(Noun::Host, key);
        let (Some(host), Some(name)) = (host, &at.value) else {
            continue;
        };
        if let Some((why, help)) = refused(host.as_str(), name, scope) {
            scope
                .error(
                    codes::ZONE_INTERFACE,
                    format!("no zone stands behind `{name}` of `{host}`"),
                )
                .at(at.span, why)
                .help(help);
        }
        out.insert(host, name.clone());
    }
    out
}

/// Why an interface cannot have a zone behind it, and what to write instead.
fn refused(host: &str, name: &str, scope: &Scope<'_>) -> Option<(&'static str, &'static str)> {
    let is_card = ["eth", "en"].iter().any(|start| name.starts_with(start));
    let is_docker = name == "docker0" || name.starts_with("br-") || name.starts_with("veth");
    if !is_interface(name) {
        return Some((
            "not an interface",
            "as `ip link` names it, at most 15 characters, for example `wg0` or `tailscale0`",
        ));
    }
    if scope.knows(Noun::Node, host) {
        return Some((
            "an interface of a node",
            "what a node's cards carry are bridges: write `bridge`",
        ));
    }
    if scope.knows(Noun::Guest, host) && is_card {
        return Some((
            "a card of a guest",
            "what stands before a guest's card is the zone of its bridge: write `bridge`, and the zone in `nics`",
        ));
    }
    is_docker.then_some((
        "Docker's own",
        "containers are no zone of the matrix: what they send is their host's",
    ))
}

/// The kernel's rule, without what iptables and UFW would read as a wildcard or an alias.
fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}
