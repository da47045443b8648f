//! Desired + observed -> plan: every change with its reason, impact and order, decided before the first write.
//!
//! [`questions()`] says what has to be looked at, [`plan()`] compares, and [`Plan`] is the document that `view` prints and
//! `apply` follows. `diff/` has one file per kind of thing, `order` turns changes into steps.
//!
//! Invariant: pure and deterministic: the same input gives the same bytes.
//! Invariant: no change of [`plan()`] destroys a dataset, a disk or a snapshot; only [`removal()`] destroys, and only the guest
//! and the disks that it was given by name.

pub mod change;
mod compile;
mod diff;
mod document;
mod draft;
mod guest_config;
mod hotplug;
mod impact;
mod inputs;
mod order;
mod property_string;
mod questions;
mod removal;
mod seed_name;

pub use compile::{Compiled, compile};
pub use diff::{compare, entry_guest, retune};
pub use document::{Plan, VERSION, fingerprint, plan};
pub use draft::{Blocked, Obstacle};
pub use guest_config::drive;
pub use inputs::Inputs;
pub use order::{Cycle, ProxmoxLock, Step};
pub use questions::{ProxmoxQuestions, Questions, questions};
pub use removal::{Indestructible, Removal, is_marked, removal};
