//! What the owner wrote: `inventory/<system>/` -> [`crate::model::desired::Desired`], or every problem at once.
//!
//! Three stages, three files: `load` reads the disk, `document` is the text as written with spans,
//! `resolve` and `check` turn it into a resolved whole or diagnostics.
//!
//! Invariant: nothing here talks to a live system, and only `load` reads the disk.
