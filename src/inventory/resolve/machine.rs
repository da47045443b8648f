//! Nodes, external hosts and shells.

use super::{
    Noun, Scope, bridge, host_mount,
    names::entries,
    network::Zones,
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Document},
    source::Span,
    written::{At, May},
};
use crate::model::{
    host::{ExternalHost, Node, SshAccess},
    ids::{HostName, StorageId},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// All nodes by name.
pub(super) fn nodes(
    document: &Document,
    zones: &Zones,
    scope: &mut Scope<'_>,
) -> BTreeMap<HostName, Node> {
    let mut out = BTreeMap::new();
    for (key, node) in entries(&document.nodes) {
        let name = scope.own_name::<HostName>(key);
        let Some(node) = &node.value else { continue };
        let mut bridges: BTreeMap<_, Vec<IpNet>> = BTreeMap::new();
        let mut addresses = Vec::new();
        for (address, span) in scope.parse_many(&node.address) {
            let address = address.0;
            claim(address, key, span, scope);
            addresses.push(address);
            let Some((zone, prefix)) = zones.of(address) else {
                scope
                    .error(codes::OUTSIDE_ZONE, format!("{address} is in no zone"))
                    .at(span, "in no zone")
                    .help("add a zone whose `cidrs` hold it: flows, bridges and gateways come from zones");
                continue;
            };
            if let (Some(bridge), Ok(net)) = (&zone.bridge, IpNet::new(address, prefix)) {
                bridges.entry(bridge.clone()).or_default().push(net);
            }
        }
        let ssh = ssh(&node.ssh, "root", scope);
        let made = bridge::bridges(node, &bridges, addresses.first(), scope);
        let local = StorageId::new("local").expect("`local` is a storage id");
        let iso_storage = scope
            .parse_may(&node.iso_storage)
            .unwrap_or_else(|| local.clone());
        let import_storage = scope.parse_may(&node.import_storage).unwrap_or(local);
        if addresses.is_empty()
            && node
                .address
                .value
                .as_ref()
                .is_some_and(|many| many.0.is_empty())
        {
            scope
                .error(codes::EMPTY, "a node needs an address")
                .at(node.address.span, "no address");
        }
        if let (Some(name), Some(address)) = (name, addresses.first().copied()) {
            out.insert(
                name.clone(),
                Node {
                    name,
                    address,
                    ssh,
                    bridges,
                    made,
                    iso_storage,
                    import_storage,
                    routes: vec![],
                },
            );
        }
    }
    out
}

/// Remembers who has an address; a second owner is reported.
pub(super) fn claim(address: IpAddr, owner: &At<String>, span: Span, scope: &mut Scope<'_>) {
    let owner = owner.value.as_deref().unwrap_or("?").to_owned();
    scope.unique(
        codes::DUPLICATE_ADDRESS,
        &format!("the address {address}"),
        &owner,
        span,
        "give each machine an address of its own",
    );
}

/// All external hosts by name.
pub(super) fn hosts(
    document: &Document,
    zones: &Zones,
    scope: &mut Scope<'_>,
) -> BTreeMap<HostName, ExternalHost> {
    let mut out = BTreeMap::new();
    for (key, host) in entries(&document.hosts) {
        let name = scope.own_name::<HostName>(key);
        let Some(host) = &host.value else { continue };
        let ssh = ssh(&host.ssh, "root", scope);
        let Some(address) = scope.parse(&host.address) else {
            continue;
        };
        claim(address.0, key, host.address.span, scope);
        if let Some(name) = name {
            let zone = zones.of(address.0).map(|(zone, _)| zone.name.clone());
            let mounts = host_mount::mounts(host, scope);
            out.insert(
                name.clone(),
                ExternalHost {
                    name,
                    address: address.0,
                    ssh,
                    zone,
                    mounts,
                },
            );
        }
    }
    out
}

/// Shell access with its defaults.
pub(super) fn ssh(at: &May<document::Ssh>, user: &str, scope: &mut Scope<'_>) -> SshAccess {
    let mut access = SshAccess {
        user: user.to_owned(),
        port: 22,
        jump: None,
        identity: None,
    };
    let Some(ssh) = at.as_ref().and_then(|at| at.value.as_ref()) else {
        return access;
    };
    if let Some(at) = &ssh.user
        && let Some(user) = &at.value
    {
        let valid = user.len() <= 32
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        if !valid {
            scope
                .error(codes::INVALID_NAME, format!("`{user}` is not a login name"))
                .at(at.span, "lower-case letters, digits, `-` and `_`");
        }
        access.user.clone_from(user);
    }
    access.port = or(&ssh.port, 22);
    if access.port == 0
        && let Some(at) = &ssh.port
    {
        scope
            .error(codes::OUT_OF_RANGE, "port 0 cannot be reached")
            .at(at.span, "from 1 to 65535");
    }
    access.jump = ssh.jump.as_ref().and_then(|at| scope.refer(Noun::Host, at));
    access.identity = text(&ssh.identity);
    access
}
