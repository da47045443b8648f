//! Making and changing a guest's configuration, disks included.

use super::{
    cluster::Model,
    drive::{Card, Drive, is_drive, is_numbered},
    guest::{Guest, default_boot, is_hot},
    storage::{Wanted, printed_size, scaled},
};
use std::collections::BTreeMap;

/// What a caller wants of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Change {
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) delete: Vec<String>,
    pub(crate) revert: Vec<String>,
    /// Deleted disks are destroyed, not detached.
    pub(crate) force: bool,
    pub(crate) digest: Option<String>,
}

/// Randomness that a change may need, drawn beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    /// One MAC address per card number.
    pub(crate) macs: Vec<String>,
    pub(crate) uuids: [String; 2],
}

impl Model {
    /// Fills a guest that was reserved by `reserve`.
    ///
    /// # Errors
    /// The text behind `unable to create VM N - `; what was allocated is freed again.
    pub(crate) fn build(
        &mut self,
        vmid: u32,
        set: &BTreeMap<String, String>,
        dice: &Dice,
        now: i64,
    ) -> (Vec<String>, Result<(), String>) {
        let mut log = Vec::new();
        let mut config = BTreeMap::new();
        let mut made = Vec::new();
        for (key, value) in set {
            match self.materialise(vmid, key, value, dice, now, &mut log) {
                Ok((line, volume)) => {
                    made.extend(volume);
                    config.insert(key.clone(), line);
                }
                Err(why) => {
                    for volid in made {
                        self.storages.volumes.remove(&volid);
                    }
                    return (log, Err(why));
                }
            }
        }
        config
            .entry("boot".to_owned())
            .or_insert_with_key(|_| String::new());
        if config["boot"].is_empty() {
            let boot = default_boot(&config);
            config.insert("boot".to_owned(), boot);
        }
        let [system, generation] = &dice.uuids;
        config
            .entry("smbios1".to_owned())
            .or_insert_with(|| format!("uuid={system}"));
        config
            .entry("vmgenid".to_owned())
            .or_insert_with(|| generation.clone());
        config.insert(
            "meta".to_owned(),
            format!("creation-qemu=11.1.3,ctime={now}"),
        );
        if let Some(guest) = self.guests.get_mut(&vmid) {
            guest.config = config;
        }
        (log, Ok(()))
    }

    /// Turns what was asked for a key into the line that is stored, and allocates the disk it asks for.
    fn materialise(
        &mut self,
        vmid: u32,
        key: &str,
        value: &str,
        dice: &Dice,
        now: i64,
        log: &mut Vec<String>,
    ) -> Result<(String, Option<String>), String> {
        if is_numbered(key, "net") {
            let number: usize = key["net".len()..].parse().unwrap_or(0);
            let mac = dice
                .macs
                .get(number)
                .map_or("BC:24:11:00:00:00", String::as_str);
            return Ok((Card::parse(value).print(mac), None));
        }
        if is_drive(key) {
            return self.materialise_drive(vmid, key, Drive::parse(value), now, log);
        }
        Ok((value.to_owned(), None))
    }

    fn materialise_drive(
        &mut self,
        vmid: u32,
        key: &str,
        mut drive: Drive,
        now: i64,
        log: &mut Vec<String>,
    ) -> Result<(String, Option<String>), String> {
        let node = self
            .guests
            .get(&vmid)
            .map(|guest| guest.node.clone())
            .unwrap_or_default();
        let format = drive.options.remove("format");
        let source = drive.options.remove("import-from");
        let Some((storage, rest)) = drive.volume().map(|(s, r)| (s.to_owned(), r.to_owned()))
        else {
            return Ok((drive.print(), None));
        };
        let mut wanted = Wanted {
            vmid,
            stem: "disk",
            format: format.as_deref(),
            size: 0,
            made_from: None,
            now,
        };
        if rest == "cloudinit" {
            let is_file = self.storages.find(&storage)?.is_file_based();
            wanted = Wanted {
                stem: "cloudinit",
                format: is_file.then_some("qcow2"),
                size: 4 << 20,
                ..wanted
            };
            let volid = self.storages.allocate(&storage, &wanted, &self.shelf)?;
            drive.file.clone_from(&volid);
            drive.options.insert("media".to_owned(), "cdrom".to_owned());
            log.push(self.formatting(&volid));
            log.push(format!(
                "{key}: successfully created disk '{}'",
                drive.print()
            ));
            return Ok((drive.print(), Some(volid)));
        }
        if let Some(source) = source {
            let file = self.shelved(&node, &source).cloned();
            let (size, own) = match (&file, self.storages.volumes.get(&source)) {
                (Some(file), _) => (file.virtual_size, file.format.clone()),
                (None, Some(volume)) => (volume.size, volume.format.clone()),
                (None, None) => {
                    return Err(format!(
                        "failed to stat '{}'",
                        self.storages.path_of(&source)
                    ));
                }
            };
            let format = format.clone().unwrap_or(own);
            wanted = Wanted {
                size,
                format: Some(&format),
                made_from: Some(&source),
                ..wanted
            };
            log.push(format!("create full clone of drive ({source})"));
            let volid = self.storages.allocate(&storage, &wanted, &self.shelf)?;
            log.push(self.formatting(&volid));
            log.push(format!("allocated target volume '{volid}'"));
            log.extend(transferred(size));
            drive.file.clone_from(&volid);
            drive.options.insert("size".to_owned(), printed_size(size));
            return Ok((drive.print(), Some(volid)));
        }
        if let Some(mut size) =
            scaled(&rest, 30).filter(|_| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        {
            if key.starts_with("efidisk") {
                size = if drive.option("efitype") == Some("4m") {
                    528 << 10
                } else {
                    128 << 10
                };
            }
            if key.starts_with("tpmstate") {
                size = 4 << 20;
            }
            wanted.size = size;
            let volid = self.storages.allocate(&storage, &wanted, &self.shelf)?;
            drive.file.clone_from(&volid);
            drive.options.insert("size".to_owned(), printed_size(size));
            log.push(self.formatting(&volid));
            log.push(format!(
                "{key}: successfully created disk '{}'",
                drive.print()
            ));
            return Ok((drive.print(), Some(volid)));
        }
        let size = self.shelved(&node, &drive.file).map(|file| file.size);
        let size = size.or_else(|| {
            self.storages
                .volumes
                .get(&drive.file)
                .map(|volume| volume.size)
        });
        let size = size.ok_or_else(|| format!("volume '{}' does not exist", drive.file))?;
        if !drive.is_cloudinit() {
            drive.options.insert("size".to_owned(), printed_size(size));
        }
        Ok((drive.print(), None))
    }

    /// The line that qemu-img or zfs leaves in a task's log.
    pub(crate) fn formatting(&self, volid: &str) -> String {
        let path = self.storages.path_of(volid);
        let Some(volume) = self.storages.volumes.get(volid) else {
            return path;
        };
        match volume.format.as_str() {
            "qcow2" => format!(
                "Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size={} lazy_refcounts=off refcount_bits=16",
                volume.size
            ),
            format => format!(
                "Formatting '{path}', fmt={format} size={} preallocation=off",
                volume.size
            ),
        }
    }

    /// Changes a configuration. A running guest keeps what cannot be changed live as pending.
    ///
    /// # Errors
    /// The real API's words; nothing is changed then.
    pub(crate) fn change(
        &mut self,
        vmid: u32,
        change: &Change,
        dice: &Dice,
        now: i64,
    ) -> Result<Vec<String>, String> {
        let mut guest = self.guest(vmid)?.clone();
        let volumes = self.storages.volumes.clone();
        let result = self.change_copy(vmid, &mut guest, change, dice, now);
        match result {
            Ok(log) => {
                self.guests.insert(vmid, guest);
                Ok(log)
            }
            Err(why) => {
                self.storages.volumes = volumes;
                Err(why)
            }
        }
    }

    fn change_copy(
        &mut self,
        vmid: u32,
        guest: &mut Guest,
        change: &Change,
        dice: &Dice,
        now: i64,
    ) -> Result<Vec<String>, String> {
        if change
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != guest.digest())
        {
            return Err("checksum mismatch (file change by other user?)".to_owned());
        }
        guest.assert_unlocked()?;
        let mut log = Vec::new();
        for key in &change.revert {
            guest.pending.remove(key);
        }
        for key in &change.delete {
            self.delete_key(vmid, guest, key, change.force)?;
        }
        for (key, value) in &change.set {
            let (line, _) = self.materialise(vmid, key, value, dice, now, &mut log)?;
            let old = guest.value(key).map(str::to_owned);
            if let Some(old) = old.as_deref().filter(|_| is_drive(key)) {
                replace_drive(guest, old, &line);
            }
            if let Some(volid) = is_drive(key).then(|| Drive::parse(&line).file) {
                guest
                    .config
                    .retain(|key, held| !(is_numbered(key, "unused") && *held == volid));
            }
            if guest.running.is_some() && !is_hot(key, old.as_deref(), Some(&line), guest.hotplug())
            {
                if old.as_deref() == Some(line.as_str()) {
                    guest.pending.remove(key);
                } else {
                    guest.pending.insert(key.clone(), Some(line));
                }
            } else {
                guest.pending.remove(key);
                guest.config.insert(key.clone(), line);
            }
        }
        let merged = Guest {
            config: guest.merged(),
            ..Guest::default()
        };
        if merged.number("balloon", 0) > merged.memory_mib() {
            return Err(
                "balloon value too large (must be smaller than assigned memory)".to_owned(),
            );
        }
        Ok(log)
    }

    /// Whether a volume carries the guest's id.
    fn owns(&self, vmid: u32, volid: &str) -> bool {
        let volume = self.storages.volumes.get(volid);
        volume.is_none_or(|volume| volume.vmid == vmid)
    }

    fn delete_key(
        &mut self,
        vmid: u32,
        guest: &mut Guest,
        key: &str,
        force: bool,
    ) -> Result<(), String> {
        let Some(old) = guest.value(key).map(str::to_owned) else {
            guest.pending.remove(key);
            return Ok(());
        };
        if is_numbered(key, "unused") {
            self.storages.volumes.remove(&old);
            guest.config.remove(key);
            return Ok(());
        }
        let drive = is_drive(key).then(|| Drive::parse(&old));
        if drive.as_ref().is_some_and(Drive::is_disk) && guest.is_set("protection") {
            return Err(format!(
                "can't remove drive '{key}' - protection mode enabled"
            ));
        }
        if guest.running.is_some() && !is_hot(key, Some(&old), None, guest.hotplug()) {
            guest.pending.insert(key.to_owned(), None);
            return Ok(());
        }
        guest.config.remove(key);
        guest.pending.remove(key);
        if let Some(drive) = drive {
            if drive.is_cloudinit() || (force && self.owns(vmid, &drive.file)) {
                self.storages.volumes.remove(&drive.file);
            } else if drive.is_disk() && self.owns(vmid, &drive.file) {
                let unused = guest.free_unused();
                guest.config.insert(unused, drive.file);
            }
        }
        Ok(())
    }
}

/// A drive whose volume is another one now leaves the old volume behind as unused.
fn replace_drive(guest: &mut Guest, old: &str, new: &str) {
    let old = Drive::parse(old);
    if old.is_disk() && old.file != Drive::parse(new).file {
        let unused = guest.free_unused();
        guest.config.insert(unused, old.file);
    }
}

/// The progress that a copy leaves in the log.
pub(crate) fn transferred(size: u64) -> Vec<String> {
    let total = human(size);
    [0, 25, 50, 75, 100]
        .iter()
        .map(|percent| {
            format!(
                "transferred {} of {total} ({percent}.00%)",
                human(size / 100 * percent)
            )
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a progress line")]
fn human(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    units
        .iter()
        .find(|(_, shift)| bytes >= 1 << shift)
        .map_or_else(
            || format!("{bytes}.0 B"),
            |(unit, shift)| format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
        )
}
