//! Tests of the room: the scripts in a real shell.
//!
//! Invariant: nothing of this machine is touched.

mod scripts;
