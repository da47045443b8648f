//! What has to be looked at before a plan can be made.

use super::{diff, removal};
use crate::model::{
    cluster::EntryKind,
    dataset::MARKER,
    desired::Desired,
    facts::FactsRequest,
    host::Node,
    ids::{HostName, Vmid},
    image::ImageSource,
    reference::Reference,
    release::Release,
    resource::Resource,
};
use std::collections::{BTreeMap, BTreeSet};

/// One question to the API and one to each host: round trips grow with hosts, not with objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// To the API; none for a system without Proxmox.
    pub proxmox: Option<ProxmoxQuestions>,
    /// To each host's shell.
    pub hosts: BTreeMap<HostName, FactsRequest>,
    /// Guest behind a host name: it is asked only while it runs.
    pub guests: BTreeMap<HostName, Vmid>,
}

/// What the API is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxmoxQuestions {
    /// Nodes of the inventory.
    pub nodes: Vec<HostName>,
    /// Storages whose volumes are listed: node -> (storage, content type).
    pub volumes: BTreeMap<HostName, BTreeSet<(String, String)>>,
    /// Guests whose configuration and firewall are read, each with the node on which it would be made.
    pub guests: BTreeMap<Vmid, HostName>,
    /// The tag of guests that infra made: those that left the inventory still hold their disks, so their configuration
    /// is read too.
    pub mark: String,
    /// Whether the pools are listed.
    pub pools: bool,
    /// The kinds of the cluster's own entries that are listed.
    pub entries: BTreeSet<EntryKind>,
}

/// The questions of an inventory.
pub fn questions<'a>(
    desired: &Desired,
    resources: &BTreeMap<HostName, Vec<Resource>>,
    releases: impl Iterator<Item = &'a Release>,
) -> Questions {
    let mut hosts: BTreeMap<HostName, FactsRequest> = desired
        .all_hosts()
        .map(|host| (host.clone(), FactsRequest::default()))
        .collect();
    for (host, list) in resources {
        let request = hosts.entry(host.clone()).or_default();
        for resource in list {
            ask(request, resource);
        }
        request.ufw = !desired.nodes.contains_key(host);
    }
    for release in releases {
        let request = hosts.entry(release.host.clone()).or_default();
        request.docker = true;
        request.paths.extend(diff::stack_paths(release));
        request.units.push(release.unit.name.clone());
    }
    for pool in desired.zpools.values() {
        hosts
            .entry(pool.host.clone())
            .or_default()
            .zpools
            .push(pool.name.to_string());
    }
    for dataset in desired.datasets.values() {
        if let Some(mountpoint) = dataset.properties.get("mountpoint") {
            let request = hosts.entry(dataset.host.clone()).or_default();
            request.paths.extend(
                dataset
                    .directories
                    .iter()
                    .map(|d| diff::directory(mountpoint, &d.path)),
            );
            if desired.is_worked_on(&dataset.name) {
                request.paths.push(diff::directory(mountpoint, MARKER));
            }
        }
    }
    if let Some(request) = teller(desired).and_then(|node| hosts.get_mut(node)) {
        request.pve_firewall = true;
    }
    for request in hosts.values_mut() {
        for list in [
            &mut request.packages,
            &mut request.paths,
            &mut request.units,
            &mut request.sysctls,
            &mut request.nft_tables,
        ] {
            list.sort();
            list.dedup();
        }
    }
    Questions {
        proxmox: desired.proxmox.as_ref().map(|_| ProxmoxQuestions {
            nodes: desired.nodes.keys().cloned().collect(),
            volumes: desired
                .nodes
                .values()
                .map(|node| (node.name.clone(), volumes(desired, node)))
                .collect(),
            guests: desired
                .guests
                .values()
                .map(|guest| (guest.vmid, guest.node.clone()))
                .chain(templates(desired))
                .chain(
                    desired
                        .adopted
                        .values()
                        .map(|adopted| (adopted.vmid, adopted.node.clone())),
                )
                .collect(),
            mark: removal::mark(&desired.system),
            entries: entries(desired),
            pools: desired.guests.values().any(|guest| guest.pool.is_some()),
        }),
        hosts,
        guests: desired
            .guests
            .iter()
            .map(|(name, guest)| (name.clone(), guest.vmid))
            .collect(),
    }
}

/// The node whose shell tells the firewall of all guests in one go: the one that answers the API, where it is known. The
/// API itself would be asked four times for each guest.
fn teller(desired: &Desired) -> Option<&HostName> {
    let api = desired.proxmox.as_ref()?;
    if !desired.speaks_of_firewalls() {
        return None;
    }
    let answers =
        |node: &&Node| node.address.to_string() == api.host || node.name.as_str() == api.host;
    let node = desired.nodes.values().find(answers);
    node.or(desired.nodes.values().next())
        .map(|node| &node.name)
}

/// What the cluster does for guests. A single node does none of it, unless somebody wants it to.
fn entries(desired: &Desired) -> BTreeSet<EntryKind> {
    let mut kinds = of_guests(desired);
    if !desired.sdn.is_empty() {
        kinds.extend([EntryKind::SdnZone, EntryKind::SdnVnet]);
    }
    kinds
}

fn of_guests(desired: &Desired) -> BTreeSet<EntryKind> {
    let wanted = desired
        .guests
        .values()
        .any(|guest| guest.ha.is_some() || !guest.replicas.is_empty());
    if desired.nodes.len() < 2 && !wanted {
        return BTreeSet::new();
    }
    BTreeSet::from([
        EntryKind::HaResource,
        EntryKind::HaRule,
        EntryKind::Replication,
    ])
}

/// What is looked for on a node's storages: seeds, images, and disks that outlive guests.
fn volumes(desired: &Desired, node: &Node) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::from([
        (node.iso_storage.to_string(), "iso".to_owned()),
        (node.import_storage.to_string(), "import".to_owned()),
    ]);
    for image in desired.images.values() {
        if let ImageSource::Volume(volume) = &image.source
            && let Some((storage, name)) = volume.split_once(':')
        {
            let kind = if name.starts_with("import/") {
                "import"
            } else {
                "images"
            };
            out.insert((storage.to_owned(), kind.to_owned()));
        }
    }
    for adopted in desired.adopted.values() {
        for (_, reference) in Reference::of(&adopted.config) {
            if let Reference::Snippet(volume) = reference
                && let Some((storage, _)) = volume.split_once(':')
            {
                out.insert((storage.to_owned(), "snippets".to_owned()));
            }
        }
    }
    for disk in desired.guests.values().flat_map(|guest| &guest.disks) {
        if disk.keep {
            out.insert((disk.storage.to_string(), "images".to_owned()));
        }
    }
    out
}

/// Templates, each with the node of a guest that is made from it.
fn templates(desired: &Desired) -> impl Iterator<Item = (Vmid, HostName)> {
    desired.guests.values().filter_map(|guest| {
        let template = desired.images.get(&guest.image)?.template.as_ref()?;
        let node = template.node.clone().unwrap_or_else(|| guest.node.clone());
        Some((template.vmid, node))
    })
}

fn ask(request: &mut FactsRequest, resource: &Resource) {
    match resource {
        Resource::Package(name) => request.packages.push(name.clone()),
        Resource::File(file) => request.paths.push(file.path.clone()),
        Resource::Directory { path, .. } | Resource::NoFile { path, .. } => {
            request.paths.push(path.clone());
        }
        Resource::Unit { name, .. } => request.units.push(name.clone()),
        Resource::Filesystem(filesystem) => request.disks.push(filesystem.disk.clone()),
        Resource::Sysctl { key, .. } => request.sysctls.push(key.clone()),
        Resource::NftTable { table, .. } => request.nft_tables.push(table.clone()),
    }
}
