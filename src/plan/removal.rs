//! What it takes to destroy a guest: a plan of its own, made only for a guest that somebody named.

use super::{
    change::{Change, Impact, Operation},
    diff::is_seed_of,
    document::{Plan, VERSION, fingerprint},
    draft::{Draft, Proposal},
    guest_config::{TAG, disk_size},
    order,
    property_string::parts,
};
use crate::model::{
    ids::{HostName, SystemName, Vmid},
    observed::{ObservedGuest, ObservedProxmox},
};
use std::collections::{BTreeMap, BTreeSet};

/// Why a guest is not destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Indestructible {
    /// Another made it.
    #[error("destroy guest {vmid} `{name}`: infra did not make it (it has no tag `{tag}`)")]
    NotOurs {
        /// Guest.
        vmid: Vmid,
        /// Its name.
        name: String,
        /// The tag of ours.
        tag: String,
    },
    /// Its owner protects it.
    #[error("destroy guest {vmid} `{name}`: it is protected")]
    Protected {
        /// Guest.
        vmid: Vmid,
        /// Its name.
        name: String,
    },
    /// Proxmox works on it.
    #[error("destroy guest {vmid} `{name}`: it is locked ({lock})")]
    Locked {
        /// Guest.
        vmid: Vmid,
        /// Its name.
        name: String,
        /// By what.
        lock: String,
    },
    /// Data disks would go with it that nobody named.
    #[error("destroy guest {vmid} `{name}`: its data disks {} would be destroyed with it", .disks.join(", "))]
    TakesDisks {
        /// Guest.
        vmid: Vmid,
        /// Its name.
        name: String,
        /// By name, or by slot where they have none.
        disks: Vec<String>,
    },
    /// A disk was named that the guest does not have.
    #[error("destroy guest {vmid} `{name}`: it has no data disk `{disk}`")]
    NoSuchDisk {
        /// Guest.
        vmid: Vmid,
        /// Its name.
        name: String,
        /// As named.
        disk: String,
    },
    /// A bug in the planner.
    #[error(transparent)]
    Order(#[from] order::Cycle),
}

/// The plan that destroys a guest, and what stays of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What will be done.
    pub plan: Plan,
    /// What stays, one sentence each.
    pub stays: Vec<String>,
}

/// Whether a guest carries this system's mark.
pub fn is_marked(system: &SystemName, found: &ObservedGuest) -> bool {
    let mark = mark(system);
    found.tags.contains(&mark)
}

pub(super) fn mark(system: &SystemName) -> String {
    format!("{TAG}-{system}")
}

/// A disk of a guest.
struct Held {
    key: String,
    /// Its serial number, or its slot.
    name: String,
    volume: String,
    size: String,
    /// The id that it carries.
    owner: Option<u32>,
}

/// Makes the plan that destroys a guest of ours. Data disks that would go with it must be in `with_disks`; those that
/// outlive guests stay unless they are.
///
/// # Errors
/// [`Indestructible`] says why nothing is destroyed.
pub fn removal(
    system: &SystemName,
    vmid: Vmid,
    found: &ObservedGuest,
    seen: &ObservedProxmox,
    with_disks: &BTreeSet<String>,
    lab: bool,
) -> Result<Removal, Indestructible> {
    let name = found.name.clone();
    let tag = mark(system);
    let empty = BTreeMap::new();
    let config = found.config.as_ref().unwrap_or(&empty);
    if !is_marked(system, found) {
        return Err(Indestructible::NotOurs { vmid, name, tag });
    }
    if config.get("protection").is_some_and(|value| value == "1") {
        return Err(Indestructible::Protected { vmid, name });
    }
    if let Some(lock) = found.lock.clone() {
        return Err(Indestructible::Locked { vmid, name, lock });
    }
    let Ok(node) = HostName::new(found.node.clone()) else {
        return Err(Indestructible::NotOurs { vmid, name, tag });
    };
    let mut disks = disks(config);
    // Proxmox destroys what is attached at the next start, too.
    disks.extend(staged(&found.pending, &disks));
    let is_data = |disk: &&Held| !matches!(disk.key.as_str(), "scsi0" | "efidisk0" | "tpmstate0");
    for wanted in with_disks {
        let is_it = |disk: &Held| disk.name == *wanted || disk.key == *wanted;
        if !disks.iter().filter(is_data).any(is_it) {
            let disk = wanted.clone();
            return Err(Indestructible::NoSuchDisk { vmid, name, disk });
        }
    }
    let is_named = |disk: &Held| with_disks.contains(&disk.name) || with_disks.contains(&disk.key);
    let unnamed: Vec<String> = disks
        .iter()
        .filter(is_data)
        .filter(|disk| disk.owner == Some(vmid.number()) && !is_named(disk))
        .map(|disk| disk.name.clone())
        .collect();
    if !unnamed.is_empty() {
        let disks = unnamed;
        return Err(Indestructible::TakesDisks { vmid, name, disks });
    }
    let mut draft = Draft::default();
    draft.saw(&node);
    let subject = format!("guest {vmid} {name}");
    let mut needs = Vec::new();
    if found.status != "stopped" {
        needs.push(
            draft.propose(
                &node,
                &format!("{subject} power"),
                Proposal::update("a guest that runs is not destroyed")
                    .field("state", Some(&found.status), Some("stopped"))
                    .impact(Impact::Stop),
                Operation::StopGuest {
                    node: node.clone(),
                    vmid,
                },
            ),
        );
    }
    let mut proposal = Proposal::delete("you named it").impact(Impact::DestroysData);
    let mut stays = Vec::new();
    let mut more = Vec::new();
    for disk in &disks {
        let text = format!("{} {}", disk.volume, disk.size);
        if disk.owner == Some(vmid.number()) {
            proposal = proposal.field(&format!("disk {}", disk.name), Some(text.trim_end()), None);
        } else if is_named(disk) {
            more.push(disk);
        } else {
            stays.push(format!("disk {} ({}) stays", disk.name, text.trim_end()));
        }
    }
    for (key, value) in config {
        if key.trim_end_matches(|c: char| c.is_ascii_digit()) == "virtiofs" {
            stays.push(format!(
                "what {key} shares ({value}) stays, with its dataset"
            ));
        }
    }
    let destroyed = draft.propose(
        &node,
        &subject,
        proposal.after(needs),
        Operation::DestroyGuest {
            node: node.clone(),
            vmid,
            name: found.name.clone(),
            tag,
        },
    );
    for disk in more {
        draft.propose(
            &node,
            &format!("{subject} disk {}", disk.name),
            Proposal::delete("you named it")
                .field("volume", Some(&disk.volume), None)
                .impact(Impact::DestroysData)
                .after([destroyed.clone()]),
            Operation::DeleteVolume {
                node: node.clone(),
                volume: disk.volume.clone(),
            },
        );
    }
    for volume in seeds(system, vmid, &node, seen) {
        draft.propose(
            &node,
            &format!("{subject} seed {volume}"),
            Proposal::delete("nobody reads it any more").after([destroyed.clone()]),
            Operation::DeleteVolume {
                node: node.clone(),
                volume: volume.clone(),
            },
        );
    }
    Ok(Removal {
        plan: document(system, draft.changes, lab)?,
        stays,
    })
}

fn document(system: &SystemName, changes: Vec<Change>, lab: bool) -> Result<Plan, order::Cycle> {
    let steps = order::steps(&changes)?;
    Ok(Plan {
        version: VERSION,
        system: system.clone(),
        lab,
        fingerprint: fingerprint(&serde_json::to_vec(&changes).unwrap_or_default()),
        changes,
        steps,
        blocked: Vec::new(),
        unmanaged: Vec::new(),
        complaints: Vec::new(),
        compared: 1,
        hosts: 1,
        later: std::collections::BTreeMap::new(),
    })
}

/// Disks of staged changes that the running configuration does not hold.
fn staged(pending: &BTreeMap<String, Option<String>>, running: &[Held]) -> Vec<Held> {
    let set = pending
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let mut staged = disks(&set.collect());
    staged.retain(|disk| !running.iter().any(|held| held.volume == disk.volume));
    staged
}

fn disks(config: &BTreeMap<String, String>) -> Vec<Held> {
    let is_disk = |key: &str, value: &str| {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let kinds = [
            "scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "unused",
        ];
        stem.len() < key.len() && kinds.contains(&stem) && !value.contains("media=cdrom")
    };
    config
        .iter()
        .filter(|(key, value)| is_disk(key, value))
        .filter_map(|(key, value)| {
            let volume = value.split(',').next()?.to_owned();
            let serial = parts(key, value).remove("serial");
            Some(Held {
                name: serial.unwrap_or_else(|| key.clone()),
                key: key.clone(),
                size: disk_size(value).map_or(String::new(), |size| size.to_string()),
                owner: owner(&volume),
                volume,
            })
        })
        .collect()
}

/// The id that a volume carries: Proxmox destroys with a guest only those that carry the guest's own.
fn owner(volume: &str) -> Option<u32> {
    let (_, name) = volume.split_once(':')?;
    let last = name.rsplit('/').next()?;
    let number = ["vm-", "base-"]
        .iter()
        .find_map(|prefix| last.strip_prefix(prefix))?;
    number.split('-').next()?.parse().ok()
}

/// First-boot and sealed seeds of a guest on the storages that were listed.
fn seeds(system: &SystemName, vmid: Vmid, node: &HostName, seen: &ObservedProxmox) -> Vec<String> {
    let storages = seen.nodes.get(node).map(|live| live.storages.values());
    storages
        .into_iter()
        .flatten()
        .flat_map(|storage| storage.volumes.keys())
        .filter(|volume| is_seed_of(system, vmid, volume))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::KEEPER;

    fn guest(config: &[(&str, &str)]) -> ObservedGuest {
        let config = config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ObservedGuest {
            node: "pve".to_owned(),
            name: "files".to_owned(),
            kind: "qemu".to_owned(),
            status: "running".to_owned(),
            tags: vec!["infra".to_owned(), "infra-home".to_owned()],
            config: Some(config.collect()),
            ..ObservedGuest::default()
        }
    }

    fn vmid() -> Vmid {
        Vmid::new(112).expect("valid")
    }

    fn home() -> SystemName {
        "home".parse().expect("valid")
    }

    fn plan(found: &ObservedGuest, with: &[&str]) -> Result<Removal, Indestructible> {
        let with = with.iter().map(|name| (*name).to_owned()).collect();
        removal(
            &home(),
            vmid(),
            found,
            &ObservedProxmox::default(),
            &with,
            true,
        )
    }

    #[test]
    fn a_volume_says_whose_it_is() {
        for (volume, expected) in [
            ("local-zfs:vm-112-disk-0", Some(112)),
            ("local-zfs:base-9000-disk-0/vm-112-disk-1", Some(112)),
            ("local:112/vm-112-disk-0.qcow2", Some(112)),
            ("local-zfs:vm-999999999-home-photos", Some(KEEPER)),
            ("local:import/debian.qcow2", None),
            ("none", None),
        ] {
            assert_eq!(owner(volume), expected, "{volume}");
        }
    }

    #[test]
    fn a_running_guest_is_stopped_and_its_own_disks_go() {
        let found = guest(&[
            ("scsi0", "local-zfs:vm-112-disk-0,size=16G"),
            (
                "scsi1",
                "local-zfs:vm-999999999-home-photos,serial=photos,size=500G",
            ),
            ("ide2", "local:iso/infra-home-112-abc.iso,media=cdrom"),
            ("virtiofs0", "dirid=tank-media"),
        ]);
        let removal = plan(&found, &[]).expect("planned");
        let impacts: Vec<_> = removal.plan.changes.iter().map(|c| c.impact).collect();
        assert_eq!(impacts, [Impact::Stop, Impact::DestroysData]);
        assert_eq!(removal.stays.len(), 2, "{:?}", removal.stays);
        assert!(removal.stays[0].contains("photos"), "{:?}", removal.stays);
        let with = plan(&found, &["photos"]).expect("planned");
        assert!(matches!(
            &with.plan.changes[2].operation,
            Operation::DeleteVolume { volume, .. } if volume == "local-zfs:vm-999999999-home-photos"
        ));
    }

    #[test]
    fn data_disks_that_would_go_must_be_named() {
        let found = guest(&[
            ("scsi0", "local-zfs:vm-112-disk-0,size=16G"),
            ("scsi1", "local-zfs:vm-112-disk-1,serial=scratch,size=5G"),
            ("unused0", "local-zfs:vm-112-disk-2"),
        ]);
        let Err(Indestructible::TakesDisks { disks, .. }) = plan(&found, &[]) else {
            panic!("refused")
        };
        assert_eq!(disks, ["scratch", "unused0"]);
        assert!(plan(&found, &["scratch", "unused0"]).is_ok());
        assert!(matches!(
            plan(&found, &["scsi0"]),
            Err(Indestructible::NoSuchDisk { .. })
        ));
    }

    /// Proxmox destroys it with the guest.
    #[test]
    fn data_disks_that_wait_for_a_start_must_be_named() {
        let mut found = guest(&[("scsi0", "local-zfs:vm-112-disk-0,size=16G")]);
        let staged = "local-zfs:vm-112-disk-3,serial=films,size=5G";
        found.pending = BTreeMap::from([
            ("scsi2".to_owned(), Some(staged.to_owned())),
            ("memory".to_owned(), Some("2048".to_owned())),
            (
                "scsi0".to_owned(),
                Some("local-zfs:vm-112-disk-0,size=16G,ssd=1".to_owned()),
            ),
        ]);
        let Err(Indestructible::TakesDisks { disks, .. }) = plan(&found, &[]) else {
            panic!("refused")
        };
        assert_eq!(disks, ["films"]);
    }

    #[test]
    fn what_is_protected_locked_or_not_ours_is_refused() {
        let protected = guest(&[("protection", "1")]);
        assert!(matches!(
            plan(&protected, &[]),
            Err(Indestructible::Protected { .. })
        ));
        let locked = ObservedGuest {
            lock: Some("backup".to_owned()),
            ..guest(&[])
        };
        assert!(matches!(
            plan(&locked, &[]),
            Err(Indestructible::Locked { .. })
        ));
        let other = ObservedGuest {
            tags: vec!["infra-elsewhere".to_owned()],
            ..guest(&[])
        };
        assert!(matches!(
            plan(&other, &[]),
            Err(Indestructible::NotOurs { .. })
        ));
    }
}
