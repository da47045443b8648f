//! Guests: virtual machines as the owner wants them.

use super::{
    address::Mac,
    cloud_init::CloudInit,
    cluster::{HighAvailability, Replica},
    device::{DataDisk, DriveTuning, Firmware, PciDevice, UsbDevice},
    host::SshAccess,
    ids::{BridgeName, DatasetName, HostName, ImageName, PoolName, StorageId, Vmid, ZoneName},
    size::Bytes,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, net::IpAddr};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Name; also its host name.
    pub name: HostName,
    /// Id, chosen by the owner.
    pub vmid: Vmid,
    /// Node where it is created. It is found wherever it lives.
    pub node: HostName,
    /// Further nodes on which it is right; one that lives elsewhere is moved to [`Guest::node`].
    pub homes: Vec<HostName>,
    /// How the HA manager treats it; where it then lives is the manager's business.
    pub ha: Option<HighAvailability>,
    /// Copies of its disks on other nodes.
    pub replicas: Vec<Replica>,
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
    /// Machine type; none leaves Proxmox's own (`i440fx`).
    pub machine: Option<String>,
    /// What it boots with.
    pub firmware: Firmware,
    /// Storage of its TPM's state; none for no TPM.
    pub tpm: Option<StorageId>,
    /// SCSI controller.
    pub scsi_controller: String,
    /// Root disk (`scsi0`).
    pub disk: RootDisk,
    /// Further disks, each known by its name.
    pub disks: Vec<DataDisk>,
    /// Network cards, `net0` first.
    pub nics: Vec<Nic>,
    /// Datasets mounted into it.
    pub mounts: Vec<GuestMount>,
    /// PCI devices passed through by resource mapping.
    pub pci: Vec<PciDevice>,
    /// USB devices passed through by resource mapping.
    pub usb: Vec<UsbDevice>,
    /// Whether Proxmox speaks to a guest agent.
    pub agent: bool,
    /// Boot order: `scsi0`, `net0` ...
    pub boot: Vec<String>,
    /// Further options in Proxmox's words, one to one.
    pub options: BTreeMap<String, String>,
    /// Started with the node.
    pub onboot: bool,
    /// Start order, lower first; none leaves it out.
    pub startup_order: Option<u32>,
    /// Seconds to wait after its start before the next guest starts.
    pub startup_delay: Option<u32>,
    /// Seconds that it gets to shut down.
    pub shutdown_timeout: Option<u32>,
    /// Pool that it belongs to.
    pub pool: Option<PoolName>,
    /// Neither it nor its disks can be removed while this is on.
    pub protection: bool,
    /// Owner's tags beside infra's own.
    pub tags: Vec<String>,
    /// Owner's words for the notes.
    pub notes: String,
    /// Shell access.
    pub ssh: SshAccess,
    /// DNS servers for cloud-init.
    pub nameservers: Vec<IpAddr>,
    /// What cloud-init does beside letting us in.
    pub cloud_init: CloudInit,
}

impl Guest {
    /// The place of the data disk that a path lies on.
    pub fn disk_of(&self, path: &str) -> Option<String> {
        let places = self.disks.iter().filter_map(|disk| disk.mount.as_ref());
        let holds = |at: &&str| {
            path.strip_prefix(*at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let place = places.map(|mount| mount.at.as_str()).filter(holds);
        place.max_by_key(|at| at.len()).map(str::to_owned)
    }

    /// Whether it may live on more than one node without anybody asking infra.
    pub fn roams(&self) -> bool {
        self.ha.is_some() || !self.homes.is_empty()
    }

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
    /// How it is attached.
    pub tuning: DriveTuning,
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
    /// Card model, `virtio` unless the owner says otherwise.
    pub model: String,
    /// Whether Proxmox's firewall sees its packets.
    pub firewall: bool,
    /// Limit in megabytes a second, as text so that it is compared as written.
    pub rate: Option<String>,
    /// MTU; 1 means the bridge's own.
    pub mtu: Option<u16>,
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
    /// The tag, where the one that follows from the dataset's name is too long or another dataset's.
    #[serde(default)]
    pub share: Option<String>,
    /// Mount point in the guest.
    pub at: String,
    /// Transport.
    pub via: MountVia,
    /// Mounted read-only.
    pub read_only: bool,
}

impl GuestMount {
    /// Bytes of a virtiofs tag (virtio specification, QEMU).
    pub const LONGEST_TAG: usize = 36;

    /// The directory mapping's id and virtiofs tag: `tank-media` for `tank/media`.
    pub fn tag(&self) -> String {
        let plain = || Self::plain_tag(self.dataset.as_str());
        self.share.clone().unwrap_or_else(plain)
    }

    /// The tag that follows from a dataset's name.
    pub fn plain_tag(dataset: &str) -> String {
        dataset.replace(['/', ' ', ':', '.'], "-")
    }

    /// A tag of its own for a dataset whose plain one does not do: its beginning and a hash of the whole name.
    pub fn short_tag(dataset: &DatasetName) -> String {
        let hash = Sha256::digest(dataset.as_str());
        let number = u32::from_be_bytes(std::array::from_fn(|index| hash[index]));
        let end = format!("-{number:08x}");
        let plain = Self::plain_tag(dataset.as_str());
        let begin: String = plain.chars().take(Self::LONGEST_TAG - end.len()).collect();
        begin + &end
    }
}
