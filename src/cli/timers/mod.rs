//! `infra timers`: the nights of the inventory as systemd timers on the host that runs them.
//!
//! Invariant: what is installed is part of the plan; `infra up` installs the same.

mod args;
mod install;
mod list;

pub(crate) use args::{TimersVerb, run};
