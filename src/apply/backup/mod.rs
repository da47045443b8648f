//! Carries out backup jobs: dumps, snapshots, copies, proof; and the way back.

mod run;

pub use run::{Finished, Work, run};
