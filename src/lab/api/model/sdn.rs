//! The software-defined network: what is configured, and what was applied.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Options of entries by id.
pub(crate) type Entries = BTreeMap<String, BTreeMap<String, String>>;

/// Zones, vnets and subnets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct SdnConfig {
    pub(crate) zones: Entries,
    pub(crate) vnets: Entries,
    /// `lab-10.20.0.0-24` -> options, `vnet` among them.
    pub(crate) subnets: Entries,
}

/// Configured and applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Sdn {
    pub(crate) staged: SdnConfig,
    pub(crate) running: SdnConfig,
}

impl Sdn {
    /// Applies what is configured.
    pub(crate) fn apply(&mut self) {
        self.running = self.staged.clone();
    }

    /// The zone of a vnet that runs on a node.
    pub(crate) fn zone_of(&self, vnet: &str, node: &str) -> Option<&str> {
        let zone = self.running.vnets.get(vnet)?.get("zone")?;
        let options = self.running.zones.get(zone)?;
        is_on(options, node).then_some(zone.as_str())
    }
}

/// Whether a zone is on a node.
pub(crate) fn is_on(zone: &BTreeMap<String, String>, node: &str) -> bool {
    let nodes = zone.get("nodes");
    nodes.is_none_or(|nodes| nodes.split(',').any(|one| one == node))
}
