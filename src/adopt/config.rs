//! Which options of a guest an inventory can hold.

use std::collections::BTreeMap;

/// What Proxmox keeps for itself in a configuration.
const ITS_OWN: &[&str] = &[
    "digest",
    "lock",
    "meta",
    "name",
    "parent",
    "runningcpu",
    "runningmachine",
    "smbios1",
    "snapstate",
    "snaptime",
    "template",
    "vmgenid",
    "vmstate",
];
/// Options that Proxmox lets nobody but `root@pam` itself set: they could be compared and never be put right.
const ROOT_ONLY: &[&str] = &[
    "affinity",
    "amd-sev",
    "arch",
    "args",
    "hookscript",
    "hugepages",
    "intel-tdx",
    "ivshmem",
    "keephugepages",
    "parallel",
];
/// Options that Proxmox keeps for guests made long ago, or that change nothing.
const OLD: &[&str] = &["autostart", "bootdisk", "freeze", "reboot", "smp"];
/// What is a secret, or the hash of one.
const SECRET: &[&str] = &["cipassword"];

/// What becomes of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Written.
    Said,
    /// Proxmox's own business.
    Silent,
    /// Told, with the reason.
    Unsaid(&'static str),
}

/// Where an option belongs.
pub(super) fn place(key: &str, value: &str) -> Place {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let raw = |names: &[&str]| {
        names.iter().any(|name| {
            value.split(',').any(|part| {
                part.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
            })
        })
    };
    if ITS_OWN.contains(&key) {
        Place::Silent
    } else if SECRET.contains(&key) {
        Place::Unsaid("a password is in no inventory")
    } else if ROOT_ONLY.contains(&stem) || ROOT_ONLY.contains(&key) {
        Place::Unsaid("only root@pam itself may set it, so infra could never put it right")
    } else if OLD.contains(&key) {
        Place::Unsaid("an old option that infra does not set")
    } else if stem == "unused" {
        Place::Unsaid("a disk that is attached to nothing")
    } else if stem == "hostpci" && !raw(&["mapping"]) {
        Place::Unsaid("a raw PCI address, which no API token may set: make a resource mapping")
    } else if stem == "usb" && !raw(&["mapping"]) && value != "spice" {
        Place::Unsaid("a raw USB device, which no API token may set: make a resource mapping")
    } else if stem == "serial" && value != "socket" {
        Place::Unsaid("a device of the node, which no API token may set")
    } else {
        Place::Said
    }
}

/// The options that are written, and the others with their reasons.
pub(super) fn sorted(
    config: &BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Vec<(String, &'static str)>) {
    let (mut said, mut unsaid) = (BTreeMap::new(), Vec::new());
    for (key, value) in config {
        match place(key, value) {
            Place::Said => {
                said.insert(key.clone(), value.clone());
            }
            Place::Silent => {}
            Place::Unsaid(why) => unsaid.push((key.clone(), why)),
        }
    }
    (said, unsaid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_has_its_place() {
        for (key, value, said) in [
            ("cores", "2", true),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0", true),
            ("hostpci0", "mapping=igpu,pcie=1", true),
            ("hostpci0", "0000:00:02.0", false),
            ("usb0", "host=1234:5678", false),
            ("usb0", "mapping=zigbee", true),
            ("args", "-cpu host", false),
            ("bootdisk", "scsi0", false),
            ("cipassword", "**********", false),
            ("unused0", "local-zfs:vm-1-disk-0", false),
            ("serial0", "socket", true),
            ("serial0", "/dev/ttyS0", false),
        ] {
            assert_eq!(place(key, value) == Place::Said, said, "{key}={value}");
        }
        assert_eq!(place("digest", "x"), Place::Silent);
    }
}
