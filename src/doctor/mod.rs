//! What is wrong with a cluster before anything is written to it: rights, storages, bridges, clocks, room.
//!
//! [`needs`] says which privileges an inventory takes, [`missing`] which of them are not there, and [`examine`] judges
//! everything that was seen. `cli` asks, `view` shows.
//!
//! Invariant: pure; every finding that is not well says what to do about it.

mod adopted;
mod examine;
mod finding;
mod guests;
mod rights;

pub use examine::{AgentAnswer, Seen, examine, grant};
pub use finding::{Finding, Verdict};
pub use rights::{Need, agent_needs, missing, needs};
