//! borg: what it is told, and what its answers mean. Seen with borg 1.4.0 of Debian 13.
//!
//! borg 1 has no tags: an archive's name says whose it is and whether it was proven.
//!
//! Invariant: only archives whose names are ours are ever renamed or pruned.
//! Invariant: a warning is a failure: borg ends with one when it passed over something.

mod client;
mod command;
mod parse;

#[cfg(test)]
mod tests;

pub use client::Borg;
