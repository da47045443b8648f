//! Carries out backup jobs: dumps, snapshots, copies, proof; and brings back what they hold.
//!
//! Invariant: a copy that was not proven never counts, and never takes the place of one that was.
//! Invariant: nothing live is overwritten before what was there is kept.

mod back;
mod drill;
mod dumps;
mod guards;
mod run;

pub use back::{Back, FilesBack, LoadBack, files_back, load_back};
pub use drill::{Drilled, Exercise, drill, mark_proven};
pub use guards::Guards;
pub use run::{Finished, Work, run};
