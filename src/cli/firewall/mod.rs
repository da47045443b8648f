//! `infra firewall`: the flow matrix shown, explained and proven; one file per verb.
//!
//! Invariant: a verb here that only looks needs no live machine unless it says `--live`.

mod explain;
mod matrix;
mod verbs;

pub(crate) use verbs::{FirewallVerb, run};
