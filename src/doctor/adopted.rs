//! The privileges that adopted guests take: seeing them, and setting the options that the inventory names.
//!
//! Which option takes which is in `check_vm_modify_config_perm` of qemu-server.

use crate::model::{adopted::Adopted, desired::Desired};

const CPU: &[&str] = &[
    "cores", "cpu", "cpulimit", "cpuunits", "numa", "sockets", "vcpus",
];
const MEMORY: &[&str] = &["allow-ksm", "balloon", "memory", "shares"];
const HARDWARE: &[&str] = &[
    "acpi", "audio", "bios", "hostpci", "hotplug", "kvm", "machine", "rng", "scsihw", "serial",
    "tablet", "usb", "vga", "watchdog",
];
const DISKS: &[&str] = &[
    "efidisk", "ide", "sata", "scsi", "tpmstate", "virtio", "virtiofs",
];
const CLOUD_INIT: &[&str] = &[
    "ciupgrade",
    "ciuser",
    "citype",
    "ipconfig",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

/// Names what one adopted guest takes.
pub(super) fn needs(
    desired: &Desired,
    adopted: &Adopted,
    need: &mut impl FnMut(&'static str, String, &'static str),
) {
    let path = format!("/vms/{}", adopted.vmid);
    need("VM.Audit", path.clone(), "see guests that were adopted");
    for (key, value) in &adopted.config {
        const PURPOSE: &str = "put options of adopted guests right";
        need(privilege(key, value), path.clone(), PURPOSE);
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem == "net"
            && let Some(bridge) = part(value, "bridge")
        {
            let zone = desired.sdn.values().find(|zone| {
                let mut nets = zone.vnets.keys();
                nets.any(|net| net.as_str() == bridge)
            });
            let zone = zone.map_or("localnetwork", |zone| zone.name.as_str());
            need("SDN.Use", format!("/sdn/zones/{zone}/{bridge}"), PURPOSE);
        }
        let kind = match stem {
            "hostpci" => "pci",
            "usb" if part(value, "mapping").is_some() => "usb",
            "virtiofs" => "dir",
            _ => continue,
        };
        need("Mapping.Use", format!("/mapping/{kind}"), PURPOSE);
    }
}

fn part<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let mut parts = value.split(',').filter_map(|part| part.split_once('='));
    parts.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What setting an option takes. What only root may set is in no inventory.
fn privilege(key: &str, value: &str) -> &'static str {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    if DISKS.contains(&stem) {
        if value.contains("media=cdrom") || value.contains(":cloudinit") {
            "VM.Config.CDROM"
        } else {
            "VM.Config.Disk"
        }
    } else if CPU.contains(&stem) {
        "VM.Config.CPU"
    } else if MEMORY.contains(&stem) {
        "VM.Config.Memory"
    } else if HARDWARE.contains(&stem) {
        "VM.Config.HWType"
    } else if CLOUD_INIT.contains(&stem) {
        "VM.Config.Cloudinit"
    } else if stem == "net" {
        "VM.Config.Network"
    } else {
        "VM.Config.Options"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_its_privilege() {
        for (key, value, wanted) in [
            ("cores", "2", "VM.Config.CPU"),
            ("numa0", "cpus=0-1,memory=512", "VM.Config.CPU"),
            ("memory", "1024", "VM.Config.Memory"),
            ("ide2", "local:iso/x.iso,media=cdrom", "VM.Config.CDROM"),
            ("scsi0", "local-zfs:vm-1-disk-0", "VM.Config.Disk"),
            ("virtiofs0", "dirid=media", "VM.Config.Disk"),
            ("net0", "virtio,bridge=vmbr0", "VM.Config.Network"),
            ("ipconfig0", "ip=dhcp", "VM.Config.Cloudinit"),
            ("usb0", "mapping=zigbee", "VM.Config.HWType"),
            ("onboot", "1", "VM.Config.Options"),
        ] {
            assert_eq!(privilege(key, value), wanted, "{key}={value}");
        }
    }
}
