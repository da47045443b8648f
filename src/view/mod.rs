//! All that is printed: stdout is the answer, stderr is the talk.
//!
//! `human` turns values into text, `progress` draws a run while it lasts, [`Terminal`] owns the two streams.
//!
//! Invariant: the only room that writes to a terminal.

pub mod human;
pub mod matrix;
pub mod palette;
pub mod progress;
mod terminal;
pub mod words;

pub use terminal::{Loudness, Record, Terminal};
