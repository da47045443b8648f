//! Why a packet passes, or does not.

use super::enforcement::{Enforcement, Layer, Packet, Step};
use crate::firewall::matrix::{Matrix, covers, overlap, resolve};
use crate::model::{
    address::{Port, Proto},
    desired::Desired,
    flow::{Endpoint, FlowPort},
    ids::HostName,
};
use serde::Serialize;
use std::net::IpAddr;

/// The row of the matrix that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeantRow {
    /// Flow id; `operators` and `jump` for infra's own ways in.
    pub id: String,
    /// Why it is there.
    pub reason: String,
    /// File and line, for the owner's rows.
    pub written: Option<String>,
}

/// Everything that decides about one packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The packet.
    pub packet: Packet,
    /// Who asks and who is asked, by name where there is one.
    pub names: (String, String),
    /// The first row that allows it; none when it should be closed.
    pub row: Option<MeantRow>,
    /// `never` rows that forbid it, by their reason.
    pub forbidden: Vec<String>,
    /// Every layer on the way.
    pub steps: Vec<Step>,
    /// Whether every layer lets it pass that is asked about what the machine itself sends.
    pub open: bool,
    /// Whether it would pass from a container of the machine that asks; none where those are not told apart.
    pub open_to_containers: Option<bool>,
    /// What listens there, as far as the inventory says.
    pub listener: Option<String>,
}

/// Explains one packet.
pub fn explain(
    desired: &Desired,
    matrix: &Matrix,
    enforcement: &Enforcement,
    packet: Packet,
) -> Explanation {
    let name = |address: IpAddr| {
        let place = enforcement.atlas.place_of(address);
        place.map_or_else(
            || address.to_string(),
            |at| enforcement.places()[at].label.clone(),
        )
    };
    let row = matrix.permits(packet.from, packet.to, packet.port);
    let steps = enforcement.path(packet);
    Explanation {
        names: (name(packet.from), name(packet.to)),
        row: row.map(|row| MeantRow {
            id: row.id.clone(),
            reason: row.reason.clone(),
            written: row
                .place
                .as_ref()
                .map(|place| format!("{}:{}", place.file, place.line)),
        }),
        forbidden: forbidden(desired, packet),
        open: passes(&steps, Layer::SourceDocker),
        open_to_containers: steps
            .iter()
            .any(|step| step.layer == Layer::SourceDocker)
            .then(|| passes(&steps, Layer::SourceUfw)),
        steps,
        listener: listener(desired, packet),
        packet,
    }
}

/// Whether every layer lets the packet pass but the one that it never meets.
fn passes(steps: &[Step], unasked: Layer) -> bool {
    let mut asked = steps.iter().filter(|step| step.layer != unasked);
    asked.all(|step| step.passes)
}

fn forbidden(desired: &Desired, packet: Packet) -> Vec<String> {
    let has = |ends: &[Endpoint], address: IpAddr| {
        ends.iter()
            .any(|end| resolve(desired, end).contains(address))
    };
    let meant = |deny: &[FlowPort]| {
        deny.is_empty() || deny.iter().any(|denied| covers(denied.port, packet.port))
    };
    desired
        .nevers
        .iter()
        .filter(|never| {
            has(&never.from, packet.from)
                && !has(&never.except, packet.from)
                && has(&never.to, packet.to)
                && meant(&never.deny)
        })
        .map(|never| never.reason.clone())
        .collect()
}

/// What the inventory says listens on a machine's port.
fn listener(desired: &Desired, packet: Packet) -> Option<String> {
    let owns = |host: &&HostName| desired.addresses(host).contains(&packet.to);
    let host = desired.all_hosts().find(owns)?;
    let tcp = |number: u16| packet.port.proto == Proto::Tcp && packet.port.range.contains(number);
    for stack in desired.stacks.values().filter(|stack| stack.on == *host) {
        let publish = stack.publish.iter().find(|publish| {
            overlap(publish.port, packet.port)
                && publish
                    .address
                    .is_none_or(|own| own.is_unspecified() || own == packet.to)
        });
        if let Some(publish) = publish {
            return Some(format!("{} of stack {}", publish.service, stack.name));
        }
    }
    let (_, ssh) = desired.access(host)?;
    if tcp(ssh.port) {
        return Some("sshd".to_owned());
    }
    let api = desired.proxmox.as_ref().map_or(8006, |api| api.port);
    (desired.nodes.contains_key(host) && tcp(api)).then(|| "the Proxmox API".to_owned())
}

impl Explanation {
    /// The port that was asked for.
    pub fn port(&self) -> Port {
        self.packet.port
    }
}
