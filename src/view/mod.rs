//! All that is printed: stdout is the answer, stderr is the talk.
//!
//! `human` turns values into text.
//!
//! Invariant: the only room that writes to a terminal.

pub mod human;
pub mod words;
