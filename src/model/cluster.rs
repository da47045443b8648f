//! What the cluster itself does for guests: high availability, its rules, replication jobs. Proxmox does the work; infra
//! declares it.

use super::ids::{HaRuleName, HostName};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// How Proxmox's HA manager treats a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighAvailability {
    /// `started`, or `ignored` while somebody works on it by hand.
    pub state: String,
    /// Tries to start it again on the same node.
    pub max_restart: u32,
    /// Tries on other nodes after that.
    pub max_relocate: u32,
    /// Whether it goes back when a node that its rules prefer returns.
    pub failback: bool,
}

/// A copy of a guest's disks on another node, kept by Proxmox's own ZFS replication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Node of the copy.
    pub target: HostName,
    /// Calendar event, `*/15` unless the owner says otherwise.
    pub schedule: String,
    /// Limit in megabytes a second, as text so that it is compared as written.
    pub rate: Option<String>,
}

/// A rule of the HA manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaRule {
    /// Name.
    pub name: HaRuleName,
    /// Guests that it speaks of.
    pub guests: BTreeSet<HostName>,
    /// What it asks for.
    pub wish: HaWish,
}

/// What an HA rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaWish {
    /// The guests run on these nodes, those with the highest number first.
    On {
        /// Nodes with their priority.
        nodes: BTreeMap<HostName, u32>,
        /// Nowhere else, even when none of them is there.
        strict: bool,
    },
    /// The guests run on one node.
    Together,
    /// Every guest runs on a node of its own.
    Apart,
}

/// The kinds of entries in the cluster's own configuration that infra writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A guest under HA: `vm:110`.
    HaResource,
    /// An HA rule, by its name.
    HaRule,
    /// A replication job: `110-0`.
    Replication,
    /// A zone of the software-defined network, with what is staged.
    SdnZone,
    /// A network of such a zone, likewise.
    SdnVnet,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HaResource => "HA resource",
            Self::HaRule => "HA rule",
            Self::Replication => "replication job",
            Self::SdnZone => "SDN zone",
            Self::SdnVnet => "SDN vnet",
        })
    }
}

/// An entry as Proxmox lists it, all values as text.
pub type Entry = BTreeMap<String, String>;

/// What is written to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryWrite {
    /// It is made.
    Create(Entry),
    /// It is changed.
    Update {
        /// Keys to set.
        set: Entry,
        /// Keys to remove.
        delete: Vec<String>,
    },
    /// It goes.
    Delete,
}
