//! Zones, sets and services.

use super::{
    Noun, Scope, interfaces, machine,
    named::addresses,
    names::{entries, items},
    scope::or,
};
use crate::inventory::{
    codes,
    document::{self, Document},
    source::Span,
    word::{CardAddress, Network},
    written::{At, Many, Text},
};
use crate::model::{
    address::{Port, networks_overlap},
    desired::Desired,
    flow::{AddressSet, Service, Zone},
    host::Node,
    ids::{HostName, ServiceName, SetName, ZoneName},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// A zone with what guests take from it.
pub(super) struct ZoneFacts {
    pub(super) zone: Zone,
    pub(super) gateways: Vec<IpAddr>,
    pub(super) nameservers: Vec<IpAddr>,
    span: Span,
}

/// All zones by name.
pub(super) struct Zones(BTreeMap<ZoneName, ZoneFacts>);

impl Zones {
    /// The zone that holds an address, and the prefix length there.
    pub(super) fn of(&self, address: IpAddr) -> Option<(&Zone, u8)> {
        // Of nested zones the narrowest is meant.
        self.0
            .values()
            .filter_map(|facts| {
                let net = facts.zone.cidrs.iter().find(|net| net.contains(&address))?;
                Some((&facts.zone, net.prefix_len()))
            })
            .max_by_key(|(_, length)| *length)
    }

    /// A zone by name.
    pub(super) fn named(&self, name: &ZoneName) -> Option<&ZoneFacts> {
        self.0.get(name)
    }
}

/// Zones as the rest of the system sees them.
pub(super) fn plain(zones: Zones) -> BTreeMap<ZoneName, Zone> {
    zones
        .0
        .into_iter()
        .map(|(name, facts)| (name, facts.zone))
        .collect()
}

/// Reads all zones; routers are checked by [`route`], when the nodes are known.
pub(super) fn zones(document: &Document, scope: &mut Scope<'_>) -> Zones {
    let mut out: BTreeMap<ZoneName, ZoneFacts> = BTreeMap::new();
    for (key, zone) in entries(&document.zones) {
        let name = scope.own_name::<ZoneName>(key);
        let Some(zone) = &zone.value else { continue };
        let nets = networks(key, zone, scope);
        let cidrs = zone.cidrs.as_ref().map_or(key.span, |at| at.span);
        let within = zone
            .within
            .as_ref()
            .and_then(|at| scope.refer::<ZoneName>(Noun::Zone, at));
        for (net, span) in &nets {
            for other in out.values() {
                let inside = within.as_ref() == Some(&other.zone.name)
                    && other.zone.cidrs.iter().any(|own| own.contains(&net.0));
                let around = other.zone.within.is_some()
                    && other.zone.within == name
                    && other.zone.cidrs.iter().all(|own| !own.contains(&net.0));
                if !inside
                    && !around
                    && other
                        .zone
                        .cidrs
                        .iter()
                        .any(|own| networks_overlap(own, &net.0))
                {
                    scope
                        .error(
                            codes::ZONE_OVERLAP,
                            format!("{} belongs to two zones", net.0),
                        )
                        .at(*span, "shares addresses")
                        .at(other.span, format!("with zone `{}`", other.zone.name))
                        .help("an address is in one zone: make the networks disjoint, or say which zone is `within` the other");
                }
            }
        }
        let bridge = scope.parse_may(&zone.bridge);
        if let (Some(bridge), Some(at)) = (&bridge, &zone.bridge)
            && let Some(other) = out
                .values()
                .find(|other| other.zone.bridge.as_ref() == Some(bridge))
        {
            scope
                .error(codes::SHARED_BRIDGE, format!("two zones share the bridge `{bridge}`"))
                .at(at.span, "this zone")
                .at(other.span, format!("and zone `{}`", other.zone.name))
                .help("machines on one bridge reach each other past every rule; give each zone a bridge of its own");
        }
        let gateways: Vec<IpAddr> = addresses(document, &zone.gateway, scope)
            .into_iter()
            .filter(|(gateway, span)| {
                let inside = nets.iter().any(|(net, _)| net.0.contains(gateway));
                if !inside {
                    scope
                        .error(
                            codes::GATEWAY_OUTSIDE,
                            format!("the gateway {gateway} is outside its zone"),
                        )
                        .at(*span, "in none of the zone's networks")
                        .at(cidrs, "the zone's networks");
                }
                inside
            })
            .map(|(gateway, _)| gateway)
            .collect();
        let nameservers = addresses(document, &zone.nameservers, scope)
            .into_iter()
            .map(|(a, _)| a)
            .collect();
        let router = zone
            .router
            .as_ref()
            .and_then(|at| scope.refer::<HostName>(Noun::Node, at));
        let masquerade = or(&zone.masquerade, false);
        if masquerade
            && zone.router.is_none()
            && let Some(at) = &zone.masquerade
        {
            scope
                .error(
                    codes::MASQUERADE_WITHOUT_ROUTER,
                    "nobody routes this zone, so nobody can masquerade it",
                )
                .at(at.span, "needs a router")
                .help("add `router: NODE`");
        }
        if let Some(at) = &zone.router {
            scope.mark(
                format!("zone {} router", key.value.as_deref().unwrap_or("")),
                at.span,
            );
        }
        let interfaces = interfaces::of_zone(zone, scope);
        if let Some(name) = name {
            out.insert(
                name.clone(),
                ZoneFacts {
                    zone: Zone {
                        name,
                        cidrs: nets.iter().map(|(net, _)| net.0).collect(),
                        bridge,
                        router,
                        masquerade,
                        within,
                        interfaces,
                    },
                    gateways,
                    nameservers,
                    span: key.span,
                },
            );
        }
    }
    Zones(out)
}

/// The networks of a zone. It has these or members, which are looked at when the hosts are known.
fn networks(
    key: &At<String>,
    zone: &document::Zone,
    scope: &mut Scope<'_>,
) -> Vec<(Network, Span)> {
    match (&zone.cidrs, &zone.members) {
        (Some(cidrs), None) => {
            if cidrs.value.as_ref().is_some_and(|many| many.0.is_empty()) {
                scope
                    .error(codes::EMPTY, "a zone needs a network")
                    .at(cidrs.span, "no network")
                    .help("everything that is in no zone is `internet`; it needs no entry");
            }
            scope.parse_many(cidrs)
        }
        (None, Some(_)) => vec![],
        (None, None) | (Some(_), Some(_)) => {
            let found = if zone.cidrs.is_some() {
                "both"
            } else {
                "neither"
            };
            scope
                .error(codes::ONE_OF, "a zone has `cidrs` or `members`")
                .at(key.span, format!("{found} here"))
                .help("write its networks, or the hosts and sets that it consists of");
            vec![]
        }
    }
}

/// Tells nodes what they route, and gives routed zones their gateway: the router's address in the zone.
pub(super) fn route(
    document: &Document,
    mut zones: Zones,
    nodes: &mut BTreeMap<HostName, Node>,
    scope: &mut Scope<'_>,
) -> Zones {
    for facts in zones.0.values_mut() {
        let Some(node) = facts
            .zone
            .router
            .as_ref()
            .and_then(|name| nodes.get_mut(name))
        else {
            continue;
        };
        node.routes.push(facts.zone.name.clone());
        let inside: Vec<IpAddr> = node_addresses(document, node)
            .into_iter()
            .filter(|address| facts.zone.cidrs.iter().any(|net| net.contains(address)))
            .collect();
        if inside.is_empty() {
            let span = scope
                .marked(&format!("zone {} router", facts.zone.name))
                .unwrap_or(facts.span);
            scope
                .error(
                    codes::ROUTER_OUTSIDE,
                    format!(
                        "`{}` routes zone `{}` but has no address in it",
                        node.name, facts.zone.name
                    ),
                )
                .at(span, "this router")
                .help(format!(
                    "give node `{}` an address in the zone's network",
                    node.name
                ));
        }
        if facts.gateways.is_empty() {
            facts.gateways = inside;
        }
    }
    zones
}

/// A zone without a bridge leaves no trace in the node's bridges, so the document is asked too.
fn node_addresses(document: &Document, node: &Node) -> Vec<IpAddr> {
    entries(&document.nodes)
        .iter()
        .filter(|(key, _)| key.value.as_deref() == Some(node.name.as_str()))
        .filter_map(|(_, at)| at.value.as_ref())
        .flat_map(|at| at.address.value.iter().flat_map(|many| &many.0))
        .filter_map(|at| at.value.as_ref()?.text.parse().ok())
        .collect()
}

/// The members of every set as written.
pub(super) type RawSets<'a> = BTreeMap<SetName, (Span, Vec<&'a At<String>>)>;

/// All sets, their members still as written.
pub(super) fn sets<'a>(document: &'a Document, scope: &mut Scope<'_>) -> RawSets<'a> {
    let mut out = BTreeMap::new();
    for (key, members) in entries(&document.sets) {
        let name = scope.own_name::<SetName>(key);
        let members: Vec<&At<String>> = members.value.iter().flatten().collect();
        if let Some(name) = name {
            out.insert(name, (key.span, members));
        }
    }
    out
}

/// Members are addresses, networks, or hosts by name.
pub(super) fn members(
    sets: RawSets<'_>,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> BTreeMap<SetName, AddressSet> {
    let mut out = BTreeMap::new();
    for (name, (span, members)) in sets {
        let mut cidrs = Vec::new();
        for at in members {
            let Some(text) = &at.value else { continue };
            if let Ok(address) = text.parse::<CardAddress>() {
                let prefix =
                    address
                        .prefix
                        .unwrap_or(if address.address.is_ipv4() { 32 } else { 128 });
                cidrs.extend(IpNet::new(address.address, prefix).map(|net| net.trunc()));
            } else if scope.knows(Noun::Host, text) {
                let host = text.parse::<HostName>().ok();
                cidrs.extend(
                    host.iter()
                        .flat_map(|h| desired.addresses(h))
                        .map(IpNet::from),
                );
            } else {
                scope
                    .error(
                        codes::INVALID_ADDRESS,
                        format!("`{text}` is no address, no network and no host"),
                    )
                    .at(at.span, "not a member of a set")
                    .help(
                        "write for example `192.168.1.50`, `192.168.1.0/28` or the name of a host",
                    );
            }
        }
        let is_operators = desired.operators.as_ref() == Some(&name);
        if cidrs.is_empty() && !is_operators && !scope.has_errors() {
            scope
                .error(codes::EMPTY, format!("the set `{name}` has no members"))
                .at(span, "empty")
                .help("a rule with an empty set matches nothing; add members or remove the set");
        }
        if cidrs.is_empty() && is_operators {
            scope
                .error(codes::NO_OPERATORS, "nobody may administer the system")
                .at(span, "the operators' set is empty")
                .help("add the address of the machine that you run infra on: only members reach SSH and the Proxmox API");
        }
        out.insert(name.clone(), AddressSet { name, cidrs });
    }
    out
}

/// The set of operators.
pub(super) fn operators(document: &Document, scope: &mut Scope<'_>) -> Option<SetName> {
    if let Some(at) = &document.operators {
        return scope.refer(Noun::Set, at);
    }
    let speaks = !items(&document.flows).is_empty()
        || !entries(&document.guests).is_empty()
        || !entries(&document.hosts).is_empty()
        // Who only describes guests that were there has said nothing about firewalls.
        || document.adopted.is_none();
    if let Some((node, _)) = entries(&document.nodes).first().filter(|_| speaks) {
        scope
            .error(codes::NO_OPERATORS, "nobody may administer the system")
            .at(node.span, "this node would be out of reach")
            .help("add `operators: NAME` with the name of a set that holds your own address");
    }
    None
}

/// A service with where it was named first.
struct Meaning {
    ports: Vec<Port>,
    span: Span,
}

/// Services by name while stacks add theirs.
#[derive(Default)]
pub(super) struct Services(BTreeMap<ServiceName, Meaning>);

impl Services {
    /// Adds a published port; a service means one port set wherever it runs.
    pub(super) fn publish(
        &mut self,
        name: &ServiceName,
        port: Port,
        span: Span,
        scope: &mut Scope<'_>,
    ) {
        if let Some(known) = self.0.get(name) {
            if known.ports != [port] {
                let ports: Vec<String> = known.ports.iter().map(ToString::to_string).collect();
                scope
                    .error(codes::SERVICE_CONFLICT, format!("the service `{name}` has two meanings"))
                    .at(span, format!("{port} here"))
                    .at(known.span, format!("{} here", ports.join(", ")))
                    .help("a flow names a service, not a stack: give the two services two names or one port");
            }
            return;
        }
        self.0.insert(
            name.clone(),
            Meaning {
                ports: vec![port],
                span,
            },
        );
    }

    /// The services as the rest of the system sees them.
    pub(super) fn plain(self) -> BTreeMap<ServiceName, Service> {
        self.0
            .into_iter()
            .map(|(name, meaning)| {
                (
                    name.clone(),
                    Service {
                        name,
                        ports: meaning.ports,
                    },
                )
            })
            .collect()
    }
}

/// The declared services.
pub(super) fn services(document: &Document, scope: &mut Scope<'_>) -> Services {
    let mut out = Services::default();
    for (key, ports) in entries(&document.services) {
        let name = scope.own_name::<ServiceName>(key);
        let parsed: Vec<Port> = scope
            .parse_many(ports)
            .into_iter()
            .map(|(port, _)| port)
            .collect();
        if ports.value.as_ref().is_some_and(|many| many.0.is_empty()) {
            scope
                .error(codes::EMPTY, "a service needs a port")
                .at(ports.span, "no port");
        }
        if let Some(name) = name {
            out.0.insert(
                name,
                Meaning {
                    ports: parsed,
                    span: key.span,
                },
            );
        }
    }
    out
}

/// The addresses of a card: inside its zone, with the zone's prefix length unless written.
pub(super) fn card_addresses(
    owner: &At<String>,
    zone: &Zone,
    at: &At<Many<Text<CardAddress>>>,
    zone_span: Span,
    scope: &mut Scope<'_>,
) -> Vec<IpNet> {
    let mut out = Vec::new();
    for (card, span) in scope.parse_many(at) {
        machine::claim(card.address, owner, span, scope);
        let Some(net) = zone.cidrs.iter().find(|net| net.contains(&card.address)) else {
            let nets: Vec<String> = zone.cidrs.iter().map(ToString::to_string).collect();
            scope
                .error(
                    codes::OUTSIDE_ZONE,
                    format!("{} is outside zone `{}`", card.address, zone.name),
                )
                .at(span, format!("not in {}", nets.join(", ")))
                .at(zone_span, "the zone of this card");
            continue;
        };
        if card.address == net.network()
            || (card.address == net.broadcast() && net.prefix_len() < 31)
        {
            scope
                .error(
                    codes::INVALID_ADDRESS,
                    format!("{} is not the address of a machine", card.address),
                )
                .at(span, "the first or last address of the network");
        }
        let prefix = card.prefix.unwrap_or(net.prefix_len());
        out.extend(IpNet::new(card.address, prefix));
    }
    out.sort_by_key(|net| net.addr().is_ipv6());
    out
}
