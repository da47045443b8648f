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
use crate::plan::{change::Operation, draft::Draft, inputs::Inputs};

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
        if !changes_firewall(draft, desired, host) {
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
            draft.block(
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

/// Whether the plan changes what stands before a machine.
fn changes_firewall(draft: &Draft, desired: &Desired, host: &HostName) -> bool {
    let behind_proxmox = desired.nodes.contains_key(host) || desired.guests.contains_key(host);
    let stands_before = |operation: &Operation| {
        let is_proxmox = matches!(
            operation,
            Operation::Firewall { .. } | Operation::EnableFirewall { .. }
        );
        is_proxmox && behind_proxmox || matches!(operation, Operation::Ufw(_))
    };
    let mut changes = draft.changes.iter();
    changes.any(|change| {
        stands_before(&change.operation)
            && (&change.host == host || !matches!(change.operation, Operation::Ufw(_)))
    })
}
