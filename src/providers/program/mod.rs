//! The backup program of a job: whichever it is, behind the same two traits.
//!
//! Invariant: what is true of one program and not of the other is never asked here.

mod dispatch;

pub use dispatch::Program;
