//! The front desk: clap types and one file per verb; each verb is load, call, view.
//!
//! Invariant: nothing uses `cli`.
