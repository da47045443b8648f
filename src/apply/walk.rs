//! Walks the steps of a plan: as parallel as their needs allow, journalled, interruptible, never past a failure.

use super::{
    event::{Event, Sink, StepOutcome},
    journal::{Entry, Journal, JournalError},
    receipt::{self, ChangeReceipt, Receipt},
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

#[derive(Clone, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended(StepOutcome),
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
        let mut states = vec![State::Waiting; plan.steps.len()];
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < MAX_PARALLEL
                && let Some(step) = self.next(plan, &mut states)
            {
                states[step] = State::Running;
                let changes = self.begin(plan, step)?;
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
            states[step] = State::Ended(self.end(step, begun, result)?);
        }
        let finished = (self.now)();
        self.journal.write(&Entry::End {
            at: finished.clone(),
        })?;
        Ok(receipt(plan, &states, started, finished))
    }

    /// The first step that may begin; steps that can never begin any more are ended on the way.
    fn next(&self, plan: &Plan, states: &mut [State]) -> Option<usize> {
        for step in 0..states.len() {
            if states[step] != State::Waiting {
                continue;
            }
            let needs = &plan.steps[step].needs;
            let lost = needs.iter().find(|need| {
                matches!(&states[**need], State::Ended(outcome) if *outcome != StepOutcome::Done)
            });
            let because = match lost {
                Some(need) => {
                    let change = &plan.changes[plan.steps[*need].changes[0]];
                    Some(format!("`{}` was not carried out", change.id))
                }
                None if self.interrupt.is_raised() => Some("the run was interrupted".to_owned()),
                None => None,
            };
            if let Some(because) = because {
                let outcome = StepOutcome::Skipped { because };
                self.sink.tell(Event::StepFinished {
                    step,
                    outcome: outcome.clone(),
                    milliseconds: 0,
                });
                states[step] = State::Ended(outcome);
                continue;
            }
            let ready = needs
                .iter()
                .all(|need| states[*need] == State::Ended(StepOutcome::Done));
            let lane_is_free = plan.steps[step]
                .after
                .is_none_or(|before| matches!(states[before], State::Ended(_)));
            if ready && lane_is_free && has_room(plan, states, step) {
                return Some(step);
            }
        }
        None
    }

    fn begin(&self, plan: &Plan, step: usize) -> Result<Vec<Change>, JournalError> {
        let changes: Vec<Change> = plan.steps[step]
            .changes
            .iter()
            .map(|at| plan.changes[*at].clone())
            .collect();
        let ids = changes.iter().map(|change| change.id.clone()).collect();
        self.journal.write(&Entry::Started { step, changes: ids })?;
        self.sink.tell(Event::StepStarted {
            step,
            title: title(&changes),
            host: changes
                .first()
                .map(|change| change.host.to_string())
                .unwrap_or_default(),
        });
        Ok(changes)
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

/// Whether fewer steps than Proxmox can serve in time are at its locks.
fn has_room(plan: &Plan, states: &[State], step: usize) -> bool {
    plan.steps[step].locks.iter().all(|lock| {
        let holders = plan
            .steps
            .iter()
            .zip(states)
            .filter(|(other, state)| {
                **state == State::Running && other.locks.iter().any(|held| held.name == lock.name)
            })
            .count();
        holders < lock.at_once.max(1)
    })
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

fn receipt(plan: &Plan, states: &[State], started: String, finished: String) -> Receipt {
    let changes = plan
        .steps
        .iter()
        .zip(states)
        .flat_map(|(step, state)| {
            let outcome = match state {
                State::Ended(outcome) => outcome.clone(),
                State::Waiting | State::Running => StepOutcome::Skipped {
                    because: "the run ended before it".to_owned(),
                },
            };
            step.changes.iter().map(move |at| ChangeReceipt {
                id: plan.changes[*at].id.clone(),
                outcome: outcome.clone(),
            })
        })
        .collect();
    Receipt {
        version: receipt::VERSION,
        system: plan.system.to_string(),
        lab: plan.lab,
        started,
        finished,
        plan: plan.fingerprint.clone(),
        changes,
    }
}
