//! `infra zfs`: snapshots, what is kept of them, and whether anything is forgotten.
//!
//! [`look`] asks every host that owns zpools, in one round trip each; a verb decides by `retention` and carries out.
//!
//! Invariant: what is shown is what is carried out; a verb that destroys shows first and asks.

mod args;
mod clone;
mod copies;
mod coverage;
mod hold;
mod hook;
mod list;
mod look;
pub(crate) mod nightly;
mod prune;
mod replicate;
mod retention;
mod rollback;
mod snapshot;
pub(crate) mod standstill;
pub(crate) use standstill::shell_told;
mod status;

#[cfg(test)]
mod tests;

pub(crate) use args::{ZfsVerb, run};
