//! Debian hosts over a shell: facts, packages, files, units, kernel settings.
//!
//! [`read::HostRead`] asks for everything in one exec; [`write::HostWrite`] makes each kind of change in one exec.
//! Both work on anything that is a [`crate::providers::shell::Shell`]. The scripts are constants in [`command`].
//!
//! Invariant: files are written atomically with owner and mode; secret content travels on stdin only.
//! Invariant: a write re-reads nothing; whoever wants to know how things stand observes again.

pub mod command;
pub mod error;
mod mounts;
pub mod parse;
pub mod read;
pub mod write;

pub use error::HostError;
pub use read::HostRead;
pub use write::{DirectoryWrite, FileWrite, HostWrite, UnitVerb};
