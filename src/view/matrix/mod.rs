//! The effective matrix for documents: Markdown, CSV, and pictures that need nothing else.
//!
//! Invariant: functions from a table to text; whatever a name contains, the text stays well-formed.

mod picture;
mod plain;

pub use picture::{html, svg};
pub use plain::{csv, markdown};
