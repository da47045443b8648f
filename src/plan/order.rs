//! Changes -> steps: what is carried out together, what waits for what.
//!
//! What Proxmox itself locks is known here. A VM's configuration, the cluster's firewall file and the mappings are lanes;
//! a storage's lock is held for a moment by whoever allocates a disk, so a few steps may queue for it at once.
//!
//! A lane is served one step at a time (one host, one guest, one stack, the cluster's firewall file); lanes run side by
//! side, so that what a stack waits for (images, health) is not waited for by its neighbours on the host. A step
//! waits for the one before it in its lane however that ends; only what it needs must have succeeded.

use super::{
    change::{Change, Operation},
    diff,
    draft::id,
};
use crate::model::{
    cluster::EntryKind,
    dataset::Dataset,
    desired::Desired,
    firewall_step::PveLevel,
    guest::{Guest, MountVia},
    ids::{DatasetName, HostName, Vmid},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One executable unit: changes that one connection carries out in one go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Lane: steps of one lane never run side by side.
    pub lane: String,
    /// Indexes into the plan's changes, in order.
    pub changes: Vec<usize>,
    /// Indexes of steps that must succeed first.
    pub needs: Vec<usize>,
    /// The step before it in its lane: it must have ended first, well or not.
    pub after: Option<usize>,
    /// Locks of Proxmox that it takes and that others may be waiting for.
    #[serde(default)]
    pub locks: Vec<ProxmoxLock>,
}

/// A lock for which only so many may queue, because Proxmox lets nobody wait longer than ten seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxmoxLock {
    /// `storage/pve/local-zfs`.
    pub name: String,
    /// Steps that may hold it or wait for it side by side.
    pub at_once: usize,
}

/// Allocating a disk holds a storage's lock for a second or two on slow disks: four in a row stay well below the ten
/// seconds after which Proxmox gives up (`cluster_lock_storage`).
const ALLOCATIONS_AT_ONCE: usize = 4;

/// The locks of Proxmox that a change takes beside its lane's.
fn locks(change: &Change) -> Vec<ProxmoxLock> {
    let some = |name: String| {
        vec![ProxmoxLock {
            name,
            at_once: ALLOCATIONS_AT_ONCE,
        }]
    };
    if let Operation::CloneGuest {
        from, target, full, ..
    } = &change.operation
    {
        // One that shares blocks is made where its template is.
        return some(match full {
            Some(storage) => format!("storage/{target}/{storage}"),
            None => format!("template/{from}"),
        });
    }
    if let Operation::AllocateDisk { node, storage, .. }
    | Operation::MoveDisk { node, storage, .. } = &change.operation
    {
        return some(format!("storage/{node}/{storage}"));
    }
    let (Operation::CreateGuest { node, params, .. }
    | Operation::ConfigureGuest {
        node, set: params, ..
    }) = &change.operation
    else {
        return Vec::new();
    };
    let allocated = |value: &String| {
        let (storage, rest) = value.split_once(':')?;
        let size = rest.split(',').next()?;
        // `storage:SIZE` allocates; `storage:volume` only attaches.
        size.parse::<f64>().ok()?;
        Some(format!("storage/{node}/{storage}"))
    };
    let names: BTreeSet<String> = params.values().filter_map(allocated).collect();
    names
        .into_iter()
        .map(|name| ProxmoxLock {
            name,
            at_once: ALLOCATIONS_AT_ONCE,
        })
        .collect()
}

/// A dependency cycle: a bug in the planner or two needs that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order the plan: these changes wait for each other: {}", .0.join(", "))]
pub struct Cycle(pub Vec<String>);

fn lane(change: &Change) -> String {
    match &change.operation {
        Operation::DownloadImage { node, .. }
        | Operation::UploadImage { node, .. }
        | Operation::AllocateDisk { node, .. } => format!("images/{node}"),
        Operation::MakeTemplate { vmid, .. } => format!("guest/{vmid}"),
        Operation::MakePool { .. } | Operation::JoinPool { .. } => "pools".to_owned(),
        Operation::CreateGuest { vmid, .. } if change.subject.starts_with("template ") => {
            format!("guest/{vmid}")
        }
        Operation::UploadBootSeed { seed, .. } | Operation::SealSeed { seed, .. } => {
            format!("guest/{}", seed.guest)
        }
        Operation::CreateGuest { .. }
        | Operation::CloneGuest { .. }
        | Operation::ConfigureGuest { .. }
        | Operation::GrowDisk { .. }
        | Operation::MoveDisk { .. }
        | Operation::MigrateGuest { .. }
        | Operation::EmptyDrive { .. }
        | Operation::StartGuest { .. }
        | Operation::StopGuest { .. }
        | Operation::DestroyGuest { .. }
        | Operation::DeleteVolume { .. }
        | Operation::RestartGuest { .. } => {
            let name = change.subject.split(' ').nth(2).unwrap_or(&change.subject);
            format!("guest/{name}")
        }
        // Each of these files of the cluster has a lock of its own.
        Operation::WriteEntry { kind, .. } => match kind {
            EntryKind::HaResource | EntryKind::HaRule => "ha".to_owned(),
            EntryKind::Replication => "replication".to_owned(),
            EntryKind::SdnZone | EntryKind::SdnVnet => "firewall".to_owned(),
        },
        Operation::MapDirectory { .. } => "mappings".to_owned(),
        // A node has one guard, so what it guards goes one after the other.
        Operation::Firewall { .. }
        | Operation::EnableFirewall { .. }
        | Operation::ApplyNetwork { .. }
        | Operation::ApplySdn { .. } => "firewall".to_owned(),
        Operation::CreateZpool { .. }
        | Operation::LoadKey { .. }
        | Operation::CreateDataset { .. }
        | Operation::SetProperties { .. }
        | Operation::MountDataset { .. }
        | Operation::DatasetDirectories { .. }
        | Operation::InstallPackages { .. }
        | Operation::MakeFilesystem(_)
        | Operation::GrowFilesystem(_)
        | Operation::WriteFile(_)
        | Operation::MakeDirectory { .. }
        | Operation::RemoveFile { .. }
        | Operation::SetUnit { .. }
        | Operation::SetSysctl { .. }
        | Operation::RestartUnit { .. }
        | Operation::RunCommand { .. }
        | Operation::Ufw(_) => format!("host/{}", change.host),
        Operation::DeployStack(release) => format!("stack/{}/{}", change.host, release.stack),
    }
}

/// What makes a host fit for its stacks: packages, files, units, kernel settings.
fn is_baseline(change: &Change) -> bool {
    matches!(
        change.operation,
        Operation::InstallPackages { .. }
            | Operation::WriteFile(_)
            | Operation::MakeDirectory { .. }
            | Operation::RemoveFile { .. }
            | Operation::SetUnit { .. }
            | Operation::SetSysctl { .. }
            | Operation::RestartUnit { .. }
            | Operation::RunCommand { .. }
    )
}

/// What is carried out in a host's shell.
fn is_on_host(change: &Change) -> bool {
    let lane = lane(change);
    lane.starts_with("host/") || lane.starts_with("stack/")
}

/// Changes of one batch go to the host in one call.
fn batch(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::WriteFile(_)
        | Operation::MakeDirectory { .. }
        | Operation::RemoveFile { .. } => Some("files"),
        Operation::SetUnit { .. } => Some("units"),
        Operation::SetSysctl { .. } => Some("sysctls"),
        // One guard covers them all, and one proof.
        Operation::Firewall { .. } | Operation::EnableFirewall { .. } => Some("firewall"),
        Operation::DownloadImage { .. }
        | Operation::UploadImage { .. }
        | Operation::MakeTemplate { .. }
        | Operation::CloneGuest { .. }
        | Operation::AllocateDisk { .. }
        | Operation::MoveDisk { .. }
        | Operation::MakePool { .. }
        | Operation::JoinPool { .. }
        | Operation::UploadBootSeed { .. }
        | Operation::SealSeed { .. }
        | Operation::CreateGuest { .. }
        | Operation::ConfigureGuest { .. }
        | Operation::GrowDisk { .. }
        | Operation::MigrateGuest { .. }
        | Operation::EmptyDrive { .. }
        | Operation::WriteEntry { .. }
        | Operation::ApplyNetwork { .. }
        | Operation::ApplySdn { .. }
        | Operation::StartGuest { .. }
        | Operation::StopGuest { .. }
        | Operation::DestroyGuest { .. }
        | Operation::DeleteVolume { .. }
        | Operation::RestartGuest { .. }
        | Operation::MapDirectory { .. }
        | Operation::CreateZpool { .. }
        | Operation::LoadKey { .. }
        | Operation::CreateDataset { .. }
        | Operation::SetProperties { .. }
        | Operation::MountDataset { .. }
        | Operation::DatasetDirectories { .. }
        | Operation::InstallPackages { .. }
        | Operation::MakeFilesystem(_)
        | Operation::GrowFilesystem(_)
        | Operation::RestartUnit { .. }
        | Operation::RunCommand { .. }
        | Operation::Ufw(_)
        | Operation::DeployStack(_) => None,
    }
}

/// Fills in the needs that follow from where things live, and drops those that the plan has no change for.
pub(super) fn complete_needs(changes: &mut [Change], desired: &Desired) {
    let ids: BTreeSet<String> = changes.iter().map(|change| change.id.clone()).collect();
    let lanes: Vec<String> = changes.iter().map(lane).collect();
    let in_lane = |wanted: &str| -> Vec<String> {
        changes
            .iter()
            .zip(&lanes)
            .filter(|(_, lane)| lane.as_str() == wanted)
            .map(|(change, _)| change.id.clone())
            .collect()
    };
    let firewall = in_lane("firewall");
    let mut baseline: BTreeMap<HostName, Vec<String>> = BTreeMap::new();
    for change in changes.iter().filter(|change| is_baseline(change)) {
        let ids = baseline.entry(change.host.clone()).or_default();
        ids.push(change.id.clone());
    }
    let mut networks: BTreeMap<HostName, Vec<String>> = BTreeMap::new();
    for change in changes.iter() {
        let reached: &[HostName] = if let Operation::ApplyNetwork { node, .. } = &change.operation {
            std::slice::from_ref(node)
        } else if let Operation::ApplySdn { nodes, .. } = &change.operation {
            nodes
        } else {
            &[]
        };
        for node in reached {
            let ids = networks.entry(node.clone()).or_default();
            ids.push(change.id.clone());
        }
    }
    let clone_of = |change: &Change| {
        if let Operation::CloneGuest { vmid, .. } = &change.operation {
            Some((*vmid, change.id.clone()))
        } else {
            None
        }
    };
    let clones: BTreeMap<Vmid, String> = changes.iter().filter_map(clone_of).collect();
    let baseline_of = |host: &HostName| baseline.get(host).into_iter().flatten().cloned();
    let mut extra: Vec<Vec<String>> = Vec::new();
    for change in changes.iter() {
        let mut more = Vec::new();
        // A card needs its bridge.
        if let Operation::CreateGuest { node, .. }
        | Operation::CloneGuest { target: node, .. }
        | Operation::ConfigureGuest { node, .. }
        | Operation::MigrateGuest { to: node, .. } = &change.operation
        {
            more.extend(networks.get(node).into_iter().flatten().cloned());
        }
        // Cloning puts the template's firewall, or none, in place of what stands there for the clone.
        if let Operation::Firewall { steps, .. } | Operation::EnableFirewall { steps, .. } =
            &change.operation
        {
            let guests = steps.iter().filter_map(|step| match step.level() {
                PveLevel::Guest(vmid) => Some(vmid),
                PveLevel::Cluster | PveLevel::Group(_) | PveLevel::Node(_) => None,
            });
            more.extend(guests.filter_map(|vmid| clones.get(vmid).cloned()));
        }
        if let Operation::StartGuest { guest, .. } | Operation::RestartGuest { guest, .. } =
            &change.operation
        {
            // A guest never runs unprotected, and finds its router ready.
            more.extend(firewall.iter().cloned());
            if let Some(guest) = desired.guests.get(guest) {
                more.extend(baseline_of(&guest.node));
                // virtiofsd holds the directory that it finds when it starts: a dataset that is mounted over it
                // later stays hidden from the guest until the guest is stopped.
                let mounts = guest.mounts.iter();
                let of_node = mounts.filter(|mount| mount.via == MountVia::Virtiofs);
                more.extend(behind(of_node.map(|mount| &mount.dataset), desired));
            }
        } else if is_on_host(change) {
            if let Some(guest) = desired.guests.get(&change.host) {
                more.extend(diff::running(guest));
                more.extend(baseline_of(&guest.node));
            }
            if let Operation::SetProperties { properties, .. }
            | Operation::CreateDataset { properties, .. } = &change.operation
                && properties.contains_key("sharenfs")
            {
                // ZFS asks the NFS server to share it.
                more.extend(baseline_of(&change.host));
            }
            if is_baseline(change)
                && let Some(guest) = desired.guests.get(&change.host)
            {
                more.extend(shared_with(guest, desired));
                // What it mounts over the network it must be let through to, at both ends.
                if matches!(&change.operation, Operation::SetUnit { unit, .. } if unit.strip_suffix(".mount").is_some())
                {
                    more.extend(servers(guest, desired).map(|server| id(&server.host, "ufw")));
                    more.push(id(&change.host, "ufw"));
                    more.extend(firewall.iter().cloned());
                }
            }
            if is_baseline(change) {
                // Resources are listed in the order in which they must be true.
                more.extend(
                    baseline_of(&change.host)
                        .take_while(|id| *id != change.id)
                        .last(),
                );
            } else if let Operation::DeployStack(release) = &change.operation {
                more.extend(in_lane(&format!("host/{}", change.host)));
                more.extend(behind(release.datasets.values(), desired));
            }
        }
        extra.push(more);
    }
    for (change, more) in changes.iter_mut().zip(extra) {
        let wanted: BTreeSet<String> = change
            .needs
            .drain(..)
            .chain(more)
            .flat_map(|need| match need.strip_prefix("*: ") {
                Some(subject) => {
                    let tail = format!(": {subject}");
                    ids.iter()
                        .filter(|id| id.ends_with(&tail))
                        .cloned()
                        .collect()
                }
                None => vec![need],
            })
            .filter(|need| ids.contains(need) && need != &change.id)
            .collect();
        change.needs = wanted.into_iter().collect();
    }
}

/// What happens to datasets before a stack or a guest works on them.
fn behind<'a>(
    names: impl Iterator<Item = &'a DatasetName> + 'a,
    desired: &'a Desired,
) -> impl Iterator<Item = String> + 'a {
    let known = names.filter_map(|name| desired.datasets.get(name));
    known.flat_map(|dataset| {
        ["", " mount", " directories"].map(|what| {
            let subject = diff::dataset_subject(&dataset.name);
            id(&dataset.host, &format!("{subject}{what}"))
        })
    })
}

/// What a guest mounts over NFS must be shared first.
fn shared_with<'a>(guest: &'a Guest, desired: &'a Desired) -> impl Iterator<Item = String> + 'a {
    servers(guest, desired).map(|dataset| id(&dataset.host, &diff::dataset_subject(&dataset.name)))
}

/// The datasets of other hosts that a guest mounts over NFS.
fn servers<'a>(guest: &'a Guest, desired: &'a Desired) -> impl Iterator<Item = &'a Dataset> + 'a {
    guest
        .mounts
        .iter()
        .filter(|mount| mount.via == MountVia::Nfs)
        .filter_map(|mount| desired.datasets.get(&mount.dataset))
        .filter(|dataset| dataset.host != guest.name)
}

/// Drops the needs that no change of the list answers.
pub(super) fn drop_foreign_needs(changes: &mut [Change]) {
    let ids: BTreeSet<String> = changes.iter().map(|change| change.id.clone()).collect();
    for change in changes {
        change.needs.retain(|need| ids.contains(need));
    }
}

/// Groups changes into steps and puts both into an order that respects every need. Deterministic: ties keep the
/// order in which the changes were found.
pub(super) fn steps(changes: &[Change]) -> Result<Vec<Step>, Cycle> {
    let order = topological(changes)?;
    let index: BTreeMap<&str, usize> = changes
        .iter()
        .enumerate()
        .map(|(at, change)| (change.id.as_str(), at))
        .collect();
    let mut steps: Vec<Step> = Vec::new();
    let mut step_of: BTreeMap<usize, usize> = BTreeMap::new();
    let mut last_in_lane: BTreeMap<String, usize> = BTreeMap::new();
    for at in order {
        let change = &changes[at];
        let lane = lane(change);
        let needs: BTreeSet<usize> = change
            .needs
            .iter()
            .filter_map(|need| index.get(need.as_str()))
            .filter_map(|need| step_of.get(need).copied())
            .collect();
        let previous = last_in_lane.get(&lane).copied();
        let joins = previous.filter(|previous| {
            let step = &steps[*previous];
            let same = batch(&change.operation).is_some()
                && batch(&changes[step.changes[0]].operation) == batch(&change.operation);
            // It may join when everything it waits for is done before that step anyway.
            same && needs
                .iter()
                .all(|need| need == previous || *need < *previous)
        });
        if let Some(previous) = joins {
            steps[previous].changes.push(at);
            let more: Vec<usize> = needs.into_iter().filter(|need| *need != previous).collect();
            steps[previous].needs.extend(more);
            steps[previous].needs.sort_unstable();
            steps[previous].needs.dedup();
            step_of.insert(at, previous);
            continue;
        }
        steps.push(Step {
            lane: lane.clone(),
            changes: vec![at],
            needs: needs.into_iter().collect(),
            after: previous,
            locks: locks(change),
        });
        step_of.insert(at, steps.len() - 1);
        last_in_lane.insert(lane, steps.len() - 1);
    }
    Ok(steps)
}

fn topological(changes: &[Change]) -> Result<Vec<usize>, Cycle> {
    let mut left: Vec<usize> = (0..changes.len()).collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let before = left.len();
        left.retain(|at| {
            let ready = changes[*at]
                .needs
                .iter()
                .all(|need| done.contains(need.as_str()));
            if ready {
                done.insert(&changes[*at].id);
                order.push(*at);
            }
            !ready
        });
        if left.len() == before {
            return Err(Cycle(
                left.iter().map(|at| changes[*at].id.clone()).collect(),
            ));
        }
    }
    Ok(order)
}
