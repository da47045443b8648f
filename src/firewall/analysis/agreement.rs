//! Whether every layer does what the owner's rows say, no less and no more.

use super::{
    enforcement::{Enforcement, Layer, Packet},
    place::{Atlas, Place},
};
use crate::diagnostic::{Code, Diagnostic};
use crate::firewall::{
    addresses::Addresses,
    compile::CompiledFirewall,
    matrix::{End, Matrix, Row, machines},
    port_set::PortSet,
};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    ids::HostName,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A layer that opens what no row lists, or closes what one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// Layer.
    pub layer: Layer,
    /// Whose.
    pub host: HostName,
    /// Between which places, by label.
    pub between: (String, String),
    /// The ports.
    pub ports: PortSet,
    /// Open although no row says so; else closed although one does.
    pub is_open: bool,
    /// One packet that shows it.
    pub witness: Packet,
}

/// For every place, the rows that begin and that end there, as bits.
pub(crate) struct RowIndex {
    from: Vec<Vec<u64>>,
    to: Vec<Vec<u64>>,
    ports: Vec<PortSet>,
}

impl RowIndex {
    pub(crate) fn new(rows: &[Row], atlas: &Atlas) -> Self {
        let words = rows.len().div_ceil(64);
        let empty = || vec![vec![0_u64; words]; atlas.places.len()];
        let (mut from, mut to) = (empty(), empty());
        let mut known: BTreeMap<&Addresses, Vec<bool>> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            for (ends, table) in [(&row.from, &mut from), (&row.to, &mut to)] {
                for End { addresses, .. } in ends {
                    let members = known.entry(addresses).or_insert_with(|| {
                        atlas
                            .members(addresses)
                            .expect("the ends of rows are unions of places")
                    });
                    for (place, _) in members.iter().enumerate().filter(|(_, is_in)| **is_in) {
                        table[place][number / 64] |= 1 << (number % 64);
                    }
                }
            }
        }
        Self {
            from,
            to,
            ports: rows.iter().map(|row| PortSet::of(&row.ports)).collect(),
        }
    }

    /// The rows that connect two places.
    pub(crate) fn between(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let words = self.from[from].iter().zip(&self.to[to]).enumerate();
        words.flat_map(|(at, (a, b))| {
            let both = a & b;
            (0..64)
                .filter(move |bit| both & (1 << bit) != 0)
                .map(move |bit| at * 64 + bit)
                .take(both.count_ones() as usize)
        })
    }

    pub(crate) fn places(&self, row: usize, is_from: bool) -> Vec<usize> {
        (0..self.from.len())
            .filter(|place| self.is_at(row, *place, is_from))
            .collect()
    }

    pub(crate) fn is_at(&self, row: usize, place: usize, is_from: bool) -> bool {
        let table = if is_from { &self.from } else { &self.to };
        table[place][row / 64] & (1 << (row % 64)) != 0
    }

    pub(crate) fn ports(&self, row: usize) -> &PortSet {
        &self.ports[row]
    }

    /// What the rows open between two places.
    pub(crate) fn opens(&self, from: usize, to: usize) -> PortSet {
        self.between(from, to)
            .fold(PortSet::default(), |open, row| open.union(&self.ports[row]))
    }
}

/// Pairs of places of one family, of which at least one is a machine, and not the same machine.
pub(crate) fn pairs(places: &[Place]) -> impl Iterator<Item = (usize, usize)> {
    (0..places.len()).flat_map(move |from| {
        (0..places.len())
            .filter(move |to| is_pair(&places[from], &places[*to]))
            .map(move |to| (from, to))
    })
}

pub(crate) fn is_pair(a: &Place, b: &Place) -> bool {
    a.is_v6() == b.is_v6()
        && (a.machine.is_some() || b.machine.is_some())
        && (a.machine.is_none() || a.machine != b.machine)
}

/// A layer would not do what the matrix says: an error of infra itself, and nothing may be applied.
pub(crate) const DISAGREEMENT: Code = Code("FW012");

/// Reads the compiled rules back and compares them with the matrix: what infra writes is not believed because infra
/// wrote it.
pub fn verify(desired: &Desired, compiled: &CompiledFirewall) -> Vec<Diagnostic> {
    let matrix = Matrix::of(desired);
    let enforcement = Enforcement::of_compiled(desired, compiled);
    let found = disagreements(desired, &matrix, &enforcement);
    let rows = found.iter().map(|wrong| {
        Diagnostic::error(DISAGREEMENT, wrong.to_string())
            .help("this is an error in infra: nothing is applied; please report it with the flow that is meant")
    });
    let unread = enforcement.unread().into_iter().map(|(host, rule)| {
        Diagnostic::error(
            DISAGREEMENT,
            format!("infra cannot read its own rule for `{host}`: {rule}"),
        )
        .help("this is an error in infra: nothing is applied; please report it")
    });
    rows.chain(unread).collect()
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is, should) = if self.is_open {
            ("opens", "closes")
        } else {
            ("closes", "opens")
        };
        write!(
            f,
            "{} of {} {is} {} from {} to {}, which the matrix {should} (for example {} -> {})",
            self.layer.words(),
            self.host,
            self.ports.words(),
            self.between.0,
            self.between.1,
            self.witness.from,
            self.witness.to,
        )
    }
}

/// Compares every layer with the rows, for every pair of places.
pub fn disagreements(
    desired: &Desired,
    matrix: &Matrix,
    enforcement: &Enforcement,
) -> Vec<Disagreement> {
    let index = RowIndex::new(&matrix.rows, &enforcement.atlas);
    let places = enforcement.places();
    let machines = machines(desired);
    let held = machines.iter().filter(|m| matrix.holds_egress(m));
    let held: BTreeSet<&HostName> = held.map(|machine| machine.name).collect();
    let mut out: Vec<Disagreement> = Vec::new();
    for (from, to) in pairs(places) {
        let wanted = index.opens(from, to);
        for (layer, passes, asked) in enforcement.layers(from, to) {
            let host = match layer {
                Layer::SourceProxmox | Layer::SourceUfw | Layer::SourceDocker => {
                    &places[from].machine
                }
                Layer::TargetProxmox | Layer::TargetDocker | Layer::TargetUfw => {
                    &places[to].machine
                }
            };
            let Some(host) = host else { continue };
            if layer == Layer::SourceDocker && !held.contains(host) {
                continue;
            }
            let wanted = wanted.intersection(&asked);
            let passes = passes.intersection(&asked);
            let missing = wanted.without(&passes).without(&unheld(layer));
            let extra = passes
                .without(&wanted)
                .without(&tolerated(desired, layer, host));
            for (ports, is_open) in [(missing, false), (extra, true)] {
                if let Some(port) = ports.ports().first() {
                    out.push(Disagreement {
                        layer,
                        host: host.clone(),
                        between: (places[from].label.clone(), places[to].label.clone()),
                        is_open,
                        witness: Packet {
                            from: places[from].example,
                            to: places[to].example,
                            port: one(*port),
                        },
                        ports,
                    });
                }
            }
        }
    }
    out
}

/// A single port out of a range.
pub(crate) fn one(port: Port) -> Port {
    match port.proto {
        Proto::Icmp => port,
        Proto::Tcp | Proto::Udp => Port {
            range: PortRange::one(port.range.first),
            ..port
        },
    }
}

/// What a layer cannot let pass although a row says so: UFW has no words for echo requests.
fn unheld(layer: Layer) -> PortSet {
    match layer {
        Layer::SourceUfw => PortSet::echo(),
        Layer::SourceDocker
        | Layer::SourceProxmox
        | Layer::TargetProxmox
        | Layer::TargetDocker
        | Layer::TargetUfw => PortSet::default(),
    }
}

/// What a layer may let pass beyond the rows, because it is not the one that holds it: what a guest sends is Proxmox's
/// matter, echo requests are not UFW's, and a node's management ports are open to its `management` set.
fn tolerated(desired: &Desired, layer: Layer, host: &HostName) -> PortSet {
    match layer {
        Layer::SourceUfw => PortSet::all(),
        Layer::TargetUfw => PortSet::echo(),
        Layer::TargetProxmox if desired.nodes.contains_key(host) => {
            let ports = [
                "22/tcp",
                "3128/tcp",
                "5900-5999/tcp",
                "8006/tcp",
                "60000-60050/tcp",
            ];
            let ports: Vec<Port> = ports.iter().filter_map(|p| p.parse().ok()).collect();
            PortSet::of(&ports)
        }
        Layer::SourceDocker | Layer::SourceProxmox | Layer::TargetProxmox | Layer::TargetDocker => {
            PortSet::default()
        }
    }
}
