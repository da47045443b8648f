//! The lab's API over real TLS: what it answers, compared with what the real one answered.

#![expect(
    clippy::disallowed_methods,
    reason = "a lab on loopback, its folder, and a client that trusts it"
)]

mod behaviour;
mod bench;
mod transport;
