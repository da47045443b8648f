//! Guests: virtual machines as the owner wants them.

use super::{
    address::Mac,
    host::SshAccess,
    ids::{BridgeName, DatasetName, HostName, ImageName, StorageId, Vmid, ZoneName},
    size::Bytes,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A guest image that a node downloads by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Name in the inventory.
    pub name: ImageName,
    /// https URL.
    pub url: String,
    /// File name in the `import` storage; has a `.qcow2`, `.raw` or `.vmdk` extension, as Proxmox demands.
    pub filename: String,
    /// Expected checksum of the download.
    pub checksum: Checksum,
}

/// A checksum in Proxmox's words (`checksum-algorithm`, `checksum`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `sha256` or `sha512`.
    pub algorithm: String,
    /// Lower-case hex.
    pub hex: String,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Name; also its host name.
    pub name: HostName,
    /// Id, chosen by the owner.
    pub vmid: Vmid,
    /// Node where it is created. It is found wherever it lives.
    pub node: HostName,
    /// Image that its root disk is imported from, once.
    pub image: ImageName,
    /// Virtual cores.
    pub cores: u32,
    /// CPU type, for example `host` or `x86-64-v2-AES`.
    pub cpu: String,
    /// Memory.
    pub memory: Bytes,
    /// Balloon minimum; none turns ballooning off (`balloon=0`).
    pub balloon: Option<Bytes>,
    /// Root disk (`scsi0`).
    pub disk: RootDisk,
    /// Network cards, `net0` first.
    pub nics: Vec<Nic>,
    /// Datasets mounted into it.
    pub mounts: Vec<GuestMount>,
    /// PCI resource mappings passed through (`hostpciN: mapping=...`).
    pub pci: Vec<String>,
    /// Started with the node.
    pub onboot: bool,
    /// Start order, lower first; none leaves it out.
    pub startup_order: Option<u32>,
    /// Owner's tags beside infra's own.
    pub tags: Vec<String>,
    /// Owner's words for the notes.
    pub notes: String,
    /// Shell access.
    pub ssh: SshAccess,
    /// DNS servers for cloud-init.
    pub nameservers: Vec<IpAddr>,
}

impl Guest {
    /// The address by which the guest is reached: the first of its first network card.
    pub fn address(&self) -> Option<IpAddr> {
        self.nics
            .first()
            .and_then(|nic| nic.addresses.first())
            .map(IpNet::addr)
    }
}

/// The root disk of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootDisk {
    /// Storage with content type `images`.
    pub storage: StorageId,
    /// Size. It only ever grows.
    pub size: Bytes,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Zone whose bridge it hangs on.
    pub zone: ZoneName,
    /// Bridge, from the zone.
    pub bridge: BridgeName,
    /// MAC address, deterministic from system, guest and index unless the owner gives one.
    pub mac: Mac,
    /// Static addresses with prefix length, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one a family.
    pub gateways: Vec<IpAddr>,
    /// VLAN tag.
    pub vlan: Option<u16>,
}

/// How a dataset reaches a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountVia {
    /// virtiofs through a Proxmox directory mapping; the guest must run on the pool's node.
    Virtiofs,
    /// NFS from the pool's host.
    Nfs,
}

/// A dataset mounted into a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestMount {
    /// Dataset.
    pub dataset: DatasetName,
    /// Mount point in the guest.
    pub at: String,
    /// Transport.
    pub via: MountVia,
    /// Mounted read-only.
    pub read_only: bool,
}

impl GuestMount {
    /// The directory mapping's id and virtiofs tag: `tank-media` for `tank/media`.
    pub fn tag(&self) -> String {
        self.dataset.as_str().replace(['/', ' ', ':', '.'], "-")
    }
}
