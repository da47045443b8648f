//! Bridges that infra makes on nodes.

use super::ids::BridgeName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
