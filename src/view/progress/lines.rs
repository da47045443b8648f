//! One line for each thing that happened.

use crate::apply::event::{Event, Sink, StepOutcome};
use crate::view::{palette, words};
use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

/// Writes lines to stderr.
#[derive(Debug, Default)]
pub struct Lines {
    titles: Mutex<BTreeMap<usize, String>>,
}

impl Lines {
    /// No step is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn title(&self, step: usize) -> Option<String> {
        self.titles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&step)
            .cloned()
    }
}

impl Sink for Lines {
    fn tell(&self, event: Event) {
        let line = match event {
            Event::RunStarted { .. } => return,
            Event::StepStarted { step, title, host } => {
                let title = format!("{host}: {title}");
                let line = format!("  ... {title}");
                self.titles
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(step, title);
                line
            }
            Event::Note { step, text } => {
                let title = self.title(step).unwrap_or_default();
                format!("      {title}: {text}")
            }
            Event::StepFinished {
                step,
                outcome,
                milliseconds,
            } => {
                // A step that was never begun is counted at the end, not told here.
                let Some(title) = self.title(step) else {
                    return;
                };
                let took = palette::faint(&words::duration(milliseconds));
                match outcome {
                    StepOutcome::Done => format!("  {}  {title} {took}", palette::good("ok ")),
                    StepOutcome::Failed { .. } => {
                        format!("  {} {title} {took}", palette::bad("FAIL"))
                    }
                    StepOutcome::Skipped { because } => {
                        format!("  {} {title}: {because}", palette::warn("skip"))
                    }
                }
            }
        };
        let _ = writeln!(anstream::stderr().lock(), "{line}");
    }
}
