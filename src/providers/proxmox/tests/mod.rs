//! Tests of the room as a whole: recorded answers, the published schema, and a small TLS server that can misbehave.
//!
//! Invariant: no server but one in this process, no waiting that a test does not set to almost nothing.

mod lives;
mod observing;
mod replay;
mod schema;
mod sent;
mod server;
mod tasks;
mod tickets;
mod transport;
