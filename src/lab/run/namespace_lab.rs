//! A lab with real guests in namespaces.

use super::{
    ahead::build_ahead,
    control::Control,
    error::RunError,
    node_api::{self, ApiSpec, NodeApi, NodePlace},
    outside::outside,
    serve::blocking,
    settings::Settings,
};
use crate::lab::{
    images::{Admits, RentedFolder, Sites, World, stand_ins, tls::Authority},
    namespace::{self, Key, Machine, PUBLIC_ADDRESS, Plan, Topology, VpnProvider, netns_path},
    state::{LabKind, LabState},
};
use crate::model::{
    desired::Desired,
    host::{HostMountSource, Node},
};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// A namespace lab that is up.
pub(super) struct NamespaceLab {
    pub(super) state: LabState,
    machine: Machine,
    _control: Control,
    _api: Option<NodeApi>,
    _world: Option<World>,
    _ahead: JoinSet<()>,
}

impl NamespaceLab {
    /// Takes it down.
    pub(super) async fn end(self) -> Result<(), RunError> {
        let machine = self.machine.clone();
        drop(self);
        blocking(move || Ok(machine.tear_down()?)).await
    }

    /// Builds everything, in the order in which one thing needs another.
    pub(super) async fn build(
        desired: &Desired,
        settings: &Settings,
        say: impl Fn(&str) + Copy + Send + 'static,
    ) -> Result<Self, RunError> {
        let topology = Topology::of(desired)?;
        let ahead = build_ahead(desired, settings, say)?;
        let cache = settings.cache.clone();
        let image = blocking(move || Ok(namespace::build_image(&cache, &say)?)).await?;
        let authority = Authority::load_or_make(&settings.cache.join("authority"))?;
        let folder = settings.folder.clone();
        let operator = Key::at(&folder.operator_key(), "infra-lab")?;
        let plan = Plan {
            folder,
            image: image.clone(),
            topology: topology.clone(),
            ca: Some(authority.pem().to_owned()),
            operator: operator.clone(),
            program: Some(settings.program.clone()),
        };
        say("building the network and booting its machines");
        let machine = blocking(move || Ok(Machine::build(plan)?)).await?;
        let sites = Sites::new(provider(desired, &topology, &machine, say).await?)
            .renting(rented(desired, settings));
        let world = outside(&topology, settings, &image, sites)?;
        let node = topology
            .node
            .as_ref()
            .and_then(|name| desired.nodes.get(name));
        let start =
            |node| node_api::start(desired, api(desired, node, &topology, &machine, settings));
        let api = node.map(start).transpose()?;
        let names = machine.names();
        let state = LabState {
            version: 1,
            kind: LabKind::Namespace,
            pid: std::process::id(),
            folder: settings.folder.root().to_owned(),
            system: desired.system.to_string(),
            api: api.as_ref().map(NodeApi::access),
            operator_netns: topology
                .operator
                .is_some()
                .then(|| netns_path(&names.operator())),
            known_hosts: machine.known_hosts(),
            operator_key: operator.path().to_owned(),
            operator_public_key: operator.public().to_owned(),
            ssh: BTreeMap::new(),
            images: api
                .as_ref()
                .map(|api| api.images.clone())
                .unwrap_or_default(),
            clock: settings.clock,
            stand_ins: list_of_stand_ins(),
        };
        let world_of_api = api.as_ref().map(|api| api.world.clone());
        Ok(Self {
            state,
            machine,
            _control: Control::open(&settings.folder, world_of_api, None)?,
            _api: api,
            _world: world,
            _ahead: ahead,
        })
    }
}

/// The API of the one node.
fn api(
    desired: &Desired,
    node: &Node,
    topology: &Topology,
    machine: &Machine,
    settings: &Settings,
) -> ApiSpec {
    let place = NodePlace {
        bridges: topology.bridges.clone(),
        gateway: topology.node_gateways.first().copied(),
    };
    let port = desired.proxmox.as_ref().map_or(8006, |api| api.port);
    ApiSpec {
        nodes: BTreeMap::from([(node.name.clone(), place)]),
        address: SocketAddr::new(node.address, port),
        netns: Some(netns_path(&machine.names().node())),
        backend: Arc::new(machine.clone()),
        folder: settings.folder.api(),
        clock: settings.clock,
    }
}

/// The `WebDAV` folders that hosts mount, each behind its own name.
fn rented(desired: &Desired, settings: &Settings) -> BTreeMap<String, RentedFolder> {
    let mounts = desired.hosts.values().flat_map(|host| &host.mounts);
    mounts
        .filter_map(|mount| match &mount.source {
            HostMountSource::WebDav { url, user, .. } => {
                let name = url.strip_prefix("https://")?.split(['/', ':']).next()?;
                let folder = RentedFolder {
                    user: user.clone(),
                    root: settings.folder.rented(name),
                };
                Some((name.to_owned(), folder))
            }
            HostMountSource::Device { .. } => None,
        })
        .collect()
}

/// A VPN provider, where a stack wants to leave through one.
async fn provider(
    desired: &Desired,
    topology: &Topology,
    machine: &Machine,
    say: impl Fn(&str),
) -> Result<Option<Arc<dyn Admits>>, RunError> {
    let mut texts = desired.stacks.values().flat_map(|stack| &stack.files);
    let is_wanted = texts.any(|file| file.text.contains("VPN_SERVICE_PROVIDER"));
    if !is_wanted || topology.router.is_empty() {
        return Ok(None);
    }
    let names = machine.names().clone();
    let started = blocking(move || Ok(VpnProvider::start(&names, PUBLIC_ADDRESS)?)).await?;
    if started.is_none() {
        say("no VPN provider: install wireguard-go and wireguard-tools on this machine");
    }
    Ok(started.map(|provider| Arc::new(provider) as Arc<dyn Admits>))
}

fn list_of_stand_ins() -> BTreeMap<String, String> {
    let catalogue = stand_ins::catalogue();
    let entries = catalogue.stand_ins.values();
    entries
        .flat_map(|entry| {
            entry
                .images
                .keys()
                .map(|image| (image.clone(), entry.runs.clone()))
        })
        .collect()
}
