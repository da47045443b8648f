//! Devices of a guest: firmware, disks, passed-through hardware.

use super::{
    ids::{StorageId, SystemName, Vmid},
    size::Bytes,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The owner of disks that outlive guests, in the place where Proxmox writes a guest's id. No guest may have it:
/// Proxmox destroys with a guest only the volumes that carry its id.
pub const KEEPER: u32 = 999_999_999;

/// What a guest boots with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// `SeaBIOS`.
    Seabios,
    /// UEFI, with its variables on a small disk.
    Ovmf {
        /// Storage of that disk.
        storage: StorageId,
        /// Microsoft's and the distributions' keys are enrolled: only signed loaders start.
        secure_boot: bool,
    },
}

/// How a disk is attached. What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveTuning {
    /// Blocks that the guest frees are given back to the storage.
    pub discard: bool,
    /// A thread of its own in QEMU.
    pub iothread: bool,
    /// Shown to the guest as a solid-state disk.
    pub ssd: Option<bool>,
    /// Part of Proxmox's backups.
    pub backup: Option<bool>,
    /// QEMU's cache mode.
    pub cache: Option<String>,
}

impl Default for DriveTuning {
    fn default() -> Self {
        Self {
            discard: true,
            iothread: true,
            ssd: None,
            backup: None,
            cache: None,
        }
    }
}

/// A disk beside the root disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDisk {
    /// Name, by which it is found whatever its slot: it is the disk's serial number.
    pub name: String,
    /// Storage with content type `images`.
    pub storage: StorageId,
    /// Size. It only ever grows.
    pub size: Bytes,
    /// It outlives the guest: destroying the guest leaves it, and a new guest takes it up again.
    pub keep: bool,
    /// How it is attached.
    pub tuning: DriveTuning,
    /// Where the guest mounts it; none leaves what is on it to its owner.
    pub mount: Option<DiskMount>,
}

/// A data disk's filesystem, made once and mounted by the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskMount {
    /// Absolute path in the guest.
    pub at: String,
    /// What is made on a disk that is provably empty.
    pub filesystem: FilesystemKind,
}

/// A filesystem that infra makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesystemKind {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl fmt::Display for FilesystemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        })
    }
}

impl DataDisk {
    /// The UUID of the filesystem that infra makes on it, by which it is known for good. It follows from names, so that a
    /// plan can say it before the disk is there, and a disk that outlives its guest has it in the next one.
    pub fn filesystem_uuid(&self, system: &SystemName, vmid: Vmid) -> String {
        let owner = if self.keep {
            "kept".to_owned()
        } else {
            vmid.to_string()
        };
        let hash = Sha256::digest(format!(
            "infra filesystem\n{system}\n{}\n{owner}\n",
            self.name
        ));
        let mut id: [u8; 16] = std::array::from_fn(|index| hash[index]);
        // Version 8 of RFC 9562: made by rules of one's own.
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(id));
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        parts.map(|part| hex[part].to_owned()).join("-")
    }
}

/// A PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciDevice {
    /// Resource mapping of the cluster.
    pub mapping: String,
    /// On the PCI Express bus, which only machine `q35` has.
    pub pcie: bool,
    /// The guest's first graphics card.
    pub primary_gpu: bool,
}

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsbDevice {
    /// Resource mapping of the cluster.
    pub mapping: String,
    /// At USB 3 speed.
    pub usb3: bool,
}
