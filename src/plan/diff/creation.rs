//! Guests that are not there: image or template, first-boot seed, disks, the guest itself, its first start.

use super::{
    disk, drive,
    guest::{join, start, subject},
    holding, image,
};
use crate::model::{
    desired::Desired,
    guest::Guest,
    host::{GuestSeed, Node},
    ids::PoolName,
    observed::ObservedProxmox,
};
use crate::plan::{
    change::Operation,
    draft::{Draft, Proposal, id},
    guest_config,
};
use std::collections::BTreeMap;

/// Proposes everything that makes a guest.
pub(super) fn create(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    seen: &ObservedProxmox,
) {
    if !holding::node_can_hold(draft, desired, guest, node, seen) {
        return;
    }
    let Some(wanted) = desired.images.get(&guest.image) else {
        return;
    };
    let Some(origin) = image::origin(draft, desired, wanted, node, seen) else {
        return;
    };
    let template = match &origin.from {
        image::From::Template { vmid, .. } => {
            let found = seen.guests.get(vmid);
            found.and_then(|found| Some((*vmid, found.config.as_ref()?)))
        }
        image::From::Volume(_) => None,
    };
    if let Some((vmid, config)) = template
        && let Some(key) = config.keys().find(|key| is_further_disk(key))
        && !guest.disks.is_empty()
    {
        draft.block(
            subject(guest),
            format!("its template {vmid} has a disk of its own at `{key}`, where disks of the inventory are attached"),
            "Clone from a template that has `scsi0` alone, or take `disks:` away from the guest.",
        );
        return;
    }
    let mut needs = origin.needs;
    needs.push(boot_seed(draft, desired, guest, node));
    needs.extend(mappings(guest));
    let mut disks = BTreeMap::new();
    disk::add_all(draft, desired, guest, seen, &mut needs, |key, value| {
        disks.insert(key.to_owned(), value);
    });
    needs.extend(new_pool(draft, guest, seen));
    let proposal = summary(guest, node).after(needs);
    let name = subject(guest);
    let made = match origin.from {
        image::From::Volume(volume) => {
            let mut params = guest_config::creation(&desired.system, guest, node, &volume);
            params.extend(disks);
            draft.propose(
                &node.name,
                &name,
                proposal,
                Operation::CreateGuest {
                    node: node.name.clone(),
                    vmid: guest.vmid,
                    params,
                },
            )
        }
        image::From::Template { vmid, on, full } => {
            let cloned = draft.propose(
                &node.name,
                &format!("{name} clone"),
                proposal.field("template", None, Some(&vmid.to_string())),
                Operation::CloneGuest {
                    node: on,
                    from: vmid,
                    vmid: guest.vmid,
                    name: guest.name.clone(),
                    notes: guest_config::notes(&desired.system, guest),
                    target: node.name.clone(),
                    full: full.then(|| guest.disk.storage.to_string()),
                    tuning: guest_config::tuning(&guest.disk.tuning),
                },
            );
            if let Some(pool) = &guest.pool {
                join(draft, guest, pool, None, true, vec![cloned.clone()]);
            }
            let mut set = guest_config::managed(&desired.system, guest);
            // Proxmox would put another one beside that of the template, which then hangs on nothing.
            let mut firmware = guest_config::firmware_disks(guest);
            firmware.retain(|key, _| !template.is_some_and(|(_, own)| own.contains_key(key)));
            set.extend(firmware);
            set.extend(disks);
            let drive = guest_config::boot_drive(&desired.system, guest, node);
            set.insert("ide2".to_owned(), drive);
            draft.propose(
                &node.name,
                &name,
                Proposal::update("the clone becomes what the inventory wants").after([cloned]),
                Operation::ConfigureGuest {
                    node: node.name.clone(),
                    vmid: guest.vmid,
                    set,
                    delete: Vec::new(),
                    digest: None,
                },
            )
        }
    };
    let grown = draft.propose(
        &node.name,
        &format!("{name} disk scsi0"),
        Proposal::update("the image is smaller than the disk wanted")
            .field("size", None, Some(&guest.disk.size.to_string()))
            .after([made]),
        Operation::GrowDisk {
            node: node.name.clone(),
            vmid: guest.vmid,
            disk: "scsi0".to_owned(),
            size: guest.disk.size,
        },
    );
    let started = start(draft, guest, node.name.clone(), vec![grown]);
    drive::sealed(draft, desired, guest, node, vec![started]);
}

/// A SCSI disk beside the one that guests boot from.
fn is_further_disk(key: &str) -> bool {
    let slot = key.strip_prefix("scsi").map(str::parse::<u8>);
    slot.is_some_and(|slot| slot.is_ok_and(|number| number > 0))
}

fn summary(guest: &Guest, node: &Node) -> Proposal {
    let mut proposal = Proposal::create(format!("the inventory wants it on {}", node.name))
        .field("cores", None, Some(&guest.cores.to_string()))
        .field("memory", None, Some(&guest.memory.to_string()))
        .field(
            "disk",
            None,
            Some(&format!("{} on {}", guest.disk.size, guest.disk.storage)),
        );
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
    for disk in &guest.disks {
        let text = format!("{} on {}", disk.size, disk.storage);
        proposal = proposal.field(&format!("disk {}", disk.name), None, Some(&text));
    }
    for device in &guest.pci {
        proposal = proposal.field("PCI device", None, Some(&device.mapping));
    }
    for device in &guest.usb {
        proposal = proposal.field("USB device", None, Some(&device.mapping));
    }
    proposal
}

/// Proposes the seed of a first boot, which carries the guest's host key.
pub(super) fn boot_seed(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
) -> String {
    let boot = GuestSeed {
        filename: guest_config::boot_seed_name(&desired.system, guest.vmid),
        ..drive::seed(desired, guest)
    };
    draft.propose(
        &node.name,
        &format!("{} first-boot seed", subject(guest)),
        Proposal::create("gives the guest a host key that is already trusted"),
        Operation::UploadBootSeed {
            node: node.name.clone(),
            storage: node.iso_storage.to_string(),
            seed: boot,
        },
    )
}

/// The changes of directory mappings that a guest waits for.
pub(super) fn mappings(guest: &Guest) -> impl Iterator<Item = String> {
    guest
        .mounts
        .iter()
        .map(|mount| id(&guest.node, &super::mapping::subject(&mount.tag())))
}

/// Whether a pool was listed.
pub(super) fn has_pool(seen: &ObservedProxmox, pool: &PoolName) -> bool {
    let known = seen.pools.iter().flatten();
    known.into_iter().any(|known| known == pool.as_str())
}

/// The change that puts the guest into a pool, which for a new guest comes before it: creating needs a pool to be there.
fn new_pool(draft: &mut Draft, guest: &Guest, seen: &ObservedProxmox) -> Option<String> {
    let pool = guest.pool.as_ref()?;
    if has_pool(seen, pool) {
        return None;
    }
    let name = format!("pool {pool}");
    Some(draft.propose(
        &guest.node,
        &name,
        Proposal::create("guests of the inventory belong to it"),
        Operation::MakePool { pool: pool.clone() },
    ))
}
