//! The seed in a guest's drive: after the first boot it holds no private key.

use super::guest::subject;
use crate::model::{
    desired::Desired,
    guest::Guest,
    host::{GuestSeed, Node},
    ids::{SystemName, Vmid},
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    change::{Field, Impact, Operation},
    draft::{Draft, Proposal},
    guest_config,
    seed_name::{self, Part, Rerun},
};
use std::collections::BTreeMap;

/// The seed as it stays in the drive.
pub(super) fn seed(desired: &Desired, guest: &Guest) -> GuestSeed {
    guest_config::seed(
        &desired.system,
        guest,
        &desired.authorized_keys,
        &desired.timezone,
    )
}

/// What stays in the drive after the first boot.
pub(super) fn sealed(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    needs: Vec<String>,
) {
    let boot = guest_config::boot_seed_name(&desired.system, guest.vmid);
    if guest.roams() {
        empty(draft, guest, node, Some(boot), needs);
    } else {
        seal(draft, guest, node, seed(desired, guest), Some(boot), needs);
    }
}

/// Takes the seed out of the drive of a guest that may live on several nodes: Proxmox neither moves nor starts elsewhere
/// what holds an image of one node's storage.
fn empty(draft: &mut Draft, guest: &Guest, node: &Node, seed: Option<String>, needs: Vec<String>) {
    let seed = seed.map(|name| format!("{}:iso/{name}", node.iso_storage));
    draft.propose(
        &node.name,
        &format!("{} seed", subject(guest)),
        Proposal::update("it may live on several nodes, and an image of one node would tie it")
            .field("ide2", seed.as_deref(), Some("none"))
            .after(needs),
        Operation::EmptyDrive {
            node: node.name.clone(),
            vmid: guest.vmid,
            guest: guest.name.clone(),
            seed,
        },
    );
}

/// Whether a volume is a seed that infra made for a guest.
pub(in crate::plan) fn is_seed_of(system: &SystemName, vmid: Vmid, volume: &str) -> bool {
    let name = volume.split_once(":iso/").map(|(_, name)| name);
    name.is_some_and(|name| name.starts_with(&format!("infra-{system}-{vmid}-")))
}

/// Puts the sealed seed into the drive and deletes the one that it replaces.
pub(super) fn seal(
    draft: &mut Draft,
    guest: &Guest,
    node: &Node,
    sealed: GuestSeed,
    replaces: Option<String>,
    needs: Vec<String>,
) {
    let before = replaces
        .as_ref()
        .map(|name| format!("{}:iso/{name}", node.iso_storage));
    let proposal = Proposal::update("the host's private key does not stay in the drive")
        .field("ide2", before.as_deref(), Some(&sealed.filename))
        .after(needs);
    exchange(draft, guest, node, sealed, replaces, proposal);
}

fn exchange(
    draft: &mut Draft,
    guest: &Guest,
    node: &Node,
    sealed: GuestSeed,
    replaces: Option<String>,
    proposal: Proposal,
) {
    draft.propose(
        &node.name,
        &format!("{} seed", subject(guest)),
        proposal,
        Operation::SealSeed {
            node: node.name.clone(),
            vmid: guest.vmid,
            storage: node.iso_storage.to_string(),
            seed: sealed,
            replaces: replaces.map(|name| format!("{}:iso/{name}", node.iso_storage)),
        },
    );
}

/// Compares the drive of an existing guest.
pub(super) fn diff(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    config: &BTreeMap<String, String>,
    moved: bool,
    needs: Vec<String>,
) {
    let sealed = seed(desired, guest);
    let want = if guest.roams() {
        "none".to_owned()
    } else {
        format!("{}:iso/{}", node.iso_storage, sealed.filename)
    };
    let in_drive = config.get("ide2").and_then(|value| value.split(',').next());
    if in_drive == Some(want.as_str()) && (!moved || guest.roams()) {
        return;
    }
    // Only our own seeds are deleted; another ISO in the drive is the owner's and only taken out.
    let on_ours = format!("{}:", node.iso_storage);
    let replaces = in_drive
        .filter(|volume| volume.starts_with(&on_ours))
        .filter(|volume| is_seed_of(&desired.system, guest.vmid, volume))
        .and_then(|volume| volume.split_once(":iso/"))
        .map(|(_, name)| name.to_owned());
    if guest.roams() {
        // A move has emptied it.
        if !moved {
            empty(draft, guest, node, replaces, needs);
        }
        return;
    }
    // A move has taken out and deleted what was in it.
    let replaces = replaces.filter(|_| !moved);
    let told = replaces
        .as_deref()
        .filter(|name| *name != guest_config::boot_seed_name(&desired.system, guest.vmid))
        .map(|name| seed_name::changed(name, &sealed.filename));
    let Some(told) = told else {
        seal(draft, guest, node, sealed, replaces, needs);
        return;
    };
    let proposal = match told {
        Some(parts) => told_apart(&parts),
        None => Proposal::update(
            "the seed in the drive is of another infra: which of its parts changed is unknown; host keys stay",
        ),
    };
    exchange(draft, guest, node, sealed, replaces, proposal.after(needs));
}

/// What a changed seed will do and will not do in a guest that has booted before.
fn told_apart(parts: &[Part]) -> Proposal {
    let fields = parts
        .iter()
        .map(|part| Field::new(&format!("cloud-init {}", part.name), None, Some(part.means)))
        .collect();
    let at_boot = parts.iter().any(|part| part.rerun == Rerun::NextBoot);
    let reason = "the instance id stays: host keys stay, and what ran once does not run again";
    Proposal::update(reason).fields(fields).impact(if at_boot {
        Impact::NextBoot
    } else {
        Impact::Hot
    })
}

/// A seed of ours that lies beside the one in the drive: a deletion that failed, and perhaps a private key.
pub(super) fn leftover(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    config: &BTreeMap<String, String>,
    seen: &ObservedProxmox,
) {
    let sealed = seed(desired, guest);
    let want = if guest.roams() {
        "none".to_owned()
    } else {
        format!("{}:iso/{}", node.iso_storage, sealed.filename)
    };
    let in_drive = config.get("ide2").and_then(|value| value.split(',').next());
    let stray = seen
        .nodes
        .get(&node.name)
        .and_then(|live| live.storages.get(node.iso_storage.as_str()))
        .and_then(|storage| {
            let mut volumes = storage.volumes.keys();
            volumes
                .find(|volume| is_seed_of(&desired.system, guest.vmid, volume) && **volume != want)
        })
        .and_then(|volume| volume.split_once(":iso/"))
        .map(|(_, name)| name.to_owned());
    if in_drive != Some(want.as_str()) || stray.is_none() {
        return;
    }
    if guest.roams() {
        empty(draft, guest, node, stray, Vec::new());
    } else {
        seal(draft, guest, node, sealed, stray, Vec::new());
    }
}

/// Seeds of ours on nodes where the guest does not live: a move whose end was lost leaves one.
pub(super) fn elsewhere(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    home: &Node,
    found: &ObservedGuest,
    seen: &ObservedProxmox,
) {
    let moves_with = draft.changes.iter().find_map(|change| {
        if let Operation::MigrateGuest {
            vmid, from, drive, ..
        } = &change.operation
            && *vmid == guest.vmid
        {
            Some((from.clone(), drive.clone()?))
        } else {
            None
        }
    });
    let drive = found.config.as_ref().and_then(|config| config.get("ide2"));
    let in_drive = drive
        .and_then(|value| value.split(',').next())
        .filter(|_| found.node != home.name.as_str())
        .map(|volume| (found.node.as_str(), volume));
    for node in desired.nodes.values().filter(|node| node.name != home.name) {
        let Some(storage) = seen
            .nodes
            .get(&node.name)
            .and_then(|live| live.storages.get(node.iso_storage.as_str()))
            .filter(|storage| !storage.shared)
        else {
            continue;
        };
        for volume in storage.volumes.keys() {
            let is_used = in_drive == Some((node.name.as_str(), volume.as_str()))
                || moves_with == Some((node.name.clone(), volume.clone()));
            if is_used || !is_seed_of(&desired.system, guest.vmid, volume) {
                continue;
            }
            draft.propose(
                &node.name,
                &format!("{} seed {volume} of before", subject(guest)),
                Proposal::delete("the guest lives on another node and does not read it any more")
                    .field("volume", Some(volume), None),
                Operation::DeleteVolume {
                    node: node.name.clone(),
                    volume: volume.clone(),
                },
            );
        }
    }
}
