//! A guest in Proxmox's words, and which of those words differ from what was seen.

use crate::model::{
    guest::{Guest, Image, Nic},
    host::{GuestSeed, Node},
    ids::{SystemName, Vmid},
    size::Bytes,
};
use std::collections::{BTreeMap, BTreeSet};

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
fn notes(system: &SystemName, guest: &Guest) -> String {
    let mark = format!("Managed by infra: {system}/{}", guest.name);
    if guest.notes.is_empty() {
        mark
    } else {
        format!("{}\n\n{mark}", guest.notes.trim_end())
    }
}

fn nic(card: &Nic) -> String {
    let vlan = card
        .vlan
        .map(|tag| format!(",tag={tag}"))
        .unwrap_or_default();
    format!(
        "virtio={},bridge={},firewall=1{vlan}",
        card.mac, card.bridge
    )
}

/// Every key that infra manages, with its value, except the disk and the drive.
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
    put("scsihw", "virtio-scsi-single".to_owned());
    put("boot", "order=scsi0".to_owned());
    // Debian's cloud kernels panic without a serial port once the root disk has grown.
    put("serial0", "socket".to_owned());
    put("agent", "enabled=1".to_owned());
    put("onboot", u8::from(guest.onboot).to_string());
    put("tags", tags(system, guest));
    put("description", notes(system, guest));
    if let Some(order) = guest.startup_order {
        put("startup", format!("order={order}"));
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
    for (index, mapping) in guest.pci.iter().enumerate() {
        put(&format!("hostpci{index}"), format!("mapping={mapping}"));
    }
    out
}

/// The parameters of the call that creates a guest.
pub(crate) fn creation(
    system: &SystemName,
    guest: &Guest,
    node: &Node,
    image: &Image,
) -> BTreeMap<String, String> {
    let mut params = managed(system, guest);
    params.insert(
        "scsi0".to_owned(),
        // With import-from the size must be exactly 0; the disk is grown afterwards.
        format!(
            "{}:0,import-from={}:import/{},discard=on,iothread=1",
            guest.disk.storage, node.import_storage, image.filename
        ),
    );
    params.insert(
        "ide2".to_owned(),
        drive(
            node.iso_storage.as_str(),
            &boot_seed_name(system, guest.vmid),
        ),
    );
    params
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
        nics: guest.nics.clone(),
    };
    let text = serde_json::to_string(&seed).unwrap_or_default();
    let hash = super::fingerprint(text.as_bytes());
    seed.filename = format!("infra-{system}-{}-{}.iso", guest.vmid, &hash[..12]);
    seed
}

/// The parts of a property string: `virtio=AA:..,bridge=vmbr0` -> pairs; a part without `=` stands under `default`.
fn parts<'a>(value: &'a str, default: &'a str) -> BTreeMap<&'a str, &'a str> {
    value
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((default, part)))
        .collect()
}

/// Whether two values of a key mean the same to Proxmox.
pub(crate) fn same(key: &str, wanted: &str, seen: &str) -> bool {
    let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match kind {
        "net" => {
            let (wanted, mut seen) = (parts(wanted, "model"), parts(seen, "model"));
            let model = |card: &BTreeMap<&str, &str>| {
                ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"]
                    .iter()
                    .find_map(|model| card.get(model).map(|mac| (*model, mac.to_uppercase())))
            };
            // Keys that infra does not manage (rate, mtu, queues) stay the owner's.
            seen.retain(|key, _| !matches!(*key, "rate" | "mtu" | "queues"));
            let rest = |card: &BTreeMap<&str, &str>| -> BTreeMap<String, String> {
                card.iter()
                    .filter(|(key, _)| matches!(**key, "bridge" | "firewall" | "tag" | "link_down"))
                    .filter(|(key, value)| !(**key == "link_down" && **value == "0"))
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect()
            };
            model(&wanted) == model(&seen) && rest(&wanted) == rest(&seen)
        }
        "agent" => {
            let on = |value: &str| {
                matches!(
                    parts(value, "enabled").get("enabled").copied(),
                    Some("1" | "yes" | "on")
                )
            };
            on(wanted) == on(seen)
        }
        "boot" => parts(wanted, "legacy").get("order") == parts(seen, "legacy").get("order"),
        "startup" => parts(wanted, "order").get("order") == parts(seen, "order").get("order"),
        "virtiofs" => parts(wanted, "dirid").get("dirid") == parts(seen, "dirid").get("dirid"),
        "hostpci" => parts(wanted, "host").get("mapping") == parts(seen, "host").get("mapping"),
        "cpu" => parts(wanted, "cputype").get("cputype") == parts(seen, "cputype").get("cputype"),
        "tags" => {
            let set = |value: &str| -> BTreeSet<String> {
                value
                    .split([';', ',', ' '])
                    .filter(|tag| !tag.is_empty())
                    .map(str::to_lowercase)
                    .collect()
            };
            set(wanted) == set(seen)
        }
        "description" => wanted.trim_end() == seen.trim_end(),
        _ => wanted == seen,
    }
}

/// What Proxmox assumes when a key is not in the configuration.
pub(crate) fn default(key: &str) -> Option<&'static str> {
    match key {
        "onboot" | "agent" => Some("0"),
        "cores" => Some("1"),
        "memory" => Some("512"),
        "cpu" => Some("kvm64"),
        _ => None,
    }
}

/// Whether a running guest takes the key at once, with the default hotplug setting (`network,disk,usb`).
pub(crate) fn is_hot(key: &str) -> bool {
    let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(
        kind,
        "name" | "tags" | "description" | "onboot" | "startup" | "net" | "ide" | "boot"
    )
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
        _ => key.to_owned(),
    }
}

/// The size in a disk's property string, `size=16G`.
pub(crate) fn disk_size(value: &str) -> Option<Bytes> {
    parts(value, "volume")
        .get("size")
        .and_then(|size| size.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left as written by infra, right as read back from PVE 9.2.11.
    #[test]
    fn what_proxmox_reads_back_is_the_same() {
        for (key, wanted, seen) in [
            (
                "net0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
                "virtio=bc:24:11:00:00:01,bridge=vmbr0,firewall=1",
            ),
            (
                "net0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
                "firewall=1,bridge=vmbr0,virtio=BC:24:11:00:00:01,rate=10",
            ),
            ("agent", "enabled=1", "1"),
            ("agent", "enabled=1", "enabled=1,fstrim_cloned_disks=1"),
            ("tags", "infra;infra-home", "infra-home;infra"),
            ("description", "a", "a\n"),
            ("startup", "order=1", "order=1,up=30"),
            ("virtiofs0", "dirid=tank-media", "tank-media"),
        ] {
            assert!(same(key, wanted, seen), "{key}: {wanted} / {seen}");
        }
    }

    #[test]
    fn a_changed_card_is_not_the_same() {
        let wanted = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1";
        for seen in [
            "virtio=BC:24:11:00:00:02,bridge=vmbr0,firewall=1",
            "e1000=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
            "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5",
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,link_down=1",
        ] {
            assert!(!same("net0", wanted, seen), "{seen}");
        }
    }

    #[test]
    fn a_disk_tells_its_size() {
        assert_eq!(
            disk_size("local-zfs:vm-110-disk-0,iothread=1,size=64G"),
            Some(Bytes::gib(64))
        );
        assert_eq!(disk_size("local-zfs:vm-110-disk-0"), None);
    }
}
