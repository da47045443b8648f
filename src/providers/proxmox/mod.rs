//! The Proxmox VE API: auth, encoding, errors, tasks.
//!
//! [`Client`] speaks to one cluster through one of its nodes. [`ProxmoxRead`] looks, [`ProxmoxWrite`] changes; both
//! are traits so that plans and their execution can be tried against a cluster that lives in memory. Every request
//! that the code can build is a row of `endpoint`, and `request` refuses a parameter that its row does not list.
//!
//! Invariant: TLS is pinned or CA-checked; there is no third way.
//! Invariant: an ambiguous write is never sent twice; [`ProxmoxError::delivery`] says which writes are ambiguous.
//! Invariant: secrets leave in a header or a form body, never in a path, a query or an error.

mod answer;
mod auth;
mod change;
mod client;
mod encode;
mod endpoint;
mod entry;
mod error;
mod firewall;
mod firewall_file;
mod guest_calls;
mod guest_life;
mod health;
mod node;
mod observe;
mod read;
mod request;
mod task;
mod tls;
mod unanswered;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientOptions};
pub use endpoint::writes;
pub use entry::{ClusterRead, ClusterWrite};
pub use error::{Delivery, ProxmoxError, Refusal};
pub use firewall_file::FirewallFiles;
pub use guest_life::{Backup, CloneOptions, GuestRead, GuestWrite, NewVolume, Snapshot};
pub use read::{ProxmoxRead, ProxmoxRequest};
pub use task::{InvalidUpid, Pace, TaskEnd, TaskStatus, Upid};
pub use tls::Fingerprint;
pub use write::{ConfigChange, FirewallScope, ProxmoxWrite};
