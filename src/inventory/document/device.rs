//! Disks and devices of guests.

use crate::inventory::{
    word::AbsolutePath,
    written::{At, May, Text},
};
use crate::model::{ids::StorageId, size::Bytes};
use schemars::JsonSchema;
use serde::Deserialize;

/// A root disk.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    /// Storage with content type `images`. Another one moves the disk there, while the guest runs.
    pub(crate) storage: At<Text<StorageId>>,
    /// Size.
    pub(crate) size: At<Text<Bytes>>,
    /// Blocks that the guest frees are given back to the storage; true unless given.
    pub(crate) discard: May<bool>,
    /// A thread of its own in QEMU; true unless given.
    pub(crate) iothread: May<bool>,
    /// Shown as a solid-state disk.
    pub(crate) ssd: May<bool>,
    /// Part of Proxmox's backups.
    pub(crate) backup: May<bool>,
    /// QEMU's cache mode: `none`, `writeback` ...
    pub(crate) cache: May<String>,
}

/// A further disk; its key is its name and its serial number. Without `at`, what is on it is its owner's: infra neither
/// formats nor mounts it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedDisk {
    /// Storage with content type `images`.
    pub(crate) storage: At<Text<StorageId>>,
    /// Size. It only ever grows.
    pub(crate) size: At<Text<Bytes>>,
    /// It outlives the guest, and a guest made anew takes it up again; true unless given.
    pub(crate) keep: May<bool>,
    /// Where the guest mounts it.
    pub(crate) at: May<Text<AbsolutePath>>,
    /// Filesystem that is made on it once, while it is provably empty; ext4 unless given.
    pub(crate) filesystem: May<Filesystem>,
    /// Blocks that the guest frees are given back to the storage; true unless given.
    pub(crate) discard: May<bool>,
    /// A thread of its own in QEMU; true unless given.
    pub(crate) iothread: May<bool>,
    /// Shown as a solid-state disk.
    pub(crate) ssd: May<bool>,
    /// Part of Proxmox's backups.
    pub(crate) backup: May<bool>,
    /// QEMU's cache mode: `none`, `writeback` ...
    pub(crate) cache: May<String>,
}

/// A filesystem that infra makes.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Filesystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

/// UEFI.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uefi {
    /// Storage of its variables.
    pub(crate) storage: At<Text<StorageId>>,
    /// Only signed loaders start; false unless given.
    pub(crate) secure_boot: May<bool>,
}

/// A PCI device.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pci {
    /// Resource mapping.
    pub(crate) mapping: At<String>,
    /// On the PCI Express bus; needs `machine: q35`. False unless given.
    pub(crate) pcie: May<bool>,
    /// The guest's first graphics card; false unless given.
    pub(crate) primary_gpu: May<bool>,
}

/// A USB device.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usb {
    /// Resource mapping.
    pub(crate) mapping: At<String>,
    /// At USB 3 speed; false unless given.
    pub(crate) usb3: May<bool>,
}
