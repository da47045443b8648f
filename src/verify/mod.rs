//! Runs the owner's checks against the live system.
//!
//! Checks are grouped by the machine that asks; each machine gets one script with all of its questions. A check from
//! a zone or a set is asked by the machine that runs infra, when it stands there.
//!
//! Invariant: a check that could not be asked is reported as such, never as passed.

mod answer;
pub mod cells;
mod question;
mod run;

pub use answer::{CheckResult, Verdict};
pub use run::{Local, run};
