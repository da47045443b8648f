//! Registries, stand-in images, the apt forwarder and DNS: the outside world as the lab's guests see it.
//!
//! Invariant: every stand-in is listed as one.
