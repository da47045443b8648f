//! The nouns of the homelab, in the words of Proxmox, ZFS and compose.
//!
//! [`desired::Desired`] is what the owner wants, resolved and valid; [`observed::Observed`] is what was
//! seen, possibly in part. Both are plain data that every other room shares.
//!
//! Invariant: no I/O, no async, and no serde attribute that follows somebody else's wire format.
//! Invariant: ordered collections only, so that nothing printed ever depends on hashing.

pub mod address;
pub mod adopted;
pub mod backup;
pub mod calendar;
pub mod check;
pub mod cloud_init;
pub mod cluster;
pub mod dataset;
pub mod desired;
pub mod device;
pub mod facts;
pub mod firewall;
pub mod firewall_step;
pub mod flow;
pub mod guest;
pub mod health;
pub mod host;
pub mod ids;
pub mod image;
pub mod network;
pub mod nights;
pub mod observed;
pub mod playbook;
pub mod property;
pub mod pve_normal;
pub mod reference;
pub mod release;
pub mod replica;
pub mod resource;
pub mod retention;
pub mod secret;
pub mod size;
pub mod snapshot;
pub mod stack;
pub mod ufw;
pub mod zpool;
