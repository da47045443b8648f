//! What the node knows: guests, volumes, firewall, tasks, users. Pure: time and randomness are arguments.
//!
//! Invariant: every change is one method that either happens whole or returns the real API's complaint.

pub(crate) mod access;
pub(crate) mod change;
pub(crate) mod cluster;
pub(crate) mod digest;
pub(crate) mod drive;
pub(crate) mod firewall;
pub(crate) mod firewall_file;
pub(crate) mod guest;
pub(crate) mod macros;
pub(crate) mod network;
pub(crate) mod power;
pub(crate) mod sdn;
pub(crate) mod storage;
pub(crate) mod task;
