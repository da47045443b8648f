//! Live bars: one for the run, one spinner for each running step.

use crate::apply::event::{Event, Sink, StepOutcome};
use crate::view::{palette, words};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Fast enough to look alive, slow enough for a serial console.
const TICK: Duration = Duration::from_millis(120);

/// Draws bars on stderr.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: Option<ProgressBar>,
    steps: BTreeMap<usize, (ProgressBar, String)>,
}

impl Bars {
    /// Nothing is drawn before the run starts.
    pub fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            state: Mutex::default(),
        }
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Sink for Bars {
    fn tell(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::RunStarted { steps } => {
                let bar = self
                    .all
                    .add(ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX)));
                bar.set_style(style("  {bar:30} {pos}/{len} steps  {elapsed}"));
                state.total = Some(bar);
            }
            Event::StepStarted { step, title, host } => {
                let title = format!("{host}: {title}");
                let bar = self.all.insert_from_back(1, ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {wide_msg} {elapsed}"));
                bar.set_message(title.clone());
                bar.enable_steady_tick(TICK);
                state.steps.insert(step, (bar, title));
            }
            Event::Note { step, text } => {
                if let Some((bar, title)) = state.steps.get(&step) {
                    bar.set_message(format!("{title}: {text}"));
                }
            }
            Event::StepFinished {
                step,
                outcome,
                milliseconds,
            } => {
                if let Some(total) = &state.total {
                    total.inc(1);
                }
                let Some((bar, title)) = state.steps.remove(&step) else {
                    return;
                };
                bar.finish_and_clear();
                let took = palette::faint(&words::duration(milliseconds));
                let line = match outcome {
                    StepOutcome::Done => format!("  {}  {title} {took}", palette::good("ok ")),
                    StepOutcome::Failed { .. } => {
                        format!("  {} {title} {took}", palette::bad("FAIL"))
                    }
                    StepOutcome::Skipped { because } => {
                        format!("  {} {title}: {because}", palette::warn("skip"))
                    }
                };
                // The bars are drawn only on a terminal, so a line that cannot be drawn is not lost.
                let _ = self.all.println(line);
            }
        }
        if state.steps.is_empty()
            && let Some(total) = &state.total
            && total
                .length()
                .is_some_and(|length| total.position() >= length)
        {
            total.finish_and_clear();
        }
    }
}
