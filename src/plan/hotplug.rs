//! When a changed option acts on a running guest, by the rules of Proxmox 8.4 and 9.

use super::property_string::parts;
use std::collections::BTreeMap;

/// When a change acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Acts {
    /// At once, unnoticed.
    Now,
    /// At once, by unplugging the device and plugging it again.
    Replug,
    /// When the guest next boots; nothing is wrong until then.
    NextBoot,
    /// When QEMU next starts: a restart is due.
    AtStart,
}

/// Proxmox's own setting of `hotplug`.
const DEFAULT: &str = "network,disk,usb";

/// Options that are only written down: they act when they are read.
const WRITTEN_DOWN: &[&str] = &[
    "cpulimit",
    "cpuunits",
    "description",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "onboot",
    "protection",
    "shares",
    "startup",
    "tags",
    "vmstatestorage",
];

/// Drive options that QEMU takes at its start only.
const FROZEN: &[&str] = &[
    "aio", "cache", "discard", "iothread", "queues", "ro", "serial", "ssd",
];

/// Parts of a card for which Proxmox unplugs it.
const REPLUGGED: &[&str] = &["mac", "model", "mtu", "queues"];

/// When the change of a key acts on a guest that runs with `config`.
pub(super) fn acts(key: &str, config: &BTreeMap<String, String>, wanted: &str) -> Acts {
    let setting = config
        .get("hotplug")
        .map_or(DEFAULT, |text| match text.as_str() {
            "1" => DEFAULT,
            text => text,
        });
    let plugs = |what: &str| setting.split([',', ';', ' ']).any(|part| part == what);
    let seen = config.get(key).map(String::as_str);
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let changed = |names: &[&str]| {
        let (wanted, seen) = (parts(key, wanted), parts(key, seen.unwrap_or_default()));
        names
            .iter()
            .any(|name| wanted.get(*name) != seen.get(*name))
    };
    if WRITTEN_DOWN.contains(&key) {
        return Acts::Now;
    }
    let hot = |yes: bool| if yes { Acts::Now } else { Acts::AtStart };
    match stem {
        "net" if !plugs("network") => Acts::AtStart,
        "net" if seen.is_some() && changed(REPLUGGED) => Acts::Replug,
        "net" => Acts::Now,
        "scsi" | "virtio" => hot(plugs("disk") && (seen.is_none() || !changed(FROZEN))),
        // Only the medium of a drive that is there can be changed.
        "ide" => hot(seen.is_some_and(|seen| seen.contains("media=cdrom"))),
        "usb" | "tablet" => hot(plugs("usb")),
        "memory" => hot(plugs("memory")),
        "vcpus" => hot(plugs("cpu")),
        // The device itself comes and goes at a start only.
        "balloon" => {
            let is_on = |value: Option<&str>| value != Some("0");
            hot(is_on(seen) == is_on(Some(wanted)))
        }
        "boot" | "hotplug" => Acts::NextBoot,
        _ => Acts::AtStart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_acts_when_proxmox_says() {
        let card = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1";
        let disk = "local-zfs:vm-110-disk-0,iothread=1,size=8G";
        let config: BTreeMap<String, String> = [
            ("net0", card),
            ("scsi0", disk),
            ("balloon", "1024"),
            ("ide2", "none,media=cdrom"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for (key, wanted, expected) in [
            ("tags", "a", Acts::Now),
            ("cpulimit", "2", Acts::Now),
            (
                "net0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1",
                Acts::Now,
            ),
            (
                "net0",
                "virtio=BC:24:11:00:00:02,bridge=vmbr0,firewall=1",
                Acts::Replug,
            ),
            (
                "net0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,mtu=1400",
                Acts::Replug,
            ),
            ("net1", card, Acts::Now),
            (
                "scsi0",
                "local-zfs:vm-110-disk-0,backup=0,iothread=1,size=8G",
                Acts::Now,
            ),
            (
                "scsi0",
                "local-zfs:vm-110-disk-0,iothread=1,size=8G,ssd=1",
                Acts::AtStart,
            ),
            ("scsi1", "local-zfs:8,ssd=1", Acts::Now),
            ("ide2", "local:iso/x.iso,media=cdrom", Acts::Now),
            ("ide3", "local:iso/x.iso,media=cdrom", Acts::AtStart),
            ("balloon", "2048", Acts::Now),
            ("balloon", "0", Acts::AtStart),
            ("memory", "8192", Acts::AtStart),
            ("cores", "2", Acts::AtStart),
            ("usb0", "mapping=zigbee", Acts::Now),
            ("hostpci0", "mapping=igpu", Acts::AtStart),
            ("virtiofs0", "dirid=media", Acts::AtStart),
            ("machine", "q35", Acts::AtStart),
            ("boot", "order=scsi0", Acts::NextBoot),
        ] {
            assert_eq!(acts(key, &config, wanted), expected, "{key}={wanted}");
        }
    }

    #[test]
    fn the_guests_own_hotplug_setting_decides() {
        let with = |setting: &str| BTreeMap::from([("hotplug".to_owned(), setting.to_owned())]);
        assert_eq!(
            acts("memory", &with("network,disk,memory"), "8192"),
            Acts::Now
        );
        assert_eq!(
            acts("net1", &with("0"), "virtio,bridge=vmbr0"),
            Acts::AtStart
        );
        assert_eq!(acts("scsi1", &with("network"), "local:1"), Acts::AtStart);
        assert_eq!(acts("usb0", &with("1"), "mapping=x"), Acts::Now);
    }
}
