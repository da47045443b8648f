//! Which snapshots are due, which are kept and why, and what is in none.
//!
//! [`due`] says what a run takes, [`decide`] gives every snapshot of a dataset its reason to stay or to go, [`doubt`] looks
//! at the clock first, [`simulate`] plays a policy through, [`gaps`] finds what nobody protects.
//!
//! Invariant: pure. The time is an input, and the calendar is that of UTC, which has no hour twice.
//! Invariant: a snapshot that is foreign, made by hand, held, cloned, a base of replication, or dated in the future stays.
//! Invariant: a dataset that has scheduled snapshots keeps at least one.

mod bucket;
mod clock;
mod coverage;
mod decide;
mod due;
mod scope;
mod simulate;

#[cfg(test)]
mod tests;

pub use coverage::{Stored, Stores};

pub use bucket::Period;
pub use clock::{ClockDoubt, doubt};
pub use coverage::{Copied, Copies, Gap, Volumes, gaps};
pub use decide::{Decision, Reason, Rules, decide, is_pruned};
pub use due::{Due, due};
pub use scope::{Cover, covers};
pub use simulate::{Simulated, simulate};
