//! Property strings, Proxmox's `key=value,...` values: what two of them differ in, and what a change must keep.

use std::collections::{BTreeMap, BTreeSet};

/// Card models, of which one stands as `model=MAC` in a card.
const MODELS: &[&str] = &["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];

/// How one kind of key is read.
struct Kind {
    /// Name of a part that stands without `=`.
    default: &'static str,
    /// Parts that are ours even when the inventory does not name them: they must not be there then.
    ours: &'static [&'static str],
}

/// The kinds whose value is a property string; every other value is compared as a whole.
fn kind(key: &str) -> Option<Kind> {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    Some(match stem {
        "net" => Kind {
            default: "model",
            ours: &["model", "mac", "bridge", "tag", "firewall", "link_down"],
        },
        "agent" => Kind {
            default: "enabled",
            ours: &["enabled"],
        },
        "startup" => Kind {
            default: "order",
            ours: &[],
        },
        "virtiofs" => Kind {
            default: "dirid",
            ours: &["dirid"],
        },
        "hostpci" => Kind {
            default: "host",
            ours: &["host", "mapping", "pcie", "x-vga"],
        },
        "usb" => Kind {
            default: "host",
            ours: &["host", "mapping", "usb3", "spice"],
        },
        "cpu" => Kind {
            default: "cputype",
            ours: &["cputype"],
        },
        "boot" => Kind {
            default: "legacy",
            ours: &["order"],
        },
        "machine" => Kind {
            default: "type",
            ours: &["type"],
        },
        "scsi" | "virtio" | "sata" | "ide" | "efidisk" | "tpmstate" => Kind {
            default: "volume",
            ours: &[],
        },
        _ => return None,
    })
}

/// The parts of a value. A card's `virtio=AA:..` becomes model and MAC address.
pub(super) fn parts(key: &str, value: &str) -> BTreeMap<String, String> {
    let default = kind(key).map_or("value", |kind| kind.default);
    let mut out = BTreeMap::new();
    for part in value.split(',').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((default, part));
        if default == "model" && MODELS.contains(&name) {
            out.insert("model".to_owned(), name.to_owned());
            out.insert("mac".to_owned(), value.to_uppercase());
        } else {
            out.insert(name.to_owned(), value.to_owned());
        }
    }
    out
}

/// A part as Proxmox means it: switches by their word, absent ones by their default.
fn meant(name: &str, value: Option<&str>) -> Option<String> {
    let on_by_default = matches!(name, "backup" | "replicate");
    let is_switch = on_by_default
        || matches!(
            name,
            "discard"
                | "enabled"
                | "firewall"
                | "iothread"
                | "link_down"
                | "pcie"
                | "spice"
                | "ssd"
                | "usb3"
                | "x-vga"
        );
    if !is_switch {
        return value.map(str::to_owned);
    }
    let on = match value {
        Some(value) => matches!(value, "1" | "on" | "yes" | "true"),
        None => on_by_default,
    };
    on.then(|| "1".to_owned())
}

/// One part that differs: its name, as seen, as wanted.
pub(super) type Difference = (String, Option<String>, Option<String>);

/// What two values differ in; nothing when they mean the same to Proxmox. Parts that the inventory does not speak of
/// are the owner's.
pub(super) fn differences(key: &str, wanted: &str, seen: Option<&str>) -> Vec<Difference> {
    let Some(kind) = kind(key) else {
        return if seen.is_some_and(|seen| is_same_text(key, wanted, seen)) {
            Vec::new()
        } else {
            vec![(
                String::new(),
                seen.map(str::to_owned),
                Some(wanted.to_owned()),
            )]
        };
    };
    let Some(seen) = seen else {
        return vec![(String::new(), None, Some(wanted.to_owned()))];
    };
    let (wanted, seen) = (parts(key, wanted), parts(key, seen));
    let names: BTreeSet<&str> = wanted
        .keys()
        .map(String::as_str)
        .chain(kind.ours.iter().copied())
        .collect();
    names
        .into_iter()
        .filter_map(|name| {
            let before = meant(name, seen.get(name).map(String::as_str));
            let after = meant(name, wanted.get(name).map(String::as_str));
            (before != after).then(|| (name.to_owned(), before, after))
        })
        .collect()
}

fn is_same_text(key: &str, wanted: &str, seen: &str) -> bool {
    match key {
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

/// The value to write: what is wanted, and the owner's parts of what is there.
pub(super) fn merged(key: &str, wanted: &str, seen: Option<&str>) -> String {
    let (Some(kind), Some(seen)) = (kind(key), seen) else {
        return wanted.to_owned();
    };
    let said = parts(key, wanted);
    let mut out = wanted.to_owned();
    for part in seen.split(',').filter(|part| !part.is_empty()) {
        let name = part.split_once('=').map_or(kind.default, |(name, _)| name);
        let is_model = kind.default == "model" && MODELS.contains(&name);
        if !is_model && !said.contains_key(name) && !kind.ours.contains(&name) {
            out.push(',');
            out.push_str(part);
        }
    }
    out
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
            ("hostpci0", "mapping=igpu", "mapping=igpu,pcie=0"),
            (
                "scsi1",
                "serial=photos,backup=1",
                "local-zfs:vm-1-disk-0,serial=photos,size=1G",
            ),
            ("machine", "q35", "type=q35"),
        ] {
            let said = differences(key, wanted, Some(seen));
            assert!(said.is_empty(), "{key}: {wanted} / {seen}: {said:?}");
        }
    }

    #[test]
    fn a_difference_names_its_part() {
        let wanted = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1";
        for (seen, name) in [
            ("virtio=BC:24:11:00:00:02,bridge=vmbr0,firewall=1", "mac"),
            ("e1000=BC:24:11:00:00:01,bridge=vmbr0,firewall=1", "model"),
            ("virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1", "bridge"),
            ("virtio=BC:24:11:00:00:01,bridge=vmbr0", "firewall"),
            (
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5",
                "tag",
            ),
            (
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,link_down=1",
                "link_down",
            ),
        ] {
            let said = differences("net0", wanted, Some(seen));
            let names: Vec<&str> = said.iter().map(|(name, ..)| name.as_str()).collect();
            assert_eq!(names, [name], "{seen}");
        }
    }

    #[test]
    fn the_owners_parts_survive_a_change() {
        let wanted = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1";
        let seen = "virtio=BC:24:11:00:00:09,bridge=vmbr1,queues=4,rate=10,tag=5";
        assert_eq!(
            merged("net0", wanted, Some(seen)),
            "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,queues=4,rate=10"
        );
        assert_eq!(merged("memory", "1024", Some("512")), "1024");
        assert_eq!(
            merged("startup", "order=2", Some("order=1,up=30")),
            "order=2,up=30"
        );
    }
}
