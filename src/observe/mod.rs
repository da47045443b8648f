//! Asks every provider at once and builds `Observed`. Partial answers are data, not errors.
//!
//! Invariant: never writes.
