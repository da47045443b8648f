//! The reference systems embedded in the binary, and how `infra init` writes them out.
//!
//! [`files`] says what a system consists of, [`generate`] makes the secrets that nobody needs to choose, [`write`] puts
//! files where there are none.
//!
//! Invariant: writes only below the folder that the owner named, and never over an existing file.
//! Invariant: a generated secret is returned, never written or printed here.

mod certificate;
mod embed;
mod error;
mod generate;
mod recipe;
#[expect(clippy::disallowed_methods, reason = "writes a built-in system out")]
mod write;

pub use embed::{KEYS_MARKER, files, folder, has_proxmox, playbooks, systems, templates};
pub use error::BuiltinError;
pub use generate::{Generated, generate, owners};
pub use write::write;
