//! The lab's own certificate authority, and certificates for whatever name a guest asks for.
//!
//! Invariant: its key signs for the lab's guests alone; nothing on the machine is told to trust it.

mod authority;
mod names;

pub use authority::Authority;
pub use names::server_config;
