//! ZFS as the owner wants it.

use super::{
    ids::{DatasetName, HostName, StackName, ZpoolName},
    retention::{Retention, Schedule},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A pool and the host that owns its disks. infra never creates one unless told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zpool {
    /// Name.
    pub name: ZpoolName,
    /// The node, guest or host where `zfs` runs.
    pub host: HostName,
    /// Datasets that somebody else looks after, with the owner's reason; what is inside them is meant as well.
    pub waivers: BTreeMap<DatasetName, String>,
}

/// A dataset (filesystem).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Full name.
    pub name: DatasetName,
    /// Host of its zpool.
    pub host: HostName,
    /// Profile whose properties were merged in, for messages.
    pub profile: Option<String>,
    /// Native properties in ZFS's words, profile and owner merged: `recordsize=1M`, `mountpoint=/mnt/tank/media`.
    /// A value that is not here is inherited or default and is not managed.
    pub properties: BTreeMap<String, String>,
    /// Directories inside, the mount point itself as `.`, with owner and mode.
    pub directories: Vec<DatasetDirectory>,
    /// How often it is snapshot, with everything beneath it that has no entry of its own; none for not at all.
    pub snapshots: Option<Schedule>,
    /// How many of these snapshots are kept.
    pub retention: Retention,
    /// What happens before a snapshot.
    pub hooks: Vec<SnapshotHook>,
    /// What the owner does without, with the reason.
    pub waivers: BTreeMap<Protection, String>,
}

/// A command in a stack's container before a dataset is snapshot: a database's CHECKPOINT.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotHook {
    /// Stack.
    pub stack: StackName,
    /// Compose service.
    pub service: String,
    /// Command.
    pub argv: Vec<String>,
    /// Whether there is no snapshot without it.
    pub required: bool,
}

/// What keeps data from being lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// A snapshot schedule.
    Snapshots,
    /// A copy somewhere else.
    Backup,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshots => "snapshot schedule",
            Self::Backup => "backup",
        })
    }
}

/// A directory inside a dataset with its ownership.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DatasetDirectory {
    /// Path relative to the mount point; `.` is the mount point itself.
    pub path: String,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Permission bits, for example `0o755`.
    pub mode: u32,
}
