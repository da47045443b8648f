//! A guest in Proxmox's words, and which of those words differ from what was seen.

use super::property_string::parts;
use crate::model::{
    device::{DriveTuning, Firmware, PciDevice},
    guest::{Guest, Nic},
    host::{GuestSeed, Node, SeedCard},
    ids::{SystemName, Vmid},
    size::Bytes,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// The tag by which infra knows its guests.
pub(crate) const TAG: &str = "infra";

/// The name of the first-boot seed, which carries the guest's private host key.
pub(crate) fn boot_seed_name(system: &SystemName, vmid: Vmid) -> String {
    format!("infra-{system}-{vmid}-boot.iso")
}

/// All tags of a guest, sorted as Proxmox keeps them.
fn tags(system: &SystemName, guest: &Guest) -> String {
    let mut tags: BTreeSet<String> = guest.tags.iter().map(|tag| tag.to_lowercase()).collect();
    tags.insert(TAG.to_owned());
    tags.insert(format!("{TAG}-{system}"));
    tags.into_iter().collect::<Vec<_>>().join(";")
}

/// The notes of a guest: the owner's words and who made it.
pub(crate) fn notes(system: &SystemName, guest: &Guest) -> String {
    let mark = format!("Managed by infra: {system}/{}", guest.name);
    if guest.notes.is_empty() {
        mark
    } else {
        format!("{}\n\n{mark}", guest.notes.trim_end())
    }
}

fn nic(card: &Nic) -> String {
    let mut out = format!("{}={},bridge={}", card.model, card.mac, card.bridge);
    if card.firewall {
        out.push_str(",firewall=1");
    }
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, ",{name}={value}");
        }
    };
    put("mtu", card.mtu.map(|mtu| mtu.to_string()));
    put("rate", card.rate.clone());
    put("tag", card.vlan.map(|tag| tag.to_string()));
    out
}

fn pci(device: &PciDevice) -> String {
    let mut out = format!("mapping={}", device.mapping);
    if device.pcie {
        out.push_str(",pcie=1");
    }
    if device.primary_gpu {
        out.push_str(",x-vga=1");
    }
    out
}

fn startup(guest: &Guest) -> Option<String> {
    let parts: Vec<String> = [
        ("order", guest.startup_order),
        ("up", guest.startup_delay),
        ("down", guest.shutdown_timeout),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
    .collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The options of a drive that the inventory speaks of.
pub(crate) fn tuning(tuning: &DriveTuning) -> String {
    let mut out = String::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(out, ",{name}={value}");
        }
    };
    let switch = |on: bool| if on { "1" } else { "0" };
    put(
        "discard",
        Some(if tuning.discard { "on" } else { "ignore" }),
    );
    put("iothread", Some(switch(tuning.iothread)));
    put("backup", tuning.backup.map(switch));
    put("cache", tuning.cache.as_deref());
    put("ssd", tuning.ssd.map(switch));
    out
}

/// Every key that infra manages, with its value, except the disks and the drive.
pub(crate) fn managed(system: &SystemName, guest: &Guest) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        out.insert(key.to_owned(), value);
    };
    put("name", guest.name.to_string());
    put("cores", guest.cores.to_string());
    put("cpu", guest.cpu.clone());
    put("memory", guest.memory.as_mib().to_string());
    put(
        "balloon",
        guest.balloon.map_or(0, Bytes::as_mib).to_string(),
    );
    put("ostype", "l26".to_owned());
    put("scsihw", guest.scsi_controller.clone());
    put("boot", format!("order={}", guest.boot.join(";")));
    // Debian's cloud kernels panic without a serial port once the root disk has grown.
    put("serial0", "socket".to_owned());
    put("agent", format!("enabled={}", u8::from(guest.agent)));
    put("onboot", u8::from(guest.onboot).to_string());
    put("protection", u8::from(guest.protection).to_string());
    put("tags", tags(system, guest));
    put("description", notes(system, guest));
    if let Some(machine) = &guest.machine {
        put("machine", machine.clone());
    }
    match &guest.firmware {
        Firmware::Seabios => put("bios", "seabios".to_owned()),
        Firmware::Ovmf { .. } => put("bios", "ovmf".to_owned()),
    }
    if let Some(startup) = startup(guest) {
        put("startup", startup);
    }
    for (index, card) in guest.nics.iter().enumerate() {
        put(&format!("net{index}"), nic(card));
    }
    for (index, mount) in guest.mounts.iter().enumerate() {
        if mount.via == crate::model::guest::MountVia::Virtiofs {
            put(
                &format!("virtiofs{index}"),
                format!("dirid={}", mount.tag()),
            );
        }
    }
    for (index, device) in guest.pci.iter().enumerate() {
        put(&format!("hostpci{index}"), pci(device));
    }
    for (index, device) in guest.usb.iter().enumerate() {
        let speed = if device.usb3 { ",usb3=1" } else { "" };
        put(
            &format!("usb{index}"),
            format!("mapping={}{speed}", device.mapping),
        );
    }
    out.extend(guest.options.clone());
    out
}

/// Disks that firmware needs, by key: made once, never written again.
pub(crate) fn firmware_disks(guest: &Guest) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Firmware::Ovmf {
        storage,
        secure_boot,
    } = &guest.firmware
    {
        let keys = u8::from(*secure_boot);
        out.insert(
            "efidisk0".to_owned(),
            format!("{storage}:1,efitype=4m,pre-enrolled-keys={keys}"),
        );
    }
    if let Some(storage) = &guest.tpm {
        out.insert("tpmstate0".to_owned(), format!("{storage}:1,version=v2.0"));
    }
    out
}

/// The parameters of the call that creates a guest whose root disk is imported from a volume.
pub(crate) fn creation(
    system: &SystemName,
    guest: &Guest,
    node: &Node,
    volume: &str,
) -> BTreeMap<String, String> {
    let mut params = managed(system, guest);
    params.extend(firmware_disks(guest));
    params.insert(
        "scsi0".to_owned(),
        // With import-from the size must be exactly 0; the disk is grown afterwards.
        format!(
            "{}:0,import-from={volume}{}",
            guest.disk.storage,
            tuning(&guest.disk.tuning)
        ),
    );
    params.insert("ide2".to_owned(), boot_drive(system, guest, node));
    if let Some(pool) = &guest.pool {
        params.insert("pool".to_owned(), pool.to_string());
    }
    params
}

/// The CD-ROM drive with the first-boot seed in it.
pub(crate) fn boot_drive(system: &SystemName, guest: &Guest, node: &Node) -> String {
    drive(
        node.iso_storage.as_str(),
        &boot_seed_name(system, guest.vmid),
    )
}

/// The CD-ROM drive with a seed in it.
pub fn drive(storage: &str, filename: &str) -> String {
    format!("{storage}:iso/{filename},media=cdrom")
}

/// The seed of a guest as it stays in the drive; its name follows from its content.
pub(crate) fn seed(
    system: &SystemName,
    guest: &Guest,
    authorized_keys: &[String],
    timezone: &str,
) -> GuestSeed {
    let mut seed = GuestSeed {
        guest: guest.name.clone(),
        filename: String::new(),
        instance_id: crate::seed::instance_id(system, guest.vmid, 1),
        user: guest.ssh.user.clone(),
        authorized_keys: authorized_keys.to_vec(),
        timezone: timezone.to_owned(),
        nameservers: guest.nameservers.clone(),
        nics: guest
            .nics
            .iter()
            .map(|card| SeedCard {
                mac: card.mac,
                addresses: card.addresses.clone(),
                gateways: card.gateways.clone(),
            })
            .collect(),
        cloud_init: guest.cloud_init.clone(),
    };
    seed.filename = super::seed_name::name(system, guest.vmid, &seed);
    seed
}

/// What Proxmox assumes when a key is not in the configuration.
pub(crate) fn default(key: &str) -> Option<&'static str> {
    match key {
        "onboot" | "agent" | "protection" => Some("0"),
        "bios" => Some("seabios"),
        "scsihw" => Some("lsi"),
        "cores" => Some("1"),
        "memory" => Some("512"),
        "cpu" => Some("kvm64"),
        _ => None,
    }
}

/// The key in the owner's words.
pub(crate) fn word(key: &str) -> String {
    match key {
        "memory" => "memory (MiB)".to_owned(),
        "balloon" => "balloon minimum (MiB)".to_owned(),
        "onboot" => "starts with the node".to_owned(),
        "description" => "notes".to_owned(),
        "startup" => "start order".to_owned(),
        "agent" => "guest agent".to_owned(),
        "cpu" => "CPU type".to_owned(),
        "bios" => "firmware".to_owned(),
        "scsihw" => "SCSI controller".to_owned(),
        "boot" => "boot order".to_owned(),
        "serial0" => "serial console".to_owned(),
        "machine" => "machine type".to_owned(),
        "efidisk0" => "UEFI variables".to_owned(),
        "tpmstate0" => "TPM".to_owned(),
        "ciuser" => "guest user".to_owned(),
        "sshkeys" => "guest user's SSH keys".to_owned(),
        _ => key.to_owned(),
    }
}

/// A part of a property string in the owner's words, after its key.
pub(crate) fn part_word(key: &str, part: &str) -> String {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let plain = match (stem, part) {
        (_, "") | ("agent" | "cpu" | "boot" | "machine", _) | ("startup", "order") => {
            return word(key);
        }
        ("net", "mac") => "MAC address",
        ("net", "tag") => "VLAN tag",
        ("net", "rate") => "rate (MB/s)",
        ("net", "mtu") => "MTU",
        ("net", "link_down") => "link down",
        ("startup", "up") => return "start delay (s)".to_owned(),
        ("startup", "down") => return "shutdown timeout (s)".to_owned(),
        ("virtiofs", "dirid") => "directory mapping",
        ("hostpci", "x-vga") => "primary graphics",
        (_, part) => part,
    };
    format!("{key} {plain}")
}

/// The size in a disk's property string, `size=16G`.
pub(crate) fn disk_size(value: &str) -> Option<Bytes> {
    parts("scsi0", value)
        .get("size")
        .and_then(|size| size.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_tells_its_size() {
        assert_eq!(
            disk_size("local-zfs:vm-110-disk-0,iothread=1,size=64G"),
            Some(Bytes::gib(64))
        );
        assert_eq!(disk_size("local-zfs:vm-110-disk-0"), None);
    }
}
