//! The receipt: what was done, written even when a step failed.

use super::{event::StepOutcome, guard::Ending, walk::StepFailure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Format of the document.
pub const VERSION: u32 = 1;

/// A record of one run. Audit only: no later run decides anything by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u32,
    /// Inventory.
    pub system: String,
    /// Carried out against the lab.
    pub lab: bool,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub finished: String,
    /// The plan's fingerprint.
    pub plan: String,
    /// Every change and how it ended, in the order of the steps.
    pub changes: Vec<ChangeReceipt>,
}

/// How one change ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReceipt {
    /// Its id in the plan.
    pub id: String,
    /// How it ended.
    pub outcome: StepOutcome,
}

impl Receipt {
    /// How many changes were carried out.
    pub fn done(&self) -> usize {
        self.changes
            .iter()
            .filter(|change| change.outcome == StepOutcome::Done)
            .count()
    }

    /// The changes that failed.
    pub fn failed(&self) -> impl Iterator<Item = &ChangeReceipt> {
        self.changes
            .iter()
            .filter(|change| matches!(change.outcome, StepOutcome::Failed { .. }))
    }

    /// The changes that were not begun.
    pub fn skipped(&self) -> usize {
        self.changes
            .iter()
            .filter(|change| matches!(change.outcome, StepOutcome::Skipped { .. }))
            .count()
    }

    /// Whether every change was carried out.
    pub fn is_complete(&self) -> bool {
        self.done() == self.changes.len()
    }

    /// What the receipt says once a guard has taken changes back; `ending` says of each change what became of it.
    #[must_use]
    pub fn taken_back(mut self, failure: &StepFailure, ending: impl Fn(&str) -> Ending) -> Self {
        for change in &mut self.changes {
            let reverted = match ending(&change.id) {
                Ending::TakenBack | Ending::Counting => true,
                Ending::Unknown => false,
                // It was carried out, and it stays.
                Ending::Stands => continue,
            };
            // What had failed was undone as well: there is one story to tell.
            if !matches!(change.outcome, StepOutcome::Skipped { .. }) {
                change.outcome = StepOutcome::Failed {
                    why: failure.why.clone(),
                    hint: failure.hint.clone(),
                    reverted,
                };
            }
        }
        self
    }

    /// Whether a guard took something back.
    pub fn is_reverted(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change.outcome, StepOutcome::Failed { reverted: true, .. }))
    }

    /// Writes the receipt into its system's folder and returns the file.
    ///
    /// # Errors
    /// What the disk said.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, std::io::Error> {
        let folder = folder.join("receipts");
        std::fs::create_dir_all(&folder)?;
        let name = self.started.replace(':', "");
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(self)?;
        let partial = folder.join(format!(".{name}.partial"));
        std::fs::write(&partial, text + "\n")?;
        std::fs::rename(&partial, &path)?;
        Ok(path)
    }
}
