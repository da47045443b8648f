//! Guests that were there before infra.

use super::ids::{HostName, Vmid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether Proxmox takes a text as the name of a guest: labels of letters, digits and hyphens, with dots between
/// (`dns-name` in the API schema).
pub fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.split('.').all(is_label)
}

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
