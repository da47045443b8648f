//! Whether a node can hold a guest: what Proxmox accepts without complaint and fails on later.

use super::guest::subject;
use crate::model::{
    desired::Desired,
    device::{Firmware, KEEPER},
    firewall_step::PveLevel,
    guest::{Guest, MountVia},
    host::Node,
    ids::HostName,
    observed::{ObservedNode, ObservedProxmox, Question, Unanswered},
    size::Bytes,
};
use crate::plan::draft::Draft;
use std::collections::BTreeMap;

/// The first question without an answer that decides about a guest. Its firewall is one of them: a guest never runs
/// unprotected. Any level is, as long as the main switch is off: it is turned only when every level is known.
pub(super) fn unanswered<'s>(
    guest: &Guest,
    node: &Node,
    seen: &'s ObservedProxmox,
) -> Option<&'s Unanswered> {
    let main_switch = seen.firewall.cluster.options.get("enable");
    if main_switch.is_none_or(|on| on == "0") {
        let is_firewall = |open: &&Unanswered| matches!(open.question, Question::Firewall(_));
        if let Some(open) = seen.unanswered.iter().find(is_firewall) {
            return Some(open);
        }
    }
    let mut asked = vec![
        Question::Guest(guest.vmid),
        Question::Node(node.name.clone()),
        Question::Firewall(PveLevel::Cluster),
        Question::Firewall(PveLevel::Guest(guest.vmid)),
    ];
    if !guest.pci.is_empty() {
        asked.push(Question::PciMappings);
    }
    if !guest.usb.is_empty() {
        asked.push(Question::UsbMappings);
    }
    if guest.pool.is_some() {
        asked.push(Question::Pools);
    }
    if guest
        .mounts
        .iter()
        .any(|mount| mount.via == MountVia::Virtiofs)
    {
        asked.push(Question::DirMappings);
    }
    asked.iter().find_map(|question| seen.unanswered(question))
}

/// Says what the node lacks for this guest; false when it lacks anything.
pub(super) fn node_can_hold(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    seen: &ObservedProxmox,
) -> bool {
    let before = draft.blocked.len();
    let Some(live) = seen.nodes.get(&node.name) else {
        draft.block(
            subject(guest),
            format!("the cluster has no node `{}`", node.name),
            "Write the node's name as `pvesh get /nodes` prints it.",
        );
        return false;
    };
    let mut wanted = vec![
        (guest.disk.storage.as_str(), "images"),
        (node.iso_storage.as_str(), "iso"),
        (node.import_storage.as_str(), "import"),
    ];
    wanted.extend(
        guest
            .disks
            .iter()
            .map(|disk| (disk.storage.as_str(), "images")),
    );
    wanted.extend(guest.tpm.iter().map(|storage| (storage.as_str(), "images")));
    if let Firmware::Ovmf { storage, .. } = &guest.firmware {
        wanted.push((storage.as_str(), "images"));
    }
    wanted.dedup();
    for (storage, content) in wanted {
        storage_can_hold(draft, &subject(guest), &node.name, live, storage, content);
    }
    for card in &guest.nics {
        let is_vnet = desired
            .sdn_zone_of(&card.bridge)
            .is_some_and(|zone| zone.covers(&node.name));
        if !is_vnet
            && !live.bridges.contains_key(card.bridge.as_str())
            && !node.made.contains_key(&card.bridge)
        {
            draft.block(
                subject(guest),
                format!("node {} has no bridge `{}`", node.name, card.bridge),
                "Create it under System > Network on the node, then run the command again.",
            );
        }
    }
    let pci = guest.pci.iter().map(|device| &device.mapping);
    for mapping in pci {
        mapped(draft, guest, node, "PCI", mapping, &seen.pci_mappings);
    }
    let usb = guest.usb.iter().map(|device| &device.mapping);
    for mapping in usb {
        mapped(draft, guest, node, "USB", mapping, &seen.usb_mappings);
    }
    if let Some(other) = seen.guests.keys().find(|vmid| vmid.number() == KEEPER) {
        draft.block(
            subject(guest),
            format!("a guest has the id {other}, under which disks are kept that outlive guests"),
            "Give that guest another id: destroying it would destroy those disks.",
        );
    }
    if !seen.guests.contains_key(&guest.vmid)
        && let Some(storage) = live.storages.get(guest.disk.storage.as_str())
        && storage.available < guest.disk.size.0
    {
        draft.block(
            subject(guest),
            format!(
                "storage `{}` has {} free and the disk wants {}",
                guest.disk.storage,
                Bytes::mib(storage.available >> 20),
                guest.disk.size
            ),
            "Free some space, choose another storage or a smaller disk.",
        );
    }
    draft.blocked.len() == before
}

/// Says what a storage of a node lacks for a kind of content; false when it lacks anything.
pub(super) fn storage_can_hold(
    draft: &mut Draft,
    what: &str,
    node: &HostName,
    live: &ObservedNode,
    storage: &str,
    content: &str,
) -> bool {
    let problem = match live.storages.get(storage) {
        None => format!("node {node} has no storage `{storage}`"),
        Some(found) if !found.active => {
            draft.block(
                what,
                format!("storage `{storage}` is not active"),
                "Switch it on under Datacenter > Storage; `pvesm status` on the node says what it lacks.",
            );
            return false;
        }
        Some(found) if !found.content.iter().any(|kind| kind == content) => {
            format!("storage `{storage}` does not hold `{content}`")
        }
        Some(_) => return true,
    };
    draft.block(
        what,
        problem,
        format!(
            "Name a storage with content type `{content}`, or allow it there: \
             Datacenter > Storage > {storage} > Content."
        ),
    );
    false
}

/// Whether a resource mapping is there, and names a device of this node.
fn mapped(
    draft: &mut Draft,
    guest: &Guest,
    node: &Node,
    kind: &str,
    mapping: &str,
    known: &BTreeMap<String, Vec<String>>,
) {
    match known.get(mapping) {
        None => {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let there = if names.is_empty() {
                "there is none yet".to_owned()
            } else {
                format!("there is {}", names.join(", "))
            };
            draft.block(
                subject(guest),
                format!("there is no {kind} mapping `{mapping}`"),
                format!(
                    "Create it under Datacenter > Resource Mappings ({there}), and allow the token `Mapping.Use` on it."
                ),
            );
        }
        Some(entries) if !entries.iter().any(|entry| is_on(entry, &node.name)) => draft.block(
            subject(guest),
            format!(
                "{kind} mapping `{mapping}` names no device of node {}",
                node.name
            ),
            "Add the node's device to the mapping under Datacenter > Resource Mappings.",
        ),
        Some(_) => {}
    }
}

fn is_on(entry: &str, node: &HostName) -> bool {
    entry
        .split(',')
        .any(|part| part.strip_prefix("node=") == Some(node.as_str()))
}
