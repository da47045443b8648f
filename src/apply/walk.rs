//! Walks the steps of a plan: as parallel as their needs allow, journalled, interruptible, never past a failure.

use super::{
    event::{Event, Sink, StepOutcome},
    journal::{Entry, Journal, JournalError},
    progress::{Progress, State},
    receipt::Receipt,
};
use crate::plan::{Plan, change::Change};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// More steps than this at once would only queue up in sshd, pveproxy and the disks.
const MAX_PARALLEL: usize = 8;

/// Why a step failed, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// What failed and why, with every cause.
    pub why: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// The guard took back what was done.
    pub reverted: bool,
}

/// What a running step may tell: text for the operator, tasks for the journal.
#[derive(Clone)]
pub struct Notes {
    step: usize,
    sink: Arc<dyn Sink>,
    journal: Arc<Journal>,
}

impl Notes {
    /// Tells the operator something without secrets.
    pub fn tell(&self, text: impl Into<String>) {
        self.sink.tell(Event::Note {
            step: self.step,
            text: text.into(),
        });
    }

    /// Remembers a task before it is waited for.
    ///
    /// # Errors
    /// When the journal cannot be kept, nothing may go on.
    pub fn task(&self, upid: &str) -> Result<(), JournalError> {
        self.journal.write(&Entry::Task {
            step: self.step,
            upid: upid.to_owned(),
        })
    }
}

/// Carries out the changes of one step. The only thing that writes.
pub trait Hands: Send + Sync {
    /// Carries out changes that belong together, in order.
    fn carry_out(
        &self,
        changes: Vec<Change>,
        notes: Notes,
    ) -> impl Future<Output = Result<(), StepFailure>> + Send;
}

/// Asks a walk to begin nothing new. Running steps end first, so that what is true is known.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a walk needs beside the plan.
pub struct Walk {
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// The journal of this run.
    pub journal: Arc<Journal>,
    /// Raised by Ctrl-C.
    pub interrupt: Interrupt,
    /// The time, RFC 3339 UTC.
    pub now: fn() -> String,
}

impl Walk {
    /// Walks a plan to its end or as far as it goes. Dropping the future stops at the next await, as a crash would.
    ///
    /// # Errors
    /// Only when the journal cannot be kept; failed steps are in the receipt.
    pub async fn run<H: Hands>(&self, plan: &Plan, hands: &H) -> Result<Receipt, JournalError> {
        let started = (self.now)();
        self.journal.write(&Entry::Run {
            at: started.clone(),
            plan: plan.fingerprint.clone(),
        })?;
        self.sink.tell(Event::RunStarted {
            steps: plan.steps.len(),
        });
        let mut progress = Progress::new(plan);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < MAX_PARALLEL
                && let Some((step, changes)) = self.next(&mut progress)
            {
                progress.states[step] = State::Running;
                self.begin(step, &changes)?;
                let notes = Notes {
                    step,
                    sink: Arc::clone(&self.sink),
                    journal: Arc::clone(&self.journal),
                };
                let begun = Instant::now();
                running.push(async move { (step, begun, hands.carry_out(changes, notes).await) });
            }
            let Some((step, begun, result)) = running.next().await else {
                break;
            };
            progress.states[step] = State::Ended(self.end(step, begun, result)?);
        }
        let finished = (self.now)();
        self.journal.write(&Entry::End {
            at: finished.clone(),
        })?;
        Ok(progress.receipt(started, finished))
    }

    /// The first step that may begin, with what is carried out of it; steps that can never begin any more are ended on
    /// the way.
    fn next(&self, progress: &mut Progress<'_>) -> Option<(usize, Vec<Change>)> {
        for step in 0..progress.states.len() {
            if progress.states[step] != State::Waiting {
                continue;
            }
            let interrupted = || {
                let is_raised = self.interrupt.is_raised();
                is_raised.then(|| "the run was interrupted".to_owned())
            };
            let because = match progress.lost(step).or_else(interrupted) {
                Some(because) => because,
                None if !progress.may_begin(step) => continue,
                None => match progress.begin(step) {
                    Ok(changes) => return Some((step, changes)),
                    Err(because) => because,
                },
            };
            let outcome = StepOutcome::Skipped { because };
            self.sink.tell(Event::StepFinished {
                step,
                outcome: outcome.clone(),
                milliseconds: 0,
            });
            progress.states[step] = State::Ended(outcome);
        }
        None
    }

    fn begin(&self, step: usize, changes: &[Change]) -> Result<(), JournalError> {
        let ids = changes.iter().map(|change| change.id.clone()).collect();
        self.journal.write(&Entry::Started { step, changes: ids })?;
        self.sink.tell(Event::StepStarted {
            step,
            title: title(changes),
            host: changes
                .first()
                .map(|change| change.host.to_string())
                .unwrap_or_default(),
        });
        Ok(())
    }

    fn end(
        &self,
        step: usize,
        begun: Instant,
        result: Result<(), StepFailure>,
    ) -> Result<StepOutcome, JournalError> {
        let outcome = match result {
            Ok(()) => {
                self.journal.write(&Entry::Done { step })?;
                StepOutcome::Done
            }
            Err(StepFailure {
                why,
                hint,
                reverted,
            }) => {
                self.journal.write(&Entry::Failed {
                    step,
                    why: why.clone(),
                })?;
                StepOutcome::Failed {
                    why,
                    hint,
                    reverted,
                }
            }
        };
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.sink.tell(Event::StepFinished {
            step,
            outcome: outcome.clone(),
            milliseconds,
        });
        Ok(outcome)
    }
}

/// A step in the owner's words: its one subject, or how many.
fn title(changes: &[Change]) -> String {
    match changes {
        [] => String::new(),
        [one] => format!("{} {}", one.action.symbol(), one.subject),
        [first, rest @ ..] => {
            format!(
                "{} {} and {} more",
                first.action.symbol(),
                first.subject,
                rest.len()
            )
        }
    }
}
