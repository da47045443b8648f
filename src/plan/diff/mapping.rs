//! Directory mappings: how a dataset on a node reaches a guest by virtiofs.

use crate::model::{
    desired::Desired,
    guest::MountVia,
    observed::{ObservedProxmox, Question},
};
use crate::plan::{
    change::Operation,
    draft::{Draft, Proposal, id},
};
use std::collections::BTreeSet;

/// The subject of a mapping's change.
pub(super) fn subject(mapping: &str) -> String {
    format!("directory mapping {mapping}")
}

/// Compares the mappings that the guests' mounts need.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    if seen.unanswered(&Question::DirMappings).is_some() {
        return;
    }
    let mut done = BTreeSet::new();
    for guest in desired.guests.values() {
        for mount in guest
            .mounts
            .iter()
            .filter(|mount| mount.via == MountVia::Virtiofs)
        {
            let Some(dataset) = desired.datasets.get(&mount.dataset) else {
                continue;
            };
            let Some(path) = dataset.properties.get("mountpoint") else {
                continue;
            };
            if !done.insert(mount.tag()) {
                continue;
            }
            draft.saw(&guest.node);
            let want = format!("node={},path={path}", guest.node);
            let entries = seen.dir_mappings.get(&mount.tag());
            if entries.is_some_and(|entries| entries.iter().any(|entry| same(entry, &want))) {
                continue;
            }
            let before = entries.map(|entries| entries.join(" "));
            let own = format!("node={}", guest.node);
            let is_other = |entry: &&String| entry.split(',').all(|part| part != own);
            let others: Vec<String> = entries
                .into_iter()
                .flatten()
                .filter(is_other)
                .cloned()
                .collect();
            let after: Vec<&str> = others
                .iter()
                .map(String::as_str)
                .chain([want.as_str()])
                .collect();
            let proposal = if before.is_some() {
                Proposal::update("virtiofs shares this directory")
            } else {
                Proposal::create("virtiofs shares this directory")
            };
            draft.propose(
                &guest.node,
                &subject(&mount.tag()),
                proposal
                    .field("map", before.as_deref(), Some(&after.join(" ")))
                    .after([id(&dataset.host, &super::dataset::subject(&dataset.name))]),
                Operation::MapDirectory {
                    mapping: mount.tag(),
                    node: guest.node.clone(),
                    path: path.clone(),
                    exists: entries.is_some(),
                    others,
                },
            );
        }
    }
}

/// Property strings whose parts may stand in any order, and whose extra parts are the owner's.
fn same(seen: &str, wanted: &str) -> bool {
    let parts = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    parts(wanted).is_subset(&parts(seen))
}
