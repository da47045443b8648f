//! Disks of scripted guests: what is on a volume, whichever machine has it.

use super::machine::{Machine, Reply};
use crate::lab::backend::VmDisk;
use crate::model::ids::Vmid;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A filesystem on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filesystem {
    kind: String,
    uuid: String,
    bytes: u64,
}

/// What is on volumes. All machines of a lab share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes(Arc<Mutex<BTreeMap<String, Filesystem>>>);

impl Volumes {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Filesystem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was on the volumes of a guest that is destroyed: a new one may get their names.
    pub(super) fn forget(&self, vmid: Vmid) {
        let own = format!(":vm-{vmid}-");
        self.all().retain(|volume, _| !volume.contains(&own));
    }

    /// A disk that was moved holds at its new place what it held at its old one.
    pub(super) fn carry(&self, from: &str, to: &str) {
        let mut all = self.all();
        if from != to
            && let Some(held) = all.remove(from)
        {
            all.insert(to.to_owned(), held);
        }
    }

    fn on(&self, disk: &VmDisk) -> Option<Filesystem> {
        self.all().get(&disk.volume).cloned()
    }
}

impl Machine {
    fn disk(&self, serial: &str) -> Option<VmDisk> {
        self.disks
            .iter()
            .find(|disk| disk.serial == serial)
            .cloned()
    }

    /// Whether a disk of this machine carries a filesystem.
    pub(super) fn has_filesystem(&self, uuid: &str, kind: &str) -> bool {
        let mut found = self.disks.iter().filter_map(|disk| self.volumes.on(disk));
        found.any(|found| found.uuid == uuid && found.kind == kind)
    }

    /// The section `disks` of `infra-facts`.
    pub(super) fn disk_facts(&self, asked: &[String]) -> String {
        let line = |serial: &String| {
            let disk = self.disk(serial)?;
            let (code, takes, signs) = match self.volumes.on(&disk) {
                Some(found) => (
                    0,
                    found.bytes.to_string(),
                    format!("UUID={}\tTYPE={}\tUSAGE=filesystem", found.uuid, found.kind),
                ),
                None => (2, String::new(), String::new()),
            };
            let bytes = disk.bytes;
            Some(format!(
                "{serial}\t{bytes}\tBLKID={code}\tTAKES={takes}\t{signs}\n"
            ))
        };
        asked.iter().filter_map(line).collect()
    }

    /// `infra-disk`.
    pub(super) fn change_disk(&self, arguments: &[String]) -> Reply {
        let [verb, serial, kind, uuid, at] = arguments else {
            return Reply::failed(2, "infra-disk: five arguments");
        };
        let link = format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}");
        let Some(disk) = self.disk(serial) else {
            return Reply::failed(
                70,
                format!("this machine has no disk with the serial number {serial} ({link})"),
            );
        };
        let found = self.volumes.on(&disk);
        let is_ours = found
            .as_ref()
            .is_some_and(|found| found.uuid == *uuid && found.kind == *kind);
        let bytes = disk.bytes;
        let written = Filesystem {
            kind: kind.clone(),
            uuid: uuid.clone(),
            bytes,
        };
        match verb.as_str() {
            "make" if is_ours => Reply::said(""),
            "make" if found.is_some() => Reply::failed(70, format!("{link} holds something")),
            "grow" if !is_ours => {
                Reply::failed(70, format!("{link} has no {kind} with the UUID {uuid}"))
            }
            "grow" if !self.mounts.contains_key(at) => {
                Reply::failed(70, format!("{link} is not mounted at {at}"))
            }
            "make" | "grow" => {
                self.volumes.all().insert(disk.volume, written);
                Reply::said("")
            }
            other => Reply::failed(
                70,
                format!("{other} is nothing that could be done to a disk"),
            ),
        }
    }
}
