//! In-process hosts over real SSH: no root, no downloads.
//!
//! [`hosts::ScriptedHosts`] powers them. Each host is a [`machine::Machine`], a Debian in memory, behind an SSH
//! listener on a loopback port. It knows infra's scripts by their names, parses their input on its own and answers in
//! their formats; it knows a few plain commands too, so that a person can look around and break something.
//!
//! Invariant: what it cannot answer fails like a missing command, never as a made-up success.
//! Invariant: shares no code with the providers that it answers: it reads what they send on its own.

mod answer;
mod debian;
mod docker;
mod door;
mod error;
pub mod hosts;
mod line;
mod machine;
mod seed;
mod tree;
mod trouble;
mod ufw;
mod volume;
mod zfs;

pub use answer::NEEDS_REAL_GUESTS;
pub use error::ScriptedError;
pub use hosts::{ScriptedHosts, ScriptedNode, ScriptedOptions};
pub use trouble::{HostTrouble, Visits};
