//! A virtual machine: its configuration file, what waits for the next boot, and whether it runs.

use super::{digest::digest_of, drive::Drive, storage::parsed_size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) node: String,
    /// Key -> value of the configuration file.
    pub(crate) config: BTreeMap<String, String>,
    /// What takes effect at the next start; none deletes the key.
    pub(crate) pending: BTreeMap<String, Option<String>>,
    /// Since when it runs.
    pub(crate) running: Option<Running>,
    /// Whether a statistics round has seen it; before, `/cluster/resources` does not know its state.
    pub(crate) is_counted: bool,
    /// Whether it ran at the last statistics round: what `/cluster/resources` says until the next.
    #[serde(default)]
    pub(crate) was_running: bool,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// The snapshot that the present state descends from.
    pub(crate) parent: Option<String>,
}

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) since: i64,
}

/// A saved state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) description: String,
    pub(crate) time: i64,
    pub(crate) parent: Option<String>,
}

impl Guest {
    /// A value as it is now.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    /// What may be plugged while it runs.
    pub(crate) fn hotplug(&self) -> &str {
        match self.value("hotplug") {
            None | Some("1") => "network,disk,usb",
            Some(features) => features,
        }
    }

    /// A switch that is on.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.value(key) == Some("1")
    }

    /// A number with its default.
    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        let text = self
            .value(key)
            .map(|text| text.strip_prefix("current=").unwrap_or(text));
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Processors: cores times sockets.
    pub(crate) fn cpus(&self) -> u64 {
        self.number("cores", 1) * self.number("sockets", 1)
    }

    /// Memory in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.number("memory", 512)
    }

    /// The configuration with what is pending merged in, as `GET config` shows it.
    pub(crate) fn merged(&self) -> BTreeMap<String, String> {
        let mut merged = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => {
                    merged.insert(key.clone(), value.clone());
                }
                None => {
                    merged.remove(key);
                }
            }
        }
        merged
    }

    /// Digest of the whole file, with pending values and snapshots.
    pub(crate) fn digest(&self) -> String {
        let config = self.config.iter().map(|(key, value)| {
            format!(
                "{key}: {value}
"
            )
        });
        let pending = self.pending.iter().map(|(key, value)| {
            format!(
                "[PENDING] {key}: {value:?}
"
            )
        });
        let snapshots = self.snapshots.iter().map(|(name, snapshot)| {
            format!(
                "[{name}] {snapshot:?}
"
            )
        });
        digest_of(config.chain(pending).chain(snapshots))
    }

    /// Applies everything that waited for a start.
    pub(crate) fn apply_pending(&mut self) {
        self.config = self.merged();
        self.pending.clear();
    }

    /// Drives by key, CD-ROMs included.
    pub(crate) fn drives(&self) -> BTreeMap<String, Drive> {
        drives_of(&self.config)
    }

    /// Key of the disk that it boots from.
    pub(crate) fn boot_disk(&self) -> Option<String> {
        let drives = self.drives();
        let order = self
            .value("boot")
            .and_then(|boot| boot.strip_prefix("order="))
            .unwrap_or_default();
        let is_disk = |key: &str| drives.get(key).is_some_and(Drive::is_disk);
        order
            .split(';')
            .find(|key| is_disk(key))
            .map(str::to_owned)
            .or_else(|| {
                drives
                    .keys()
                    .find(|key| is_disk(key) && !key.starts_with("efi") && !key.starts_with("tpm"))
                    .cloned()
            })
    }

    /// Size of the boot disk in bytes, as the API's `maxdisk`.
    pub(crate) fn boot_disk_bytes(&self) -> u64 {
        self.boot_disk()
            .and_then(|key| {
                self.drives()
                    .get(&key)
                    .and_then(|drive| drive.option("size").and_then(parsed_size))
            })
            .unwrap_or(0)
    }

    /// Volumes that belong to it, attached or unused.
    pub(crate) fn volumes(&self) -> Vec<String> {
        let attached = self
            .drives()
            .into_values()
            .filter(|drive| drive.is_disk() || drive.is_cloudinit())
            .map(|drive| drive.file);
        let unused = self
            .config
            .iter()
            .filter(|(key, _)| super::drive::is_numbered(key, "unused"))
            .map(|(_, volid)| volid.clone());
        attached.chain(unused).collect()
    }

    /// Refuses while a long operation holds the guest.
    ///
    /// # Errors
    /// `VM is locked (backup)`.
    pub(crate) fn assert_unlocked(&self) -> Result<(), String> {
        match self.value("lock") {
            Some(lock) => Err(format!("VM is locked ({lock})")),
            None => Ok(()),
        }
    }

    /// The first free `unusedN`.
    pub(crate) fn free_unused(&self) -> String {
        (0..u32::MAX)
            .map(|n| format!("unused{n}"))
            .find(|key| !self.config.contains_key(key))
            .expect("numbers do not run out")
    }
}

/// Drives of a configuration.
pub(crate) fn drives_of(config: &BTreeMap<String, String>) -> BTreeMap<String, Drive> {
    config
        .iter()
        .filter(|(key, _)| super::drive::is_drive(key))
        .map(|(key, line)| (key.clone(), Drive::parse(line)))
        .collect()
}

/// The boot order that a new guest gets when none was given: first disk, first CD-ROM, first card.
pub(crate) fn default_boot(config: &BTreeMap<String, String>) -> String {
    let drives = drives_of(config);
    let mut order: Vec<&str> = Vec::new();
    order.extend(
        drives
            .iter()
            .find(|(key, drive)| drive.is_disk() && !key.starts_with("efi"))
            .map(|(key, _)| key.as_str()),
    );
    order.extend(
        drives
            .iter()
            .find(|(_, drive)| drive.is_cdrom() && !drive.is_cloudinit())
            .map(|(key, _)| key.as_str()),
    );
    order.extend(
        config
            .keys()
            .find(|key| super::drive::is_numbered(key, "net"))
            .map(String::as_str),
    );
    format!("order={}", order.join(";"))
}

/// Keys that are only written down.
const FAST: &[&str] = &[
    "name",
    "onboot",
    "shares",
    "startup",
    "description",
    "protection",
    "vmstatestorage",
    "hookscript",
    "tags",
    "migrate_downtime",
    "migrate_speed",
    "cpulimit",
    "cpuunits",
    "lock",
];

/// Keys that a running guest takes at once. Everything else waits for the next start.
pub(crate) fn is_hot(key: &str, old: Option<&str>, new: Option<&str>, hotplug: &str) -> bool {
    let plugs = |what: &str| hotplug.split([',', ';', ' ']).any(|part| part == what);
    if key == "balloon" {
        // The device itself comes and goes at a start only.
        return (old == Some("0")) == (new == Some("0"));
    }
    if super::drive::is_numbered(key, "net") {
        return plugs("network");
    }
    if FAST.contains(&key) || is_cloudinit_key(key) || super::drive::is_numbered(key, "unused") {
        return true;
    }
    if super::drive::is_drive(key) {
        let is_cdrom = |line: Option<&str>| line.is_some_and(|line| Drive::parse(line).is_cdrom());
        let media_change = is_cdrom(old) && is_cdrom(new);
        let pluggable = plugs("disk")
            && (super::drive::is_numbered(key, "scsi") || super::drive::is_numbered(key, "virtio"));
        return media_change || (pluggable && !is_frozen(old, new));
    }
    super::drive::is_numbered(key, "usb") && plugs("usb")
}

/// Whether two lines of one disk differ in what QEMU takes at its start only.
fn is_frozen(old: Option<&str>, new: Option<&str>) -> bool {
    const FROZEN: &[&str] = &["aio", "cache", "discard", "iothread", "queues", "ro", "ssd"];
    let (Some(old), Some(new)) = (old.map(Drive::parse), new.map(Drive::parse)) else {
        return false;
    };
    old.file == new.file
        && FROZEN
            .iter()
            .any(|name| old.option(name) != new.option(name))
}

/// Keys that only feed the cloud-init drive.
pub(crate) fn is_cloudinit_key(key: &str) -> bool {
    const KEYS: &[&str] = &[
        "cicustom",
        "cipassword",
        "citype",
        "ciupgrade",
        "ciuser",
        "nameserver",
        "searchdomain",
        "sshkeys",
    ];
    KEYS.contains(&key) || super::drive::is_numbered(key, "ipconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(lines: &[(&str, &str)]) -> Guest {
        let config = lines
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Guest {
            config,
            ..Guest::default()
        }
    }

    #[test]
    fn pending_values_are_merged_and_applied_at_the_next_start() {
        let mut guest = guest(&[("memory", "1024"), ("vga", "std")]);
        let before = guest.digest();
        guest
            .pending
            .insert("memory".to_owned(), Some("2048".to_owned()));
        guest.pending.insert("vga".to_owned(), None);
        assert_ne!(guest.digest(), before);
        assert_eq!(guest.memory_mib(), 1024);
        assert_eq!(
            guest.merged().get("memory").map(String::as_str),
            Some("2048")
        );
        guest.apply_pending();
        assert_eq!(guest.memory_mib(), 2048);
        assert_eq!(guest.value("vga"), None);
    }

    #[test]
    fn the_boot_disk_follows_the_boot_order() {
        let guest = guest(&[
            ("boot", "order=scsi1;ide2"),
            ("scsi0", "a:1,size=1G"),
            ("scsi1", "a:2,size=3G"),
        ]);
        assert_eq!(guest.boot_disk().as_deref(), Some("scsi1"));
        assert_eq!(guest.boot_disk_bytes(), 3 << 30);
    }

    #[test]
    fn memory_waits_but_cards_and_media_do_not() {
        let hot = |key: &str, old, new| is_hot(key, old, new, "network,disk,usb");
        assert!(!hot("memory", None, Some("1")));
        assert!(hot("net0", None, None));
        assert!(hot(
            "ide2",
            Some("a:iso/x.iso,media=cdrom"),
            Some("none,media=cdrom")
        ));
        assert!(!hot("ide2", None, Some("a:iso/x.iso,media=cdrom")));
        assert!(hot("scsi1", None, Some("a:1")));
        assert!(!hot("virtiofs0", None, Some("x")));
        assert!(hot("balloon", Some("512"), Some("1024")));
        assert!(!hot("balloon", Some("512"), Some("0")));
        assert!(!hot(
            "scsi1",
            Some("a:1,size=1G"),
            Some("a:1,size=1G,ssd=1")
        ));
        assert!(!is_hot("net0", None, None, "disk"));
    }
}
