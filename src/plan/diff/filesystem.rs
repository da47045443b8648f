//! Filesystems of a guest's own disks: made where nothing is, grown with the disk, never made over anything.

use super::guest::subject;
use crate::model::{
    facts::{DiskFact, HostFacts},
    ids::HostName,
    resource::FilesystemResource,
    size::Bytes,
};
use crate::plan::{
    change::{Impact, Operation},
    draft::{Draft, Proposal, id},
    inputs::Inputs,
};

/// A filesystem ends at a whole block, so that a disk may have a little more.
const SLACK: u64 = 1 << 20;

/// Compares one filesystem with its disk.
pub(super) fn diff(
    draft: &mut Draft,
    inputs: &Inputs<'_>,
    host: &HostName,
    wanted: &FilesystemResource,
    facts: &HostFacts,
    needs: &[String],
) {
    let name = format!("filesystem {}", wanted.disk);
    let mut needs = needs.to_vec();
    let mut grows = false;
    if let Some(guest) = inputs.desired.guests.get(host) {
        let attached = id(&guest.node, &subject(guest));
        let grown = id(
            &guest.node,
            &format!("{} disk {}", subject(guest), wanted.disk),
        );
        grows = draft.changes.iter().any(|change| change.id == grown);
        needs.extend([attached, grown]);
    }
    let kind = wanted.kind.to_string();
    let Some(seen) = facts.disks.get(&wanted.disk).and_then(Option::as_ref) else {
        // Attached by this very plan, or by a restart of it.
        make(draft, host, &name, wanted, needs);
        return;
    };
    if seen.uuid.as_deref() == Some(&wanted.uuid)
        && seen.kind.as_deref() == Some(&kind)
        && !seen.unclear
    {
        let short = seen
            .filesystem_bytes
            .is_some_and(|bytes| bytes + SLACK <= seen.bytes);
        if !short && !grows {
            return;
        }
        let before = seen.filesystem_bytes.map(|bytes| Bytes(bytes).to_string());
        // Only what is mounted grows.
        needs.push(id(
            host,
            &format!("unit {}", crate::baseline::unit_name(&wanted.at)),
        ));
        let proposal = Proposal::update("its disk is larger, and it takes all of it")
            .field("size", before.as_deref(), Some("all of the disk"))
            .impact(Impact::Hot)
            .after(needs);
        draft.propose(
            host,
            &name,
            proposal,
            Operation::GrowFilesystem(wanted.clone()),
        );
        return;
    }
    match holds(seen) {
        None => make(draft, host, &name, wanted, needs),
        Some(what) => draft.block(
            format!("{name} of {host}"),
            format!("the disk holds {what}, which infra did not make"),
            format!(
                "infra makes filesystems on empty disks only and formats nothing anew. Keep what is there: take `at` \
                 out of the inventory and mount it by hand. Or empty the disk in {host} by hand, if nobody needs \
                 what is on it: `wipefs --all` and zeros over its first 16 MiB."
            ),
        ),
    }
}

fn make(
    draft: &mut Draft,
    host: &HostName,
    name: &str,
    wanted: &FilesystemResource,
    needs: Vec<String>,
) {
    let proposal =
        Proposal::create("made only where the disk is empty; one of ours is taken as it is")
            .field("kind", None, Some(&wanted.kind.to_string()))
            .field("UUID", None, Some(&wanted.uuid))
            .field("mounted at", None, Some(&wanted.at))
            .after(needs);
    draft.propose(
        host,
        name,
        proposal,
        Operation::MakeFilesystem(wanted.clone()),
    );
}

/// What is on a disk, in words; none where nothing is known to be.
fn holds(seen: &DiskFact) -> Option<String> {
    let named = |what: &str| match &seen.uuid {
        Some(uuid) => format!("{what} (UUID {uuid})"),
        None => what.to_owned(),
    };
    match (&seen.kind, &seen.table) {
        _ if seen.unclear => Some("several signatures that contradict each other".to_owned()),
        (Some(kind), _) => Some(named(kind)),
        (None, Some(table)) => Some(format!("a partition table ({table})")),
        (None, None) => None,
    }
}
