//! What happens while a plan is carried out: the contract with `view`.

use serde::{Deserialize, Serialize};

/// One thing that happened. Indexes are those of the plan's steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Number of steps.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Step.
        step: usize,
        /// What is being done, in the owner's words.
        title: String,
        /// Host under which it is shown.
        host: String,
    },
    /// Something worth telling while a step runs.
    Note {
        /// Step.
        step: usize,
        /// Text without secrets.
        text: String,
    },
    /// A step ended.
    StepFinished {
        /// Step.
        step: usize,
        /// How.
        outcome: StepOutcome,
        /// How long it took.
        milliseconds: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Carried out.
    Done,
    /// Failed; the text is the whole chain.
    Failed {
        /// What failed and why, one line a cause.
        why: String,
        /// What can be done about it.
        hint: Option<String>,
        /// The guard took back what was done.
        #[serde(default)]
        reverted: bool,
    },
    /// Not begun, because a step that it needs failed or the run was interrupted.
    Skipped {
        /// Why.
        because: String,
    },
}

/// Where events go.
pub trait Sink: Send + Sync {
    /// Takes one event; must not block for long.
    fn tell(&self, event: Event);
}
