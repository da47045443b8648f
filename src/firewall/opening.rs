//! What the matrix opens for one machine, before it is written for any target.

use super::{
    addresses::Addresses,
    matrix::{End, Matrix, Row},
};
use crate::model::address::{Port, PortRange, Proto};
use std::collections::BTreeMap;

/// The most port numbers in one rule, in Proxmox (seen with PVE 9.2.11: "> 15 numbers") and in UFW; a range is two.
const PORTS_A_RULE: usize = 15;

/// One row's effect on a machine, for one peer.
#[derive(Debug, Clone)]
pub(crate) struct Opening<'a> {
    pub(crate) row: &'a Row,
    /// The other end.
    pub(crate) peer: &'a End,
    /// The machine's own addresses that are meant; none means all of them.
    pub(crate) own: Option<Addresses>,
}

/// What may come into a machine.
pub(crate) fn inbound<'a>(matrix: &'a Matrix, machine: &Addresses) -> Vec<Opening<'a>> {
    openings(matrix, machine, |row| (&row.to, &row.from))
}

/// What may leave a machine.
pub(crate) fn outbound<'a>(matrix: &'a Matrix, machine: &Addresses) -> Vec<Opening<'a>> {
    openings(matrix, machine, |row| (&row.from, &row.to))
}

fn openings<'a>(
    matrix: &'a Matrix,
    machine: &Addresses,
    ends: impl Fn(&'a Row) -> (&'a Vec<End>, &'a Vec<End>),
) -> Vec<Opening<'a>> {
    let mut out = Vec::new();
    for row in &matrix.rows {
        let (own_ends, peers) = ends(row);
        if !own_ends.iter().any(|end| end.addresses.meets(machine)) {
            continue;
        }
        let own = own_ends.iter().fold(Addresses::default(), |all, end| {
            all.union(&end.addresses.intersection(machine))
        });
        for peer in peers {
            // A machine needs no leave to talk to itself, and an empty end allows nothing.
            if machine.covers(&peer.addresses) {
                continue;
            }
            out.push(Opening {
                row,
                peer,
                own: (!own.covers(machine)).then(|| own.clone()),
            });
        }
    }
    out
}

/// The same openings with one own address each, when any of them means only some of the machine's: then two of them
/// concern either the same address or different ones, and rules for them never hide each other in part.
pub(crate) fn by_address<'a>(openings: Vec<Opening<'a>>, machine: &Addresses) -> Vec<Opening<'a>> {
    if openings.iter().all(|opening| opening.own.is_none()) {
        return openings;
    }
    let mut out = Vec::new();
    for opening in openings {
        let own = opening.own.as_ref().unwrap_or(machine);
        for network in own.networks() {
            for single in network
                .subnets(network.max_prefix_len())
                .into_iter()
                .flatten()
            {
                out.push(Opening {
                    own: Some(Addresses::of_networks([&single])),
                    ..opening.clone()
                });
            }
        }
    }
    out
}

/// Ports by protocol, ascending and merged, in lists short enough for one rule.
pub(crate) fn port_lists(ports: &[Port]) -> Vec<(Proto, Vec<PortRange>)> {
    let mut by_proto: BTreeMap<Proto, Vec<PortRange>> = BTreeMap::new();
    for port in ports {
        by_proto.entry(port.proto).or_default().push(port.range);
    }
    let mut out = Vec::new();
    for (proto, ranges) in by_proto {
        if proto == Proto::Icmp {
            out.push((proto, vec![]));
            continue;
        }
        let mut list: Vec<PortRange> = Vec::new();
        let mut numbers = 0;
        for range in merged(ranges) {
            let weight = if range.first == range.last { 1 } else { 2 };
            if numbers + weight > PORTS_A_RULE {
                out.push((proto, std::mem::take(&mut list)));
                numbers = 0;
            }
            numbers += weight;
            list.push(range);
        }
        out.push((proto, list));
    }
    out
}

/// A port cut where others begin and end, so that each piece is wholly inside or wholly outside each of them.
pub(crate) fn pieces<'a>(port: Port, others: impl Iterator<Item = &'a Port>) -> Vec<Port> {
    let mut starts = vec![port.range.first];
    for other in others.filter(|other| other.proto == port.proto) {
        let after = other.range.last.checked_add(1);
        for start in [Some(other.range.first), after].into_iter().flatten() {
            if port.range.contains(start) {
                starts.push(start);
            }
        }
    }
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).map(|next| next - 1);
    let ends: Vec<u16> = ends.chain([port.range.last]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(first, last)| Port {
            proto: port.proto,
            range: PortRange { first, last },
        })
        .collect()
}

fn merged(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut out: Vec<PortRange> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(open) if range.first <= open.last => open.last = open.last.max(range.last),
            Some(_) | None => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_port_lists_are_split_where_the_targets_refuse_them() {
        let ports: Vec<Port> = (0..16_u16)
            .map(|n| format!("{}/tcp", 8000 + 2 * n).parse().expect("valid"))
            .chain([
                "53/udp".parse().expect("valid"),
                "icmp".parse().expect("valid"),
            ])
            .collect();
        let lists = port_lists(&ports);
        let sizes: Vec<_> = lists.iter().map(|(p, l)| (*p, l.len())).collect();
        assert_eq!(
            sizes,
            [
                (Proto::Tcp, 15),
                (Proto::Tcp, 1),
                (Proto::Udp, 1),
                (Proto::Icmp, 0)
            ]
        );
    }

    #[test]
    fn a_range_is_cut_where_others_begin_and_end() {
        let port = |text: &str| text.parse::<Port>().expect("valid");
        let others = [port("85-90/tcp"), port("1-81/tcp"), port("84/udp")];
        let cut = pieces(port("80-100/tcp"), others.iter());
        let cut: Vec<String> = cut.iter().map(Port::to_string).collect();
        assert_eq!(cut, ["80-81/tcp", "82-84/tcp", "85-90/tcp", "91-100/tcp"]);
    }

    #[test]
    fn overlapping_ports_are_written_once() {
        let ports: Vec<Port> = ["80-90/tcp", "85/tcp", "80/tcp"]
            .map(|p| p.parse().expect("valid"))
            .into();
        assert_eq!(
            port_lists(&ports),
            [(
                Proto::Tcp,
                vec![PortRange {
                    first: 80,
                    last: 90
                }]
            )]
        );
    }
}
