//! Guests: what is created, configured, grown, started.

use super::{drive, holding};
use crate::model::{
    desired::Desired,
    guest::Guest,
    host::{GuestSeed, Node},
    ids::{HostName, SystemName},
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    change::{Field, Impact, Operation},
    draft::{Draft, Proposal, id},
    guest_config,
};
use std::collections::BTreeMap;

/// The subject under which a guest's own changes stand.
pub(super) fn subject(guest: &Guest) -> String {
    format!("guest {} {}", guest.vmid, guest.name)
}

/// The ids of the changes that make the guest run, for everything that needs it.
pub(in crate::plan) fn running(guest: &Guest) -> [String; 2] {
    ["power", "restart"].map(|what| id(&guest.node, &format!("{} {what}", subject(guest))))
}

/// Whether the plan boots the guest for the first time: its first-boot seed is still to be sealed.
pub(super) fn boots_first(draft: &Draft, system: &SystemName, guest: &Guest) -> bool {
    let boot_seed = guest_config::boot_seed_name(system, guest.vmid);
    draft.changes.iter().any(|change| {
        matches!(&change.operation, Operation::SealSeed { replaces: Some(volume), .. }
            if volume.ends_with(&boot_seed))
    })
}

/// Compares every guest.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    for guest in desired.guests.values() {
        let Some(node) = desired.nodes.get(&guest.node) else {
            continue;
        };
        if let Some(unanswered) = holding::unanswered(guest, node, seen) {
            draft.unknown(subject(guest), unanswered);
            continue;
        }
        draft.saw(&node.name);
        match seen.guests.get(&guest.vmid) {
            None => create(draft, desired, guest, node, seen),
            Some(found) => match &found.config {
                Some(config) if is_ours(desired, config) => {
                    if holding::node_can_hold(draft, guest, node, seen) {
                        update(draft, desired, guest, node, found, config);
                        drive::leftover(draft, desired, guest, node, config, seen);
                    }
                }
                Some(_) | None => draft.block(
                    subject(guest),
                    format!(
                        "VMID {} is taken by `{}` on {}, which infra did not make (no tag `{}-{}`)",
                        guest.vmid,
                        found.name,
                        found.node,
                        guest_config::TAG,
                        desired.system
                    ),
                    "Choose another `vmid`, or give the existing guest that tag to adopt it.",
                ),
            },
        }
    }
}

fn is_ours(desired: &Desired, config: &BTreeMap<String, String>) -> bool {
    let mark = format!("{}-{}", guest_config::TAG, desired.system);
    config
        .get("tags")
        .is_some_and(|tags| tags.split([';', ',', ' ']).any(|tag| tag == mark))
}

fn create(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    seen: &ObservedProxmox,
) {
    if !holding::node_can_hold(draft, guest, node, seen) {
        return;
    }
    let Some(image) = desired.images.get(&guest.image) else {
        return;
    };
    let mut needs = Vec::new();
    let volume = format!("{}:import/{}", node.import_storage, image.filename);
    let has_image = seen
        .nodes
        .get(&node.name)
        .and_then(|live| live.storages.get(node.import_storage.as_str()))
        .is_some_and(|storage| storage.volumes.contains_key(&volume));
    if !has_image {
        needs.push(draft.propose(
            &node.name,
            &format!("image {}", image.name),
            Proposal::create("guests are made from it").field("volume", None, Some(&volume)),
            Operation::DownloadImage {
                node: node.name.clone(),
                storage: node.import_storage.to_string(),
                image: image.clone(),
            },
        ));
    }
    let name = subject(guest);
    let sealed = drive::seed(desired, guest);
    let boot = GuestSeed {
        filename: guest_config::boot_seed_name(&desired.system, guest.vmid),
        ..sealed.clone()
    };
    needs.push(draft.propose(
        &node.name,
        &format!("{name} first-boot seed"),
        Proposal::create("gives the guest a host key that is already trusted"),
        Operation::UploadBootSeed {
            node: node.name.clone(),
            storage: node.iso_storage.to_string(),
            seed: boot.clone(),
        },
    ));
    needs.extend(mappings(guest));
    let mut proposal = Proposal::create(format!("the inventory wants it on {}", node.name))
        .field("cores", None, Some(&guest.cores.to_string()))
        .field("memory", None, Some(&guest.memory.to_string()))
        .field(
            "disk",
            None,
            Some(&format!("{} on {}", guest.disk.size, guest.disk.storage)),
        )
        .after(needs);
    for (index, card) in guest.nics.iter().enumerate() {
        let addresses: Vec<String> = card.addresses.iter().map(ToString::to_string).collect();
        let text = format!(
            "{} on {} ({})",
            addresses.join(", "),
            card.bridge,
            card.zone
        );
        proposal = proposal.field(&format!("net{index}"), None, Some(&text));
    }
    let created = draft.propose(
        &node.name,
        &name,
        proposal,
        Operation::CreateGuest {
            node: node.name.clone(),
            vmid: guest.vmid,
            params: guest_config::creation(&desired.system, guest, node, image),
        },
    );
    let grown = draft.propose(
        &node.name,
        &format!("{name} disk scsi0"),
        Proposal::update("the image is smaller than the disk wanted")
            .field("size", None, Some(&guest.disk.size.to_string()))
            .after([created]),
        Operation::GrowDisk {
            node: node.name.clone(),
            vmid: guest.vmid,
            disk: "scsi0".to_owned(),
            size: guest.disk.size,
        },
    );
    let started = start(draft, guest, node.name.clone(), vec![grown]);
    drive::seal(
        draft,
        guest,
        node,
        sealed,
        Some(boot.filename),
        vec![started],
    );
}

fn mappings(guest: &Guest) -> impl Iterator<Item = String> {
    guest
        .mounts
        .iter()
        .map(|mount| id(&guest.node, &super::mapping::subject(&mount.tag())))
}

/// Where a guest lives now, which after a migration is not where it was made.
fn lives_on(node: &Node, found: &ObservedGuest) -> HostName {
    HostName::new(found.node.clone()).unwrap_or_else(|_| node.name.clone())
}

fn start(draft: &mut Draft, guest: &Guest, lives_on: HostName, needs: Vec<String>) -> String {
    draft.propose(
        &guest.node,
        &format!("{} power", subject(guest)),
        Proposal::update("guests of the inventory run")
            .field("state", Some("stopped"), Some("running"))
            .after(needs),
        Operation::StartGuest {
            node: lives_on,
            vmid: guest.vmid,
            guest: guest.name.clone(),
        },
    )
}

fn update(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
) {
    let name = subject(guest);
    let wanted = guest_config::managed(&desired.system, guest);
    let mut needs: Vec<String> = mappings(guest).collect();
    let on = found.status == "running";
    let (set, fields, waits) = compare(&wanted, found, config, on);
    if !set.is_empty() {
        let impact = if waits.is_empty() {
            Impact::Hot
        } else {
            Impact::NextBoot
        };
        needs.push(
            draft.propose(
                &node.name,
                &name,
                Proposal::update("differs from the inventory")
                    .fields(fields)
                    .impact(impact)
                    .after(needs.clone()),
                Operation::ConfigureGuest {
                    node: lives_on(node, found),
                    vmid: guest.vmid,
                    set,
                    delete: Vec::new(),
                    digest: found.digest.clone(),
                },
            ),
        );
    }
    report_unmanaged(draft, guest, &wanted, config);
    disk(draft, guest, node, found, config, &mut needs);
    if !waits.is_empty() {
        needs.push(
            draft.propose(
                &node.name,
                &format!("{name} restart"),
                Proposal::update(format!("{} takes effect at a start only", waits.join(", ")))
                    .impact(Impact::Reboot)
                    .after(needs.clone()),
                Operation::RestartGuest {
                    node: lives_on(node, found),
                    vmid: guest.vmid,
                    guest: guest.name.clone(),
                },
            ),
        );
    }
    if !on {
        needs.push(start(draft, guest, lives_on(node, found), needs.clone()));
    }
    drive::diff(draft, desired, guest, node, config, needs);
}

/// Keys to set, differing fields, and (for a running guest) what waits for a restart.
fn compare(
    wanted: &BTreeMap<String, String>,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    on: bool,
) -> (BTreeMap<String, String>, Vec<Field>, Vec<String>) {
    let (mut set, mut fields, mut waits) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (key, value) in wanted {
        let differs =
            |seen: Option<&str>| seen.is_none_or(|seen| !guest_config::same(key, value, seen));
        let default = guest_config::default(key);
        let live = config.get(key).map(String::as_str).or(default);
        let staged = match found.pending.get(key) {
            Some(staged) => staged.as_deref().or(default),
            None => live,
        };
        if differs(staged) {
            let word = guest_config::word(key);
            let next = format!("{} at the next start", staged.unwrap_or("nothing"));
            let before = if live == staged { live } else { Some(&*next) };
            fields.push(Field::new(&word, before, Some(value)));
            set.insert(key.clone(), value.clone());
        }
        if on && differs(live) && !guest_config::is_hot(key) {
            waits.push(guest_config::word(key));
        }
    }
    (set, fields, waits)
}

fn disk(
    draft: &mut Draft,
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
    let Some(size) = guest_config::disk_size(live) else {
        return;
    };
    if size < guest.disk.size {
        needs.push(draft.propose(
            &node.name,
            &format!("{} disk scsi0", subject(guest)),
            Proposal::update("the inventory wants more").field(
                "size",
                Some(&size.to_string()),
                Some(&guest.disk.size.to_string()),
            ),
            Operation::GrowDisk {
                node: lives_on(node, found),
                vmid: guest.vmid,
                disk: "scsi0".to_owned(),
                size: guest.disk.size,
            },
        ));
    } else if size > guest.disk.size {
        draft.leave_alone(format!(
            "{}: disk scsi0 is {size}, the inventory says {}; disks never shrink",
            subject(guest),
            guest.disk.size
        ));
    }
    if !live.starts_with(&format!("{}:", guest.disk.storage)) {
        draft.leave_alone(format!(
            "{}: disk scsi0 is `{}`, the inventory names storage `{}`",
            subject(guest),
            live.split(',').next().unwrap_or(live),
            guest.disk.storage
        ));
    }
}

/// Devices that somebody added by hand: named, and left alone.
fn report_unmanaged(
    draft: &mut Draft,
    guest: &Guest,
    wanted: &BTreeMap<String, String>,
    config: &BTreeMap<String, String>,
) {
    for (key, value) in config {
        let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let device = matches!(
            kind,
            "net" | "scsi" | "virtio" | "sata" | "usb" | "hostpci" | "virtiofs" | "unused"
        );
        if device && key != kind && key != "scsi0" && !wanted.contains_key(key) {
            draft.leave_alone(format!("{}: {key} {value}", subject(guest)));
        }
    }
}
