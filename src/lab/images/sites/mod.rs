//! What the lab's Internet answers beside registries: who asks, and a VPN provider's counter.
//!
//! Invariant: a site exists only here; a guest that finds it stands in a lab.

mod answer;

pub use answer::{Account, Admits, Sites};
