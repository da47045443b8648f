//! ZFS as the owner wants it.

use super::{
    ids::{DatasetName, HostName, SecretName, StackName, ZpoolName},
    retention::{Retention, Schedule},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A pool and the host that owns its disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zpool {
    /// Name.
    pub name: ZpoolName,
    /// The node, guest or host where `zfs` runs.
    pub host: HostName,
    /// What it is made of where it is absent; empty for a pool that infra never makes.
    pub create: Vec<ZpoolPart>,
    /// Datasets that somebody else looks after, with the owner's reason; what is inside them is meant as well.
    pub waivers: BTreeMap<DatasetName, String>,
}

/// Disks of a pool that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZpoolPart {
    /// How they protect each other.
    pub kind: PartKind,
    /// Names in `/dev/disk/by-id`.
    pub disks: Vec<String>,
}

/// How disks protect each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// Not at all.
    Single,
    /// All hold the same.
    Mirror,
    /// One may fail.
    Raidz1,
    /// Two may fail.
    Raidz2,
    /// Three may fail.
    Raidz3,
}

impl PartKind {
    /// ZFS's word; none for a disk by itself.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Single => None,
            Self::Mirror => Some("mirror"),
            Self::Raidz1 => Some("raidz1"),
            Self::Raidz2 => Some("raidz2"),
            Self::Raidz3 => Some("raidz3"),
        }
    }

    /// The fewest disks with which it makes sense.
    pub const fn least(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Mirror => 2,
            Self::Raidz1 => 3,
            Self::Raidz2 => 4,
            Self::Raidz3 => 5,
        }
    }
}

/// The file at the top of a dataset that stacks use; it holds the dataset's name. A mount proves little: a node whose dataset
/// is not mounted shares the bare directory beneath with its guests all the same.
pub const MARKER: &str = ".infra-dataset";

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
    /// The passphrase of its own encryption; none for that of the dataset above it, if any.
    pub key: Option<SecretName>,
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
