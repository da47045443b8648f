//! UFW over a shell.
//!
//! [`FACTS`] looks, as part of the one script that asks a host for everything; [`parse_facts`] understands what it
//! printed. [`UfwWrite`] carries out the steps of a plan in one exec and says what stands afterwards. UFW's messages
//! are never parsed: the rules are read from its tuples, and believed only when the kernel has them too.
//!
//! Invariant: never `ufw reset`; rules are deleted by rule, not by number.
//! Invariant: UFW counts as on only when it starts at boot and its rules and policies are live, in both families.

mod client;
mod command;
mod error;
mod parse;
mod tuple;

pub use client::{SCRIPT, UfwClient, UfwRead, UfwWrite};
pub use error::UfwError;
pub use parse::{Facts, parse_facts};

/// A POSIX sh function `facts_ufw` that prints what UFW and the kernel have, one `word rest` line each: `conf KEY=value`,
/// `tuple4`/`tuple6` (UFW's own description of a rule), `stored4`/`stored6` (the rule it would load), `live4`/`live6`
/// (`iptables -S` of the chains of interest). Prints little or nothing where they are not installed.
pub const FACTS: &str = include_str!("scripts/facts.sh");
