//! Guests that were there before infra.

use super::ids::{HostName, Vmid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A guest that infra did not make: known by id and name, compared with what the owner wrote, and otherwise left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Its name in Proxmox, as it is written there.
    pub name: String,
    /// Id.
    pub vmid: Vmid,
    /// Node under which it is shown. It is found wherever it lives.
    pub node: HostName,
    /// Options in Proxmox's own words, one to one. What is not here is the owner's.
    pub config: BTreeMap<String, String>,
}
