//! `infra backup`: jobs that copy, prove, keep and bring back.
//!
//! [`jobs::run_jobs`] and [`check::check_jobs`] are what timers and nights call; the verbs print what they return.
//!
//! Invariant: exit 0 only when every chosen job was proven.

mod args;
pub(crate) mod check;
mod choice;
mod copies;
pub(crate) mod drill;
mod forget;
pub(crate) mod jobs;
mod keys;
mod list;
pub(crate) mod live_restore;
mod restore;
pub(crate) mod turns;

pub(crate) use args::{BackupVerb, run};
pub(crate) use choice::{due, due_drills, lines, standings, stands};
