//! What a guest needs to be powered on, and whether the node has it.

use super::{
    cluster::{Mapping, Model},
    drive::{Card, is_numbered},
    guest::Guest,
    storage::parsed_size,
};
use crate::lab::backend::{VmDisk, VmNic, VmShare, VmSpec};
use crate::model::ids::Vmid;
use std::{collections::BTreeMap, path::PathBuf};

impl Model {
    /// What the backend must start, and what the task logs. Pending values are applied first.
    ///
    /// # Errors
    /// The lines of the log and the exit status of a start that fails.
    pub(crate) fn power_on(
        &mut self,
        vmid: u32,
    ) -> Result<(VmSpec, Vec<String>), (Vec<String>, String)> {
        let plain = |why: String| (Vec::new(), why);
        let node = self.nodes.keys().next().cloned().unwrap_or_default();
        let guest = self.guests.get_mut(&vmid).ok_or_else(|| {
            plain(format!(
                "unable to find configuration file for VM {vmid} on node '{node}'"
            ))
        })?;
        guest.assert_unlocked().map_err(plain)?;
        if guest.running.is_some() {
            return Err(plain(format!("VM {vmid} already running")));
        }
        if guest.is_set("template") {
            return Err(plain("you can't start a vm if it's a template".to_owned()));
        }
        guest.apply_pending();
        let guest = guest.clone();
        let mut log = Vec::new();
        if guest
            .drives()
            .values()
            .any(super::drive::Drive::is_cloudinit)
        {
            log.push("generating cloud-init ISO".to_owned());
        }
        let fail = |why: String| (log.clone(), why);
        let seed = self.seed(&guest).map_err(fail)?;
        let shares = self.shares(&guest).map_err(fail)?;
        let mut graphics = false;
        for key in guest
            .config
            .keys()
            .filter(|key| is_numbered(key, "hostpci"))
        {
            self.device(&guest, key).map_err(fail)?;
            graphics = true;
        }
        let nics = self.nics(vmid, &guest).map_err(|(mut lines, why)| {
            let mut log = log.clone();
            log.append(&mut lines);
            (log, why)
        })?;
        let image = guest.boot_disk().and_then(|key| {
            let drive = guest.drives().remove(&key)?;
            self.storages.volumes.get(&drive.file)?.made_from.clone()
        });
        let spec = VmSpec {
            vmid: Vmid::new(vmid).map_err(|why| fail(why.to_string()))?,
            name: guest
                .value("name")
                .map_or_else(|| format!("VM{vmid}"), str::to_owned),
            node: guest.node.clone(),
            cores: u32::try_from(guest.cpus()).unwrap_or(1),
            memory_mib: guest.memory_mib(),
            nics,
            seed,
            image,
            disk_bytes: guest.boot_disk_bytes(),
            graphics,
            shares,
            disks: Self::disks(&guest),
        };
        Ok((spec, log))
    }

    /// The disks that a guest knows by their serial numbers.
    pub(crate) fn disks(guest: &Guest) -> Vec<VmDisk> {
        let mut drives: Vec<_> = guest.drives().into_values().collect();
        drives.retain(super::drive::Drive::is_disk);
        let disk = |drive: super::drive::Drive| {
            Some(VmDisk {
                serial: drive.option("serial")?.to_owned(),
                bytes: drive.option("size").and_then(parsed_size)?,
                volume: drive.file.clone(),
            })
        };
        drives.into_iter().filter_map(disk).collect()
    }

    fn seed(&self, guest: &Guest) -> Result<Option<PathBuf>, String> {
        for drive in guest
            .drives()
            .values()
            .filter(|drive| drive.is_cdrom() && !drive.is_cloudinit())
        {
            if !drive.file.contains(':') {
                continue;
            }
            let file = self.shelved(&guest.node, &drive.file);
            let file = file.ok_or_else(|| format!("volume '{}' does not exist", drive.file))?;
            return Ok(Some(file.file.clone()));
        }
        Ok(None)
    }

    fn shares(&self, guest: &Guest) -> Result<Vec<VmShare>, String> {
        let mut shares = Vec::new();
        for (_, line) in guest
            .config
            .iter()
            .filter(|(key, _)| is_numbered(key, "virtiofs"))
        {
            let first = line.split(',').find_map(|part| match part.split_once('=') {
                Some(("dirid", id)) => Some(id),
                Some(_) => None,
                None => Some(part),
            });
            let id = first.unwrap_or_default();
            let mapping = self
                .directories
                .get(id)
                .ok_or_else(|| format!("Directory ID {id} does not exist."))?;
            let path = on_node(mapping, &guest.node).and_then(|entry| entry.get("path").cloned());
            let path = path.ok_or_else(|| {
                format!("Directory ID {id} is not mapped on node '{}'.", guest.node)
            })?;
            shares.push(VmShare {
                tag: id.to_owned(),
                path: PathBuf::from(path),
            });
        }
        Ok(shares)
    }

    fn device(&self, guest: &Guest, key: &str) -> Result<(), String> {
        let line = guest.value(key).unwrap_or_default();
        let Some(id) = line
            .split(',')
            .find_map(|part| part.strip_prefix("mapping="))
        else {
            return Ok(());
        };
        let mapping = self
            .devices
            .get(id)
            .ok_or_else(|| format!("PCI ID {id} does not exist."))?;
        match on_node(mapping, &guest.node) {
            Some(_) => Ok(()),
            None => Err(format!(
                "no PCI device for mapping '{id}' on node '{}'",
                guest.node
            )),
        }
    }

    fn nics(&self, vmid: u32, guest: &Guest) -> Result<Vec<VmNic>, (Vec<String>, String)> {
        let network = self.nodes.get(&guest.node).map(|node| &node.network);
        let mut nics = Vec::new();
        for (key, line) in guest
            .config
            .iter()
            .filter(|(key, _)| is_numbered(key, "net"))
        {
            let card = Card::parse(line);
            let Some(bridge) = card.bridge() else {
                continue;
            };
            let index: u32 = key["net".len()..].parse().unwrap_or(0);
            let vlan: Option<u16> = card.options.get("tag").and_then(|tag| tag.parse().ok());
            let live = network.and_then(|network| network.live.get(bridge));
            let is_vnet = self.sdn.zone_of(bridge, &guest.node).is_some();
            let why = match live {
                None if is_vnet => None,
                None => Some(format!("bridge '{bridge}' does not exist")),
                Some(live) if vlan.is_some() && !live.vlan_aware && live.ports.is_empty() => {
                    Some(format!("no physical interface on bridge '{bridge}'"))
                }
                Some(_) => None,
            };
            if let Some(why) = why {
                let script = "/usr/libexec/qemu-server/pve-bridge";
                let kvm = format!(
                    "kvm: -netdev type=tap,id=net{index},ifname=tap{vmid}i{index},script={script},downscript={script}down: network script {script} failed with status 65280"
                );
                return Err((
                    vec![why, kvm],
                    "start failed: QEMU exited with code 1".to_owned(),
                ));
            }
            nics.push(VmNic {
                index,
                bridge: bridge.to_owned(),
                mac: card.mac.unwrap_or_default(),
                firewall: card.options.get("firewall").is_some_and(|on| on == "1"),
                vlan,
            });
        }
        Ok(nics)
    }
}

/// The entry of a mapping for a node, as properties.
pub(crate) fn on_node(mapping: &Mapping, node: &str) -> Option<BTreeMap<String, String>> {
    mapping
        .map
        .iter()
        .map(|entry| {
            let pairs = entry.split(',').filter_map(|part| part.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>()
        })
        .find(|entry| entry.get("node").is_some_and(|name| name == node))
}
