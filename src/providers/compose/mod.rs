//! Docker and compose over a shell.
//!
//! Invariant: nothing is stopped before its successor's images are present.
