//! The endpoints as data: method, path, permission, parameters with their types and limits, and what answers.
//!
//! Invariant: what is not in the table is answered with 501; what is in it agrees with the published schema.

mod access;
pub(crate) mod address;
mod agent;
pub(crate) mod check;
mod cluster;
mod describe;
mod disk;
pub(crate) mod endpoint;
mod firewall;
pub(crate) mod format;
mod guest;
mod guest_config;
mod guest_firewall;
mod guest_formats;
mod ha;
mod lookup;
mod mapping;
mod network;
mod node;
mod node_firewall;
pub(crate) mod param;
pub(crate) mod pattern;
mod power;
mod replication;
mod sdn;
mod storage;

pub use describe::described;
pub(crate) use lookup::{config_kind, find, firewall_kind};
