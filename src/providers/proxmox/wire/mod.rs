//! Answers of the API as they are sent: loose in types, open to keys of other versions.
//!
//! Invariant: nothing here decides; every struct mirrors one answer and ignores keys that it does not know.

pub(super) mod access;
pub(super) mod cluster;
pub(super) mod firewall;
pub(super) mod guest;
mod loose;
pub(super) mod node;
pub(super) mod task;

pub(super) use loose::{Flag, Number, Text};
