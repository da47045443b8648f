//! What a job remembers on its host of its last success.

use super::error::BackupError;
use crate::model::backup::STAGE;
use crate::providers::shell::{Command, Shell};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Name of the script that keeps a record.
const RECORD_SCRIPT: &str = "infra-backup-record";
const RECORD: &str = include_str!("scripts/record.sh");

/// The last success of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Job.
    pub job: String,
    /// Snapshot or archive, as it was seen again in the repository.
    pub snapshot: String,
    /// Seconds since 1970: the moment of the data.
    pub at: i64,
    /// Seconds that the run took.
    pub seconds: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that were new in the repository.
    pub added: u64,
    /// What it holds.
    pub sources: Vec<Source>,
    /// The last restore that was proven.
    #[serde(default)]
    pub proven: Option<Restored>,
}

/// One thing that a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    /// `tank/photos`, `/etc/pve`, `immich/database.immich.pgdump`.
    pub name: String,
    /// Where it lies in the backup.
    pub path: String,
    /// Whether it holds any file.
    pub is_empty: bool,
    /// Files in it, counted in the source itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Tables of a dump.
    #[serde(default)]
    pub items: Option<u64>,
    /// Rows of a dump.
    #[serde(default)]
    pub rows: Option<u64>,
    /// SHA-256 of a dump.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Version of the server that a dump came from.
    #[serde(default)]
    pub version: Option<String>,
    /// Extensions of a Postgres with their versions, `vector=0.8.0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
}

/// A restore that was proven.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restored {
    /// Seconds since 1970.
    pub at: i64,
    /// Snapshot or archive.
    pub snapshot: String,
    /// Files that were compared.
    pub files: u64,
    /// Rows that were counted.
    pub rows: u64,
    /// What came back, where it was not everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// Reads a job's record; none when it has never succeeded.
///
/// # Errors
/// The way to the host, or a record that makes no sense.
pub async fn last<S: Shell>(shell: &S, job: &str) -> Result<Option<Record>, BackupError> {
    let path = format!("{STAGE}/{job}/last.json");
    let output = shell.run(Command::new(["cat", "--", &path])).await?;
    if !output.is_success() {
        let said = output.complaint();
        if said.contains("No such file") {
            return Ok(None);
        }
        return Err(BackupError::Garbled {
            program: "cat".to_owned(),
            why: said,
        });
    }
    serde_json::from_slice(&output.stdout)
        .map(Some)
        .map_err(|error| BackupError::Garbled {
            program: path,
            why: error.to_string(),
        })
}

/// Keeps a job's record, and metrics where somebody collects them.
///
/// # Errors
/// The way to the host, or a disk that is full.
pub async fn remember<S: Shell>(shell: &S, record: &Record) -> Result<(), BackupError> {
    let metrics = metrics(record);
    let json = serde_json::to_string_pretty(record).unwrap_or_default();
    let input = format!("metrics {}\n{metrics}{json}\n", metrics.len());
    let command = Command::script(RECORD_SCRIPT, RECORD)
        .args([record.job.as_str()])
        .stdin(input);
    shell.demand(command).await?;
    Ok(())
}

/// For `node_exporter`'s textfile collector.
fn metrics(record: &Record) -> String {
    let job = &record.job;
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: String| {
        let _ = write!(
            out,
            "# HELP infra_backup_{name} {help}\n# TYPE infra_backup_{name} gauge\ninfra_backup_{name}{{job=\"{job}\"}} {value}\n"
        );
    };
    gauge(
        "last_success_timestamp_seconds",
        "When the last proven backup began.",
        record.at.to_string(),
    );
    gauge(
        "duration_seconds",
        "How long it took.",
        record.seconds.to_string(),
    );
    gauge("files", "Files in it.", record.files.to_string());
    gauge("bytes", "Bytes in it.", record.bytes.to_string());
    gauge(
        "added_bytes",
        "Bytes that were new.",
        record.added.to_string(),
    );
    if let Some(proven) = &record.proven {
        gauge(
            "last_proven_restore_timestamp_seconds",
            "When a restore was last proven.",
            proven.at.to_string(),
        );
        gauge(
            "proven_restore_files",
            "Files that came back in it.",
            proven.files.to_string(),
        );
        gauge(
            "proven_restore_rows",
            "Rows of databases that came back in it.",
            proven.rows.to_string(),
        );
    }
    out
}
