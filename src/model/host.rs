//! Machines and how to reach them.

use super::{
    address::Mac,
    cloud_init::CloudInit,
    ids::{BridgeName, HostName, SecretName, StorageId, ZoneName},
    network::Bridge,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// How to reach a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshAccess {
    /// Login name. Anyone but root needs passwordless sudo.
    pub user: String,
    /// TCP port, 22 unless the owner says otherwise.
    pub port: u16,
    /// Host to jump through, as `ssh -W` does.
    pub jump: Option<HostName>,
    /// Private key file; none means the agent and the defaults of `ssh -G`.
    pub identity: Option<String>,
}

/// A Proxmox node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name in the cluster (API path `/nodes/{node}`).
    pub name: HostName,
    /// Management address.
    pub address: IpAddr,
    /// Shell access.
    pub ssh: SshAccess,
    /// The node's own addresses by bridge; empty where infra is not told.
    pub bridges: BTreeMap<BridgeName, Vec<IpNet>>,
    /// Bridges that infra makes and keeps.
    pub made: BTreeMap<BridgeName, Bridge>,
    /// Storage for ISO images (seeds), content type `iso`.
    pub iso_storage: StorageId,
    /// Storage for imported disk images, content type `import`.
    pub import_storage: StorageId,
    /// Whether this node routes between zones; see [`super::flow::Zone::router`].
    pub routes: Vec<ZoneName>,
}

/// A machine that Proxmox does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalHost {
    /// Name.
    pub name: HostName,
    /// Address.
    pub address: IpAddr,
    /// Shell access.
    pub ssh: SshAccess,
    /// The zone it stands in, if any.
    pub zone: Option<ZoneName>,
    /// What infra mounts on it.
    #[serde(default)]
    pub mounts: Vec<HostMount>,
}

/// A mount of an external host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMount {
    /// Mount point.
    pub at: String,
    /// What is mounted there.
    pub source: HostMountSource,
    /// Mounted read-only.
    pub read_only: bool,
}

/// What an external host mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostMountSource {
    /// A disk of its own; never formatted.
    Device {
        /// Path below `/dev`.
        path: String,
        /// Filesystem.
        fstype: String,
    },
    /// A folder of a `WebDAV` server.
    WebDav {
        /// Address, `https://`.
        url: String,
        /// Login.
        user: String,
        /// Its password.
        password: SecretName,
        /// Numeric owner of everything in it.
        owner: (u32, u32),
    },
}

impl ExternalHost {
    /// The mount that a path lies on, unless it is on the system's own disk.
    pub fn mount_of(&self, path: &str) -> Option<&HostMount> {
        let holds = |mount: &&HostMount| {
            path.strip_prefix(mount.at.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.mounts
            .iter()
            .filter(holds)
            .max_by_key(|mount| mount.at.len())
    }
}

/// The seed of a guest: what cloud-init reads at the first boot. The host key is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSeed {
    /// Guest.
    pub guest: HostName,
    /// File name in the ISO storage.
    pub filename: String,
    /// cloud-init's instance id; a change of it re-runs everything, host keys included.
    pub instance_id: String,
    /// Login user.
    pub user: String,
    /// Keys that may log in.
    pub authorized_keys: Vec<String>,
    /// IANA time zone.
    pub timezone: String,
    /// DNS servers.
    pub nameservers: Vec<IpAddr>,
    /// Cards, `net0` first.
    pub nics: Vec<SeedCard>,
    /// What the owner adds.
    pub cloud_init: CloudInit,
}

/// What a guest must know of a card; everything else about it is Proxmox's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedCard {
    /// MAC address, by which the guest recognises it.
    pub mac: Mac,
    /// Static addresses with prefix length.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one a family.
    pub gateways: Vec<IpAddr>,
}
