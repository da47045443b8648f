//! The Proxmox API of a lab.

use super::{
    error::{RunError, failed},
    qcow2,
};
use crate::lab::{
    api::{
        BridgeConfig, CatalogueImage, Certificate, Clock, Faults, Handle, NodeConfig,
        StorageConfig, TokenConfig, World, WorldConfig, serve,
    },
    backend::Backend,
    netns,
    state::LabApi,
};
use crate::model::{
    desired::Desired,
    host::Node,
    ids::{BridgeName, HostName, StorageId},
    image::ImageSource,
};
use ipnet::IpNet;
use rand::RngCore;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The token that a lab gives to infra.
const TOKEN_ID: &str = "infra@pve!lab";

/// Larger than any disk that a homelab asks for: nothing of it is used up.
const CAPACITY: u64 = 4 << 40;

/// What a directory storage of a fresh Proxmox may hold, `import` switched on by its owner.
const DIRECTORY_CONTENT: [&str; 5] = ["backup", "import", "iso", "snippets", "vztmpl"];

/// A running API, with what a client must know.
pub(super) struct NodeApi {
    pub(super) address: SocketAddr,
    pub(super) fingerprint: String,
    pub(super) token_id: &'static str,
    pub(super) token_secret: String,
    /// Inventory image -> URL and SHA-256.
    pub(super) images: BTreeMap<String, (String, String)>,
    pub(super) world: World,
    _handle: Handle,
}

impl NodeApi {
    /// How a client finds it and is let in.
    pub(super) fn access(&self) -> LabApi {
        LabApi {
            address: self.address,
            fingerprint: self.fingerprint.clone(),
            token_id: self.token_id.to_owned(),
            token_secret: self.token_secret.clone(),
        }
    }
}

/// A node as its network is.
pub(super) struct NodePlace {
    /// Bridges and the node's addresses on them.
    pub(super) bridges: BTreeMap<BridgeName, Vec<IpNet>>,
    /// Default gateway.
    pub(super) gateway: Option<IpAddr>,
}

/// An API to start.
pub(super) struct ApiSpec {
    pub(super) nodes: BTreeMap<HostName, NodePlace>,
    /// Where it answers; port 0 takes a free one.
    pub(super) address: SocketAddr,
    /// Network namespace of the socket; the machine's own if absent.
    pub(super) netns: Option<PathBuf>,
    pub(super) backend: Arc<dyn Backend>,
    /// Where it keeps its files and what it remembers.
    pub(super) folder: PathBuf,
    pub(super) clock: f64,
}

/// The least privileges, and those that an inventory takes which declares what goes beyond them.
fn token(desired: &Desired, secret: &str) -> TokenConfig {
    let mut token = TokenConfig::least(secret);
    let guests = || desired.guests.values();
    let more = [
        ("Sys.Console", guests().any(|guest| guest.ha.is_some())),
        (
            "VM.Replicate",
            guests().any(|guest| !guest.replicas.is_empty()),
        ),
        ("SDN.Allocate", !desired.sdn.is_empty()),
    ];
    for (privilege, _) in more.iter().filter(|(_, is_needed)| *is_needed) {
        for privileges in token.grants.values_mut() {
            privileges.push((*privilege).to_owned());
        }
    }
    token
}

/// The PCI mappings that guests take: in a lab all of them are graphics cards.
fn graphics(desired: &Desired) -> BTreeSet<String> {
    let devices = desired.guests.values().flat_map(|guest| &guest.pci);
    devices.map(|device| device.mapping.clone()).collect()
}

/// Starts the API, with what the inventory expects of nodes that somebody installed: bridges, storages, a token with
/// the least privileges, and images to download.
///
/// # Errors
/// When the address is taken or the lab's folder cannot be used.
pub(super) fn start(desired: &Desired, spec: ApiSpec) -> Result<NodeApi, RunError> {
    let folder = spec.folder;
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    let image = folder.join("cloud-image.qcow2");
    let bytes = qcow2::empty();
    fs::write(&image, &bytes).map_err(failed("write", &image))?;
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let token_secret = kept_secret(&folder.join("token"))?;
    let urls: Vec<(String, String)> = desired
        .images
        .values()
        .filter_map(|wanted| match &wanted.source {
            ImageSource::Download(download) => {
                Some((wanted.name.to_string(), download.url.clone()))
            }
            ImageSource::Upload { .. } | ImageSource::Volume(_) | ImageSource::Template => None,
        })
        .collect();
    let catalogue = urls.iter().map(|(_, url)| {
        let sha256 = Some(sha256.clone());
        let file = image.clone();
        (url.clone(), CatalogueImage { file, sha256 })
    });
    let nodes = || {
        let places = spec.nodes.iter();
        places.filter_map(|(name, place)| Some((desired.nodes.get(name)?, place)))
    };
    let names = nodes().flat_map(|(node, _)| [node.name.to_string(), node.address.to_string()]);
    let names: Vec<String> = names.chain([spec.address.ip().to_string()]).collect();
    let config = WorldConfig {
        nodes: nodes()
            .map(|(node, place)| (node.name.to_string(), node_config(node, place)))
            .collect(),
        storages: storages(desired, nodes().map(|(node, _)| node), &folder),
        tokens: BTreeMap::from([(TOKEN_ID.to_owned(), token(desired, &token_secret))]),
        root_password: None,
        graphics: graphics(desired),
        catalogue: catalogue.collect(),
        clock: Clock::scaled(spec.clock),
        faults: Faults::default(),
        backend: spec.backend,
        saved: Some(folder.join("model.json")),
        node_files: Some(folder.clone()),
    };
    let certificate = Certificate::kept(&folder, &names)?;
    let world = World::new(config)?;
    let listener = netns::bind_tcp(spec.netns.as_deref(), spec.address).map_err(|source| {
        RunError::Process {
            verb: "bind the API's socket in",
            source,
        }
    })?;
    let handle = serve(listener, world.clone(), &certificate)?;
    let images = urls
        .into_iter()
        .map(|(name, url)| (name, (url, sha256.clone())));
    Ok(NodeApi {
        address: handle.address(),
        fingerprint: certificate.fingerprint(),
        token_id: TOKEN_ID,
        token_secret,
        images: images.collect(),
        world,
        _handle: handle,
    })
}

fn node_config(node: &Node, place: &NodePlace) -> NodeConfig {
    let bridges = place.bridges.iter().map(|(name, addresses)| {
        let is_management = addresses.iter().any(|a| a.addr() == node.address);
        let gateway = place.gateway.filter(|_| is_management);
        let bridge = BridgeConfig {
            cidr: addresses.first().map(ToString::to_string),
            gateway: gateway.map(|gateway| gateway.to_string()),
            // The LAN's bridge has the machine's card; the others join guests only.
            ports: if is_management {
                vec!["eno1".to_owned()]
            } else {
                Vec::new()
            },
            vlan_aware: false,
        };
        (name.to_string(), bridge)
    });
    NodeConfig {
        address: node.address,
        bridges: bridges.collect(),
    }
}

/// What the inventory names: directories for images and seeds, thin storages for disks alone.
fn storages<'a>(
    desired: &'a Desired,
    nodes: impl Iterator<Item = &'a Node>,
    folder: &Path,
) -> BTreeMap<String, StorageConfig> {
    let disks: BTreeSet<&StorageId> = desired.guests.values().map(|g| &g.disk.storage).collect();
    let directories: BTreeSet<&StorageId> = nodes
        .flat_map(|node| [&node.iso_storage, &node.import_storage])
        .collect();
    disks
        .union(&directories)
        .map(|id| {
            let is_directory = directories.contains(id);
            let mut content = Vec::new();
            if is_directory {
                content.extend(DIRECTORY_CONTENT.map(str::to_owned));
            }
            if disks.contains(id) {
                content.extend(["images", "rootdir"].map(str::to_owned));
            }
            let path = if id.as_str() == "local" {
                "/var/lib/vz".to_owned()
            } else {
                format!("/mnt/pve/{id}")
            };
            let storage = StorageConfig {
                kind: if is_directory { "dir" } else { "zfspool" }.to_owned(),
                content,
                path: is_directory.then_some(path),
                pool: (!is_directory).then(|| "rpool/data".to_owned()),
                folder: folder.join("storage").join(id.as_str()),
                capacity: CAPACITY,
            };
            (id.to_string(), storage)
        })
        .collect()
}

/// The token's secret, a random UUID as Proxmox makes them; kept, since the API remembers its tokens too.
fn kept_secret(path: &Path) -> Result<String, RunError> {
    match fs::read_to_string(path) {
        Ok(secret) => return Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    let mut bytes = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = bytes
        .iter()
        .fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    let secret = parts.join("-");
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, secret.as_bytes()))
        .map_err(failed("write", path))?;
    Ok(secret)
}
