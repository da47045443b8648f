//! Carrying out jobs: each takes the time that the real one takes, leaves its log and ends with its words.
//!
//! Invariant: a job that fails leaves the model as if it had not begun, except for what the real one leaves too.

mod bench;
mod download;
mod guest;
mod power;

pub(crate) use bench::{abort, run};
