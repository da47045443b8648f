//! What nobody protects.

use super::scope::{Cover, covers};
use crate::model::{
    dataset::Protection,
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
    snapshot::Survey,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Something without a snapshot schedule or a backup, and without a waiver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// `dataset tank/photos`, `volume data of stack immich`.
    pub what: String,
    /// What it lacks.
    pub lacks: Protection,
    /// Why, in one fragment.
    pub why: String,
    /// What the owner can write.
    pub help: String,
}

/// Where a stack keeps what it writes: absolute paths, and names of Docker's own volumes.
pub type Volumes = BTreeMap<StackName, Vec<String>>;

/// Looks at every dataset that exists and every place that a stack writes to. `backed_up` names the datasets that some
/// backup or replica holds.
pub fn gaps(
    desired: &Desired,
    surveys: &BTreeMap<HostName, Survey>,
    volumes: &Volumes,
    backed_up: &[DatasetName],
) -> Vec<Gap> {
    let mut out = Vec::new();
    for (host, survey) in surveys {
        for cover in covers(desired, host, survey) {
            dataset(desired, &cover, backed_up, &mut out);
        }
    }
    for (stack, places) in volumes {
        for place in places {
            volume(desired, stack, place, &mut out);
        }
    }
    out.sort();
    out
}

fn dataset(desired: &Desired, cover: &Cover<'_>, backed_up: &[DatasetName], out: &mut Vec<Gap>) {
    let name = cover.dataset;
    // A container of other datasets that is mounted nowhere holds no files of its own.
    let is_container = name.parent().is_none() && !cover.view.is_mounted && !cover.view.is_volume;
    if is_container || cover.view.origin.is_some() || waived_by_pool(desired, name) {
        return;
    }
    let what = format!("dataset {name}");
    let Some(entry) = cover.declared else {
        let (pool, rest) = (name.zpool(), name);
        for lacks in [Protection::Snapshots, Protection::Backup] {
            out.push(Gap {
                what: what.clone(),
                lacks,
                why: "nothing in the inventory speaks of it".to_owned(),
                help: format!(
                    "declare it below `zfs: {pool}:`, or say why not: `zfs: {{{pool}: {{waivers: {{\"{rest}\": REASON}}}}}}`"
                ),
            });
        }
        return;
    };
    let waived = |protection: Protection| entry.waivers.contains_key(&protection);
    if entry.snapshots.is_none() && !waived(Protection::Snapshots) {
        out.push(Gap {
            what: what.clone(),
            lacks: Protection::Snapshots,
            why: "it has no snapshot schedule".to_owned(),
            help: "write `snapshots: daily`, or `waivers: {snapshots: REASON}`".to_owned(),
        });
    }
    let is_backed_up = backed_up.iter().any(|other| name.is_within(other));
    if !is_backed_up && !waived(Protection::Backup) {
        out.push(Gap {
            what,
            lacks: Protection::Backup,
            why: "no backup and no replica holds it".to_owned(),
            help: "replicate it, or write `waivers: {backup: REASON}`".to_owned(),
        });
    }
}

/// A waiver speaks for what is inside as well; only that of a pool's own root does not speak for the whole pool.
fn waived_by_pool(desired: &Desired, name: &DatasetName) -> bool {
    desired
        .zpools
        .values()
        .flat_map(|pool| pool.waivers.keys())
        .any(|waived| name == waived || (waived.parent().is_some() && name.is_within(waived)))
}

/// A place that a stack writes to must lie on a dataset: what is on a guest's own disk is in no snapshot of a dataset.
fn volume(desired: &Desired, stack: &StackName, place: &str, out: &mut Vec<Gap>) {
    let Some(stack) = desired.stacks.get(stack) else {
        return;
    };
    let is_below = |path: &String| {
        place
            .strip_prefix(path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if stack.mounts.values().any(is_below) || stack.waivers.contains_key(place) {
        return;
    }
    out.push(Gap {
        what: format!("volume {place} of stack {}", stack.name),
        lacks: Protection::Backup,
        why: format!("it lies on {}'s own disk", stack.on),
        help: format!(
            "put it on a dataset of `mounts:`, or write `waivers: {{\"{place}\": REASON}}` at the stack"
        ),
    });
}
