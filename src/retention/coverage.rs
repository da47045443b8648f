//! What nobody protects.

use super::scope::{Cover, covers};
use crate::model::{
    dataset::Protection,
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
    retention::Schedule,
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

/// What is known of a dataset's copy on another zpool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The replica.
    pub replica: String,
    /// Seconds since 1970: the snapshot that has arrived there last, seen over there by its guid. None before the first.
    pub as_of: Option<i64>,
}

impl Copied {
    /// Why it does not count as a backup; none when it does. One that is more than two periods of the dataset's schedule
    /// behind, and more than two days, is late.
    fn complaint(&self, schedule: Option<Schedule>, now: i64) -> Option<String> {
        let replica = &self.replica;
        let Some(as_of) = self.as_of else {
            return Some(format!("its replica `{replica}` has never arrived"));
        };
        let days = match schedule {
            None | Some(Schedule::Hourly | Schedule::Daily) => 2,
            Some(Schedule::Weekly) => 14,
            Some(Schedule::Monthly) => 62,
        };
        let behind = (now - as_of) / 86_400;
        (behind >= days).then(|| format!("its replica `{replica}` is {behind} days behind"))
    }
}

/// What is known of the copies of datasets; several where several replicas hold one.
pub type Copies = BTreeMap<DatasetName, Vec<Copied>>;

/// What is known of one backup job that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The job.
    pub job: String,
    /// Why it does not count; none when it does.
    pub complaint: Option<String>,
}

/// What backup jobs hold, by what tells whether one holds it.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// Datasets with everything inside them.
    pub datasets: BTreeMap<DatasetName, Vec<Stored>>,
    /// Paths of a stack's host that are exported.
    pub exports: BTreeMap<StackName, Vec<(String, Stored)>>,
}

impl Stores {
    fn of(&self, name: &DatasetName) -> Vec<&Stored> {
        let inside = self.datasets.iter().filter(|(top, _)| name.is_within(top));
        inside.flat_map(|(_, stored)| stored).collect()
    }
}

/// Where a stack keeps what it writes: absolute paths, and names of Docker's own volumes.
pub type Volumes = BTreeMap<StackName, Vec<String>>;

/// Looks at every dataset that exists and every place that a stack writes to.
pub fn gaps(
    desired: &Desired,
    surveys: &BTreeMap<HostName, Survey>,
    volumes: &Volumes,
    copies: &Copies,
    stores: &Stores,
) -> Vec<Gap> {
    let mut out = Vec::new();
    for (host, survey) in surveys {
        for cover in covers(desired, host, survey) {
            dataset(desired, &cover, copies, stores, survey.clock, &mut out);
        }
    }
    for (stack, places) in volumes {
        for place in places {
            volume(desired, stack, place, stores, &mut out);
        }
    }
    out.sort();
    out
}

fn dataset(
    desired: &Desired,
    cover: &Cover<'_>,
    copies: &Copies,
    stores: &Stores,
    now: i64,
    out: &mut Vec<Gap>,
) {
    let name = cover.dataset;
    // A container of other datasets that is mounted nowhere holds no files of its own.
    let is_container = name.parent().is_none() && !cover.view.is_mounted && !cover.view.is_volume;
    if is_container || cover.is_copy || is_look(cover) || waived_by_pool(desired, name) {
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
    // By its own name: a replica takes along what the inventory names, and not what somebody made below it.
    let known = copies.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut complaints: Vec<String> = known
        .iter()
        .filter_map(|copy| copy.complaint(entry.snapshots, now))
        .collect();
    let stored = stores.of(name);
    complaints.extend(stored.iter().filter_map(|one| one.complaint.clone()));
    let is_copied = complaints.len() < known.len() + stored.len();
    if is_copied || waived(Protection::Backup) {
        return;
    }
    if complaints.is_empty() {
        complaints.push("no backup job and no replica holds it".to_owned());
    }
    out.push(Gap {
        what,
        lacks: Protection::Backup,
        why: complaints.join("; "),
        help: match (stored.first(), known.is_empty()) {
            (Some(job), _) => format!("run `infra backup run {}`", job.job),
            (None, false) => "run `infra zfs replicate`".to_owned(),
            (None, true) => {
                "write `backups:` or `replicas:`, or who backs it up: `waivers: {backup: REASON}`"
                    .to_owned()
            }
        },
    });
}

/// A clone that nobody declared was made for a look.
fn is_look(cover: &Cover<'_>) -> bool {
    cover.view.origin.is_some() && !cover.is_declared()
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
fn volume(desired: &Desired, stack: &StackName, place: &str, stores: &Stores, out: &mut Vec<Gap>) {
    let Some(stack) = desired.stacks.get(stack) else {
        return;
    };
    let is_below = |path: &String| {
        place
            .strip_prefix(path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let exports = stores.exports.get(&stack.name).into_iter().flatten();
    let exports: Vec<&Stored> = exports
        .filter(|(path, _)| is_below(path))
        .map(|(_, stored)| stored)
        .collect();
    if exports.iter().any(|stored| stored.complaint.is_none()) {
        return;
    }
    if stack.mounts.values().any(is_below) || stack.waivers.contains_key(place) {
        return;
    }
    out.push(Gap {
        what: format!("volume {place} of stack {}", stack.name),
        lacks: Protection::Backup,
        why: match exports.first().and_then(|stored| stored.complaint.clone()) {
            Some(complaint) => complaint,
            None => format!("it lies on {}'s own disk", stack.on),
        },
        help: match exports.first() {
            Some(stored) => format!("run `infra backup run {}`", stored.job),
            None => format!(
                "put it on a dataset of `mounts:`, or write `waivers: {{\"{place}\": REASON}}` at the stack"
            ),
        },
    });
}
