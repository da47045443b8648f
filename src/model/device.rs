//! Devices of a guest: firmware, disks, passed-through hardware.

use super::{ids::StorageId, size::Bytes};
use serde::{Deserialize, Serialize};

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
