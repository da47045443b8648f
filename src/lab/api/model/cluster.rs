//! Everything that a cluster remembers.

use super::{
    access::Access,
    firewall::Firewall,
    guest::Guest,
    network::Network,
    sdn::Sdn,
    storage::{Shelf, Shelved, Storages},
    task::Tasks,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where every node of a lab has its graphics card.
pub(crate) const GRAPHICS: &str = "0000:01:00.0";

/// A resource mapping: of directories or PCI devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Mapping {
    /// `node=pve,path=/tank/media`, one per node.
    pub(crate) map: Vec<String>,
    pub(crate) description: Option<String>,
    /// PCI only.
    pub(crate) options: BTreeMap<String, String>,
}

/// A resource pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) comment: Option<String>,
    pub(crate) guests: BTreeSet<u32>,
    pub(crate) storages: BTreeSet<String>,
}

/// A cluster member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) network: Network,
    /// Whether a statistics round has passed.
    pub(crate) is_counted: bool,
    pub(crate) booted: i64,
    /// Whether it is off: the others cannot pass questions on to it.
    #[serde(default)]
    pub(crate) is_off: bool,
    /// A fault: it has not loaded the software-defined network that is applied.
    #[serde(default)]
    pub(crate) sdn_lags: bool,
}

/// The whole model. Saved as one file, except for what the folders hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Format version of the saved file, 1.
    pub(crate) version: u32,
    /// Signs tickets.
    pub(crate) key: String,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) storages: Storages,
    /// The files in the storages' folders; read again for every call.
    #[serde(skip)]
    pub(crate) shelf: Shelf,
    pub(crate) guests: BTreeMap<u32, Guest>,
    pub(crate) firewall: Firewall,
    pub(crate) directories: BTreeMap<String, Mapping>,
    pub(crate) devices: BTreeMap<String, Mapping>,
    /// USB mappings by id.
    #[serde(default)]
    pub(crate) usb_devices: BTreeMap<String, Mapping>,
    pub(crate) pools: BTreeMap<String, Pool>,
    /// HA resources: `vm:150` -> options.
    pub(crate) ha: BTreeMap<String, BTreeMap<String, String>>,
    /// HA rules by name, with their options; `order` counts them.
    #[serde(default)]
    pub(crate) ha_rules: BTreeMap<String, BTreeMap<String, String>>,
    /// Replication jobs: `150-0` -> options.
    #[serde(default)]
    pub(crate) replication: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) sdn: Sdn,
    pub(crate) access: Access,
    pub(crate) tasks: Tasks,
}

impl Model {
    /// A guest by id.
    ///
    /// # Errors
    /// The real API's words for one that does not exist.
    pub(crate) fn guest(&self, vmid: u32) -> Result<&Guest, String> {
        self.guests.get(&vmid).ok_or_else(|| self.missing(vmid))
    }

    /// A guest by id, to change.
    ///
    /// # Errors
    /// The real API's words for one that does not exist.
    pub(crate) fn guest_mut(&mut self, vmid: u32) -> Result<&mut Guest, String> {
        let missing = self.missing(vmid);
        self.guests.get_mut(&vmid).ok_or(missing)
    }

    fn missing(&self, vmid: u32) -> String {
        let node = self.nodes.keys().next().map_or("pve", String::as_str);
        format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
    }

    /// The key of a file on the shelf, as one node sees it.
    pub(crate) fn key(&self, node: &str, volid: &str) -> String {
        let is_shared = volid
            .split_once(':')
            .and_then(|(id, _)| self.storages.all.get(id))
            .is_some_and(|storage| storage.shared);
        let first = self.nodes.keys().next().map_or("", String::as_str);
        if is_shared || node == first {
            volid.to_owned()
        } else {
            format!("{node}!{volid}")
        }
    }

    /// A file as one node sees it.
    pub(crate) fn shelved(&self, node: &str, volid: &str) -> Option<&Shelved> {
        self.shelf.get(&self.key(node, volid))
    }

    /// Takes a VMID for a guest that is about to be made.
    ///
    /// # Errors
    /// It is taken.
    pub(crate) fn reserve(&mut self, vmid: u32, node: &str) -> Result<(), String> {
        if let Some(guest) = self.guests.get(&vmid) {
            let other = &guest.node;
            return Err(format!(
                "unable to create VM {vmid} - VM {vmid} already exists on node '{other}'"
            ));
        }
        let config = BTreeMap::from([("lock".to_owned(), "create".to_owned())]);
        self.guests.insert(
            vmid,
            Guest {
                node: node.to_owned(),
                config,
                ..Guest::default()
            },
        );
        Ok(())
    }

    /// The lowest free VMID from 100.
    pub(crate) fn next_vmid(&self) -> u32 {
        (100..1_000_000_000)
            .find(|vmid| !self.guests.contains_key(vmid))
            .expect("numbers do not run out")
    }

    /// Refuses to remove a guest that runs, is protected or locked.
    ///
    /// # Errors
    /// The real API's words.
    pub(crate) fn assert_removable(&self, vmid: u32) -> Result<(), String> {
        let guest = self.guest(vmid)?;
        if guest.is_set("protection") {
            return Err(format!("can't remove VM {vmid} - protection mode enabled"));
        }
        if guest.running.is_some() {
            return Err(format!("VM {vmid} is running - destroy failed"));
        }
        guest.assert_unlocked()
    }

    /// Removes a guest with its disks and its firewall file; with `purge` also from HA and pools.
    ///
    /// # Errors
    /// A linked clone still needs one of its disks.
    pub(crate) fn remove(
        &mut self,
        vmid: u32,
        purge: bool,
        unreferenced: bool,
    ) -> Result<Vec<String>, String> {
        let guest = self.guest(vmid)?.clone();
        // Only what carries the guest's own id goes with it.
        let mut doomed = guest.volumes();
        doomed.retain(|volid| {
            let volume = self.storages.volumes.get(volid);
            volume.is_none_or(|volume| volume.vmid == vmid)
        });
        if unreferenced {
            let own = self
                .storages
                .volumes
                .iter()
                .filter(|(_, volume)| volume.vmid == vmid);
            doomed.extend(own.map(|(volid, _)| volid.clone()));
        }
        for volid in &doomed {
            let is_parent = |parent: Option<&String>| parent == Some(volid);
            if self
                .storages
                .volumes
                .values()
                .any(|volume| is_parent(volume.parent.as_ref()))
            {
                return Err(format!(
                    "base volume '{volid}' is still in use by linked cloned"
                ));
            }
        }
        let mut log = Vec::new();
        if purge {
            log.push(format!("purging VM {vmid} from related configurations.."));
            self.replication
                .retain(|id, _| !id.starts_with(&format!("{vmid}-")));
            if self.unmanage(&format!("vm:{vmid}")) {
                log.push(format!(
                    "NOTE: removed VM {vmid} from HA resource configuration."
                ));
            }
        }
        for volid in doomed {
            self.storages.volumes.remove(&volid);
        }
        for pool in self.pools.values_mut() {
            pool.guests.remove(&vmid);
        }
        self.firewall.guests.remove(&vmid);
        self.guests.remove(&vmid);
        Ok(log)
    }

    /// Takes a guest out of HA and out of its rules; a rule without guests goes too.
    pub(crate) fn unmanage(&mut self, sid: &str) -> bool {
        for rule in self.ha_rules.values_mut() {
            if let Some(resources) = rule.get_mut("resources") {
                let left: Vec<&str> = resources.split(',').filter(|one| *one != sid).collect();
                *resources = left.join(",");
            }
        }
        self.ha_rules
            .retain(|_, rule| rule.get("resources").is_none_or(|left| !left.is_empty()));
        self.ha.remove(sid).is_some()
    }

    /// What the HA manager does once a node is gone: its guests go where their rules and their disks allow.
    pub(crate) fn recover(&mut self, gone: &str) {
        let lost: Vec<u32> = self
            .guests
            .iter()
            .filter(|(_, guest)| guest.node == gone)
            .map(|(vmid, _)| *vmid)
            .collect();
        for vmid in lost {
            let sid = format!("vm:{vmid}");
            let is_managed = self
                .ha
                .get(&sid)
                .is_some_and(|options| options.get("state").is_none_or(|state| state == "started"));
            if is_managed
                && let Some(node) = self.refuge(vmid, &sid)
                && let Some(guest) = self.guests.get_mut(&vmid)
            {
                guest.node = node;
            }
        }
    }

    fn refuge(&self, vmid: u32, sid: &str) -> Option<String> {
        let guest = self.guests.get(&vmid)?;
        let disks: Vec<&str> = guest
            .drives()
            .values()
            .filter(|drive| drive.is_disk())
            .filter_map(|drive| Some(drive.volume()?.0.to_owned()))
            .filter_map(|storage| self.storages.all.get_key_value(&storage))
            .filter(|(_, storage)| !storage.shared)
            .map(|(id, _)| id.as_str())
            .collect();
        let has_disks = |node: &str| {
            disks.is_empty()
                || self.replication.iter().any(|(id, job)| {
                    id.starts_with(&format!("{vmid}-"))
                        && job.get("target").map(String::as_str) == Some(node)
                })
        };
        let rule = self.ha_rules.values().find(|rule| {
            rule.get("type").map(String::as_str) == Some("node-affinity")
                && rule
                    .get("resources")
                    .is_some_and(|all| all.split(',').any(|one| one == sid))
        });
        let priority = |node: &str| -> Option<u32> {
            rule?.get("nodes")?.split(',').find_map(|entry| {
                let (name, priority) = entry.split_once(':').unwrap_or((entry, "0"));
                (name == node).then(|| priority.parse().unwrap_or(0))
            })
        };
        let is_strict = rule.is_some_and(|rule| rule.get("strict").is_some_and(|on| on == "1"));
        self.nodes
            .iter()
            .filter(|(name, node)| !node.is_off && has_disks(name))
            .filter(|(name, _)| !is_strict || priority(name).is_some())
            .max_by_key(|(name, _)| {
                (
                    priority(name).map_or(0, |one| one + 1),
                    std::cmp::Reverse(*name),
                )
            })
            .map(|(name, _)| name.clone())
    }

    /// One round of the statistics daemon: from now on the state of every guest and node is known.
    pub(crate) fn count(&mut self) {
        for guest in self.guests.values_mut() {
            let is_off = self.nodes.get(&guest.node).is_some_and(|node| node.is_off);
            guest.is_counted = !is_off;
            guest.was_running = guest.running.is_some();
        }
        for node in self.nodes.values_mut() {
            node.is_counted = true;
        }
    }
}
