//! Tests of the room as a whole.
//!
//! Invariant: no server but one in this process, no time but what a test gives.

mod schema;
