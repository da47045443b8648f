//! The matrix as UFW rules of one host.

use super::{
    addresses::Addresses,
    comment::mark,
    matrix::{Machine, Matrix, covers},
    opening::{Opening, by_address, inbound, outbound, pieces, port_lists},
};
use crate::model::{
    address::{Port, PortRange, Proto},
    flow::Endpoint,
    ufw::{Ufw, UfwAction, UfwDirection, UfwRule},
};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// Compiles the matrix for a guest or an external host.
pub(crate) fn compile(matrix: &Matrix, machine: &Machine<'_>) -> Ufw {
    let openings = by_address(inbound(matrix, &machine.addresses), &machine.addresses);
    let mut rules = rules(matrix, machine, UfwDirection::In, &openings);
    let mut outgoing = UfwAction::Allow;
    if matrix.holds_egress(machine) {
        outgoing = UfwAction::Deny;
        let openings = by_address(outbound(matrix, &machine.addresses), &machine.addresses);
        rules.extend(self::rules(matrix, machine, UfwDirection::Out, &openings));
    }
    Ufw {
        enabled: true,
        incoming: UfwAction::Deny,
        outgoing,
        routed: UfwAction::Deny,
        ipv6: true,
        flushes_all: false,
        rules,
    }
}

/// UFW has no sets, so "the Internet" is written last: what is in a zone and not allowed by another row is denied,
/// then everybody is allowed. All specific rows come before.
fn rules(
    matrix: &Matrix,
    machine: &Machine<'_>,
    direction: UfwDirection,
    openings: &[Opening<'_>],
) -> Vec<UfwRule> {
    let (outside, known): (Vec<_>, Vec<_>) = openings
        .iter()
        .partition(|opening| opening.peer.endpoint == Endpoint::Internet);
    let mut out = Vec::new();
    for opening in &known {
        let peers = networks(opening, machine);
        write(
            &mut out,
            direction,
            UfwAction::Allow,
            opening,
            machine,
            &peers,
            &opening.row.ports,
        );
    }
    for opening in &outside {
        let others = || known.iter().flat_map(|other| &other.row.ports);
        let ports = opening.row.ports.iter();
        for port in ports.flat_map(|port| pieces(*port, others())) {
            let allowed = known
                .iter()
                .filter(|other| other.own == opening.own)
                .filter(|other| other.row.ports.iter().any(|p| covers(*p, port)))
                .fold(Addresses::default(), |all, other| {
                    all.union(&other.peer.addresses)
                });
            let closed: Vec<_> = matrix.zones.without(&allowed).networks();
            let closed: Vec<_> = closed.into_iter().map(|net| (Some(net), None)).collect();
            write(
                &mut out,
                direction,
                UfwAction::Deny,
                opening,
                machine,
                &closed,
                &[port],
            );
        }
    }
    for opening in &outside {
        write(
            &mut out,
            direction,
            UfwAction::Allow,
            opening,
            machine,
            &[(None, None)],
            &opening.row.ports,
        );
    }
    let mut known = BTreeSet::new();
    out.retain(|rule| {
        known.insert(UfwRule {
            action: if rule.passes() {
                UfwAction::Allow
            } else {
                UfwAction::Deny
            },
            log: None,
            comment: None,
            ..rule.clone()
        })
    });
    out
}

/// A peer's network, all of them when none, and the interface behind which it stands.
type Peer<'a> = (Option<IpNet>, Option<&'a str>);

fn networks<'a>(opening: &Opening<'_>, machine: &'a Machine<'_>) -> Vec<Peer<'a>> {
    if opening.peer.endpoint == Endpoint::Any {
        return vec![(None, None)];
    }
    let parts = machine.interfaces.parts(&opening.peer.addresses);
    parts
        .into_iter()
        .map(|(net, interface)| (Some(net), interface))
        .collect()
}

fn write(
    out: &mut Vec<UfwRule>,
    direction: UfwDirection,
    action: UfwAction,
    opening: &Opening<'_>,
    machine: &Machine<'_>,
    peers: &[Peer<'_>],
    ports: &[Port],
) {
    let own: Vec<Option<IpNet>> = match &opening.own {
        None => vec![None],
        Some(own) => own.networks().into_iter().map(Some).collect(),
    };
    let pairs = peers.iter().flat_map(|p| own.iter().map(move |o| (*p, *o)));
    for ((peer, interface), own) in pairs {
        let is_mixed = |a: IpNet, b: IpNet| a.addr().is_ipv4() != b.addr().is_ipv4();
        if peer.zip(own).is_some_and(|(a, b)| is_mixed(a, b)) || !reaches(machine, peer) {
            continue;
        }
        for (proto, list) in port_lists(ports) {
            // UFW's own before.rules answer echo requests; a rule of ours could neither open nor close them.
            if proto == Proto::Icmp {
                continue;
            }
            let (from, to) = match direction {
                UfwDirection::Out => (own, peer),
                UfwDirection::In | UfwDirection::Route => (peer, own),
            };
            let limited =
                opening.row.limit && action == UfwAction::Allow && direction == UfwDirection::In;
            let rule = UfwRule {
                action: if limited { UfwAction::Limit } else { action },
                direction,
                proto: Some(proto),
                from,
                to,
                ports: any_port(&list),
                source_ports: vec![],
                app: None,
                log: (opening.row.log && action == UfwAction::Allow).then(|| "log".to_owned()),
                interface: interface.map(str::to_owned),
                comment: Some(mark(&opening.row.id, &opening.row.reason)),
            };
            out.push(rule);
        }
    }
}

/// A peer of a family in which the machine has no address can never come: such a rule would only be noise.
fn reaches(machine: &Machine<'_>, peer: Option<IpNet>) -> bool {
    match peer {
        None => true,
        Some(IpNet::V4(_)) => machine.addresses.has_v4(),
        Some(IpNet::V6(_)) => machine.addresses.has_v6(),
    }
}

/// All ports are written as no port.
fn any_port(list: &[PortRange]) -> Vec<PortRange> {
    if list.iter().any(|r| r.first <= 1 && r.last == u16::MAX) {
        Vec::new()
    } else {
        list.to_vec()
    }
}
