//! ZFS as the owner wants it.

use super::ids::{DatasetName, HostName, ZpoolName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A pool and the host that owns its disks. infra never creates one unless told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zpool {
    /// Name.
    pub name: ZpoolName,
    /// The node, guest or host where `zfs` runs.
    pub host: HostName,
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
    /// Snapshot schedule name (`daily`, `weekly`); none means the owner waived it.
    pub snapshots: Option<String>,
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
