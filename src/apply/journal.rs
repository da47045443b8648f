//! The journal: what was begun and what ended, written before and after each step, for resume and audit only.
//!
//! Nothing is decided by it: after a crash the next run looks at the live system again. The one thing it adds is the
//! UPID of a task that was still running, so that the next run waits for it instead of racing with it.

use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A run began.
    Run {
        /// RFC 3339, UTC.
        at: String,
        /// The plan's fingerprint.
        plan: String,
    },
    /// A step began.
    Started {
        /// Step index.
        step: usize,
        /// Ids of its changes.
        changes: Vec<String>,
    },
    /// A step started a Proxmox task.
    Task {
        /// Step index.
        step: usize,
        /// The task.
        upid: String,
    },
    /// A step ended well.
    Done {
        /// Step index.
        step: usize,
    },
    /// A step failed.
    Failed {
        /// Step index.
        step: usize,
        /// Why, without secrets.
        why: String,
    },
    /// The run ended by itself, well or not.
    End {
        /// RFC 3339, UTC.
        at: String,
    },
}

/// Why the journal cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("keep the journal {path}")]
pub struct JournalError {
    /// File.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// An open journal. Every entry is on the disk when `write` returns.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of a system for a new run, keeping the last run's as `journal.previous.jsonl`.
    pub fn begin(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join("journal.jsonl");
        let fail = |source| JournalError {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fail)?;
        if path.exists() {
            std::fs::rename(&path, folder.join("journal.previous.jsonl")).map_err(fail)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(fail)?;
        Ok(Self {
            path,
            file: Mutex::new(file),
        })
    }

    /// Appends one entry.
    pub fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        let fail = |source| JournalError {
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_string(entry).map_err(|e| fail(e.into()))?;
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(fail)?;
        file.sync_data().map_err(fail)
    }
}

/// The tasks that the last run started and did not see the end of. A torn last line is no entry.
pub fn unfinished_tasks(folder: &Path) -> Result<Vec<String>, JournalError> {
    let path = folder.join("journal.jsonl");
    let fail = |source| JournalError {
        path: path.clone(),
        source,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut open: Vec<(usize, String)> = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(fail)?;
        match serde_json::from_str(&line) {
            Ok(Entry::Task { step, upid }) => open.push((step, upid)),
            Ok(Entry::Done { step } | Entry::Failed { step, .. }) => {
                open.retain(|(begun, _)| *begun != step);
            }
            Ok(Entry::End { .. }) => open.clear(),
            Ok(Entry::Run { .. } | Entry::Started { .. }) | Err(_) => {}
        }
    }
    Ok(open.into_iter().map(|(_, upid)| upid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_leaves_the_tasks_it_did_not_see_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let journal = Journal::begin(folder.path()).expect("opens");
        let task = |step, upid: &str| Entry::Task {
            step,
            upid: upid.to_owned(),
        };
        for entry in [
            task(0, "UPID:a"),
            Entry::Done { step: 0 },
            task(1, "UPID:b"),
            task(2, "UPID:c"),
        ] {
            journal.write(&entry).expect("writes");
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("journal.jsonl"))
            .and_then(|mut file| file.write_all(b"{\"entry\":\"done\",\"st"))
            .expect("a torn line");
        assert_eq!(
            unfinished_tasks(folder.path()).expect("reads"),
            ["UPID:b", "UPID:c"]
        );
    }

    #[test]
    fn a_run_that_ended_leaves_nothing_open() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(
            unfinished_tasks(folder.path())
                .expect("no journal is no task")
                .is_empty()
        );
        let journal = Journal::begin(folder.path()).expect("opens");
        journal
            .write(&Entry::Task {
                step: 0,
                upid: "UPID:a".to_owned(),
            })
            .expect("writes");
        journal
            .write(&Entry::End {
                at: "2026-01-01T00:00:00Z".to_owned(),
            })
            .expect("writes");
        assert!(unfinished_tasks(folder.path()).expect("reads").is_empty());
    }
}
