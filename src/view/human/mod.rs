//! What people read.
//!
//! Invariant: functions from values to text; nothing here writes to a stream.

mod adoption;
mod cells;
mod diagnostic;
mod doctor;
mod file_diff;
mod matrix;
mod plan;
mod run;
mod status;

pub(crate) use adoption::adoption;
pub use cells::probes;
pub(crate) use cells::{cell, cells};
pub use diagnostic::diagnostics;
pub use doctor::doctor;
pub use file_diff::{FileDiff, file_diffs};
pub use matrix::{disagreements, explanations, matrix};
pub use plan::{plan, summary};
pub use run::{checks, receipt};
pub use status::{StatusLine, status, status_lines};
