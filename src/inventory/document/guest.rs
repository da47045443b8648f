//! Machines.

use crate::inventory::{
    document::device::{Disk, NamedDisk, Pci, Uefi, Usb},
    word::{AbsolutePath, Address, CardAddress, Owner, Seconds},
    written::{At, Entries, Many, May, Short, Text},
};
use crate::model::{
    address::Mac,
    ids::{PoolName, StorageId},
    size::Bytes,
};
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
    /// Bridges that infra makes and keeps. A bridge's addresses are those of the node in its zone.
    pub(crate) bridges: May<Entries<Bridge>>,
}

/// A bridge of a node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bridge {
    /// Cards of the node that it takes; none for a bridge between guests only.
    pub(crate) ports: May<Many<String>>,
    /// It tells VLANs apart, so that cards may have tags; false unless given.
    pub(crate) vlan_aware: May<bool>,
    /// The VLANs that it carries: `2-4094`, `10 20 30-39`; all of them unless given.
    pub(crate) vids: May<String>,
    /// MTU, 1280 to 65520.
    pub(crate) mtu: May<u16>,
}

/// A machine that Proxmox does not run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) address: At<Text<Address>>,
    /// Shell access; `root` unless given.
    pub(crate) ssh: May<Ssh>,
    /// What infra mounts on it: its own disks and `WebDAV` folders.
    pub(crate) mounts: May<Vec<At<HostMount>>>,
}

/// A mount of an external host. Exactly one of `device` and `webdav` is mounted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostMount {
    /// Mount point.
    pub(crate) at: At<Text<AbsolutePath>>,
    /// A disk of the host: `LABEL=films`, `UUID=...` or a path such as `/dev/sda1`. infra never formats it.
    pub(crate) device: May<String>,
    /// With `device`: its filesystem, `ext4` unless given.
    pub(crate) fstype: May<String>,
    /// The `https://` address of a `WebDAV` folder.
    pub(crate) webdav: May<String>,
    /// With `webdav`: who logs in.
    pub(crate) user: May<String>,
    /// With `webdav`: the secret that holds the password.
    pub(crate) password: May<String>,
    /// With `webdav`: numeric owner of everything in it, `0:0` unless given.
    pub(crate) owner: May<Text<Owner>>,
    /// Mounted read-only.
    pub(crate) read_only: May<bool>,
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

/// A virtual machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guest {
    /// Proxmox's id, 100 to 999999999. It never changes.
    pub(crate) vmid: At<u32>,
    /// Node where it is created and lives. Several: it is created on the first and may live on any of them. May be left out
    /// when there is one node, or when an HA rule says `on` which nodes it runs.
    pub(crate) node: May<Many<String>>,
    /// High availability: Proxmox starts it again, on another node if need be, and decides where it lives.
    pub(crate) ha: May<HighAvailability>,
    /// Copies of its disks on other nodes, kept by Proxmox's ZFS replication.
    pub(crate) replicate: May<Vec<At<Replicate>>>,
    /// Image that its root disk is made from, once; may be left out when there is one image. Another image later changes
    /// nothing: a guest is never made anew.
    pub(crate) image: May<String>,
    /// Virtual cores, 2 unless given.
    pub(crate) cores: May<u32>,
    /// CPU type, `host` unless given.
    pub(crate) cpu: May<String>,
    /// Memory.
    pub(crate) memory: At<Text<Bytes>>,
    /// The least memory that ballooning leaves it; no ballooning unless given.
    pub(crate) balloon: May<Text<Bytes>>,
    /// Machine type: `q35`, or `pc` for i440fx, also pinned as `pc-q35-9.2`; left to Proxmox unless given.
    pub(crate) machine: May<String>,
    /// UEFI instead of `SeaBIOS`.
    pub(crate) uefi: May<Uefi>,
    /// Storage of a TPM 2.0's state; no TPM unless given.
    pub(crate) tpm: May<Text<StorageId>>,
    /// SCSI controller, `virtio-scsi-single` unless given.
    pub(crate) scsi_controller: May<String>,
    /// Root disk. It only ever grows.
    pub(crate) disk: At<Disk>,
    /// Further disks by name. They outlive the guest unless `keep: false`.
    pub(crate) disks: May<Entries<NamedDisk>>,
    /// Network cards, `net0` first.
    pub(crate) nics: At<Many<Nic>>,
    /// Datasets mounted into it.
    pub(crate) mounts: May<Vec<At<Mount>>>,
    /// PCI resource mappings passed through, for example a graphics card.
    pub(crate) pci: May<Vec<At<Short<Pci>>>>,
    /// USB resource mappings passed through.
    pub(crate) usb: May<Vec<At<Short<Usb>>>>,
    /// Whether Proxmox speaks to the guest agent, which infra installs; true unless given.
    pub(crate) agent: May<bool>,
    /// Boot order; the root disk alone unless given: `[scsi0, net0]`.
    pub(crate) boot: May<Vec<At<String>>>,
    /// Further options in Proxmox's own words: `{hotplug: "network,disk,usb", cpulimit: 2}`.
    pub(crate) options: May<Entries<String>>,
    /// Started with the node; true unless given.
    pub(crate) onboot: May<bool>,
    /// Start order, lower first.
    pub(crate) startup_order: May<u32>,
    /// How long the next guest waits after this one has started.
    pub(crate) startup_delay: May<Text<Seconds>>,
    /// How long it gets to shut down.
    pub(crate) shutdown_timeout: May<Text<Seconds>>,
    /// Proxmox pool that it belongs to; made if there is none.
    pub(crate) pool: May<Text<PoolName>>,
    /// Proxmox refuses to remove it or its disks; false unless given.
    pub(crate) protection: May<bool>,
    /// Tags beside infra's own.
    pub(crate) tags: May<Vec<At<String>>>,
    /// Words for the notes in Proxmox.
    pub(crate) notes: May<String>,
    /// Shell access; the user `infra` is made unless another is given.
    pub(crate) ssh: May<Ssh>,
    /// DNS servers: addresses, or names of hosts and sets; those of the zone of its first card unless given.
    pub(crate) nameservers: May<Many<String>>,
    /// What cloud-init does at the first boot, beside letting infra in.
    pub(crate) cloud_init: May<super::cloud_init::CloudInit>,
}

/// High availability.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HighAvailability {
    /// `started`, or `ignored` while somebody works on it by hand; `started` unless given.
    pub(crate) state: May<HaState>,
    /// Tries to start it again on its node, 1 unless given.
    pub(crate) max_restart: May<u32>,
    /// Tries on other nodes after that, 1 unless given.
    pub(crate) max_relocate: May<u32>,
    /// It goes back when a node that its rules prefer returns; true unless given.
    pub(crate) failback: May<bool>,
}

/// What the HA manager does with a guest.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HaState {
    /// It keeps it running.
    Started,
    /// It leaves it alone.
    Ignored,
}

/// A copy of a guest's disks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replicate {
    /// Node that gets the copy.
    pub(crate) to: At<String>,
    /// How often, as Proxmox writes calendar events; `*/15` unless given.
    pub(crate) every: May<String>,
    /// Limit in megabytes a second; no limit unless given.
    pub(crate) rate: May<String>,
}

/// A rule of the HA manager. Either `on` or `keep`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HaRule {
    /// Guests with `ha`.
    pub(crate) guests: At<Many<String>>,
    /// Nodes on which they run, each with its priority: the highest that is there is taken.
    pub(crate) on: May<Entries<u32>>,
    /// They run nowhere but on those nodes; false unless given.
    pub(crate) strict: May<bool>,
    /// `together` on one node, or `apart` on one each.
    pub(crate) keep: May<Keep>,
}

/// How guests stand to each other.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keep {
    /// On one node.
    Together,
    /// On one node each.
    Apart,
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
    /// Card model, `virtio` unless given.
    pub(crate) model: May<String>,
    /// Whether Proxmox's firewall sees its packets; true unless given.
    pub(crate) firewall: May<bool>,
    /// Limit in megabytes a second; no limit unless given.
    pub(crate) rate: May<String>,
    /// MTU; 1 takes the bridge's own.
    pub(crate) mtu: May<u16>,
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
