//! What was seen, with what could not be.

use super::{
    cluster::{Entry, EntryKind},
    facts::HostFacts,
    firewall::PveFirewall,
    firewall_step::PveLevel,
    ids::{HostName, Vmid},
    network::NodeNetwork,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The whole live state, possibly in part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What the API said; none for a system without Proxmox.
    pub proxmox: Option<Reading<ObservedProxmox>>,
    /// What each host said.
    pub hosts: BTreeMap<HostName, Reading<HostFacts>>,
}

/// One answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// Seen.
    Seen(T),
    /// Cannot be there yet: the guest does not exist or is stopped.
    Absent,
    /// Asked, and not answered.
    Failed {
        /// The error with its causes, one line.
        why: String,
        /// What the operator can do.
        hint: Option<String>,
    },
}

impl<T> Reading<T> {
    /// The value, if seen.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Absent | Self::Failed { .. } => None,
        }
    }
}

/// A part of what the API is asked. Each may stay unanswered without hiding the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which version it is.
    Version,
    /// The storages, volumes and bridges of a node.
    Node(HostName),
    /// Which guests of a node run now.
    Power(HostName),
    /// Directory mappings.
    DirMappings,
    /// PCI mappings.
    PciMappings,
    /// USB mappings.
    UsbMappings,
    /// Resource pools.
    Pools,
    /// Entries of the cluster's own configuration.
    Entries(EntryKind),
    /// The configuration of a guest.
    Guest(Vmid),
    /// One level of the firewall; the cluster's holds the groups too.
    Firewall(PveLevel),
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("the version of Proxmox VE"),
            Self::Node(node) => write!(f, "the storages and bridges of node {node}"),
            Self::Power(node) => write!(f, "which guests of node {node} run"),
            Self::DirMappings => f.write_str("the directory mappings"),
            Self::PciMappings => f.write_str("the PCI mappings"),
            Self::UsbMappings => f.write_str("the USB mappings"),
            Self::Pools => f.write_str("the pools"),
            Self::Entries(kind) => write!(f, "the cluster's {kind}s"),
            Self::Guest(vmid) => write!(f, "the configuration of guest {vmid}"),
            Self::Firewall(level) => write!(f, "the firewall of {level}"),
        }
    }
}

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unanswered {
    /// What was asked.
    pub question: Question,
    /// The error with its causes, one line.
    pub why: String,
    /// What the operator can do.
    pub hint: Option<String>,
}

/// What the API said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedProxmox {
    /// `9.2.11`; empty when that was not answered.
    pub version: String,
    /// Nodes by name.
    pub nodes: BTreeMap<HostName, ObservedNode>,
    /// Every guest of the cluster, ours and others'.
    pub guests: BTreeMap<Vmid, ObservedGuest>,
    /// Directory mappings: id -> `map` entries as listed.
    pub dir_mappings: BTreeMap<String, Vec<String>>,
    /// PCI mappings: id -> `map` entries as listed.
    pub pci_mappings: BTreeMap<String, Vec<String>>,
    /// USB mappings: id -> `map` entries as listed.
    pub usb_mappings: BTreeMap<String, Vec<String>>,
    /// Pools; none when nobody asked.
    pub pools: Option<Vec<String>>,
    /// Entries of the cluster's own configuration, of the kinds that were asked for, by their id.
    pub entries: BTreeMap<EntryKind, BTreeMap<String, Entry>>,
    /// Cluster, groups, nodes, and the guests that were asked for.
    pub firewall: PveFirewall,
    /// What Proxmox itself finds wrong, one sentence each: rules that it skips because their alias or set is gone.
    pub complaints: Vec<String>,
    /// What was asked and not answered. What depends on it is unknown, not absent.
    pub unanswered: Vec<Unanswered>,
}

impl ObservedProxmox {
    /// Why a question has no answer; none when it has one.
    pub fn unanswered(&self, question: &Question) -> Option<&Unanswered> {
        self.unanswered
            .iter()
            .find(|unanswered| unanswered.question == *question)
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedNode {
    /// `online`.
    pub status: String,
    /// Storages by id.
    pub storages: BTreeMap<String, ObservedStorage>,
    /// Bridges: interface name -> addresses in CIDR form.
    pub bridges: BTreeMap<String, Vec<String>>,
    /// All interfaces, and what is staged for them.
    pub network: NodeNetwork,
    /// State of each zone of the software-defined network here: `available`, `pending`, `error`; where it was asked for.
    #[serde(default)]
    pub sdn: BTreeMap<String, String>,
}

/// A storage on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedStorage {
    /// Type: `dir`, `zfspool`, `lvmthin` ...
    pub kind: String,
    /// Content types it accepts.
    pub content: Vec<String>,
    /// Enabled and active.
    pub active: bool,
    /// The same for every node that has it.
    #[serde(default)]
    pub shared: bool,
    /// Bytes free.
    pub available: u64,
    /// Volume ids that were listed (`local:iso/x.iso`), for the content types asked for, with their size in bytes.
    pub volumes: BTreeMap<String, u64>,
}

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObservedGuest {
    /// Node where it lives now.
    pub node: String,
    /// Name.
    pub name: String,
    /// `qemu` or `lxc`.
    pub kind: String,
    /// `running`, `stopped`, `unknown`.
    pub status: String,
    /// Pool that it belongs to.
    pub pool: Option<String>,
    /// A template.
    pub template: bool,
    /// Its tags, which mark what is ours.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Configuration as it runs (`current=1`), all values as strings; only for guests that were asked for.
    pub config: Option<BTreeMap<String, String>>,
    /// Values that wait for the next stop and start: key -> new value, none for a deletion.
    pub pending: BTreeMap<String, Option<String>>,
    /// Digest of the configuration.
    pub digest: Option<String>,
    /// Lock (`backup`, `clone` ...), if any.
    pub lock: Option<String>,
}
