//! Walks a plan. No decisions: every write was chosen in `plan`.
//!
//! [`Walk::run`] begins every step whose needs are met and hands it to [`Hands`]; [`World`] is the one that writes for
//! real. [`lock`] keeps two runs apart, [`journal`] remembers what was begun, [`Receipt`] what came of it, [`event`] is
//! what `view` draws. [`replica`] makes a far dataset have what a near one has; it asks `replication` after every step.
//! [`backup`] runs the jobs that `backup` decides.
//!
//! Invariant: a failed step stops what needs it and nothing else; the receipt is written in every case.
//! Invariant: an operation that fails half-way is safe to run again after a new plan.

pub mod backup;
mod cluster;
mod data_guard;
mod datasets;
mod destroy;
mod disks;
pub mod event;
mod failure;
mod firewall;
mod first_boot;
pub mod guard;
mod guests;
mod hands;
pub mod host_keys;
pub mod journal;
pub mod lock;
mod login;
mod network;
mod progress;
pub mod receipt;
pub mod replica;
mod sdn;
mod tasks;
mod walk;

pub use hands::World;
pub use receipt::Receipt;
pub use walk::{Hands, Interrupt, Notes, StepFailure, Walk};
