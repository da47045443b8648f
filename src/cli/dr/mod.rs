//! `infra dr`: the runbook for the day when everything is lost, and the run that carries it out.
//!
//! Invariant: a run touches nothing where anything lives, unless the owner says that it may.

mod args;
mod empty;
mod plan;
mod run;

pub(crate) use args::{DrVerb, run};
