//! What people read.
//!
//! Invariant: functions from values to text; nothing here writes to a stream.

mod diagnostic;

pub use diagnostic::diagnostics;
