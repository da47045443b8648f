//! ZFS.

use super::Directory;
use crate::inventory::{
    word::AbsolutePath,
    written::{At, Entries, May, Text},
};
use crate::model::{ids::DatasetName, size::Bytes};
use schemars::JsonSchema;
use serde::Deserialize;

/// A pool. infra never destroys one, and makes one only with `create`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zpool {
    /// The node, guest or host that owns its disks; may be left out when there is one node.
    pub(crate) host: May<String>,
    /// Make it where it is absent, of these disks, and only while they are provably empty. Nothing is ever added later.
    pub(crate) create: May<Vec<At<Part>>>,
    /// Its datasets.
    pub(crate) datasets: May<Entries<Dataset>>,
    /// Datasets that somebody else looks after, by their whole names, each with your reason.
    pub(crate) waivers: May<Entries<String>>,
}

/// Disks that belong together, by their names in `/dev/disk/by-id`. Exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// All hold the same.
    pub(crate) mirror: May<Vec<At<String>>>,
    /// One may fail.
    pub(crate) raidz1: May<Vec<At<String>>>,
    /// Two may fail.
    pub(crate) raidz2: May<Vec<At<String>>>,
    /// Three may fail.
    pub(crate) raidz3: May<Vec<At<String>>>,
    /// One disk by itself: the pool is lost with it.
    pub(crate) single: May<String>,
}

/// A dataset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    /// Properties for a kind of data: `media`, `photos`, `appdata`, `databases`, `backups`, or one of your own.
    pub(crate) profile: May<String>,
    /// Native ZFS properties, over those of the profile. What is not listed is left alone.
    pub(crate) properties: May<Entries<String>>,
    /// Name of the secret with its passphrase: encrypted with it, and so is what lies inside. Fixed when it is made. After a
    /// reboot it stays locked until infra loads the key.
    pub(crate) encryption_key: May<String>,
    /// Mount point on its host, `/mnt/<pool>/<dataset>` unless given; `none` for no mount.
    pub(crate) mountpoint: May<Text<AbsolutePath>>,
    /// How often it is snapshot; as the dataset above it unless given. What lies below and has no entry goes with it.
    pub(crate) snapshots: May<Schedule>,
    /// How many of its snapshots are kept: the name of a policy; as the dataset above it, else `standard`.
    pub(crate) retention: May<String>,
    /// What happens in containers before it is snapshot; not passed on.
    pub(crate) hooks: May<Vec<At<Hook>>>,
    /// What it does without, each with your reason. Passed on to the datasets inside.
    pub(crate) waivers: May<Waivers>,
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

/// A command in a stack's container before a snapshot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    /// Stack.
    pub(crate) stack: At<String>,
    /// Service in its compose file.
    pub(crate) service: At<String>,
    /// The command.
    pub(crate) argv: At<Vec<At<String>>>,
    /// Whether there is no snapshot when it fails; `false` unless given: a snapshot without it is told, and taken.
    pub(crate) required: May<bool>,
}

/// What a dataset does without.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waivers {
    /// Why it needs no snapshots.
    pub(crate) snapshots: May<String>,
    /// Why it needs no backup.
    pub(crate) backup: May<String>,
}

/// How many snapshots are kept: the newest ones, and the newest one of each of so many periods that have any. What is
/// not given is 0; the newest one always stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// Newest ones.
    pub(crate) last: May<u32>,
    /// Hours.
    pub(crate) hourly: May<u32>,
    /// Days.
    pub(crate) daily: May<u32>,
    /// Weeks.
    pub(crate) weekly: May<u32>,
    /// Months.
    pub(crate) monthly: May<u32>,
    /// Years.
    pub(crate) yearly: May<u32>,
    /// Guard snapshots of rollbacks, the newest ones; all of them unless given.
    pub(crate) guards: May<u32>,
}

/// Copies of datasets on another zpool, kept up to date by `infra zfs replicate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replica {
    /// Datasets of the inventory; those inside go along.
    pub(crate) datasets: May<Vec<At<String>>>,
    /// The host that receives; that of the zpool unless given.
    pub(crate) host: May<String>,
    /// The dataset below which the copies lie; it must exist. `tank/photos` becomes `vault/home/photos`.
    pub(crate) to: At<Text<DatasetName>>,
    /// At most so much a second.
    pub(crate) limit: May<Text<Bytes>>,
    /// The retention policy of the copies; all of their snapshots stay unless given.
    pub(crate) retention: May<String>,
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
