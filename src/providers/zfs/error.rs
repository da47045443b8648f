//! Why ZFS did not do it.

use crate::providers::shell::{Output, ShellError};

/// Why ZFS did not do it. `said` holds its own words.
#[derive(Debug, thiserror::Error)]
pub enum ZfsError {
    /// The command did not run to its end.
    #[error("run ZFS commands")]
    Shell(#[from] ShellError),
    /// `zfs` is not installed, or its kernel module is not loaded.
    #[error("use ZFS on {host}: {said}")]
    NotThere {
        /// Host.
        host: String,
        /// What the shell or zfs said.
        said: String,
    },
    /// The dataset exists.
    #[error("create {dataset}: {said}")]
    Exists {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// The dataset, its parent or its zpool does not exist.
    #[error("find {dataset}: {said}")]
    NotFound {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// A property can be set at creation only.
    #[error("change {dataset}: {said}")]
    CreateOnly {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// A property or value that ZFS does not accept.
    #[error("change {dataset}: {said}")]
    Invalid {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// Something uses the dataset: an open file, a mount, a hold.
    #[error("change {dataset}: {said}")]
    Busy {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// No space, or a quota below what is used.
    #[error("change {dataset}: {said}")]
    NoSpace {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// The login may not do it.
    #[error("change {dataset}: {said}")]
    Denied {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// The encryption key is not loaded.
    #[error("mount {dataset}: {said}")]
    KeyNotLoaded {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// The mount point is a directory with files in it, which the dataset would hide.
    #[error("create {dataset}: {said}")]
    NotEmpty {
        /// Dataset.
        dataset: String,
        /// Which directory.
        said: String,
    },
    /// Directories were to be made in a dataset that is not mounted.
    #[error("make directories in {dataset}: {said}")]
    NotMounted {
        /// Dataset.
        dataset: String,
        /// Where it would be mounted.
        said: String,
    },
    /// A directory of the inventory leads out of the dataset.
    #[error("make directories in {dataset}: {said}")]
    LeadsOut {
        /// Dataset.
        dataset: String,
        /// Which path.
        said: String,
    },
    /// The command succeeded and complained: it did a part (`property may be set but unable to reshare`).
    #[error("finish the change of {dataset}: {said}")]
    Partly {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// A snapshot is held under a tag.
    #[error("change {dataset}: {said}")]
    Held {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// Newer snapshots, bookmarks or clones stand in the way.
    #[error("change {dataset}: {said}")]
    InTheWay {
        /// Dataset.
        dataset: String,
        /// ZFS's words.
        said: String,
    },
    /// A zpool cannot be made of disks that may hold something. Nothing was written.
    #[error("make zpool {zpool}: {said}")]
    NotEmptyDisk {
        /// Zpool.
        zpool: String,
        /// Which disk, and what is on it.
        said: String,
    },
    /// A snapshot cannot be mounted, or the host has no rsync.
    #[error("read the snapshot of {dataset}: {said}")]
    Unreadable {
        /// Dataset.
        dataset: String,
        /// What is missing.
        said: String,
    },
    /// Anything else that ZFS said.
    #[error("change {dataset}: exit {code}: {said}")]
    Refused {
        /// Dataset.
        dataset: String,
        /// Exit code.
        code: i32,
        /// ZFS's words.
        said: String,
    },
    /// The facts make no sense.
    #[error("understand what ZFS on {host} answered: {why}")]
    Garbled {
        /// Host.
        host: String,
        /// What was expected and what was there.
        why: String,
    },
}

/// Exit codes of our own scripts; ZFS uses 1, 2 and 255.
pub(super) const NOT_EMPTY: i32 = 64;
pub(super) const NOT_MOUNTED: i32 = 65;
pub(super) const LEADS_OUT: i32 = 66;
pub(super) const NOT_READABLE: i32 = 67;
pub(super) const NO_RSYNC: i32 = 68;
pub(super) const DISK_REFUSED: i32 = 70;

impl ZfsError {
    /// What a failed command means. Exit codes say little (255 for refused properties, 2 for usage, 1 for the rest), so
    /// the words decide; they are those of OpenZFS 2.3.9 in the C locale.
    pub(super) fn of(host: &str, dataset: &str, output: &Output) -> Self {
        let said = output
            .complaint()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let dataset = dataset.to_owned();
        let has = |part: &str| said.contains(part);
        match output.code {
            NOT_EMPTY => return Self::NotEmpty { dataset, said },
            NOT_MOUNTED => return Self::NotMounted { dataset, said },
            NOT_READABLE | NO_RSYNC => return Self::Unreadable { dataset, said },
            DISK_REFUSED => {
                return Self::NotEmptyDisk {
                    zpool: dataset,
                    said,
                };
            }
            LEADS_OUT => return Self::LeadsOut { dataset, said },
            _ => {}
        }
        if output.code == 127 || has("modules are not loaded") {
            Self::NotThere {
                host: host.to_owned(),
                said,
            }
        } else if has("being held") {
            Self::Held { dataset, said }
        } else if has("more recent snapshots or bookmarks exist") || has("dependent clones") {
            Self::InTheWay { dataset, said }
        } else if has("dataset already exists") || has("bookmark exists") {
            Self::Exists { dataset, said }
        } else if has("does not exist") || has("no such pool") {
            Self::NotFound { dataset, said }
        } else if has("is readonly") {
            Self::CreateOnly { dataset, said }
        } else if has("is busy") || has("already mounted") {
            Self::Busy { dataset, said }
        } else if has("out of space")
            || has("size is less than current used")
            || has("size is greater than available")
        {
            Self::NoSpace { dataset, said }
        } else if has("permission denied") || has("Permission denied") {
            Self::Denied { dataset, said }
        } else if has("encryption key not loaded") {
            Self::KeyNotLoaded { dataset, said }
        } else if [
            "invalid",
            "must be",
            "bad numeric value",
            "is not expected here",
            "name is too long",
            "multiple snapshots of same fs",
            "Keyformat required",
        ]
        .iter()
        .any(|part| has(part))
        {
            Self::Invalid { dataset, said }
        } else {
            Self::Refused {
                dataset,
                code: output.code,
                said,
            }
        }
    }
}
