//! What a managed host must look like: a small closed set of resources, each with a fact that shows it.

use super::{device::FilesystemKind, secret::Content};
use serde::{Deserialize, Serialize};

/// One wanted thing on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A Debian package that must be installed.
    Package(String),
    /// A file.
    File(FileResource),
    /// A directory.
    Directory {
        /// Absolute path.
        path: String,
        /// Owner, name or number.
        owner: String,
        /// Group, name or number.
        group: String,
        /// Permission bits.
        mode: u32,
    },
    /// A file that must not exist.
    NoFile {
        /// Absolute path.
        path: String,
        /// Carried out when it had to be removed.
        then: Vec<Reaction>,
    },
    /// A systemd unit.
    Unit {
        /// Name with suffix.
        name: String,
        /// Started at boot.
        enabled: bool,
        /// Running now.
        active: bool,
    },
    /// A filesystem on a disk of the machine's own.
    Filesystem(FilesystemResource),
    /// A kernel setting that must be live now (a file makes it last).
    Sysctl {
        /// Dotted key.
        key: String,
        /// Value.
        value: String,
    },
    /// A whole nftables table that must be live now, loaded by a unit: a unit that ended long ago still counts as active
    /// after somebody flushed what it had loaded.
    NftTable {
        /// Family and name: `ip infra_router`.
        table: String,
        /// The table as nft lists it; blanks do not count.
        text: String,
        /// The unit that loads it; restarting it repairs the table.
        unit: String,
    },
}

/// A wanted filesystem. It is made on a disk that is provably empty and on no other, and grows with its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemResource {
    /// Serial number of the disk.
    pub disk: String,
    /// What is made.
    pub kind: FilesystemKind,
    /// By which it is known.
    pub uuid: String,
    /// Where it is mounted.
    pub at: String,
}

/// A wanted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileResource {
    /// Absolute path.
    pub path: String,
    /// Content, secrets by name.
    pub content: Content,
    /// Owner, name or number.
    pub owner: String,
    /// Group, name or number.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// Carried out after a change, each once per host and in this order.
    pub then: Vec<Reaction>,
    /// The owner's word for what it is, for the plan: `SSH accepts keys only`.
    pub purpose: String,
}

/// What must happen after a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// `systemctl daemon-reload`.
    DaemonReload,
    /// Apply sysctl files.
    Sysctl,
    /// `systemctl unmask`.
    Unmask(String),
    /// `systemctl reload-or-restart`.
    Reload(String),
    /// `systemctl restart`.
    Restart(String),
    /// A command, argv.
    Run(Vec<String>),
}

impl Resource {
    /// A stable key: kind and name.
    pub fn key(&self) -> String {
        match self {
            Self::Package(name) => format!("package {name}"),
            Self::File(file) => format!("file {}", file.path),
            Self::Directory { path, .. } => format!("directory {path}"),
            Self::NoFile { path, .. } => format!("file {path}"),
            Self::Unit { name, .. } => format!("unit {name}"),
            Self::Filesystem(filesystem) => format!("filesystem {}", filesystem.disk),
            Self::Sysctl { key, .. } => format!("sysctl {key}"),
            Self::NftTable { table, .. } => format!("nftables {table}"),
        }
    }
}
