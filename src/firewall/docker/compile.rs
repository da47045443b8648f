//! The rows that concern published ports, as rules.

use super::{
    egress,
    rule::{Bridge, DockerRule, DockerUser, Published},
};
use crate::firewall::{
    addresses::Addresses,
    comment::log_prefix,
    matrix::{Machine, Matrix, covers, overlap},
    opening::{Opening, by_address, inbound, pieces},
};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    flow::Endpoint,
    stack::Publish,
};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// Compiles the chain of a host; none when no stack runs there.
pub(crate) fn compile(
    desired: &Desired,
    matrix: &Matrix,
    machine: &Machine<'_>,
) -> Option<DockerUser> {
    let mut stacks = desired
        .stacks
        .values()
        .filter(|stack| stack.on == *machine.name)
        .peekable();
    stacks.peek()?;
    let published: Vec<&Publish> = stacks.flat_map(|stack| &stack.publish).collect();
    let openings = by_address(inbound(matrix, &machine.addresses), &machine.addresses);
    let of = |is_here: fn(&IpNet) -> bool| family(matrix, machine, &openings, &published, is_here);
    let rules = [
        of(|net| net.addr().is_ipv4()),
        of(|net| net.addr().is_ipv6()),
    ];
    let egress = [false, true].map(|v6| egress::compile(matrix, machine, v6));
    Some(DockerUser::of(&rules, &egress))
}

fn family(
    matrix: &Matrix,
    machine: &Machine<'_>,
    openings: &[Opening<'_>],
    published: &[&Publish],
    is_here: fn(&IpNet) -> bool,
) -> Vec<DockerRule> {
    let containers = if matrix.holds_egress(machine) {
        DockerRule::HeldContainers
    } else {
        DockerRule::FromContainers
    };
    let mut out = vec![DockerRule::Answers];
    out.extend(Bridge::ALL.map(containers));
    let networks = |addresses: &Addresses| -> Vec<IpNet> {
        addresses.networks().into_iter().filter(is_here).collect()
    };
    let (outside, known): (Vec<_>, Vec<_>) = openings
        .iter()
        .partition(|opening| opening.peer.endpoint == Endpoint::Internet);
    for opening in &known {
        for port in open_ports(opening, published) {
            let peers = machine.interfaces.parts(&opening.peer.addresses);
            for (peer, interface) in peers.into_iter().filter(|(net, _)| is_here(net)) {
                push(
                    &mut out,
                    opening,
                    (Some(peer), interface),
                    port,
                    true,
                    is_here,
                );
            }
        }
    }
    for opening in &outside {
        let others = || known.iter().flat_map(|other| &other.row.ports);
        let ports = open_ports(opening, published).into_iter();
        for port in ports.flat_map(|port| pieces(port, others())) {
            let allowed = known
                .iter()
                .filter(|other| other.own == opening.own)
                .filter(|other| other.row.ports.iter().any(|p| covers(*p, port)))
                .fold(Addresses::default(), |all, other| {
                    all.union(&other.peer.addresses)
                });
            for closed in networks(&matrix.zones.without(&allowed)) {
                push(
                    &mut out,
                    opening,
                    (Some(closed), None),
                    port,
                    false,
                    is_here,
                );
            }
        }
    }
    for opening in &outside {
        for port in open_ports(opening, published) {
            push(&mut out, opening, (None, None), port, true, is_here);
        }
    }
    let mut known = BTreeSet::new();
    out.retain(|rule| match rule {
        DockerRule::Published(rule) => known.insert(Published {
            log: None,
            ..rule.clone()
        }),
        DockerRule::Answers
        | DockerRule::FromContainers(_)
        | DockerRule::HeldContainers(_)
        | DockerRule::OtherPublished
        | DockerRule::IntoContainers(_) => true,
    });
    out.extend([
        DockerRule::OtherPublished,
        DockerRule::IntoContainers(Bridge::Default),
        DockerRule::IntoContainers(Bridge::Compose),
    ]);
    out
}

/// The published ports that a row opens, cut to what it opens.
fn open_ports(opening: &Opening<'_>, published: &[&Publish]) -> Vec<Port> {
    let mut out = Vec::new();
    for publish in published {
        for open in &opening.row.ports {
            if !overlap(*open, publish.port) || open.proto == Proto::Icmp {
                continue;
            }
            let range = PortRange {
                first: open.range.first.max(publish.port.range.first),
                last: open.range.last.min(publish.port.range.last),
            };
            out.push(Port {
                proto: open.proto,
                range,
            });
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn push(
    out: &mut Vec<DockerRule>,
    opening: &Opening<'_>,
    (peer, interface): (Option<IpNet>, Option<&str>),
    port: Port,
    passes: bool,
    is_here: fn(&IpNet) -> bool,
) {
    let own: Vec<Option<IpNet>> = match &opening.own {
        None => vec![None],
        Some(own) => own
            .networks()
            .into_iter()
            .filter(is_here)
            .map(Some)
            .collect(),
    };
    for own in own {
        let rule = Published {
            peer: peer.filter(|net| net.prefix_len() > 0),
            interface: interface.map(str::to_owned),
            proto: port.proto,
            own,
            ports: port.range,
            passes,
            log: (passes && opening.row.log).then(|| log_prefix(&opening.row.id)),
        };
        out.push(DockerRule::Published(rule));
    }
}
