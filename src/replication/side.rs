//! The two sides as they were seen.

use crate::model::{
    ids::{DatasetName, SystemName},
    snapshot::{BookmarkFact, SnapshotFact},
};

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Dataset.
    pub dataset: DatasetName,
    /// Snapshots, oldest first.
    pub snapshots: Vec<SnapshotFact>,
    /// Bookmarks, oldest first.
    pub bookmarks: Vec<BookmarkFact>,
    /// Whether it is encrypted: then it is sent raw.
    pub is_encrypted: bool,
    /// Its host's ZFS, `2.3.9-1`; empty when it cannot be told.
    pub version: String,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Far {
    /// Dataset.
    pub dataset: DatasetName,
    /// Whether there is such a dataset.
    pub exists: bool,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<SnapshotFact>,
    /// What an interrupted receive left.
    pub token: Option<String>,
    /// For snapshots that were asked about: bytes written since then.
    pub written_since: Option<u64>,
    /// Its host's ZFS, `2.3.9-1`; empty when it cannot be told.
    pub version: String,
}

impl Near {
    /// The snapshots that the system took, oldest first.
    pub fn ours<'a>(&'a self, system: &'a SystemName) -> impl Iterator<Item = &'a SnapshotFact> {
        self.snapshots
            .iter()
            .filter(move |snapshot| snapshot.system.as_ref() == Some(system))
    }

    /// The newest snapshot of the far side whose guid is known here, as snapshot or bookmark.
    pub fn common<'f>(&self, far: &'f Far) -> Option<&'f SnapshotFact> {
        far.snapshots.iter().rev().find(|snapshot| {
            self.snapshots.iter().any(|one| one.guid == snapshot.guid)
                || self.bookmarks.iter().any(|one| one.guid == snapshot.guid)
        })
    }
}
