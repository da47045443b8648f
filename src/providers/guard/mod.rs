//! The dead-man switch of one host: saved files, a timer that puts them back, and the word that it need not.
//!
//! The timer is a systemd timer on the host itself, counted by the monotonic clock and enabled at boot: it fires when
//! infra dies, when the network is gone, when somebody sets the clock, and after a power cut.
//!
//! Invariant: whoever renames `armed` decides; the timer and infra never both do.
//! Invariant: nothing is changed under a switch that could not be armed.

mod connections;
mod switch;

pub use connections::{Connection, Tracked, connections, forget};
pub use switch::{Armed, GuardError, GuardKind, Standing, Switch};

#[cfg(test)]
mod tests;
