//! Guests that live on another node than the inventory says.

use super::guest::{lives_on, subject};
use crate::model::{
    guest::{Guest, MountVia},
    host::Node,
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    change::{Impact, Operation},
    draft::{Draft, Proposal},
};
use std::collections::BTreeMap;

/// Proposes to move a guest home, after everything else that is done to it. Where the HA manager is in charge, it decides.
pub(super) fn diff(
    draft: &mut Draft,
    guest: &Guest,
    node: &Node,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    seen: &ObservedProxmox,
    needs: &[String],
) -> Option<String> {
    let from = lives_on(node, found);
    if guest.ha.is_some() || from == node.name || guest.homes.contains(&from) {
        return None;
    }
    let home = seen.nodes.get(&node.name)?;
    if home.status == "offline" {
        draft.leave_alone(format!(
            "{} lives on {from} while {} is off",
            subject(guest),
            node.name
        ));
        return None;
    }
    let stop = !guest.pci.is_empty()
        || !guest.usb.is_empty()
        || guest
            .mounts
            .iter()
            .any(|mount| mount.via == MountVia::Virtiofs);
    let drive = config
        .get("ide2")
        .and_then(|value| value.split(',').next())
        .filter(|volume| volume.contains(':'))
        .map(str::to_owned);
    let impact = if stop && found.status == "running" {
        Impact::Stop
    } else {
        Impact::Hot
    };
    let reason = if impact == Impact::Stop {
        "the inventory says where it lives; what is passed through keeps it from moving while it runs"
    } else {
        "the inventory says where it lives; it keeps running"
    };
    Some(
        draft.propose(
            &node.name,
            &format!("{} move", subject(guest)),
            Proposal::update(reason)
                .field("node", Some(from.as_str()), Some(node.name.as_str()))
                .impact(impact)
                .after(needs.iter().cloned()),
            Operation::MigrateGuest {
                from,
                to: node.name.clone(),
                vmid: guest.vmid,
                guest: guest.name.clone(),
                drive,
                stop,
            },
        ),
    )
}
