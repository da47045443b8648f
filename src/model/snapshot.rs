//! Snapshots as they were seen, and the mark by which infra knows its own.

use super::{
    ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
    zpool::ZpoolState,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The user property that marks a snapshot as ours. Its value repeats the snapshot's own name behind the system's:
/// snapshots take over the user properties of their dataset, so a value that any snapshot could have proves nothing,
/// and one that somebody renamed is that person's.
pub const MARK: &str = "org.infra:snapshot";

/// The user property that names the schedules for which a snapshot was taken; for people.
pub const SCHEDULES: &str = "org.infra:schedules";

/// The user property that names the run that took a snapshot; for people.
pub const RUN: &str = "org.infra:run";

/// The user property of a dataset whose stacks stand still for a rollback or a restore: their names with commas between, a
/// space, and the guard. It goes when they run again, so one that is there tells of one that did not come to its end.
pub const STOPPED: &str = "org.infra:stopped";

/// What [`STOPPED`] says. None when nothing stands still.
pub fn stopped(value: &str) -> Option<(Vec<&str>, &str)> {
    let (stacks, guard) = value.split_once(' ')?;
    Some((stacks.split(',').collect(), guard))
}

/// The label of snapshots that a schedule asked for. Retention is about these alone.
pub const SCHEDULED: &str = "auto";

/// The label of snapshots taken before something was rolled back.
pub const GUARD: &str = "guard";

/// One snapshot of one dataset: `tank/media@infra_auto_20260912T021500Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotId {
    /// Dataset.
    pub dataset: DatasetName,
    /// What follows the `@`.
    pub name: SnapshotName,
}

/// ZFS's limit for a whole name, the dataset included.
pub const LONGEST: usize = 255;

impl SnapshotId {
    /// Reads `dataset@name`. None for anything else, or a name that is too long in all.
    pub fn parse(text: &str) -> Option<Self> {
        let (dataset, name) = text.split_once('@')?;
        (text.len() <= LONGEST).then_some(())?;
        Some(Self {
            dataset: DatasetName::new(dataset).ok()?,
            name: SnapshotName::new(name).ok()?,
        })
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.dataset, self.name)
    }
}

/// A name of ours: `infra_LABEL_20260912T021500Z`, always in UTC, so that no hour ever comes twice.
/// None for a label with other characters than letters, digits, `-` and `.`, or more than 40 of them.
pub fn our_name(label: &str, at: jiff::Timestamp) -> Option<SnapshotName> {
    let stamp = at.strftime("%Y%m%dT%H%M%SZ");
    let fits = !label.is_empty()
        && label.len() <= 40
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    fits.then(|| SnapshotName::new(format!("infra_{label}_{stamp}")).ok())?
}

/// What [`MARK`] says on a snapshot that we take.
pub fn mark(system: &SystemName, name: &SnapshotName) -> String {
    format!("{system}/{name}")
}

/// A snapshot as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFact {
    /// What follows the `@`.
    pub name: SnapshotName,
    /// Unique, and the same on every replica.
    pub guid: u64,
    /// Transaction group: the only order that can be trusted.
    pub createtxg: u64,
    /// Seconds since 1970, by the clock of the host at that time.
    pub creation: i64,
    /// Bytes that only this snapshot keeps.
    pub used: u64,
    /// How many tags hold it.
    pub userrefs: u64,
    /// Datasets that were cloned from it.
    pub clones: Vec<String>,
    /// The system that took it, when its mark is its own.
    pub system: Option<SystemName>,
}

impl SnapshotFact {
    /// The label of one of ours: `auto`, `guard`, or what the owner wrote. None for another tool's, or another system's.
    pub fn label(&self, system: &SystemName) -> Option<&str> {
        if self.system.as_ref() != Some(system) {
            return None;
        }
        let inner = self.name.as_str().strip_prefix("infra_")?;
        inner.rsplit_once('_').map(|(label, _)| label)
    }
}

/// A bookmark as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookmarkFact {
    /// What follows the `#`.
    pub name: SnapshotName,
    /// That of the snapshot from which it was made.
    pub guid: u64,
    /// That of the snapshot from which it was made.
    pub createtxg: u64,
    /// That of the snapshot from which it was made, in seconds since 1970.
    pub creation: i64,
}

/// One dataset with its snapshots, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatasetView {
    /// Unique.
    pub guid: u64,
    /// Whether it is a zvol.
    pub is_volume: bool,
    /// Bytes, its snapshots and children included.
    pub used: u64,
    /// Whether it is mounted.
    pub is_mounted: bool,
    /// The snapshot of which it is a clone.
    pub origin: Option<String>,
    /// Whether its key is loaded; none without encryption.
    pub is_unlocked: Option<bool>,
    /// By transaction group.
    pub snapshots: Vec<SnapshotFact>,
    /// By transaction group.
    pub bookmarks: Vec<BookmarkFact>,
}

/// Everything that snapshot work needs to know about the zpools of a host, from one round trip.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Survey {
    /// Seconds since 1970 by the host's clock, which dates its snapshots.
    pub clock: i64,
    /// `2.3.9-1`; empty when it cannot be told.
    pub version: String,
    /// Zpools that were asked for and are imported.
    pub zpools: BTreeMap<ZpoolName, ZpoolState>,
    /// Their datasets.
    pub datasets: BTreeMap<DatasetName, DatasetView>,
    /// Things that were seen and cannot be spoken of: names that only ZFS itself makes, or a newer ZFS allows.
    pub unnamed: Vec<String>,
}

/// A tag that holds a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HoldFact {
    /// Snapshot.
    pub snapshot: SnapshotId,
    /// Tag.
    pub tag: String,
    /// Seconds since 1970; none where ZFS shows a date only.
    pub since: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn our_names_are_utc_and_never_repeat_when_clocks_are_turned_back() {
        let before = our_name("auto", at("2026-10-25T02:30:00+02:00")).expect("valid");
        let after = our_name("auto", at("2026-10-25T02:30:00+01:00")).expect("valid");
        assert_eq!(before.as_str(), "infra_auto_20261025T003000Z");
        assert_eq!(after.as_str(), "infra_auto_20261025T013000Z");
        for bad in ["", "a_b", "a b", "a@b", "ü", &"x".repeat(41)] {
            assert_eq!(our_name(bad, at("2026-10-25T02:30:00Z")), None, "{bad}");
        }
    }

    #[test]
    fn a_snapshot_is_ours_only_by_its_own_mark_and_system() {
        let home: SystemName = "home".parse().expect("valid");
        let mut fact = SnapshotFact {
            name: our_name("before-upgrade", at("2026-10-25T02:30:00Z")).expect("valid"),
            guid: 1,
            createtxg: 1,
            creation: 0,
            used: 0,
            userrefs: 0,
            clones: vec![],
            system: Some(home.clone()),
        };
        assert_eq!(fact.label(&home), Some("before-upgrade"));
        fact.system = Some("other".parse().expect("valid"));
        assert_eq!(fact.label(&home), None);
        fact.system = None;
        assert_eq!(fact.label(&home), None);
    }

    #[test]
    fn a_whole_name_fits_into_255_bytes() {
        let dataset = format!("tank/{}", "n".repeat(245));
        assert!(SnapshotId::parse(&format!("{dataset}@abcd")).is_some());
        assert!(SnapshotId::parse(&format!("{dataset}@abcde")).is_none());
        assert!(SnapshotId::parse("tank").is_none() && SnapshotId::parse("tank@a@b").is_none());
    }
}
