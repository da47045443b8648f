//! In-process hosts over real SSH: no root, no downloads.
//!
//! Invariant: what it cannot answer fails like a missing command, never as a made-up success.
