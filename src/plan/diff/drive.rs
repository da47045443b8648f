//! The seed in a guest's drive: after the first boot it holds no private key.

use super::guest::subject;
use crate::model::{
    desired::Desired,
    guest::Guest,
    host::{GuestSeed, Node},
    observed::ObservedProxmox,
};
use crate::plan::{
    change::Operation,
    draft::{Draft, Proposal},
    guest_config,
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

/// Puts the sealed seed into the drive and deletes the one that it replaces.
pub(super) fn seal(
    draft: &mut Draft,
    guest: &Guest,
    node: &Node,
    sealed: GuestSeed,
    replaces: Option<String>,
    needs: Vec<String>,
) {
    let replaces = replaces.map(|name| format!("{}:iso/{name}", node.iso_storage));
    draft.propose(
        &node.name,
        &format!("{} seed", subject(guest)),
        Proposal::update("the host's private key does not stay in the drive")
            .field("ide2", replaces.as_deref(), Some(&sealed.filename))
            .after(needs),
        Operation::SealSeed {
            node: node.name.clone(),
            vmid: guest.vmid,
            storage: node.iso_storage.to_string(),
            seed: sealed,
            replaces,
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
    let ours = format!(
        "{}:iso/infra-{}-{}-",
        node.iso_storage, desired.system, guest.vmid
    );
    let replaces = in_drive
        .filter(|volume| volume.starts_with(&ours))
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
    seal(
        draft,
        guest,
        node,
        sealed,
        replaces.filter(|_| !moved),
        needs,
    );
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
    let ours = format!(
        "{}:iso/infra-{}-{}-",
        node.iso_storage, desired.system, guest.vmid
    );
    let stray = seen
        .nodes
        .get(&node.name)
        .and_then(|live| live.storages.get(node.iso_storage.as_str()))
        .and_then(|storage| {
            let mut volumes = storage.volumes.keys();
            volumes.find(|volume| volume.starts_with(&ours) && **volume != want)
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
