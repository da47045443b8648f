//! `infra firewall`: the flow matrix shown, explained, proven, applied under a guard, and probed; one file per verb.
//!
//! Invariant: a verb here that only looks needs no live machine unless it says `--live`, or asks one: `plan`, `probe`, `adopt`.
//! Invariant: nothing that may cut access is written without a guard on every machine concerned.

mod adopt;
mod apply;
mod explain;
mod matrix;
mod part;
mod plan;
mod probe;
#[cfg(feature = "lab")]
mod prove;
mod verbs;

pub(crate) use apply::{is_pending, unattended};
pub(crate) use part::trackers;
pub(crate) use verbs::{FirewallVerb, run};
