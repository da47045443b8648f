//! Proxmox's software-defined network: simple zones and their vnets.

use super::{
    Noun, Scope,
    names::entries,
    scope::{or, text},
};
use crate::inventory::{codes, document, document::Document, source::Span, written::At};
use crate::model::{
    desired::Desired,
    ids::{BridgeName, HostName},
    network::{SdnZone, Vnet},
};
use std::collections::{BTreeMap, BTreeSet};

/// Proxmox's limit for names of zones and vnets (API schema, PVE 9.2.11): the kernel's names of interfaces are short.
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 2..=8;

/// The zones.
pub(super) fn zones(document: &Document, scope: &mut Scope<'_>) -> BTreeMap<String, SdnZone> {
    let mut out = BTreeMap::new();
    for (key, at) in entries(&document.sdn) {
        let Some(raw) = &at.value else { continue };
        let Some(name) = name(key, "zone", scope) else {
            continue;
        };
        let mut nodes = BTreeSet::new();
        let written = raw.nodes.as_ref().and_then(|at| at.value.as_ref());
        for node in written.iter().flat_map(|many| &many.0) {
            nodes.extend(scope.refer::<HostName>(Noun::Node, node));
        }
        let mtu = raw.mtu.as_ref().and_then(|at| at.value);
        if let (Some(mtu), Some(at)) = (mtu, &raw.mtu)
            && !(1280..=65520).contains(&mtu)
        {
            scope
                .error(codes::OUT_OF_RANGE, format!("a zone has no MTU of {mtu}"))
                .at(at.span, "from 1280 to 65520");
        }
        let mut vnets = BTreeMap::new();
        for (key, at) in entries(&raw.vnets) {
            let Some(raw) = &at.value else { continue };
            let Some(vnet) = vnet(key, raw, &name, scope) else {
                continue;
            };
            vnets.insert(vnet.name.clone(), vnet);
        }
        let zone = SdnZone {
            name: name.clone(),
            nodes,
            mtu,
            vnets,
        };
        out.insert(name, zone);
    }
    out
}

fn vnet(key: &At<String>, raw: &document::Vnet, zone: &str, scope: &mut Scope<'_>) -> Option<Vnet> {
    let written = name(key, "vnet", scope)?;
    scope.unique(
        codes::DUPLICATE_NAME,
        &format!("the vnet `{written}`"),
        zone,
        key.span,
        "a vnet is known by its name in the whole cluster",
    );
    let alias = text(&raw.alias);
    if let (Some(words), Some(at)) = (&alias, &raw.alias)
        && (words.len() > 256 || words.contains(['\n', '\t']))
    {
        scope
            .error(
                codes::INVALID_NAME,
                "an alias is one line of at most 256 characters",
            )
            .at(at.span, "not an alias");
    }
    Some(Vnet {
        name: BridgeName::new(written).ok()?,
        alias,
        isolate_ports: or(&raw.isolate_ports, false),
        vlan_aware: or(&raw.vlan_aware, false),
    })
}

/// Proxmox's rule for names: letters and digits, a letter first.
fn name(key: &At<String>, what: &str, scope: &mut Scope<'_>) -> Option<String> {
    let written = key.value.clone()?;
    let valid = NAME_LENGTH.contains(&written.len())
        && written.starts_with(|c: char| c.is_ascii_alphabetic())
        && written.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if valid {
        return Some(written);
    }
    scope
        .error(
            codes::INVALID_NAME,
            format!("`{written}` is not the name of an SDN {what}"),
        )
        .at(key.span, "2 to 8 letters and digits, a letter first");
    None
}

/// What could not be: a vnet that is a bridge too, one that carries a node's address, a guest beyond its zone.
pub(super) fn judge(document: &Document, desired: &Desired, scope: &mut Scope<'_>) {
    for (key, at) in entries(&document.sdn) {
        let Some(raw) = &at.value else { continue };
        for (vnet, _) in entries(&raw.vnets) {
            let zone = key.value.as_ref().and_then(|name| desired.sdn.get(name));
            if let (Some(written), Some(zone)) = (&vnet.value, zone) {
                one(written, vnet.span, zone, desired, scope);
            }
        }
    }
}

fn one(written: &str, span: Span, zone: &SdnZone, desired: &Desired, scope: &mut Scope<'_>) {
    for node in desired.nodes.values() {
        if node.made.keys().any(|made| made.as_str() == written) {
            scope
                .error(
                    codes::BRIDGE,
                    format!("`{written}` is a bridge of `{}` too", node.name),
                )
                .at(span, "a vnet is a bridge, made by Proxmox")
                .help("give one of them another name");
        }
        let own = node
            .bridges
            .iter()
            .find(|(name, _)| name.as_str() == written);
        if let Some((_, addresses)) = own
            && let Some(address) = addresses.first()
        {
            scope
                .error(
                    codes::BRIDGE,
                    format!(
                        "`{}` has the address {} in the zone on `{written}`",
                        node.name,
                        address.addr()
                    ),
                )
                .at(span, "a vnet of a simple zone carries no address of a node")
                .help("let a guest route for the zone, or use `bridges` of the node");
        }
    }
    for guest in desired.guests.values() {
        let hangs = guest
            .nics
            .iter()
            .any(|card| card.bridge.as_str() == written);
        let homes = std::iter::once(&guest.node).chain(&guest.homes);
        let beyond = homes.into_iter().find(|node| !zone.covers(node));
        if let (true, Some(node)) = (hangs, beyond) {
            scope
                .error(
                    codes::BRIDGE,
                    format!(
                        "`{}` may live on `{node}`, where `{written}` is not",
                        guest.name
                    ),
                )
                .at(span, format!("only on {}", listed(zone)))
                .help(format!("add `{node}` to the `nodes` of `{}`", zone.name));
        }
    }
}

fn listed(zone: &SdnZone) -> String {
    let nodes: Vec<&str> = zone.nodes.iter().map(HostName::as_str).collect();
    nodes.join(", ")
}
