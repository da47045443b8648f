//! Asks every provider at once and builds `Observed`. Partial answers are data, not errors.
//!
//! [`observe`] sends one observation to the API and one exec to each host; guests that do not run are not asked.
//!
//! Invariant: never writes.

mod ask;

pub use ask::{Eyes, observe};
