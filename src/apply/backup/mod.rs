//! Carries out backup jobs: dumps, snapshots, copies, proof.
//!
//! Invariant: a copy that was not proven never counts, and never takes the place of one that was.

mod dumps;
mod run;

pub use run::{Finished, Work, run};
