//! What differs, one file per kind of thing.
//!
//! Invariant: each file compares one kind; none of them looks at another's changes, they only name ids to wait for.

mod adopted;
mod creation;
mod dataset;
mod disk;
mod drive;
mod entry;
mod filesystem;
mod firewall;
mod firewall_reason;
mod guest;
mod holding;
mod image;
mod mapping;
mod migration;
mod network;
mod own_way;
mod resource;
mod sdn;
mod stack;

pub(super) use dataset::{path as directory, subject as dataset_subject};
pub use disk::retune;
pub(super) use drive::is_seed_of;
pub use entry::guest as entry_guest;
pub(super) use guest::running;
pub use resource::compare;
pub(super) use stack::paths as stack_paths;

use super::{change::Operation, draft::Draft, inputs::Inputs};
use crate::model::{desired::Desired, facts::HostFacts, ids::HostName, observed::Reading};

/// Compares everything with everything that was seen.
pub(super) fn all(draft: &mut Draft, inputs: &Inputs<'_>) {
    let desired = inputs.desired;
    for (host, resources) in inputs.resources {
        if desired.nodes.contains_key(host)
            && let Some(facts) = facts(draft, inputs, host)
        {
            resource::diff(draft, inputs, host, resources, &facts, &[]);
            dataset::diff(draft, desired, host, &facts);
        }
    }
    match &inputs.observed.proxmox {
        Some(Reading::Seen(seen)) => {
            for unanswered in &seen.unanswered {
                draft.unknown(unanswered.question.to_string(), unanswered);
            }
            network::diff(draft, desired, seen);
            sdn::diff(draft, desired, seen);
            mapping::diff(draft, desired, seen);
            guest::diff(draft, desired, seen);
            entry::diff(draft, desired, seen);
            adopted::diff(draft, desired, seen);
            firewall::diff(draft, inputs, seen);
        }
        Some(Reading::Failed { why, hint }) => {
            draft.unreachable("the Proxmox API", why, hint.as_deref());
        }
        Some(Reading::Absent) | None => {}
    }
    for (host, resources) in inputs.resources {
        if !desired.nodes.contains_key(host)
            && let Some(facts) = facts(draft, inputs, host)
        {
            let needs: Vec<String> = desired
                .guests
                .get(host)
                .map(running)
                .into_iter()
                .flatten()
                .collect();
            resource::diff(draft, inputs, host, resources, &facts, &needs);
            dataset::diff(draft, desired, host, &facts);
            firewall::diff_ufw(draft, inputs, host, &facts, &needs);
        }
    }
    for release in inputs.releases.values() {
        if let Some(facts) = facts(draft, inputs, &release.host) {
            stack::diff(draft, release, &facts);
        }
    }
    own_way::look(draft, inputs);
}

/// Why a guest is not reached, when this plan mends just that: a firewall or a router that lets nothing through hides the
/// guests behind it, and refusing to mend it because they are hidden would leave both as they are. That the guest is
/// reached again is proved before a change of the firewall is kept.
fn mended_way(draft: &Draft, desired: &Desired, guest: &HostName) -> Option<String> {
    if let Some(router) = mended_router(draft, desired, guest) {
        return Some(format!(
            "it lies behind {router}, which does not route as it should"
        ));
    }
    let is_firewall = |operation: &Operation| {
        matches!(
            operation,
            Operation::Firewall { .. } | Operation::EnableFirewall { .. }
        )
    };
    let mends = draft.changes.iter().any(|c| is_firewall(&c.operation));
    (desired.guests.contains_key(guest) && mends)
        .then(|| "the Proxmox firewall in front of it is not as it should be".to_owned())
}

/// The node behind which a guest lies, when this plan mends its routing.
fn mended_router(draft: &Draft, desired: &Desired, guest: &HostName) -> Option<HostName> {
    let cards = &desired.guests.get(guest)?.nics;
    let mut routers = cards
        .iter()
        .filter_map(|card| desired.zones.get(&card.zone)?.router.as_ref());
    let is_mended = |router: &&HostName| {
        draft.changes.iter().any(|change| {
            change.host == **router
                && matches!(
                    change.operation,
                    Operation::SetSysctl { .. }
                        | Operation::SetUnit { .. }
                        | Operation::RestartUnit { .. }
                )
        })
    };
    routers.find(is_mended).cloned()
}

/// What a host said. A guest that this plan boots for the first time is a fresh image: everything is still to do. Any other
/// guest that does not run is started and not judged by what nobody can see.
fn facts(draft: &mut Draft, inputs: &Inputs<'_>, host: &HostName) -> Option<HostFacts> {
    match inputs.observed.hosts.get(host) {
        Some(Reading::Seen(facts)) => Some(facts.clone()),
        Some(Reading::Absent) => {
            let guest = inputs.desired.guests.get(host)?;
            if guest::boots_first(draft, &inputs.desired.system, guest) {
                return Some(HostFacts::default());
            }
            draft
                .later
                .insert(host.clone(), "it does not run".to_owned());
            None
        }
        Some(Reading::Failed { why, hint }) => {
            match mended_way(draft, inputs.desired, host) {
                Some(why) => {
                    draft.later.insert(host.clone(), why);
                }
                None => draft.unreachable(format!("host {host}"), why, hint.as_deref()),
            }
            None
        }
        None => {
            draft.unreachable(format!("host {host}"), "it was not asked", None);
            None
        }
    }
}
