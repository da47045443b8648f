//! Disks of guests: attached where they are missing, grown, moved, tuned; never shrunk, never made over an existing one.

use super::guest::{lives_on, subject};
use crate::model::{
    desired::Desired,
    device::{DataDisk, KEEPER},
    guest::Guest,
    host::Node,
    ids::{HostName, StorageId, SystemName},
    observed::{ObservedGuest, ObservedProxmox, Question},
    size::Bytes,
};
use crate::plan::{
    change::{Impact, Operation},
    draft::{Draft, Proposal},
    guest_config,
    property_string::{differences, merged, parts},
    removal,
};
use std::collections::BTreeMap;

/// Storage types that keep disks as files, in a folder for each owner.
const FILE_BASED: &[&str] = &["btrfs", "cephfs", "cifs", "dir", "glusterfs", "nfs"];

/// The slot in which a disk is, on whatever bus: by its serial number, or, for one that outlives guests, by its volume,
/// which somebody may have attached without one.
pub(super) fn slot(
    system: &SystemName,
    disk: &DataDisk,
    config: &BTreeMap<String, String>,
) -> Option<String> {
    let by_serial = |key: &str, value: &str| {
        parts(key, value).get("serial").map(String::as_str) == Some(disk.name.as_str())
    };
    let find = |is_it: &dyn Fn(&str, &str) -> bool| {
        let mut disks = config.iter().filter(|(key, value)| is_disk(key, value));
        disks
            .find(|(key, value)| is_it(key, value))
            .map(|(key, _)| key.clone())
    };
    find(&by_serial).or_else(|| find(&|_, value| disk.keep && is_kept(system, disk, value)))
}

/// Whether a disk's value names the volume of a disk that outlives guests.
fn is_kept(system: &SystemName, disk: &DataDisk, value: &str) -> bool {
    let volume = value.split(',').next().unwrap_or(value);
    let name = volume.rsplit([':', '/']).next().unwrap_or(volume);
    let stem = kept_stem(system, disk);
    name == stem
        || name
            .strip_prefix(&stem)
            .is_some_and(|end| matches!(end, ".qcow2" | ".raw" | ".vmdk"))
}

fn kept_stem(system: &SystemName, disk: &DataDisk) -> String {
    format!("vm-{KEEPER}-{system}-{}", disk.name)
}

/// Whether a key of a configuration is a device.
pub(super) fn is_device(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let devices = [
        "net", "scsi", "virtio", "sata", "usb", "hostpci", "virtiofs", "unused",
    ];
    key != stem && devices.contains(&stem)
}

/// Whether a key of a configuration is a disk, and no drive for media.
pub(super) fn is_disk(key: &str, value: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let disks = ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate"];
    key != stem && disks.contains(&stem) && !value.contains("media=cdrom")
}

/// The volume of a disk that outlives guests: its name does not depend on the guest.
struct Kept {
    volume: String,
    filename: String,
    format: Option<String>,
}

fn kept(desired: &Desired, disk: &DataDisk, kind: &str) -> Kept {
    let stem = kept_stem(&desired.system, disk);
    if FILE_BASED.contains(&kind) {
        let filename = format!("{stem}.qcow2");
        Kept {
            volume: format!("{}:{KEEPER}/{filename}", disk.storage),
            filename,
            format: Some("qcow2".to_owned()),
        }
    } else {
        Kept {
            volume: format!("{}:{stem}", disk.storage),
            filename: stem,
            format: None,
        }
    }
}

fn options(disk: &DataDisk) -> String {
    format!(
        ",serial={}{}",
        disk.name,
        guest_config::tuning(&disk.tuning)
    )
}

/// Attaches every further disk to a guest that is not there yet.
pub(super) fn add_all(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    seen: &ObservedProxmox,
    needs: &mut Vec<String>,
    mut put: impl FnMut(&str, String),
) {
    for (index, disk) in guest.disks.iter().enumerate() {
        let key = format!("scsi{}", index + 1);
        if let Some(value) = source(draft, desired, guest, disk, &guest.node, seen, needs) {
            put(&key, value);
        }
    }
}

/// Attaches the further disks and the firmware's disks that an existing guest lacks.
#[expect(
    clippy::too_many_arguments,
    reason = "all of what is known of one guest"
)]
pub(super) fn add_missing(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    seen: &ObservedProxmox,
    needs: &mut Vec<String>,
    mut put: impl FnMut(&str, String),
) {
    let mut ahead = config.clone();
    for (key, staged) in &found.pending {
        if let Some(value) = staged {
            ahead.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in guest_config::firmware_disks(guest) {
        if !ahead.contains_key(&key) {
            put(&key, value);
        }
    }
    let on = HostName::new(found.node.clone()).unwrap_or_else(|_| guest.node.clone());
    for disk in &guest.disks {
        if slot(&desired.system, disk, &ahead).is_some() {
            continue;
        }
        let detached = ahead.iter().find(|(key, _)| key.starts_with("unused"));
        if let Some((key, volume)) = detached
            && !disk.keep
        {
            draft.block(
                format!("{} disk {}", subject(guest), disk.name),
                format!("it is not attached, and `{key}` is the detached volume `{volume}`, which may be it"),
                format!(
                    "infra makes no empty disk in place of one that was detached. Attach it again: \
                     `qm set {0} --scsiN {volume},serial={1}` with a free N. Or, if nobody needs what is on it, \
                     remove it: `qm set {0} --delete {key}`. Then run the command again.",
                    guest.vmid, disk.name
                ),
            );
            continue;
        }
        let free = (1..31)
            .map(|n| format!("scsi{n}"))
            .find(|key| !ahead.contains_key(key));
        let Some(key) = free else {
            draft.block(
                subject(guest),
                format!("there is no free slot for disk `{}`", disk.name),
                "Detach a disk: a SCSI bus holds 31.",
            );
            continue;
        };
        if let Some(value) = source(draft, desired, guest, disk, &on, seen, needs) {
            ahead.insert(key.clone(), value.clone());
            put(&key, value);
        }
    }
}

/// The value that attaches a disk; a disk that outlives guests is made first where it is not there.
fn source(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    disk: &DataDisk,
    on: &HostName,
    seen: &ObservedProxmox,
    needs: &mut Vec<String>,
) -> Option<String> {
    let what = || format!("{} disk {}", subject(guest), disk.name);
    if let Some(open) = seen.unanswered(&Question::Node(on.clone())) {
        draft.unknown(what(), open);
        return None;
    }
    let live = seen.nodes.get(on);
    let Some(storage) = live.and_then(|node| node.storages.get(disk.storage.as_str())) else {
        draft.block(
            what(),
            format!(
                "it lives on node {on}, which has no storage `{}`",
                disk.storage
            ),
            "Make the storage known there under Datacenter > Storage, or move the guest back.",
        );
        return None;
    };
    if !disk.keep {
        let size = disk.size.as_gib_ceil();
        return Some(format!("{}:{size}{}", disk.storage, options(disk)));
    }
    let kept = kept(desired, disk, &storage.kind);
    let others = || seen.guests.iter().filter(|(vmid, _)| **vmid != guest.vmid);
    let user = others().find(|(_, other)| {
        let staged = other.pending.values().flatten();
        let mut values = other.config.iter().flat_map(BTreeMap::values).chain(staged);
        values.any(|value| value.split(',').next() == Some(kept.volume.as_str()))
    });
    let unread = others()
        .filter(|(_, other)| removal::is_marked(&desired.system, other))
        .find_map(|(vmid, other)| Some((vmid, other, seen.unanswered(&Question::Guest(*vmid))?)));
    if let Some((vmid, other, unanswered)) = unread
        && user.is_none()
    {
        draft.block(
            what(),
            format!(
                "guest {vmid} `{}` may hold its volume `{}`, and could not be asked: {}",
                other.name, kept.volume, unanswered.why
            ),
            "A disk that two guests write to is lost. Run the command again when that guest can be read.",
        );
        return None;
    }
    if let Some((vmid, other)) = user {
        draft.block(
            what(),
            format!(
                "its volume `{}` is attached to guest {vmid} `{}`",
                kept.volume, other.name
            ),
            format!("Detach it there first: `qm set {vmid} --delete SLOT`; the data stays."),
        );
        return None;
    }
    if !storage.volumes.contains_key(&kept.volume) {
        needs.push(
            draft.propose(
                on,
                &format!("disk {}", disk.name),
                Proposal::create("it outlives the guest that uses it")
                    .field("volume", None, Some(&kept.volume))
                    .field("size", None, Some(&disk.size.to_string())),
                Operation::AllocateDisk {
                    node: on.clone(),
                    storage: disk.storage.to_string(),
                    filename: kept.filename.clone(),
                    format: kept.format.clone(),
                    size: disk.size,
                },
            ),
        );
    }
    Some(format!("{}{}", kept.volume, options(disk)))
}

/// A disk whose options differ.
pub(super) struct Retuned {
    pub(super) key: String,
    /// What it runs with, or will from its next start on.
    pub(super) staged: String,
    /// The whole value to write, which names the same volume; none when it is staged already.
    pub(super) set: Option<String>,
    /// The value that it runs with in the end; none when it does already.
    pub(super) wanted: Option<String>,
}

/// Disks whose options differ from what the inventory says of them. A disk that somebody put on another bus stays as it
/// is: not every option is one of that bus.
pub(super) fn retuned(
    system: &SystemName,
    guest: &Guest,
    config: &BTreeMap<String, String>,
    pending: &BTreeMap<String, Option<String>>,
) -> Vec<Retuned> {
    let root = ("scsi0".to_owned(), guest_config::tuning(&guest.disk.tuning));
    let data = guest
        .disks
        .iter()
        .filter_map(|disk| Some((slot(system, disk, config)?, options(disk))));
    std::iter::once(root)
        .chain(data.filter(|(key, _)| key.starts_with("scsi")))
        .filter_map(|(key, options)| {
            let live = config.get(&key)?;
            let staged = pending.get(&key).and_then(Option::as_deref).unwrap_or(live);
            let wanted = retune(&key, &options, live);
            let set = retune(&key, &options, staged);
            (wanted.is_some() || set.is_some()).then(|| Retuned {
                staged: staged.to_owned(),
                key,
                set,
                wanted,
            })
        })
        .collect()
}

/// The value of a drive with these options in place of those that differ; none when nothing differs. The options begin
/// with a comma; what they do not speak of stays.
pub fn retune(key: &str, options: &str, value: &str) -> Option<String> {
    let volume = value.split(',').next()?;
    let wanted = format!("{volume}{options}");
    if differences(key, &wanted, Some(value)).is_empty() {
        return None;
    }
    Some(merged(key, &wanted, Some(value)))
}

/// Sizes and storages of the disks that are there.
pub(super) fn diff(
    draft: &mut Draft,
    system: &SystemName,
    guest: &Guest,
    node: &Node,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    needs: &mut Vec<String>,
) {
    let Some(live) = config.get("scsi0") else {
        draft.block(
            subject(guest),
            "its root disk `scsi0` is gone",
            "infra never makes a disk over an existing guest: attach the disk again \
             (look for `unused0`), or destroy the guest.",
        );
        return;
    };
    let root = Attached {
        key: "scsi0",
        word: "scsi0".to_owned(),
        live,
        size: guest.disk.size,
        storage: &guest.disk.storage,
        movable: true,
    };
    root.diff(draft, guest, node, found, needs);
    for disk in &guest.disks {
        let Some(key) = slot(system, disk, config) else {
            continue;
        };
        let Some(live) = config.get(&key) else {
            continue;
        };
        if !key.starts_with("scsi") {
            draft.leave_alone(format!(
                "{} disk {} is `{key}`, which somebody attached: infra attaches disks as `scsiN` with the serial number \
                 by which the guest finds them",
                subject(guest),
                disk.name
            ));
        }
        let attached = Attached {
            key: &key,
            word: disk.name.clone(),
            live,
            size: disk.size,
            storage: &disk.storage,
            movable: !disk.keep,
        };
        attached.diff(draft, guest, node, found, needs);
    }
}

/// A disk that is there, and what the inventory wants of it.
struct Attached<'a> {
    key: &'a str,
    word: String,
    live: &'a str,
    size: Bytes,
    storage: &'a StorageId,
    movable: bool,
}

impl Attached<'_> {
    fn diff(
        &self,
        draft: &mut Draft,
        guest: &Guest,
        node: &Node,
        found: &ObservedGuest,
        needs: &mut Vec<String>,
    ) {
        let name = format!("{} disk {}", subject(guest), self.word);
        let volume = self.live.split(',').next().unwrap_or(self.live);
        let here = volume.split(':').next().unwrap_or(volume);
        if here != self.storage.as_str() {
            if self.movable {
                needs.push(
                    draft.propose(
                        &node.name,
                        &format!("{name} storage"),
                        Proposal::update(
                            "copied while it is in use, and removed at its old place only then",
                        )
                        .field("storage", Some(here), Some(self.storage.as_str()))
                        .impact(Impact::Hot)
                        .after(needs.clone()),
                        Operation::MoveDisk {
                            node: lives_on(node, found),
                            vmid: guest.vmid,
                            disk: self.key.to_owned(),
                            storage: self.storage.to_string(),
                        },
                    ),
                );
            } else {
                draft.leave_alone(format!(
                    "{name} is `{volume}`, the inventory names storage `{}`: Proxmox would give a moved disk the guest's id, \
                     and it would no longer outlive the guest; copy it by hand",
                    self.storage
                ));
            }
        }
        // No size means a disk that Proxmox has not looked at yet.
        let Some(size) = guest_config::disk_size(self.live) else {
            return;
        };
        if size < self.size {
            needs.push(
                draft.propose(
                    &node.name,
                    &name,
                    Proposal::update("the inventory wants a larger disk")
                        .field(
                            "size",
                            Some(&size.to_string()),
                            Some(&self.size.to_string()),
                        )
                        .after(needs.clone()),
                    Operation::GrowDisk {
                        node: lives_on(node, found),
                        vmid: guest.vmid,
                        disk: self.key.to_owned(),
                        size: self.size,
                    },
                ),
            );
        } else if size > self.size {
            draft.leave_alone(format!(
                "{}: disk {} is {size}, the inventory says {}; disks never shrink",
                subject(guest),
                self.word,
                self.size
            ));
        }
    }
}
