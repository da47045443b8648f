//! The inventory as written: one struct per thing, each value with its place. The doc comments are what editors show.
//!
//! Invariant: nothing here decides; a document may be full of nonsense and still be read.

mod access;
mod adopted;
mod backup;
mod check;
mod cloud_init;
mod device;
mod guest;
mod image;
mod manifest;
mod network;
mod nights;
mod playbook;
mod stack;
mod storage;
mod system;

pub(crate) use access::{Secret, SecretFile};
pub(crate) use adopted::Adopted;
pub(crate) use backup::{
    Backup, BackupEngine, BackupRepository, BackupS3, BackupSsh, ManifestBackup, ManifestDatabase,
    ManifestEngine, ManifestExport,
};
pub(crate) use check::{Check, Dns, ExecCheck, ExitCheck, MountCheck};
pub(crate) use cloud_init::CloudInit;
pub(crate) use device::{Disk, Filesystem, NamedDisk, Usb};
pub(crate) use guest::{Guest, HaRule, HaState, Host, HostMount, Keep, Nic, Node, Ssh, Via};
pub(crate) use image::{Clones, Image};
pub(crate) use manifest::{File, Manifest};
pub(crate) use network::{Flow, Never, SdnZone, Vnet, Zone};
pub(crate) use nights::{About, Email, Hidden, Nights, Web};
pub(crate) use playbook::{Playbook, Reboot, Step};
pub(crate) use stack::{Directory, FullPublish, Stack};
pub(crate) use storage::{Dataset, Hook, Part, Profile, Replica, Retention, Schedule, Zpool};
pub(crate) use system::{Document, Proxmox, Tls};
