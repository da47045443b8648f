//! Machines.

use crate::inventory::{
    word::{AbsolutePath, Address, CardAddress, Sum},
    written::{At, Many, May, Text},
};
use crate::model::{address::Mac, ids::StorageId, size::Bytes};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Proxmox node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// Its addresses, the management address first. The zone that holds an address gives bridge and prefix length.
    pub(crate) address: At<Many<Text<Address>>>,
    /// Shell access; `root` unless given.
    pub(crate) ssh: May<Ssh>,
    /// Storage for seed images, content type `iso`; `local` unless given.
    pub(crate) iso_storage: May<Text<StorageId>>,
    /// Storage for imported disk images, content type `import`; `local` unless given.
    pub(crate) import_storage: May<Text<StorageId>>,
}

/// A machine that Proxmox does not run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) address: At<Text<Address>>,
    /// Shell access; `root` unless given.
    pub(crate) ssh: May<Ssh>,
}

/// How to reach a shell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ssh {
    /// Login name. Anyone but root needs passwordless sudo.
    pub(crate) user: May<String>,
    /// TCP port, 22 unless given.
    pub(crate) port: May<u16>,
    /// Host to jump through.
    pub(crate) jump: May<String>,
    /// Private key file; the agent and `~/.ssh/config` decide unless given.
    pub(crate) identity: May<String>,
}

/// A guest image that a node downloads by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// https URL of a cloud image.
    pub(crate) url: At<String>,
    /// File name in the node's storage, ending in `.qcow2`, `.raw` or `.vmdk`; the URL's last part unless given.
    pub(crate) filename: May<String>,
    /// Its checksum: `sha512:...` or `sha256:...`. Proxmox refuses a download that differs.
    pub(crate) checksum: At<Text<Sum>>,
}

/// A virtual machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guest {
    /// Proxmox's id, 100 to 999999999. It never changes.
    pub(crate) vmid: At<u32>,
    /// Node where it is created; may be left out when there is one node.
    pub(crate) node: May<String>,
    /// Image that its root disk is made from, once; may be left out when there is one image.
    pub(crate) image: May<String>,
    /// Virtual cores, 2 unless given.
    pub(crate) cores: May<u32>,
    /// CPU type, `host` unless given.
    pub(crate) cpu: May<String>,
    /// Memory.
    pub(crate) memory: At<Text<Bytes>>,
    /// The least memory that ballooning leaves it; no ballooning unless given.
    pub(crate) balloon: May<Text<Bytes>>,
    /// Root disk. It only ever grows.
    pub(crate) disk: At<Disk>,
    /// Network cards, `net0` first.
    pub(crate) nics: At<Many<Nic>>,
    /// Datasets mounted into it.
    pub(crate) mounts: May<Vec<At<Mount>>>,
    /// PCI resource mappings passed through, for example a graphics card.
    pub(crate) pci: May<Vec<At<String>>>,
    /// Started with the node; true unless given.
    pub(crate) onboot: May<bool>,
    /// Start order, lower first.
    pub(crate) startup_order: May<u32>,
    /// Tags beside infra's own.
    pub(crate) tags: May<Vec<At<String>>>,
    /// Words for the notes in Proxmox.
    pub(crate) notes: May<String>,
    /// Shell access; the user `infra` is made unless another is given.
    pub(crate) ssh: May<Ssh>,
    /// DNS servers: addresses, or names of hosts and sets; those of the zone of its first card unless given.
    pub(crate) nameservers: May<Many<String>>,
}

/// A root disk.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    /// Storage with content type `images`.
    pub(crate) storage: At<Text<StorageId>>,
    /// Size.
    pub(crate) size: At<Text<Bytes>>,
}

/// A network card.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nic {
    /// Zone whose bridge it hangs on.
    pub(crate) zone: At<String>,
    /// Its static addresses; the prefix length is the zone's unless written.
    pub(crate) address: At<Many<Text<CardAddress>>>,
    /// Default gateway, an address or the name of a host or set; that of the zone for the first card unless given.
    pub(crate) gateway: May<Many<String>>,
    /// MAC address; a stable one is derived from system, guest and card unless given.
    pub(crate) mac: May<Text<Mac>>,
    /// VLAN tag, 1 to 4094.
    pub(crate) vlan: May<u16>,
}

/// A dataset mounted into a guest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    /// Dataset with its pool: `tank/media`.
    pub(crate) dataset: At<String>,
    /// Mount point in the guest; the dataset's own unless given.
    pub(crate) at: May<Text<AbsolutePath>>,
    /// How it gets there: `virtiofs` (the pool's node must run the guest) or `nfs`; `virtiofs` unless given.
    pub(crate) via: May<Via>,
    /// Mounted read-only.
    pub(crate) read_only: May<bool>,
}

/// How a dataset reaches a guest.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// A directory of the node, shared with the guest.
    Virtiofs,
    /// NFS from the pool's host.
    Nfs,
}
