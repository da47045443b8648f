//! `infra nightly`: the whole night in order, or one job of it, with one summary.
//!
//! [`jobs`] is the list; each job calls the function of the verb that a person would type, in the one session of the night.
//! [`voice`] tells people, [`memory`] remembers when what went well, and gives it to Prometheus.
//!
//! Invariant: a job that fails stops no other one, and is told at once.
//! Invariant: nothing is told before every known secret is taken out of it.

mod args;
mod certificates;
mod jobs;
mod memory;
mod outcome;
mod run;
mod unit_failed;
mod voice;

pub(crate) use args::{NightlyArgs, run};
