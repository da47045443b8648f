//! Bridges that infra makes on nodes, and networks that Proxmox makes on all of them.

use super::{
    cluster::{EntryKind, EntryWrite},
    ids::{BridgeName, HostName},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A bridge as the owner wants it. Its addresses are those of the node in the bridge's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Name.
    pub name: BridgeName,
    /// Cards of the node that it takes; none for a bridge between guests only.
    pub ports: Vec<String>,
    /// Whether it tells VLANs apart.
    pub vlan_aware: bool,
    /// The VLANs that it carries, in Proxmox's words; none leaves all of them.
    pub vids: Option<String>,
    /// MTU; none leaves Proxmox's own.
    pub mtu: Option<u16>,
}

/// What a node says of an interface, all values as text.
pub type Interface = BTreeMap<String, String>;

/// The interfaces of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeNetwork {
    /// Interfaces by name; where changes are staged, as they will be.
    pub interfaces: BTreeMap<String, Interface>,
    /// Changes that wait to be applied, as a diff.
    pub staged: Option<String>,
}

/// One interface to be staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceWrite {
    /// Name.
    pub iface: String,
    /// Whether it is there, or staged, already.
    pub exists: bool,
    /// Options in Proxmox's words.
    pub set: Interface,
    /// Options to remove.
    pub delete: Vec<String>,
}

/// A simple zone of Proxmox's software-defined network: each of its nodes gets a bridge of its own for every vnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdnZone {
    /// Name, at most 8 letters and digits.
    pub name: String,
    /// Where it is; every node if none is named.
    pub nodes: BTreeSet<HostName>,
    /// MTU; none leaves Proxmox's own.
    pub mtu: Option<u16>,
    /// Its networks.
    pub vnets: BTreeMap<BridgeName, Vnet>,
}

impl SdnZone {
    /// Whether a node has its networks.
    pub fn covers(&self, node: &HostName) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }
}

/// A network of a zone: guests hang on it as on a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnet {
    /// Name, at most 8 letters and digits.
    pub name: BridgeName,
    /// Words for people; none leaves them as they are.
    pub alias: Option<String>,
    /// Its guests do not reach each other.
    pub isolate_ports: bool,
    /// Guests may tag.
    pub vlan_aware: bool,
}

/// One entry of the software-defined network to be staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdnWrite {
    /// Zone or vnet.
    pub kind: EntryKind,
    /// Its name.
    pub id: String,
    /// What is written.
    pub write: EntryWrite,
}
