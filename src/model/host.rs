//! Machines and how to reach them.

use super::ids::{BridgeName, HostName, StorageId, ZoneName};
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
}
