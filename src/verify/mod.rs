//! Runs the owner's checks against the live system.
//!
//! Invariant: a check that could not be asked is reported as such, never as passed.
