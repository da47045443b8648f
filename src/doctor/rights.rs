//! The privileges that an inventory takes, each where it is needed and with the reason.
//!
//! Which call needs which privilege is in the API schema of PVE 9.2.11 and in its sources; `startup` and the cluster's
//! firewall want `Sys.Modify` on `/`, a download wants `Sys.AccessNetwork` on its node.

use super::{adopted, guests};
use crate::model::{
    desired::Desired,
    device::KEEPER,
    guest::{Guest, MountVia},
    health::Rights,
    image::ImageSource,
};

/// One privilege on one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// `VM.Allocate`.
    pub privilege: &'static str,
    /// `/vms/110`.
    pub path: String,
    /// What cannot be done without it.
    pub purpose: &'static str,
}

const GUEST: &[(&str, &str)] = &[
    ("VM.Audit", "see guests"),
    ("VM.Allocate", "make guests"),
    ("VM.Config.CDROM", "put the seed into a guest's drive"),
    ("VM.Config.CPU", "set cores and CPU type"),
    ("VM.Config.Disk", "attach and grow disks"),
    ("VM.Config.HWType", "set the hardware of guests"),
    ("VM.Config.Memory", "set memory"),
    (
        "VM.Config.Network",
        "set cards and write firewall rules of guests",
    ),
    ("VM.Config.Options", "set names, tags, notes and the agent"),
    ("VM.PowerMgmt", "start and stop guests"),
];

/// What a template takes that infra makes.
const TEMPLATE: &[(&str, &str)] = &[
    ("VM.Audit", "see guests"),
    ("VM.Allocate", "make templates"),
    ("VM.Config.Disk", "give templates their disk"),
    ("VM.Config.HWType", "set the hardware of templates"),
    ("VM.Config.Memory", "set memory"),
    ("VM.Config.Options", "set names, tags and notes"),
];

/// Everything that an inventory takes of a version of Proxmox VE.
pub fn needs(desired: &Desired, version: &str) -> Vec<Need> {
    let mut out = Vec::new();
    let mut need = |privilege, path: String, purpose| {
        out.push(Need {
            privilege,
            path,
            purpose,
        });
    };
    need(
        "Sys.Audit",
        "/".to_owned(),
        "see nodes, the cluster and its firewall",
    );
    need(
        "Sys.Modify",
        "/".to_owned(),
        "write the cluster's firewall and start orders",
    );
    for node in desired.nodes.values() {
        let storage = |id: &str| format!("/storage/{id}");
        let path = format!("/nodes/{}", node.name);
        need(
            "Sys.AccessNetwork",
            path.clone(),
            "let the node download images",
        );
        // A role on a node's own path replaces the one on `/`.
        need("Sys.Audit", path.clone(), "see a node and its firewall");
        if !node.made.is_empty() {
            need("Sys.Modify", path, "make bridges");
        } else if desired.speaks_of_firewalls() {
            need("Sys.Modify", path, "write a node's firewall");
        }
        for id in [node.iso_storage.as_str(), node.import_storage.as_str()] {
            need(
                "Datastore.Audit",
                storage(id),
                "see storages and their volumes",
            );
            need(
                "Datastore.AllocateTemplate",
                storage(id),
                "store seeds and images",
            );
        }
        need(
            "Datastore.Allocate",
            storage(node.iso_storage.as_str()),
            "delete seeds that were read: they carry private keys",
        );
    }
    let keeps = |guest: &Guest| guest.disks.iter().any(|disk| disk.keep);
    if desired.guests.values().any(keeps) {
        need(
            "VM.Config.Disk",
            format!("/vms/{KEEPER}"),
            "attach disks that outlive guests, which carry this id",
        );
        // One that may not be seen is missing in Proxmox's list, and with it the disk that it holds.
        need(
            "VM.Audit",
            "/vms".to_owned(),
            "see every guest that may hold a disk that outlives guests",
        );
    }
    for guest in desired.guests.values() {
        for (privilege, purpose) in GUEST {
            need(privilege, format!("/vms/{}", guest.vmid), purpose);
        }
        for storage in guests::storages(guest) {
            let path = format!("/storage/{storage}");
            need(
                "Datastore.Audit",
                path.clone(),
                "see storages and their volumes",
            );
            need("Datastore.AllocateSpace", path, "make disks");
        }
        if let Some(pool) = &guest.pool {
            let path = format!("/pool/{pool}");
            need("Pool.Audit", path.clone(), "see pools");
            need("Pool.Allocate", path, "put guests into pools");
        }
        if let Some(image) = desired.images.get(&guest.image)
            && let Some(template) = &image.template
        {
            let path = format!("/vms/{}", template.vmid);
            need("VM.Audit", path.clone(), "see templates");
            need("VM.Clone", path.clone(), "clone guests from templates");
            if image.source != ImageSource::Template {
                for (privilege, purpose) in TEMPLATE {
                    need(privilege, path.clone(), purpose);
                }
            }
            if let Some(storage) = &template.storage {
                let path = format!("/storage/{storage}");
                need(
                    "Datastore.Audit",
                    path.clone(),
                    "see storages and their volumes",
                );
                need("Datastore.AllocateSpace", path, "make disks");
            }
        }
        for card in &guest.nics {
            let zone = desired.sdn_zone_of(&card.bridge);
            let zone = zone.map_or("localnetwork", |zone| zone.name.as_str());
            let bridge = format!("/sdn/zones/{zone}/{}", card.bridge);
            need("SDN.Use", bridge, "connect cards to bridges");
        }
    }
    for adopted in desired.adopted.values() {
        adopted::needs(desired, adopted, &mut need);
    }
    if !desired.sdn.is_empty() {
        need("SDN.Audit", "/sdn".to_owned(), "see SDN zones");
        need(
            "SDN.Allocate",
            "/sdn".to_owned(),
            "make SDN zones and apply them",
        );
    }
    let all = || desired.guests.values();
    if all().any(|guest| guest.ha.is_some()) {
        need(
            "Sys.Console",
            "/".to_owned(),
            "put guests under high availability",
        );
    }
    for guest in all().filter(|guest| !guest.replicas.is_empty()) {
        const PURPOSE: &str = "keep copies of disks on other nodes";
        // Proxmox VE 9 made a privilege of its own for it.
        if version.starts_with("8.") {
            need("Datastore.Allocate", "/storage".to_owned(), PURPOSE);
        } else {
            need("VM.Replicate", format!("/vms/{}", guest.vmid), PURPOSE);
        }
    }
    if desired.nodes.len() > 1 {
        for guest in all() {
            let path = format!("/vms/{}", guest.vmid);
            need("VM.Migrate", path, "move guests between nodes");
        }
    }
    if desired.guests.values().any(shares) {
        for (privilege, purpose) in [
            ("Mapping.Audit", "see directory mappings"),
            ("Mapping.Modify", "make directory mappings"),
            ("Mapping.Use", "share directories into guests"),
        ] {
            need(privilege, "/mapping/dir".to_owned(), purpose);
        }
    }
    if desired.guests.values().any(|guest| !guest.pci.is_empty()) {
        need(
            "Mapping.Use",
            "/mapping/pci".to_owned(),
            "pass devices through",
        );
    }
    if desired.guests.values().any(|guest| !guest.usb.is_empty()) {
        need(
            "Mapping.Use",
            "/mapping/usb".to_owned(),
            "pass devices through",
        );
    }
    out.sort();
    out.dedup();
    out
}

/// What asking the agents of guests takes of a version of Proxmox VE. Everything else works without.
pub fn agent_needs(desired: &Desired, version: &str) -> Vec<Need> {
    // Proxmox VE 9 parted it into several.
    let privileges: &[_] = if version.starts_with("8.") {
        &[("VM.Monitor", "ask the agents of guests")]
    } else {
        &[
            ("VM.GuestAgent.Audit", "ask whether agents answer"),
            (
                "VM.GuestAgent.FileRead",
                "see what a first boot failed with",
            ),
        ]
    };
    let asked = desired.guests.values().filter(|guest| guest.agent);
    let of = |guest: &Guest| {
        let path = format!("/vms/{}", guest.vmid);
        privileges.iter().map(move |(privilege, purpose)| Need {
            privilege,
            path: path.clone(),
            purpose,
        })
    };
    asked.flat_map(of).collect()
}

fn shares(guest: &Guest) -> bool {
    guest
        .mounts
        .iter()
        .any(|mount| mount.via == MountVia::Virtiofs)
}

/// The needs that are not met.
pub fn missing(needs: Vec<Need>, rights: &Rights) -> Vec<Need> {
    needs
        .into_iter()
        .filter(|need| !rights.holds(need.privilege, &need.path))
        .collect()
}
