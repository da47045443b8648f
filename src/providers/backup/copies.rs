//! A repository in words that no backup program owns. Reading and writing are separate, so that what only looks cannot
//! touch.

use super::{engine::Counted, error::BackupError};
use crate::model::{retention::Retention, snapshot::SnapshotId};
use serde::{Deserialize, Serialize};
use std::future::Future;

/// What a backup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Full id, or the archive's name.
    pub id: String,
    /// Files read or known.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were new.
    pub added: u64,
}

/// A snapshot of restic's, or an archive of borg's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Full id, or the archive's name.
    pub id: String,
    /// The id before its tags were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// RFC 3339.
    pub time: String,
    /// What was backed up, where the program's list says so.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Host.
    #[serde(default)]
    pub hostname: String,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Counts, where they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Counts>,
}

/// Counts of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Files.
    pub total_files_processed: u64,
    /// Bytes.
    pub total_bytes_processed: u64,
}

/// What a retention does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Those that stay, with the program's reasons.
    pub kept: Vec<(Snapshot, Vec<String>)>,
    /// Those that go.
    pub removed: Vec<Snapshot>,
}

/// What is wrong with a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// How many errors.
    pub errors: u64,
    /// Files of the repository that are damaged, where they are named.
    pub packs: Vec<String>,
    /// The program's words.
    pub said: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Returned {
    /// Files and directories.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What looks into a repository.
pub trait CopiesRead {
    /// That the program is there and new enough.
    ///
    /// # Errors
    /// When it is not.
    fn ready(&self) -> impl Future<Output = Result<(), BackupError>> + Send;

    /// Opens the repository.
    ///
    /// # Errors
    /// There is none, or the password does not fit.
    fn open(&self) -> impl Future<Output = Result<(), BackupError>> + Send;

    /// Proven snapshots of the job, oldest first.
    ///
    /// # Errors
    /// The repository does not answer.
    fn snapshots(&self) -> impl Future<Output = Result<Vec<Snapshot>, BackupError>> + Send;

    /// Checks the repository's structure, and a part of its data (`10%`, `100%`).
    ///
    /// # Errors
    /// The check itself could not be made.
    fn check(
        &self,
        part: Option<&str>,
    ) -> impl Future<Output = Result<Option<Damage>, BackupError>> + Send;

    /// Brings a folder of a snapshot, or one path in it, below a target. What is in the target and not in the snapshot
    /// stays.
    ///
    /// # Errors
    /// Anything but all of it.
    fn restore(
        &self,
        id: &str,
        folder: &str,
        inner: Option<&str>,
        target: &str,
    ) -> impl Future<Output = Result<Returned, BackupError>> + Send;

    /// Every path below a folder of a snapshot, directories too, relative to it.
    ///
    /// # Errors
    /// The repository does not answer.
    fn paths(
        &self,
        id: &str,
        folder: &str,
    ) -> impl Future<Output = Result<Vec<String>, BackupError>> + Send;
}

/// What changes a repository.
pub trait CopiesWrite: CopiesRead {
    /// Makes the repository. Refused where there is one.
    ///
    /// # Errors
    /// When it cannot.
    fn init(&self) -> impl Future<Output = Result<(), BackupError>> + Send;

    /// Copies the roots. The copy counts as unproven until [`prove`](Self::prove). Beside it: how many files each root
    /// holds.
    ///
    /// # Errors
    /// Anything but a whole copy; a partial one stays in the repository, unproven.
    fn backup(
        &self,
        mounts: &[(SnapshotId, String)],
        roots: &[String],
    ) -> impl Future<Output = Result<(Summary, Vec<Counted>), BackupError>> + Send;

    /// Looks the copy up in the repository, makes it a good one, and looks again. It as it is found then.
    ///
    /// # Errors
    /// It is not there, or not whole.
    fn prove(
        &self,
        id: &str,
        roots: &[String],
    ) -> impl Future<Output = Result<Snapshot, BackupError>> + Send;

    /// Applies a retention to the proven copies, or only says what it would do. Never touches another's.
    ///
    /// # Errors
    /// The repository does not answer.
    fn forget(
        &self,
        keep: &Retention,
        look: bool,
    ) -> impl Future<Output = Result<Forgotten, BackupError>> + Send;
}
