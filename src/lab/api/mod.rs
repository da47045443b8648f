//! The HTTPS API of a Proxmox VE node: its own model, its own endpoint table, tasks, locks, digests.
//!
//! [`World::new`] makes a cluster from a [`WorldConfig`], [`serve`] answers for it. A request is decoded with the
//! quirks of the real server (`http`, `form`), checked against the `table`, answered by an `endpoint` from the
//! `model`; what takes time becomes a `job` that `work` carries out under a UPID.
//!
//! Invariant: an endpoint that is not modelled answers 501 with its path, never a made-up success.

mod agent;
#[expect(
    clippy::unnecessary_wraps,
    reason = "constructors of the answer that every endpoint returns"
)]
mod call;
mod certificate;
mod clock;
mod config;
mod copy;
mod credentials;
mod disk_folder;
#[expect(
    clippy::unnecessary_wraps,
    reason = "the table wants one signature of all endpoints"
)]
mod endpoint;
mod error;
mod fault;
mod form;
mod http;
mod job;
mod model;
mod permission;
mod pve_files;
mod reply;
mod serve;
mod table;
mod ticket;
mod upload;
mod uuid;
mod work;
mod world;

pub use certificate::Certificate;
pub use clock::Clock;
pub use config::{
    BridgeConfig, CatalogueImage, NodeConfig, StorageConfig, TokenConfig, WorldConfig,
};
pub use error::ApiError;
pub use fault::{Effect, Fault, Faults};
pub use model::{access::LEAST_PRIVILEGES, storage::StorageState};
pub use serve::{Handle, serve};
pub use table::described as described_endpoints;
pub use world::World;
