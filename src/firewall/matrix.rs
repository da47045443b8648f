//! The matrix with every name resolved to addresses.

use super::{addresses::Addresses, interfaces::Interfaces};
use crate::diagnostic::Place;
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    flow::{Endpoint, Flow, FlowPort},
    host::SshAccess,
    ids::{HostName, Vmid},
};
use std::net::IpAddr;

/// Port of the Proxmox API unless the inventory says otherwise.
const API_PORT: u16 = 8006;

/// One end of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) endpoint: Endpoint,
    pub(crate) addresses: Addresses,
}

/// One allowed entry of the matrix, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Id of the flow; `operators` and `jump` for the ways in that infra itself needs.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Where the flow was written; none for infra's own rows.
    pub place: Option<Place>,
    /// What may be reached.
    pub ports: Vec<Port>,
    /// New connections are logged.
    pub log: bool,
    /// One address may open a few connections only, where UFW decides.
    pub limit: bool,
    pub(crate) from: Vec<End>,
    pub(crate) to: Vec<End>,
}

/// What enforces rules for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineKind {
    Node,
    Guest(Vmid),
    External,
}

/// A machine that infra manages, by all its addresses.
#[derive(Debug, Clone)]
pub(crate) struct Machine<'a> {
    pub(crate) name: &'a HostName,
    pub(crate) kind: MachineKind,
    pub(crate) addresses: Addresses,
    pub(crate) interfaces: Interfaces,
    pub(crate) ssh: &'a SshAccess,
}

/// The whole matrix: infra's own way in first, then the owner's flows in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    pub(crate) rows: Vec<Row>,
    pub(crate) zones: Addresses,
}

impl Matrix {
    /// Resolves the flows of a system.
    pub fn of(desired: &Desired) -> Self {
        let mut rows = own_rows(desired);
        rows.extend(desired.flows.iter().map(|flow| owners_row(desired, flow)));
        Self {
            rows,
            zones: zoned(desired),
        }
    }

    /// The first row that lets `from` open a connection to `port` of `to`; none when the matrix keeps it closed.
    pub fn permits(&self, from: IpAddr, to: IpAddr, port: Port) -> Option<&Row> {
        let has = |ends: &[End], address| ends.iter().any(|end| end.addresses.contains(address));
        self.rows.iter().find(|row| {
            has(&row.from, from) && has(&row.to, to) && row.ports.iter().any(|p| covers(*p, port))
        })
    }

    /// Whether what a machine sends and no row allows is dropped on the machine itself: an external host that a row of the
    /// owner's names as its source. What a guest sends is Proxmox's matter.
    pub(crate) fn holds_egress(&self, machine: &Machine<'_>) -> bool {
        machine.kind == MachineKind::External && self.names_as_source(machine.name)
    }

    /// Whether a row of the owner's begins at a host by its name.
    pub fn names_as_source(&self, host: &HostName) -> bool {
        let named = Endpoint::Host(host.clone());
        let names = |row: &Row| row.from.iter().any(|end| end.endpoint == named);
        let mut rows = self.rows.iter();
        rows.any(|row| row.place.is_some() && names(row))
    }

    /// All rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// The machines of a system that something enforces rules for.
pub(crate) fn machines(desired: &Desired) -> Vec<Machine<'_>> {
    let machine = |name, kind, ssh| Machine {
        name,
        kind,
        addresses: Addresses::of_hosts(desired.addresses(name)),
        interfaces: Interfaces::of(desired, name),
        ssh,
    };
    let nodes = desired.nodes.values();
    let hosts = desired.hosts.values();
    let guests = desired.guests.values();
    nodes
        .map(|node| machine(&node.name, MachineKind::Node, &node.ssh))
        .chain(hosts.map(|host| machine(&host.name, MachineKind::External, &host.ssh)))
        .chain(guests.map(|g| machine(&g.name, MachineKind::Guest(g.vmid), &g.ssh)))
        .collect()
}

/// The addresses that a name stands for.
pub(crate) fn resolve(desired: &Desired, endpoint: &Endpoint) -> Addresses {
    match endpoint {
        Endpoint::Any => Addresses::everything(),
        Endpoint::Internet => zoned(desired).complement(),
        Endpoint::Zone(name) => desired
            .zones
            .get(name)
            .map(|zone| Addresses::of_networks(&zone.cidrs))
            .unwrap_or_default(),
        Endpoint::Host(name) => Addresses::of_hosts(desired.addresses(name)),
        Endpoint::Set(name) => desired
            .sets
            .get(name)
            .map(|set| Addresses::of_networks(&set.cidrs))
            .unwrap_or_default(),
    }
}

/// Whether all of `part` is in `whole`.
pub(crate) fn covers(whole: Port, part: Port) -> bool {
    whole.proto == part.proto
        && (whole.proto == Proto::Icmp
            || (whole.range.first <= part.range.first && part.range.last <= whole.range.last))
}

/// Whether the two share a port.
pub(crate) fn overlap(a: Port, b: Port) -> bool {
    a.proto == b.proto && (a.proto == Proto::Icmp || a.range.overlaps(b.range))
}

pub(crate) fn tcp(port: u16) -> Port {
    Port {
        proto: Proto::Tcp,
        range: PortRange::one(port),
    }
}

/// The port of the API on nodes.
pub(crate) fn api_port(desired: &Desired) -> Port {
    tcp(desired.proxmox.as_ref().map_or(API_PORT, |api| api.port))
}

fn zoned(desired: &Desired) -> Addresses {
    Addresses::of_networks(desired.zones.values().flat_map(|zone| &zone.cidrs))
}

fn end(desired: &Desired, endpoint: Endpoint) -> End {
    End {
        addresses: resolve(desired, &endpoint),
        endpoint,
    }
}

fn owners_row(desired: &Desired, flow: &Flow) -> Row {
    let ends = |endpoints: &[Endpoint]| endpoints.iter().map(|e| end(desired, e.clone())).collect();
    Row {
        id: flow.id.clone(),
        reason: flow.reason.clone(),
        place: Some(flow.place.clone()),
        ports: flow
            .allow
            .iter()
            .map(|FlowPort { port, .. }| *port)
            .collect(),
        log: flow.log,
        limit: flow.limit,
        from: ends(&flow.from),
        to: ends(&flow.to),
    }
}

/// The operators' way to every machine, and the way of jump hosts to the machines behind them.
fn own_rows(desired: &Desired) -> Vec<Row> {
    let mut rows = Vec::new();
    for machine in machines(desired) {
        let to = || vec![end(desired, Endpoint::Host(machine.name.clone()))];
        if let Some(operators) = &desired.operators {
            let mut ports = vec![tcp(machine.ssh.port)];
            if machine.kind == MachineKind::Node {
                ports.push(api_port(desired));
            }
            rows.push(Row {
                id: "operators".to_owned(),
                reason: "administration".to_owned(),
                place: None,
                ports,
                log: false,
                limit: false,
                from: vec![end(desired, Endpoint::Set(operators.clone()))],
                to: to(),
            });
        }
        if let Some(jump) = &machine.ssh.jump {
            rows.push(Row {
                id: "jump".to_owned(),
                reason: format!("administration through {jump}"),
                place: None,
                ports: vec![tcp(machine.ssh.port)],
                log: false,
                limit: false,
                from: vec![end(desired, Endpoint::Host(jump.clone()))],
                to: to(),
            });
        }
    }
    rows
}
