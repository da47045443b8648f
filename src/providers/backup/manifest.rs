//! What a copy says of itself: it lies in the copy, so that a restore needs nothing of the machine that is gone.

use super::{
    dump::receive,
    error::BackupError,
    record::{Record, Source},
};
use crate::providers::shell::{Command, Shell};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Its name in the job's stage.
pub const MANIFEST: &str = "manifest.json";

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// System.
    pub system: String,
    /// Job.
    pub job: String,
    /// Seconds since 1970: the moment of the data.
    pub at: i64,
    /// Datasets, paths and dumps.
    pub sources: Vec<Source>,
}

impl Manifest {
    /// From the record of a success.
    pub fn of(system: &str, record: &Record) -> Self {
        Self {
            system: system.to_owned(),
            job: record.job.clone(),
            at: record.at,
            sources: record.sources.clone(),
        }
    }

    /// Writes it into a job's stage.
    ///
    /// # Errors
    /// The way to the host, or a disk that is full.
    pub async fn write<S: Shell>(&self, shell: &S, stage: &str) -> Result<(), BackupError> {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        let mut sum = String::new();
        for byte in Sha256::digest(json.as_bytes()) {
            let _ = write!(sum, "{byte:02x}");
        }
        let command = receive(&format!("{stage}/{MANIFEST}"), &sum).stdin(json);
        shell.demand(command).await?;
        Ok(())
    }

    /// Reads one that was brought back.
    ///
    /// # Errors
    /// The way to the host, or a text that is none.
    pub async fn read<S: Shell>(shell: &S, path: &str) -> Result<Self, BackupError> {
        let output = shell.demand(Command::new(["cat", "--", path])).await?;
        serde_json::from_slice(&output.stdout).map_err(|error| BackupError::Garbled {
            program: path.to_owned(),
            why: error.to_string(),
        })
    }
}
