//! A run while it lasts: bars on a terminal, plain lines elsewhere, nothing when quiet.
//!
//! Invariant: draws on stderr only, and only what events say.

mod bars;
mod lines;

pub use bars::Bars;
pub use lines::Lines;

use crate::apply::event::{Event, Sink};
use std::sync::Arc;

/// Says nothing.
#[derive(Debug)]
struct Silent;

impl Sink for Silent {
    fn tell(&self, _event: Event) {}
}

/// The right way to show progress.
pub fn sink(is_terminal: bool, quiet: bool, verbose: bool) -> Arc<dyn Sink> {
    match (quiet, is_terminal && !verbose) {
        (true, _) => Arc::new(Silent),
        (false, true) => Arc::new(Bars::new()),
        (false, false) => Arc::new(Lines::new()),
    }
}
