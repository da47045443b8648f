//! Which packets tell everything: one for every cell and every stretch of ports that some row tells apart.

use super::{
    agreement::{RowIndex, one, pairs},
    enforcement::{Enforcement, Packet},
};
use crate::firewall::{
    matrix::{Matrix, api_port, tcp},
    port_set::PortSet,
};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// A port that nobody uses: what is not listed must be closed, also where no row comes near.
const UNLISTED: [&str; 3] = ["47808/tcp", "47808/udp", "icmp"];

/// A question about one packet, and its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Who asks and who is asked.
    pub names: (String, String),
    /// The packet.
    pub packet: Packet,
    /// A container of the machine sends it, whose address nobody else sees.
    pub by_container: bool,
    /// What the analysis says.
    pub expected: bool,
    /// What was seen; none when nobody could look.
    pub seen: Option<bool>,
}

impl Probe {
    /// Whether it was looked at and is as expected.
    pub fn holds(&self) -> bool {
        self.seen == Some(self.expected)
    }
}

/// All questions about a system.
pub fn probes(desired: &Desired, matrix: &Matrix, enforcement: &Enforcement) -> Vec<Probe> {
    let places = enforcement.places();
    let index = RowIndex::new(&matrix.rows, &enforcement.atlas);
    let near: Vec<BTreeSet<Port>> = (0..places.len())
        .map(|place| near(desired, matrix, enforcement, &index, place))
        .collect();
    let mut out = Vec::new();
    for (from, to) in pairs(places) {
        let mut ask = |by_container: bool, open: &PortSet| {
            let label = &places[from].label;
            let name = if by_container {
                format!("{label} (containers)")
            } else {
                label.clone()
            };
            for port in near[from].union(&near[to]) {
                out.push(Probe {
                    names: (name.clone(), places[to].label.clone()),
                    packet: Packet {
                        from: places[from].example,
                        to: places[to].example,
                        port: *port,
                    },
                    by_container,
                    expected: open.contains(*port),
                    seen: None,
                });
            }
        };
        ask(false, &enforcement.opens(from, to));
        if let Some(open) = enforcement.opens_to_containers(from, to) {
            ask(true, &open);
        }
    }
    out
}

/// The first and last port of everything that concerns a place, and their neighbours.
fn near(
    desired: &Desired,
    matrix: &Matrix,
    enforcement: &Enforcement,
    index: &RowIndex,
    place: usize,
) -> BTreeSet<Port> {
    let mut known: Vec<Port> = UNLISTED
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    for is_from in [true, false] {
        for (number, row) in matrix.rows.iter().enumerate() {
            if index.is_at(number, place, is_from) {
                known.extend(&row.ports);
            }
        }
    }
    for never in &desired.nevers {
        known.extend(never.deny.iter().map(|denied| denied.port));
    }
    if let Some(host) = &enforcement.places()[place].machine {
        known.extend(
            enforcement
                .published(host)
                .map(PortSet::ports)
                .unwrap_or_default(),
        );
        known.extend(desired.access(host).map(|(_, ssh)| tcp(ssh.port)));
        if desired.nodes.contains_key(host) {
            known.push(api_port(desired));
        }
    }
    let mut out = BTreeSet::new();
    for port in known {
        if port.proto == Proto::Icmp {
            out.insert(one(port));
            continue;
        }
        let (first, last) = (port.range.first, port.range.last);
        let around = [
            first.checked_sub(1),
            Some(first),
            Some(last),
            last.checked_add(1),
        ];
        for number in around.into_iter().flatten().filter(|number| *number > 0) {
            out.insert(Port {
                proto: port.proto,
                range: PortRange::one(number),
            });
        }
    }
    out
}
