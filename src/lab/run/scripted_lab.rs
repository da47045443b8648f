//! A lab of scripted hosts: in memory, on loopback ports, without root.

use super::{
    control::Control,
    error::{RunError, failed},
    node_api::{self, ApiSpec, NodeApi, NodePlace},
    settings::Settings,
};
use crate::lab::{
    folder::LabFolder,
    namespace::Key,
    scripted::{ScriptedHosts, ScriptedNode, ScriptedOptions},
    state::{LabKind, LabState},
};
use crate::model::{desired::Desired, host::Node, ids::BridgeName};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// A scripted lab that is up.
pub(super) struct ScriptedLab {
    pub(super) state: LabState,
    folder: LabFolder,
    _control: Control,
    _api: NodeApi,
}

impl ScriptedLab {
    /// Starts the hosts and the API that powers them. Nothing of an earlier scripted lab is remembered, since its
    /// hosts were gone with their process.
    pub(super) fn build(desired: &Desired, settings: &Settings) -> Result<Self, RunError> {
        if desired.nodes.is_empty() {
            return Err(RunError::NoNode);
        }
        let folder = settings.folder.scripted();
        forget(&folder)?;
        fs::create_dir_all(folder.root()).map_err(failed("create", folder.root()))?;
        let operator = Key::at(&settings.folder.operator_key(), "infra-lab")?;
        let places: BTreeMap<_, _> = desired
            .nodes
            .values()
            .map(|node| (node.name.clone(), place(desired, node)))
            .collect();
        let hosts = ScriptedHosts::start(&ScriptedOptions {
            nodes: desired
                .nodes
                .values()
                .map(|node| (node.name.clone(), scripted(desired, node, &folder)))
                .collect(),
            externals: desired
                .hosts
                .values()
                .map(|host| (host.name.clone(), host.ssh.user.clone()))
                .collect(),
            guests: desired.guests.keys().cloned().collect(),
            operator_public_key: operator.public().to_owned(),
            clock: settings.clock,
        })?;
        let api = node_api::start(
            desired,
            ApiSpec {
                nodes: places,
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                netns: None,
                backend: Arc::new(hosts.clone()),
                folder: folder.api(),
                clock: settings.clock,
            },
        )?;
        let state = LabState {
            version: 1,
            kind: LabKind::Scripted,
            pid: std::process::id(),
            folder: folder.root().to_owned(),
            system: desired.system.to_string(),
            api: Some(api.access()),
            operator_netns: None,
            known_hosts: hosts.known_hosts(),
            operator_key: operator.path().to_owned(),
            operator_public_key: operator.public().to_owned(),
            ssh: hosts.ssh(),
            images: api.images.clone(),
            clock: settings.clock,
            stand_ins: BTreeMap::new(),
        };
        Ok(Self {
            state,
            folder,
            _control: Control::open(&settings.folder, Some(api.world.clone()), Some(hosts))?,
            _api: api,
        })
    }

    /// Ends everything and forgets it.
    pub(super) fn end(self) -> Result<(), RunError> {
        let folder = self.folder.clone();
        drop(self);
        forget(&folder)
    }
}

fn forget(folder: &LabFolder) -> Result<(), RunError> {
    match fs::remove_dir_all(folder.root()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder.root())(error))
        }
        _ => Ok(()),
    }
}

/// The bridges that the inventory gives to a node, by its own addresses, by zones and by cards of its guests.
fn place(desired: &Desired, node: &Node) -> NodePlace {
    let mut bridges = node.bridges.clone();
    let of_zones = desired
        .zones
        .values()
        .filter_map(|zone| zone.bridge.as_ref());
    let of_guests = desired
        .guests
        .values()
        .filter(|guest| guest.node == node.name);
    let of_cards = of_guests.flat_map(|guest| guest.nics.iter().map(|nic| &nic.bridge));
    for bridge in of_zones.chain(of_cards) {
        bridges.entry(bridge.clone()).or_default();
    }
    NodePlace {
        bridges,
        gateway: None,
    }
}

fn scripted(desired: &Desired, node: &Node, folder: &LabFolder) -> ScriptedNode {
    let words = |(name, addresses): (BridgeName, Vec<IpNet>)| {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        (name.to_string(), addresses)
    };
    let pools = desired.zpools.values();
    ScriptedNode {
        bridges: place(desired, node)
            .bridges
            .into_iter()
            .map(words)
            .collect(),
        zpools: pools
            .filter(|pool| pool.host == node.name)
            .map(|pool| pool.name.to_string())
            .collect(),
        pve: Some(folder.api().join("pve")),
    }
}
