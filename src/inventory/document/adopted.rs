//! Guests that were there before infra.

use crate::inventory::written::{At, Entries, May};
use schemars::JsonSchema;
use serde::Deserialize;

/// A guest that infra did not make. It is compared with what is written here and put right; it is never made, started,
/// stopped or destroyed, and nothing inside it is touched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adopted {
    /// Its id in Proxmox. Id and name must both be right.
    pub(crate) vmid: At<u32>,
    /// Node under which it is shown; may be left out when there is one node.
    pub(crate) node: May<String>,
    /// Options in Proxmox's own words: `{cores: 2, net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0"}`. What is not listed is
    /// not compared.
    pub(crate) config: May<Entries<String>>,
}
