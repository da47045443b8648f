//! What a lab's cluster is made of at its beginning.

use super::{
    clock::Clock,
    fault::Faults,
    model::{
        access::{Access, Grant, LEAST_PRIVILEGES, Token, User},
        cluster::{GRAPHICS, Mapping, Model, Node},
        network::{Interface, Network},
        storage::{Storage, Storages},
    },
};
use crate::lab::backend::Backend;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
};

/// A cluster to make.
#[derive(Clone)]
pub struct WorldConfig {
    /// Members by name.
    pub nodes: BTreeMap<String, NodeConfig>,
    /// Storages by id.
    pub storages: BTreeMap<String, StorageConfig>,
    /// API tokens by full id: `infra@pve!lab`.
    pub tokens: BTreeMap<String, TokenConfig>,
    /// Password of `root@pam`; without one, root cannot log in.
    pub root_password: Option<String>,
    /// PCI mappings by id: on each of them, every node has its graphics card.
    pub graphics: BTreeSet<String>,
    /// What download-url finds: URL -> file.
    pub catalogue: BTreeMap<String, CatalogueImage>,
    /// The lab's time.
    pub clock: Clock,
    /// Faults to inject.
    pub faults: Faults,
    /// What powers guests and enforces the firewall.
    pub backend: Arc<dyn Backend>,
    /// Where the model is saved after each change; nowhere if absent.
    pub saved: Option<PathBuf>,
    /// Folder with the node's `/etc/pve` (`pve`) and what its firewall daemon tells (`pve-firewall`): the firewall's
    /// files there are the truth. Without one the firewall lives in the model alone.
    pub node_files: Option<PathBuf>,
}

/// A cluster member.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its address in the cluster.
    pub address: IpAddr,
    /// Its bridges.
    pub bridges: BTreeMap<String, BridgeConfig>,
}

/// A bridge of a node.
#[derive(Debug, Clone, Default)]
pub struct BridgeConfig {
    /// Address in CIDR form.
    pub cidr: Option<String>,
    /// Default gateway.
    pub gateway: Option<String>,
    /// Ports; a bridge without any carries no VLAN tags unless it is VLAN aware.
    pub ports: Vec<String>,
    /// `bridge_vlan_aware`.
    pub vlan_aware: bool,
}

/// A storage.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// `dir` or `zfspool`.
    pub kind: String,
    /// What it may hold: `images`, `iso`, `import` ...
    pub content: Vec<String>,
    /// Path on the node (`dir`) as the API shows it.
    pub path: Option<String>,
    /// Dataset (`zfspool`).
    pub pool: Option<String>,
    /// The lab's own folder for its files, with Proxmox's layout: `template/iso`, `import` ...
    pub folder: PathBuf,
    /// Bytes in all.
    pub capacity: u64,
}

/// An API token.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// Its secret.
    pub secret: String,
    /// Whether it has only its own rights; false gives it all rights of its user.
    pub privsep: bool,
    /// Path -> privileges that user and token get there; [`LEAST_PRIVILEGES`] on `/` is what infra needs.
    pub grants: BTreeMap<String, Vec<String>>,
}

impl TokenConfig {
    /// A separated token with exactly what infra needs.
    pub fn least(secret: impl Into<String>) -> Self {
        let privileges = LEAST_PRIVILEGES
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        Self {
            secret: secret.into(),
            privsep: true,
            grants: BTreeMap::from([("/".to_owned(), privileges)]),
        }
    }
}

/// An image that can be downloaded.
#[derive(Debug, Clone)]
pub struct CatalogueImage {
    /// The file.
    pub file: PathBuf,
    /// Its SHA-256 in hex, if known; computed when asked for otherwise.
    pub sha256: Option<String>,
}

impl WorldConfig {
    /// A cluster of one node without guests, storages or tokens.
    pub fn single(node: &str, address: IpAddr, backend: Arc<dyn Backend>) -> Self {
        let config = NodeConfig {
            address,
            bridges: BTreeMap::new(),
        };
        Self {
            nodes: BTreeMap::from([(node.to_owned(), config)]),
            storages: BTreeMap::new(),
            tokens: BTreeMap::new(),
            root_password: None,
            graphics: BTreeSet::new(),
            catalogue: BTreeMap::new(),
            clock: Clock::scaled(1.0),
            faults: Faults::default(),
            backend,
            saved: None,
            node_files: None,
        }
    }

    /// The model at its beginning.
    pub(crate) fn model(&self, key: String, now: i64) -> Model {
        Model {
            version: 1,
            key,
            nodes: self
                .nodes
                .iter()
                .map(|(name, node)| (name.clone(), node.model(now)))
                .collect(),
            storages: Storages {
                all: self
                    .storages
                    .iter()
                    .map(|(id, storage)| (id.clone(), storage.model()))
                    .collect(),
                ..Storages::default()
            },
            devices: self
                .graphics
                .iter()
                .map(|id| (id.clone(), self.graphics_card()))
                .collect(),
            access: self.access(),
            ..Model::default()
        }
    }

    fn graphics_card(&self) -> Mapping {
        let nodes = self.nodes.keys();
        Mapping {
            map: nodes
                .map(|node| format!("node={node},path={GRAPHICS},id=8086:1912"))
                .collect(),
            ..Mapping::default()
        }
    }

    fn access(&self) -> Access {
        let mut access = Access::default();
        if let Some(root) = access.users.get_mut("root@pam") {
            root.password.clone_from(&self.root_password);
        }
        for (full, config) in &self.tokens {
            let (owner, id) = full.split_once('!').unwrap_or((full, "lab"));
            let user = access
                .users
                .entry(owner.to_owned())
                .or_insert_with(User::default);
            let token = Token {
                secret: config.secret.clone(),
                privsep: config.privsep,
                comment: None,
            };
            user.tokens.insert(id.to_owned(), token);
            for (path, privileges) in &config.grants {
                let role = format!("Lab{}", access.roles.len() + 1);
                access
                    .roles
                    .insert(role.clone(), privileges.iter().cloned().collect());
                for ugid in [owner, full] {
                    let (path, ugid, role) = (path.clone(), ugid.to_owned(), role.clone());
                    access.grants.push(Grant {
                        path,
                        ugid,
                        role,
                        propagate: true,
                    });
                }
            }
        }
        access
    }
}

impl NodeConfig {
    fn model(&self, now: i64) -> Node {
        let mut live = BTreeMap::new();
        for (number, (name, bridge)) in (3..).zip(&self.bridges) {
            for port in &bridge.ports {
                let port_config = Interface {
                    kind: "eth".to_owned(),
                    active: true,
                    priority: number,
                    ..Interface::default()
                };
                live.insert(port.clone(), port_config);
            }
            live.insert(
                name.clone(),
                Interface {
                    kind: "bridge".to_owned(),
                    cidr: bridge.cidr.clone(),
                    gateway: bridge.gateway.clone(),
                    ports: bridge.ports.join(" "),
                    autostart: true,
                    vlan_aware: bridge.vlan_aware,
                    comments: None,
                    active: true,
                    priority: number,
                    ..Interface::default()
                },
            );
        }
        Node {
            address: self.address.to_string(),
            network: Network { live, staged: None },
            is_counted: false,
            booted: now,
            is_off: false,
            sdn_lags: false,
        }
    }
}

impl StorageConfig {
    fn model(&self) -> Storage {
        Storage {
            kind: self.kind.clone(),
            content: self.content.iter().cloned().collect(),
            path: self.path.clone(),
            pool: self.pool.clone(),
            shared: false,
            capacity: self.capacity,
            is_full: false,
        }
    }
}
