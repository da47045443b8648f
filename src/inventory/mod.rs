//! What the owner wrote: `inventory/<system>/` -> [`crate::model::desired::Desired`], or every problem at once.
//!
//! Passes, like a compiler: `load` reads the disk; `tree` parses YAML with places and `merge` joins files; `reader` and
//! `written` turn the tree into the `document` without stopping at the first problem; `resolve` follows references and
//! fills in defaults; `check` looks at the whole. [`select`](Selector) answers `--on`.
//!
//! Invariant: nothing here talks to a live system, and only `load` reads the disk.
//! Invariant: a `Desired` is given out only when no error was reported.

mod access;
mod check;
pub mod codes;
mod document;
mod error;
mod image_lock;
#[expect(
    clippy::disallowed_methods,
    reason = "reads the files of an inventory and its templates"
)]
mod load;
mod merge;
mod nearest;
pub mod playbook;
mod reader;
#[expect(
    clippy::ref_option,
    reason = "a key that may be left out is passed on as it stands in the document"
)]
mod resolve;
mod schema;
mod select;
mod source;
mod tree;
mod word;
mod written;

pub use error::LoadError;
pub use image_lock::{ContainerPin, IMAGE_LOCK, ImageLock, Pin};
pub use load::{BuiltinTemplates, Loaded, load};
pub use schema::{schema, template_schema};
pub use select::{InvalidSelector, Selector, Subject};
pub use word::fingerprint;
