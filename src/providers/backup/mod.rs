//! What every backup engine needs on its host: secrets that are no arguments, snapshots mounted at stable paths, dumps that
//! were read back.
//!
//! Invariant: a secret travels on standard input and lives in memory (`/run`) while one program runs.
//! Invariant: a dump has its name only when it is whole.

mod back;
mod copies;
mod dump;
mod engine;
mod error;
mod manifest;
mod place;
mod record;
mod trees;

#[cfg(test)]
pub(super) mod stand;
#[cfg(test)]
mod tests;

pub use back::{
    Compared, Facts, Into, Loaded, aside, aside_back, compare, is_tar, load, present, tidy, unpack,
};
pub use copies::{CopiesRead, CopiesWrite, Counts, Damage, Forgotten, Returned, Snapshot, Summary};
pub use dump::{Dumped, dump, export, hash_and_send, receive};
pub use engine::{Counted, Invocation, Ran, SECRETS, SSH_LOG};
pub use error::BackupError;
pub use manifest::{MANIFEST, Manifest};
pub(super) use place::{exposed, ssh_files, ssh_options};
pub use record::{Record, Restored, Source, last, remember};
pub use trees::{count, remove, remove_dead};
