//! The way on which infra itself came, against the matrix that the plan would enforce.
//!
//! The set of operators says from where infra should come; sshd says from where it does, behind every jump host and every
//! translation of addresses. A firewall that follows the matrix and not the way in would cut it.

use crate::firewall::Matrix;
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    ids::HostName,
    observed::Reading,
};
use crate::plan::{
    change::{Change, Operation},
    draft::Draft,
    inputs::Inputs,
};

/// Refuses to change the firewall of a machine whose matrix does not let in whoever asks for it. A plan without such a
/// change cuts nothing.
pub(super) fn look(draft: &mut Draft, inputs: &Inputs<'_>) {
    let desired = inputs.desired;
    let mut matrix = None;
    for (host, reading) in &inputs.observed.hosts {
        let Reading::Seen(facts) = reading else {
            continue;
        };
        let Some(peer) = facts.ssh_peer else { continue };
        let own = desired.addresses(host);
        // Nobody stands between a machine and itself.
        if peer.address.is_loopback() || own.contains(&peer.address) {
            continue;
        }
        let changes = of_firewall(draft, desired, host);
        if changes.is_empty() {
            continue;
        }
        let port = Port {
            proto: Proto::Tcp,
            range: PortRange::one(peer.port),
        };
        let matrix = matrix.get_or_insert_with(|| Matrix::of(desired));
        let is_let_in = |to| matrix.permits(peer.address, to, port).is_some();
        if !own.into_iter().any(is_let_in) {
            let operators = desired.operators.as_ref();
            let help = match operators {
                Some(set) => format!(
                    "put {} into the set `{set}`, or run infra from one of its addresses",
                    peer.address
                ),
                None => format!("name a set with {} as `operators`", peer.address),
            };
            draft.forbid(
                changes,
                format!("{host}: the way in"),
                format!(
                    "infra comes from {} to port {}, which the matrix closes: this firewall would lock you out",
                    peer.address, peer.port
                ),
                help,
            );
        }
    }
}

/// The changes of what stands before a machine.
fn of_firewall(draft: &Draft, desired: &Desired, host: &HostName) -> Vec<String> {
    let behind_proxmox = desired.nodes.contains_key(host) || desired.guests.contains_key(host);
    let is_ufw = |change: &Change| matches!(change.operation, Operation::Ufw(_));
    let is_proxmox = |change: &Change| {
        matches!(
            change.operation,
            Operation::Firewall { .. } | Operation::EnableFirewall { .. }
        )
    };
    let stands_before = |change: &&Change| {
        behind_proxmox && is_proxmox(change) || is_ufw(change) && &change.host == host
    };
    let changes = draft.changes.iter().filter(stands_before);
    changes.map(|change| change.id.clone()).collect()
}
