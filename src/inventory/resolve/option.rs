//! Options in Proxmox's own words: which of them a token may set and infra does not set itself.

use super::{Scope, names::entries};
use crate::inventory::{
    codes, document,
    nearest::did_you_mean,
    source::Span,
    written::{Entries, May},
};
use std::collections::BTreeMap;

/// Options of the API schema (PVE 9.2.11) that a token may set and that no key of the inventory stands for.
const OPEN: &[&str] = &[
    "acpi",
    "allow-ksm",
    "audio0",
    "cpulimit",
    "cpuunits",
    "hotplug",
    "keyboard",
    "kvm",
    "localtime",
    "migrate_downtime",
    "migrate_speed",
    "numa",
    "ostype",
    "rng0",
    "shares",
    "smbios1",
    "sockets",
    "spice_enhancements",
    "startdate",
    "tablet",
    "tdf",
    "vcpus",
    "vga",
    "vmstatestorage",
    "watchdog",
];

const OS_TYPES: &[&str] = &[
    "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24",
    "l26", "solaris",
];

const VGA_TYPES: &[&str] = &[
    "cirrus",
    "none",
    "qxl",
    "qxl2",
    "qxl3",
    "qxl4",
    "serial0",
    "serial1",
    "serial2",
    "serial3",
    "std",
    "virtio",
    "virtio-gl",
    "vmware",
];

/// Options that Proxmox refuses to everybody but `root@pam` itself, root's own tokens included.
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
    "lock",
    "parallel0",
    "parallel1",
    "parallel2",
    "skiplock",
];

/// Options that infra sets from a key of its own.
const OWN: &[(&str, &str)] = &[
    ("agent", "agent"),
    ("balloon", "balloon"),
    ("bios", "uefi"),
    ("boot", "boot"),
    ("cicustom", "cloud_init"),
    ("ciuser", "ssh.user"),
    ("cores", "cores"),
    ("cpu", "cpu"),
    ("description", "notes"),
    ("efidisk", "uefi"),
    ("hostpci", "pci"),
    ("ipconfig", "nics"),
    ("machine", "machine"),
    ("memory", "memory"),
    ("name", "the guest's name"),
    ("nameserver", "nameservers"),
    ("net", "nics"),
    ("onboot", "onboot"),
    ("protection", "protection"),
    ("scsi", "disks"),
    ("scsihw", "scsi_controller"),
    ("sshkeys", "authorized_keys"),
    ("startup", "startup_order"),
    ("tags", "tags"),
    ("tpmstate", "tpm"),
    ("usb", "usb"),
    ("virtiofs", "mounts"),
];

/// Options of guests that infra did not make, beside those above: what infra otherwise sets by itself.
const NATIVE: &[&str] = &[
    "citype",
    "ciupgrade",
    "ide",
    "sata",
    "searchdomain",
    "serial",
    "virtio",
];

/// Every option of a guest that a token may set, in Proxmox's own words.
pub(super) fn native(
    raw: &May<Entries<String>>,
    scope: &mut Scope<'_>,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (key, value) in entries(raw) {
        let (Some(name), Some(text)) = (&key.value, &value.value) else {
            continue;
        };
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let own = OWN
            .iter()
            .map(|(option, _)| *option)
            .filter(|option| *option != "name");
        let known: Vec<&str> = OPEN.iter().chain(NATIVE).copied().chain(own).collect();
        if ROOT_ONLY.contains(&name.as_str()) {
            scope
                .error(codes::INVALID_OPTION, format!("only root may set `{name}`"))
                .at(key.span, "refused to every API token, root's own included")
                .help("infra could never put it right: leave it out, and it is left alone");
        } else if name == "cipassword" {
            scope
                .error(codes::INVALID_OPTION, "a password is in no inventory")
                .at(key.span, "not compared")
                .help("leave it out, and it is left alone");
        } else if let Some(why) = raw_device(stem, text) {
            scope
                .error(codes::INVALID_OPTION, format!("only root may set `{name}: {text}`"))
                .at(value.span, why)
                .help("make a resource mapping and write `mapping=NAME`, or leave it out: it is then left alone");
        } else if known.contains(&name.as_str()) || known.contains(&stem) {
            out.insert(name.clone(), stored(name, text, value.span, scope));
        } else {
            let help = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| "`qm config VMID` prints the options of a guest".to_owned());
            scope
                .error(
                    codes::INVALID_OPTION,
                    format!("Proxmox has no option `{name}` that can be set here"),
                )
                .at(key.span, "unknown option")
                .help(help);
        }
    }
    out
}

/// Why only `root@pam` itself may set a device; none when a token may. As `check_vm_modify_config_perm` of qemu-server has
/// it: real devices of the node go through resource mappings, or through root.
fn raw_device(stem: &str, text: &str) -> Option<&'static str> {
    let mut parts = text.split(',');
    let is_mapped = parts.any(|part| part.starts_with("mapping="));
    match stem {
        "hostpci" if !is_mapped => Some("a PCI device by its address"),
        "usb" if !is_mapped && text != "spice" && !text.starts_with("spice,") => {
            Some("a USB device by its port or number")
        }
        "serial" if text != "socket" => Some("a serial port of the node"),
        _ => None,
    }
}

/// The options, those that cannot be set reported.
pub(super) fn options(raw: &document::Guest, scope: &mut Scope<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (key, value) in entries(&raw.options) {
        let (Some(name), Some(text)) = (&key.value, &value.value) else {
            continue;
        };
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let own = OWN
            .iter()
            .find(|(option, _)| option == name || *option == stem);
        if ROOT_ONLY.contains(&name.as_str()) {
            scope
                .error(codes::INVALID_OPTION, format!("only root may set `{name}`"))
                .at(key.span, "refused to every API token, root's own included")
                .help(format!(
                    "set it once on the node: `qm set VMID --{name} ...`; infra leaves it alone"
                ));
        } else if let Some((_, instead)) = own {
            scope
                .error(codes::INVALID_OPTION, format!("infra sets `{name}` itself"))
                .at(key.span, "has a key of its own")
                .help(format!("write it as `{instead}`"));
        } else if OPEN.contains(&name.as_str()) {
            out.insert(name.clone(), stored(name, text, value.span, scope));
        } else {
            let help = did_you_mean(name, OPEN.iter().copied())
                .unwrap_or_else(|| format!("possible here: {}", OPEN.join(", ")));
            scope
                .error(
                    codes::INVALID_OPTION,
                    format!("Proxmox has no option `{name}` that can be set here"),
                )
                .at(key.span, "unknown option")
                .help(help);
        }
    }
    out
}

/// A value as Proxmox stores it, which for switches is a number; one that it would refuse is reported.
fn stored(name: &str, text: &str, span: Span, scope: &mut Scope<'_>) -> String {
    let text = match text {
        "true" => "1",
        "false" => "0",
        text => text,
    };
    if let Some(expected) = wrong(name, text) {
        scope
            .error(
                codes::INVALID_OPTION,
                format!("Proxmox does not take `{text}` for `{name}`"),
            )
            .at(span, expected);
    }
    text.to_owned()
}

/// What an option expects instead; none when the value will do, or nobody but Proxmox can tell (API schema, PVE 9.2.11).
fn wrong(name: &str, text: &str) -> Option<String> {
    let number = |low: f64, high: f64| {
        let is_one = text
            .parse::<f64>()
            .is_ok_and(|value| (low..=high).contains(&value));
        (!is_one).then(|| {
            if high.is_finite() {
                format!("a number from {low} to {high}")
            } else {
                format!("a number from {low} on")
            }
        })
    };
    let whole = |low: u32, high: u32| {
        let is_one = text
            .parse::<u32>()
            .is_ok_and(|value| (low..=high).contains(&value));
        (!is_one).then(|| format!("a whole number from {low} to {high}"))
    };
    let one_of = |all: &[&str], text: &str| {
        (!all.contains(&text)).then(|| format!("one of {}", all.join(", ")))
    };
    let first = |key: &str| {
        let part = text.split(',').next().unwrap_or_default();
        part.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix('='))
            .unwrap_or(part)
            .to_owned()
    };
    match name {
        "acpi" | "allow-ksm" | "kvm" | "localtime" | "numa" | "tablet" | "tdf" => {
            (!matches!(text, "0" | "1")).then(|| "`true` or `false`".to_owned())
        }
        "cpulimit" => number(0.0, 128.0),
        "migrate_downtime" => number(0.0, f64::INFINITY),
        "cpuunits" => whole(1, 262_144),
        "migrate_speed" => whole(0, u32::MAX),
        "shares" => whole(0, 50_000),
        "sockets" | "vcpus" => whole(1, u32::MAX),
        "ostype" => one_of(OS_TYPES, text),
        "vga" => one_of(VGA_TYPES, &first("type")),
        "watchdog" => one_of(&["i6300esb", "ib700"], &first("model")),
        "hotplug" => {
            let parts = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
            let will_do = matches!(text, "0" | "1")
                || text
                    .split([',', ';', ' '])
                    .all(|part| parts.contains(&part));
            (!will_do).then(|| format!("`0`, `1` or some of {}", parts.join(",")))
        }
        _ => None,
    }
}
