//! What guests take from their nodes: storages, bridges, mappings, snippets, and the security groups that rules name.

use super::finding::{Finding, Verdict};
use crate::model::{
    desired::Desired,
    device::Firmware,
    firewall::{PveRule, PveRuleKind},
    firewall_step::PveLevel,
    guest::Guest,
    host::Node,
    ids::{HostName, StorageId},
    observed::{ObservedProxmox, Question},
    reference::Reference,
};
use std::collections::BTreeSet;

/// The guests that live on a node, or may.
pub(super) fn here<'d>(desired: &'d Desired, node: &'d Node) -> impl Iterator<Item = &'d Guest> {
    let guests = desired.guests.values();
    guests.filter(|guest| guest.node == node.name || guest.homes.contains(&node.name))
}

/// Every storage that holds something of a guest.
pub(super) fn storages(guest: &Guest) -> impl Iterator<Item = &str> {
    let firmware = match &guest.firmware {
        Firmware::Ovmf { storage, .. } => Some(storage.as_str()),
        Firmware::Seabios => None,
    };
    [guest.disk.storage.as_str()]
        .into_iter()
        .chain(guest.disks.iter().map(|disk| disk.storage.as_str()))
        .chain(guest.tpm.iter().map(StorageId::as_str))
        .chain(firmware)
}

/// The storages of a node on which infra makes templates.
pub(super) fn of_templates<'d>(
    desired: &'d Desired,
    node: &'d Node,
) -> impl Iterator<Item = &'d str> {
    desired.guests.values().filter_map(|guest| {
        let template = desired.images.get(&guest.image)?.template.as_ref()?;
        let on = template.node.as_ref().unwrap_or(&guest.node);
        (*on == node.name).then(|| template.storage.as_ref().map(StorageId::as_str))?
    })
}

/// What guests name and what has to be there on every node where they may live.
pub(super) fn named(desired: &Desired, seen: &ObservedProxmox) -> Vec<Finding> {
    let mut asked: BTreeSet<(HostName, Reference)> = BTreeSet::new();
    for node in desired.nodes.values() {
        for guest in here(desired, node) {
            let pci = guest
                .pci
                .iter()
                .map(|device| Reference::Pci(device.mapping.clone()));
            let usb = guest
                .usb
                .iter()
                .map(|device| Reference::Usb(device.mapping.clone()));
            asked.extend(
                pci.chain(usb)
                    .map(|reference| (node.name.clone(), reference)),
            );
        }
    }
    for adopted in desired.adopted.values() {
        let live = seen
            .guests
            .get(&adopted.vmid)
            .map(|found| found.node.as_str());
        let node = live
            .and_then(|name| HostName::new(name).ok())
            .unwrap_or_else(|| adopted.node.clone());
        let named = Reference::of(&adopted.config).into_iter();
        asked.extend(named.map(|(_, reference)| (node.clone(), reference)));
    }
    let finding = |(node, reference): &(HostName, Reference)| {
        let (problem, help) = reference.missing(node, seen)?;
        let (area, name) = match reference {
            Reference::Bridge(name) => ("bridge", name),
            Reference::Pci(name) | Reference::Usb(name) | Reference::Directory(name) => {
                ("mapping", name)
            }
            Reference::Snippet(name) => ("snippet", name),
        };
        let problem = format!("{problem}: guests with it would not start");
        Some(Finding::well(area, format!("{name} on {node}"), problem).worse(Verdict::Bad, help))
    };
    asked.iter().filter_map(finding).collect()
}

/// Rules that name a security group that is not there: Proxmox makes an empty chain of it and says nothing.
pub(super) fn security_groups(seen: &ObservedProxmox) -> Vec<Finding> {
    if seen
        .unanswered(&Question::Firewall(PveLevel::Cluster))
        .is_some()
    {
        return Vec::new();
    }
    let firewall = &seen.firewall;
    let cluster = [("the datacenter".to_owned(), &firewall.cluster)];
    let nodes = firewall
        .nodes
        .iter()
        .map(|(node, scope)| (format!("node {node}"), scope));
    let guests = firewall
        .guests
        .iter()
        .map(|(vmid, scope)| (format!("guest {vmid}"), scope));
    let is_gone = |rule: &&PveRule| {
        rule.kind == PveRuleKind::Group && !firewall.groups.contains_key(&rule.action)
    };
    let mut out = Vec::new();
    for (whose, scope) in cluster.into_iter().chain(nodes).chain(guests) {
        for rule in scope.rules.rules.iter().filter(is_gone) {
            let text = format!(
                "there is no security group `{}`: the rule does nothing",
                rule.action
            );
            out.push(Finding::well("firewall", whose.clone(), text).worse(
                Verdict::Bad,
                "Make the group under Datacenter > Firewall > Security Group, or take the rule out.",
            ));
        }
    }
    out
}
