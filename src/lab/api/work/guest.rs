//! Making, changing, copying and removing guests.

use super::{
    bench::Bench,
    power::{id, unlocked},
};
use crate::lab::api::model::{
    change::{Change, Dice, transferred},
    cluster::Model,
    drive::{Card, Drive, is_drive, is_numbered},
    guest::{Guest, Snapshot},
    storage::{Storage, Wanted, parsed_size, printed_size},
};
use std::collections::BTreeMap;

impl Bench<'_> {
    pub(super) async fn create(
        &self,
        vmid: u32,
        set: BTreeMap<String, String>,
        dice: Dice,
        start: bool,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.take(0.3).await;
        self.world.refresh();
        let copies = set.values().any(|line| line.contains("import-from="));
        let storage = set
            .values()
            .filter(|line| line.contains("import-from="))
            .find_map(|line| line.split_once(':'))
            .map(|(storage, _)| format!("{storage}@{}", self.node()));
        if let Some(storage) = storage {
            // A new disk is allocated under its storage's lock.
            let allocated = match self.world.hold_named(&storage).await {
                Ok(lock) => {
                    self.take(0.3).await;
                    drop(lock);
                    Ok(())
                }
                Err(why) => Err(format!("unable to create VM {vmid} - {why}")),
            };
            if allocated.is_err() {
                self.world.change(|model| model.guests.remove(&vmid));
                return allocated;
            }
        }
        let now = self.now();
        let (log, result) = self
            .world
            .change(|model| model.build(vmid, &set, &dice, now));
        self.log(log);
        if let Err(why) = result {
            self.world.change(|model| {
                model.guests.remove(&vmid);
                for pool in model.pools.values_mut() {
                    pool.guests.remove(&vmid);
                }
            });
            return Err(format!("unable to create VM {vmid} - {why}"));
        }
        if copies {
            self.take(1.2).await;
        }
        if start {
            self.start_locked(vmid).await
        } else {
            Ok(())
        }
    }

    pub(super) async fn configure(
        &self,
        vmid: u32,
        change: Change,
        dice: Dice,
        summary: String,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.log([summary]);
        if change.set.keys().any(|key| is_drive(key)) {
            self.take(0.3).await;
            self.world.refresh();
        }
        let now = self.now();
        let log = self
            .world
            .change(|model| model.change(vmid, &change, &dice, now))?;
        self.log(log);
        self.plug(vmid);
        Ok(())
    }

    pub(super) async fn resize(
        &self,
        vmid: u32,
        disk: &str,
        size: &str,
        digest: Option<&str>,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.take(0.3).await;
        self.world.change(|model| {
            let guest = model.guest(vmid)?.clone();
            if digest.is_some_and(|digest| digest != guest.digest()) {
                return Err("checksum mismatch (file change by other user?)".to_owned());
            }
            guest.assert_unlocked()?;
            let mut drive = guest
                .drives()
                .remove(disk)
                .ok_or_else(|| format!("disk '{disk}' does not exist"))?;
            if drive.is_cdrom() {
                return Err("you can't resize a cdrom".to_owned());
            }
            let old = drive.option("size").and_then(parsed_size).unwrap_or(0);
            let wanted = parsed_size(size.trim_start_matches('+')).ok_or("invalid size string")?;
            let new = if size.starts_with('+') {
                old + wanted
            } else {
                wanted
            };
            if new < old {
                return Err("shrinking disks is not supported".to_owned());
            }
            let storage = drive
                .volume()
                .map(|(storage, _)| storage.to_owned())
                .unwrap_or_default();
            let is_thick = !model.storages.find(&storage)?.is_file_based();
            let free = model.storages.available(&storage, &model.shelf);
            if is_thick && new - old > free {
                return Err(
                    "zfs error: cannot set property: size is greater than available space"
                        .to_owned(),
                );
            }
            if let Some(volume) = model.storages.volumes.get_mut(&drive.file) {
                volume.size = new;
                if is_thick {
                    volume.used = new;
                }
            }
            drive.options.insert("size".to_owned(), printed_size(new));
            model
                .guest_mut(vmid)?
                .config
                .insert(disk.to_owned(), drive.print());
            Ok(())
        })?;
        self.log(["Image resized.".to_owned()]);
        self.plug(vmid);
        Ok(())
    }

    pub(super) async fn destroy(
        &self,
        vmid: u32,
        purge: bool,
        unreferenced: bool,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.take(0.2).await;
        let log = self.world.change(|model| {
            model.assert_removable(vmid)?;
            model.remove(vmid, purge, unreferenced)
        })?;
        self.log(log);
        let destroying = self.world.backend().destroy(id(vmid)?);
        self.world.power(vmid, destroying).await
    }

    pub(super) async fn template(&self, vmid: u32) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.take(0.3).await;
        self.world.change(|model| {
            unlocked(model, vmid)?;
            let mut guest = model.guest(vmid)?.clone();
            for (key, mut drive) in guest
                .drives()
                .into_iter()
                .filter(|(_, drive)| drive.is_disk())
            {
                let base = drive
                    .file
                    .replace("/vm-", "/base-")
                    .replace(":vm-", ":base-");
                if let Some(volume) = model.storages.volumes.remove(&drive.file) {
                    model.storages.volumes.insert(base.clone(), volume);
                }
                drive.file = base;
                guest.config.insert(key, drive.print());
            }
            guest.config.insert("template".to_owned(), "1".to_owned());
            model.guests.insert(vmid, guest);
            Ok(())
        })
    }

    pub(super) async fn clone_guest(
        &self,
        vmid: u32,
        to: u32,
        name: Option<String>,
        full: bool,
        storage: Option<&str>,
        dice: Dice,
    ) -> Result<(), String> {
        let _lock = self.world.hold(to).await?;
        self.log([format!("creating a clone of VM {vmid} with ID {to}")]);
        self.take(if full { 1.2 } else { 0.4 }).await;
        let now = self.now();
        let result = self.world.change(|model| {
            let mut log = Vec::new();
            let result = copy_guest(model, vmid, to, name, full, storage, &dice, now, &mut log);
            if result.is_err() {
                model.guests.remove(&to);
            }
            result.map(|()| log)
        });
        self.log(result?);
        Ok(())
    }

    pub(super) async fn move_disk(
        &self,
        vmid: u32,
        disk: &str,
        storage: &str,
        format: Option<&str>,
        delete: bool,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.take(0.8).await;
        let now = self.now();
        let log = self.world.change(|model| {
            unlocked(model, vmid)?;
            let mut guest = model.guest(vmid)?.clone();
            let mut drive = guest.drives().remove(disk).ok_or_else(|| format!("disk '{disk}' does not exist"))?;
            let old = drive.file.clone();
            let from = drive.volume().map(|(storage, _)| storage.to_owned()).unwrap_or_default();
            let mut log = vec![
                format!("copying volume '{old}' from current storage '{from}' to target storage '{storage}'"),
                format!("create full clone of drive {disk} ({old})"),
            ];
            drive.file = copy_volume(model, &old, vmid, storage, format, now, &mut log)?;
            guest.config.insert(disk.to_owned(), drive.print());
            if delete {
                log.push(format!("removing source volume '{old}' after successful copy"));
                model.storages.volumes.remove(&old);
            } else {
                let unused = guest.free_unused();
                guest.config.insert(unused, old);
            }
            model.guests.insert(vmid, guest);
            Ok::<_, String>(log)
        })?;
        self.log(log);
        self.plug(vmid);
        Ok(())
    }

    pub(super) async fn snapshot(
        &self,
        vmid: u32,
        name: &str,
        description: &str,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        let disks = self.world.look(|model| {
            let guest = model.guest(vmid)?;
            guest.assert_unlocked()?;
            if guest.snapshots.contains_key(name) {
                return Err(format!("snapshot name '{name}' already used"));
            }
            let disks: BTreeMap<String, Drive> = guest
                .drives()
                .into_iter()
                .filter(|(_, drive)| drive.is_disk())
                .collect();
            let is_file = |drive: &Drive| {
                let storage = drive
                    .volume()
                    .and_then(|(storage, _)| model.storages.all.get(storage));
                storage.is_some_and(Storage::is_file_based)
            };
            if disks
                .values()
                .any(|drive| is_file(drive) && drive.file.rsplit('.').next() == Some("raw"))
            {
                return Err("snapshot feature is not available".to_owned());
            }
            Ok(disks)
        })?;
        self.take(0.5).await;
        let now = self.now();
        let description = description.to_owned();
        self.world.change(|model| {
            let guest = model.guest_mut(vmid)?;
            let parent = guest.parent.replace(name.to_owned());
            let config = guest.config.clone();
            guest.snapshots.insert(
                name.to_owned(),
                Snapshot {
                    config,
                    description,
                    time: now,
                    parent,
                },
            );
            Ok::<_, String>(())
        })?;
        let lines = disks.iter().flat_map(|(key, drive)| {
            [
                format!("snapshotting 'drive-{key}' ({})", drive.file),
                "internal qemu snapshot".to_owned(),
            ]
        });
        self.log(lines);
        Ok(())
    }

    pub(super) async fn delete_snapshot(&self, vmid: u32, name: &str) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.world.look(|model| known(model.guest(vmid)?, name))?;
        self.take(0.4).await;
        self.world.change(|model| {
            let guest = model.guest_mut(vmid)?;
            let gone = guest.snapshots.remove(name);
            let parent = gone.and_then(|snapshot| snapshot.parent);
            if guest.parent.as_deref() == Some(name) {
                guest.parent.clone_from(&parent);
            }
            for snapshot in guest
                .snapshots
                .values_mut()
                .filter(|snapshot| snapshot.parent.as_deref() == Some(name))
            {
                snapshot.parent.clone_from(&parent);
            }
            Ok(())
        })
    }

    pub(super) async fn rollback(&self, vmid: u32, name: &str, start: bool) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        let is_on = self.world.look(|model| {
            let guest = model.guest(vmid)?;
            known(guest, name)?;
            guest.assert_unlocked()?;
            Ok::<_, String>(guest.running.is_some())
        })?;
        self.take(0.5).await;
        if is_on {
            let stopping = self.world.backend().stop(id(vmid)?, true);
            self.world.power(vmid, stopping).await?;
        }
        self.world.change(|model| {
            let guest = model.guest_mut(vmid)?;
            let snapshot = guest
                .snapshots
                .get(name)
                .ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
            guest.config = snapshot.config.clone();
            guest.pending.clear();
            guest.running = None;
            guest.parent = Some(name.to_owned());
            Ok::<_, String>(())
        })?;
        if start {
            self.start_locked(vmid).await?;
        }
        Ok(())
    }
}

fn known(guest: &Guest, name: &str) -> Result<(), String> {
    match guest.snapshots.get(name) {
        Some(_) => Ok(()),
        None => Err(format!("snapshot '{name}' does not exist")),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parameters of the real call")]
fn copy_guest(
    model: &mut Model,
    vmid: u32,
    to: u32,
    name: Option<String>,
    full: bool,
    storage: Option<&str>,
    dice: &Dice,
    now: i64,
    log: &mut Vec<String>,
) -> Result<(), String> {
    let source = model.guest(vmid)?.clone();
    let mut config = source.config.clone();
    for key in ["template", "lock", "meta"] {
        config.remove(key);
    }
    config.retain(|key, _| !is_numbered(key, "unused"));
    for (key, mut drive) in source.drives() {
        if !drive.is_disk() && !drive.is_cloudinit() {
            continue;
        }
        let old = drive.file.clone();
        let home = drive
            .volume()
            .map(|(home, _)| home.to_owned())
            .unwrap_or_default();
        let copies = full || drive.is_cloudinit();
        let kind = if copies { "full" } else { "linked" };
        log.push(format!("create {kind} clone of drive {key} ({old})"));
        drive.file = copy_volume(model, &old, to, storage.unwrap_or(&home), None, now, log)?;
        if !copies && let Some(volume) = model.storages.volumes.get_mut(&drive.file) {
            volume.parent = Some(old);
        }
        config.insert(key, drive.print());
    }
    for (key, line) in source
        .config
        .iter()
        .filter(|(key, _)| is_numbered(key, "net"))
    {
        let number: usize = key["net".len()..].parse().unwrap_or(0);
        let card = Card {
            mac: None,
            ..Card::parse(line)
        };
        config.insert(
            key.clone(),
            card.print(&dice.macs[number.min(dice.macs.len() - 1)]),
        );
    }
    let [system, generation] = &dice.uuids;
    config.insert("smbios1".to_owned(), format!("uuid={system}"));
    config.insert("vmgenid".to_owned(), generation.clone());
    config.insert(
        "meta".to_owned(),
        format!("creation-qemu=11.1.3,ctime={now}"),
    );
    config.insert(
        "name".to_owned(),
        name.unwrap_or_else(|| format!("Copy-of-VM-{vmid}")),
    );
    model.guests.insert(
        to,
        Guest {
            node: source.node,
            config,
            ..Guest::default()
        },
    );
    // `clone_vmfw_conf`: the target's file goes first, even when the source has none.
    match model.firewall.guests.get(&vmid).cloned() {
        Some(scope) => model.firewall.guests.insert(to, scope),
        None => model.firewall.guests.remove(&to),
    };
    Ok(())
}

fn copy_volume(
    model: &mut Model,
    old: &str,
    vmid: u32,
    storage: &str,
    format: Option<&str>,
    now: i64,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let source = model
        .storages
        .volumes
        .get(old)
        .cloned()
        .ok_or_else(|| format!("volume '{old}' does not exist"))?;
    let stem = if old.contains("-cloudinit") {
        "cloudinit"
    } else {
        "disk"
    };
    let wanted = Wanted {
        vmid,
        stem,
        format: Some(format.unwrap_or(&source.format)),
        size: source.size,
        made_from: source.made_from.as_deref(),
        now,
    };
    let volid = model.storages.allocate(storage, &wanted, &model.shelf)?;
    log.push(model.formatting(&volid));
    log.push(format!("allocated target volume '{volid}'"));
    if stem == "disk" {
        log.extend(transferred(source.size));
    }
    Ok(volid)
}
