//! What is enforced right now, from what was seen.

use super::enforcement::{Enforcement, Sources};
use crate::model::{
    desired::Desired,
    ids::Vmid,
    observed::{Observed, ObservedProxmox, Reading},
};
use std::collections::{BTreeMap, BTreeSet};

/// The live rules, read.
#[derive(Debug)]
pub struct Live {
    /// What they do. A layer that nobody could look at counts as open: it is named in `unseen`.
    pub enforcement: Enforcement,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// Reads the live rules.
pub fn live(desired: &Desired, observed: &Observed) -> Live {
    let mut unseen = Vec::new();
    let empty = ObservedProxmox::default();
    let proxmox = match &observed.proxmox {
        Some(Reading::Seen(seen)) => seen,
        Some(Reading::Failed { why, .. }) => {
            unseen.push(format!("the Proxmox firewall: {why}"));
            &empty
        }
        Some(Reading::Absent) | None => &empty,
    };
    let (mut ufw, mut docker) = (BTreeMap::new(), BTreeMap::new());
    for host in desired.all_hosts() {
        match observed.hosts.get(host) {
            Some(Reading::Seen(facts)) => {
                let beside = facts.beside_ufw.iter();
                unseen.extend(beside.map(|rule| {
                    format!("{host}: `{rule}` stands beside UFW and may let pass what it closes")
                }));
                if let Some(found) = &facts.ufw {
                    ufw.insert(host.clone(), found.clone());
                }
                let rules = facts.docker.as_ref().and_then(|d| d.docker_user.clone());
                docker.insert(host.clone(), rules.unwrap_or_default());
            }
            Some(Reading::Failed { why, .. }) => unseen.push(format!("{host}: {why}")),
            Some(Reading::Absent) | None => unseen.push(format!("{host} does not run")),
        }
    }
    Live {
        enforcement: Enforcement::new(
            desired,
            Sources {
                pve: &proxmox.firewall,
                ufw: &ufw,
                docker: &docker,
                bare: &bare(desired, proxmox),
            },
        ),
        unseen,
    }
}

/// Guests with a card that Proxmox does not filter.
fn bare(desired: &Desired, seen: &ObservedProxmox) -> BTreeSet<Vmid> {
    let is_card = |key: &str| {
        key.strip_prefix("net")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    desired
        .vmids()
        .filter(|vmid| {
            let guest = seen.guests.get(vmid);
            let config = guest.and_then(|guest| guest.config.as_ref());
            config.is_some_and(|config| {
                let mut cards = config.iter().filter(|(key, _)| is_card(key));
                cards.any(|(_, value)| !value.split(',').any(|part| part.trim() == "firewall=1"))
            })
        })
        .collect()
}
