//! `zfs` and `zpool` over a shell, machine formats only.
//!
//! [`FACTS`] is the part of a host's facts that this room knows, [`parse_facts`] reads its output. [`Zfs`] carries out
//! changes over any [`Shell`](crate::providers::shell::Shell). `model::property` compares values as ZFS means them,
//! [`trap`] finds mount points that ZFS would accept and the owner would regret.
//!
//! Invariant: never `destroy`, never `-r` on a command that changes something, never `-R`, never `-f`.
//! Invariant: output is split on TAB only; a line that is not understood is an error, never skipped.

mod engine;
mod error;
mod facts;
pub mod trap;

#[cfg(test)]
mod tests;

pub use engine::{CREATE_SCRIPT, DIRECTORIES_SCRIPT, FACTS_SCRIPT, OWNER, Zfs, ZfsRead, ZfsWrite};
pub use error::ZfsError;
pub use facts::{FACTS, ZfsFacts, parse_facts};
