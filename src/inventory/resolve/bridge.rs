//! Bridges that infra makes on a node.

use super::{
    Scope,
    names::entries,
    scope::{or, text},
};
use crate::inventory::{codes, document};
use crate::model::{ids::BridgeName, network::Bridge};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The bridges of a node; `addresses` are the node's own by bridge, `reached` is the one by which it is managed.
pub(super) fn bridges(
    node: &document::Node,
    addresses: &BTreeMap<BridgeName, Vec<IpNet>>,
    reached: Option<&IpAddr>,
    scope: &mut Scope<'_>,
) -> BTreeMap<BridgeName, Bridge> {
    let mut out = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (key, at) in entries(&node.bridges) {
        let name = scope.own_name::<BridgeName>(key);
        let Some(raw) = &at.value else { continue };
        let mut ports = Vec::new();
        let written = raw.ports.as_ref().and_then(|at| at.value.as_ref());
        for port in written.iter().flat_map(|many| &many.0) {
            let Some(card) = &port.value else { continue };
            if !is_interface(card) {
                scope
                    .error(codes::INVALID_NAME, format!("`{card}` is not an interface"))
                    .at(port.span, "as `ip link` names it")
                    .help("for example `eno2` or `enp3s0`");
            } else if !taken.insert(card.clone()) {
                scope
                    .error(codes::BRIDGE, format!("`{card}` is a port of two bridges"))
                    .at(port.span, "taken already")
                    .help("a card belongs to one bridge");
            }
            ports.push(card.clone());
        }
        let vlan_aware = or(&raw.vlan_aware, false);
        if let Some(vids) = &raw.vids
            && !vlan_aware
        {
            scope
                .error(codes::BRIDGE, "`vids` needs `vlan_aware: true`")
                .at(vids.span, "no VLANs to carry");
        }
        if let Some(vids) = &raw.vids
            && let Some(text) = &vids.value
            && !are_vids(text)
        {
            scope
                .error(codes::OUT_OF_RANGE, format!("`{text}` are no VLANs"))
                .at(vids.span, "expected: `2-4094`, `10 20 30-39`");
        }
        let mtu = raw.mtu.as_ref().and_then(|at| at.value);
        if let (Some(mtu), Some(at)) = (mtu, &raw.mtu)
            && !(1280..=65520).contains(&mtu)
        {
            scope
                .error(codes::OUT_OF_RANGE, format!("a bridge has no MTU of {mtu}"))
                .at(at.span, "from 1280 to 65520");
        }
        let Some(name) = name else { continue };
        let own = addresses.get(&name).into_iter().flatten();
        let manages = own.into_iter().any(|net| Some(&net.addr()) == reached);
        if manages && ports.is_empty() {
            scope
                .error(
                    codes::BRIDGE,
                    format!("`{name}` carries the address by which the node is managed"),
                )
                .at(key.span, "without a port it would cut the node off")
                .help("name the card behind it in `ports`, or leave the bridge out: infra then leaves it as it is");
        }
        let bridge = Bridge {
            name: name.clone(),
            ports,
            vlan_aware,
            vids: text(&raw.vids),
            mtu,
        };
        out.insert(name, bridge);
    }
    out
}

/// Proxmox's rule for interfaces (`pve-iface`).
fn is_interface(text: &str) -> bool {
    (2..=20).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'))
}

fn are_vids(text: &str) -> bool {
    let tag = |text: &str| {
        text.parse::<u16>()
            .is_ok_and(|tag| (1..=4094).contains(&tag))
    };
    let mut parts = text.split([' ', ',', ';']).filter(|part| !part.is_empty());
    !text.trim().is_empty()
        && parts.all(|part| match part.split_once('-') {
            Some((from, to)) => tag(from) && tag(to),
            None => tag(part),
        })
}
