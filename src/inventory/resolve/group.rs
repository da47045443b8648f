//! Zones by their members: machines, sets and addresses that are told apart from the zone around them.

use super::{Noun, Scope, names::entries};
use crate::inventory::{
    codes,
    document::{Document, Zone},
    word::CardAddress,
    written::{At, Many},
};
use crate::model::{desired::Desired, ids::ZoneName};
use ipnet::IpNet;

/// Gives every zone that is written by members its addresses. Hosts and sets are known by now.
pub(super) fn fill(document: &Document, desired: &mut Desired, scope: &mut Scope<'_>) {
    for (key, raw) in entries(&document.zones) {
        let Some((raw, members)) = raw
            .value
            .as_ref()
            .and_then(|raw| Some((raw, raw.members.as_ref()?)))
        else {
            continue;
        };
        let name = key.value.as_deref().and_then(|name| name.parse().ok());
        let Some(name) = name else { continue };
        let cidrs = addresses(members, &name, raw, desired, scope);
        if let Some(zone) = desired.zones.get_mut(&name) {
            zone.cidrs = cidrs;
        }
    }
}

fn addresses(
    members: &At<Many<String>>,
    zone: &ZoneName,
    raw: &Zone,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Vec<IpNet> {
    let mut out: Vec<IpNet> = Vec::new();
    let many = members.value.iter().flat_map(|many| &many.0);
    for at in many {
        let Some(text) = at.value.as_deref() else {
            continue;
        };
        let found = member(text, desired);
        if found.is_empty() {
            scope
                .error(
                    codes::INVALID_ADDRESS,
                    format!("`{text}` is no address, no host with an address and no set"),
                )
                .at(at.span, "not a member of a zone")
                .help("write the name of a host or set, or an address");
        }
        for network in found {
            belongs(network, at, zone, raw, desired, scope);
            out.push(network);
        }
    }
    if members.value.as_ref().is_some_and(|many| many.0.is_empty()) {
        scope
            .error(codes::EMPTY, "a zone needs a member")
            .at(members.span, "no member");
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// What a member stands for; nothing when it is unknown.
fn member(text: &str, desired: &Desired) -> Vec<IpNet> {
    if let Ok(card) = text.parse::<CardAddress>() {
        let whole = if card.address.is_ipv4() { 32 } else { 128 };
        let network = IpNet::new(card.address, card.prefix.unwrap_or(whole));
        return network.map(|network| network.trunc()).into_iter().collect();
    }
    if let Some(set) = desired.sets.values().find(|set| set.name.as_str() == text) {
        return set.cidrs.clone();
    }
    let host = desired.all_hosts().find(|host| host.as_str() == text);
    let addresses = host.map(|host| desired.addresses(host)).unwrap_or_default();
    addresses.into_iter().map(IpNet::from).collect()
}

/// A member that lies in a network zone is in two zones: `within` has to say that this is meant.
fn belongs(
    network: IpNet,
    at: &At<String>,
    zone: &ZoneName,
    raw: &Zone,
    desired: &Desired,
    scope: &mut Scope<'_>,
) {
    let within = raw.within.as_ref().and_then(|at| at.value.as_deref());
    let around = desired.zones.values().find(|other| {
        other.name != *zone && other.cidrs.iter().any(|cidr| cidr.contains(&network))
    });
    let text = at.value.as_deref().unwrap_or_default();
    match (around, within) {
        (Some(other), None) => {
            scope
                .error(codes::ZONE_OVERLAP, format!("{text} belongs to two zones"))
                .at(
                    at.span,
                    format!("{network} is in zone `{}` too", other.name),
                )
                .at_name(Noun::Zone, other.name.as_str(), "this one")
                .help(format!(
                    "say `within: {}`: what may be done from and to `{}` holds for `{zone}` too",
                    other.name, other.name
                ));
        }
        (_, Some(parent)) => {
            let inside = desired.zones.values().any(|other| {
                other.name.as_str() == parent
                    && other.cidrs.iter().any(|cidr| cidr.contains(&network))
            });
            if !inside && scope.knows(Noun::Zone, parent) {
                scope
                    .error(codes::OUTSIDE_ZONE, format!("{text} is outside zone `{parent}`"))
                    .at(at.span, format!("{network} is not in it"))
                    .help("a zone holds what it is within: move the member, or name the zone that it is in");
            }
        }
        (None, None) => {}
    }
}
