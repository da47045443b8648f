//! Where the files of datasets lie, and mounting.
//!
//! Invariant: nothing outside the twin's own folder and the mount points of its datasets is touched.

mod real;

pub use real::Real;

use std::path::{Path, PathBuf};

/// One difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `+`, `-` or `M`.
    pub mark: char,
    /// `F` for a file, `/` for a directory, `@` for a link, `?` for others.
    pub kind: char,
    /// Path below the dataset; empty for itself.
    pub path: String,
    /// Change time: seconds and nanoseconds.
    pub time: (i64, i64),
}

/// What the twin does to files. Folders go by their names. Errors are told as they are.
pub trait Disk {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// What the tool said.
    fn make(&self, files: u64) -> Result<(), String>;

    /// Makes a copy of a folder, read-only or not.
    ///
    /// # Errors
    /// What the tool said.
    fn copy(&self, from: u64, to: u64, writable: bool) -> Result<(), String>;

    /// Puts a snapshot's content back into a dataset's folder.
    ///
    /// # Errors
    /// What the tool said.
    fn restore(&self, snapshot: u64, dataset: u64) -> Result<(), String>;

    /// Removes a folder.
    ///
    /// # Errors
    /// What the tool said.
    fn remove(&self, files: u64) -> Result<(), String>;

    /// Mounts a dataset's folder.
    ///
    /// # Errors
    /// What the tool said.
    fn mount(&self, files: u64, at: &str) -> Result<(), String>;

    /// Makes a mount read-only.
    ///
    /// # Errors
    /// What the tool said.
    fn freeze(&self, at: &str) -> Result<(), String>;

    /// Unmounts.
    ///
    /// # Errors
    /// What the tool said.
    fn unmount(&self, at: &str) -> Result<(), String>;

    /// What is mounted where, oldest first.
    fn mounts(&self) -> Vec<(u64, String)>;

    /// Whether this dataset is mounted there.
    fn is_mounted(&self, files: u64, at: &str) -> bool {
        self.mounts()
            .iter()
            .any(|(other, place)| *other == files && place == at)
    }

    /// Bytes that the files of a folder take.
    fn bytes(&self, files: u64) -> u64;

    /// What has changed from one folder to another.
    fn changes(&self, from: u64, to: u64) -> Vec<Change>;

    /// A folder's content as one stream, always the same for the same content.
    ///
    /// # Errors
    /// What the tool said.
    fn pack(&self, files: u64) -> Result<Vec<u8>, String>;

    /// Replaces a folder's content by a stream's.
    ///
    /// # Errors
    /// What the tool said.
    fn unpack(&self, files: u64, stream: &[u8]) -> Result<(), String>;

    /// Keeps bytes under a name; no bytes for forgetting them.
    ///
    /// # Errors
    /// What the disk said.
    fn keep(&self, name: u64, bytes: Option<&[u8]>) -> Result<(), String>;

    /// Bytes that were kept.
    ///
    /// # Errors
    /// What the disk said.
    fn kept(&self, name: u64) -> Result<Vec<u8>, String>;

    /// A key file of the node.
    ///
    /// # Errors
    /// What the disk said.
    fn key_file(&self, path: &str) -> Result<Vec<u8>, String>;

    /// Bytes of a regular file that a pool is to lie on.
    fn file_bytes(&self, path: &str) -> Option<u64>;

    /// Bytes free.
    fn free(&self) -> u64;

    /// Seconds since 1970.
    fn now(&self) -> i64;
}

/// The folder of a dataset or snapshot.
pub(super) fn data(folder: &Path, files: u64) -> PathBuf {
    folder.join("data").join(files.to_string())
}
