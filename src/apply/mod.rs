//! Walks a plan. No decisions: every write was chosen in `plan`.
//!
//! Invariant: a failed step stops what needs it and nothing else; the receipt is written in every case.
