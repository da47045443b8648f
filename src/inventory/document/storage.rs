//! ZFS.

use super::Directory;
use crate::inventory::{
    word::AbsolutePath,
    written::{At, Entries, May, Text},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A pool. infra never creates or destroys one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zpool {
    /// The node, guest or host that owns its disks; may be left out when there is one node.
    pub(crate) host: May<String>,
    /// Its datasets.
    pub(crate) datasets: May<Entries<Dataset>>,
}

/// A dataset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    /// Properties for a kind of data: `media`, `photos`, `appdata`, `databases`, `backups`, or one of your own.
    pub(crate) profile: May<String>,
    /// Native ZFS properties, over those of the profile. What is not listed is left alone.
    pub(crate) properties: May<Entries<String>>,
    /// Mount point on its host, `/mnt/<pool>/<dataset>` unless given; `none` for no mount.
    pub(crate) mountpoint: May<Text<AbsolutePath>>,
    /// How often it is snapshot; `none` waives it.
    pub(crate) snapshots: May<Schedule>,
    /// Directories inside with owner and mode; `.` is the mount point itself.
    pub(crate) directories: May<Vec<At<Directory>>>,
    /// Datasets inside.
    pub(crate) datasets: May<Entries<Self>>,
}

/// How often a dataset is snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Schedule {
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Not at all.
    None,
}

/// A profile of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Another profile to start from.
    pub(crate) from: May<String>,
    /// Native ZFS properties.
    pub(crate) properties: At<Entries<String>>,
}
