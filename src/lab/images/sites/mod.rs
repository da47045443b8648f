//! What the lab's Internet answers beside registries: who asks, a VPN provider's counter, and rented folders.
//!
//! Invariant: a site exists only here; a guest that finds it stands in a lab.

mod answer;
mod webdav;

pub use answer::{Account, Admits, Sites};
pub use webdav::RentedFolder;
