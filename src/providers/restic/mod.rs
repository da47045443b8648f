//! restic: what it is told, and what its answers mean.
//!
//! Invariant: only snapshots with a tag of ours are ever changed or forgotten.
//! Invariant: an exit of 0 proves nothing by itself: restic ends so when a source does not exist.

mod client;
mod command;
mod parse;

#[cfg(test)]
mod tests;

pub use client::Restic;
pub use command::{Tags, environment};
pub use parse::version;
