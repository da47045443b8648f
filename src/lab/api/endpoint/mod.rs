//! The endpoints, one small function each: read the call, ask the model, shape the answer.
//!
//! Invariant: no decision is taken here that a method of the model could take.

pub(crate) mod access;
pub(crate) mod cluster;
pub(crate) mod disk;
pub(crate) mod firewall;
pub(crate) mod guest;
pub(crate) mod ha;
pub(crate) mod ipset;
pub(crate) mod mapping;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod pool;
pub(crate) mod power;
pub(crate) mod replication;
pub(crate) mod rights;
pub(crate) mod sdn;
pub(crate) mod snapshot;
pub(crate) mod storage;
pub(crate) mod task;
