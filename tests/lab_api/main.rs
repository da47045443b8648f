//! The lab's API over real TLS: what it answers, compared with what the real one answered.

#![expect(
    clippy::disallowed_methods,
    reason = "a lab on loopback, its folder, and a client that trusts it"
)]

mod behaviour;
mod bench;
mod client;
mod coverage;
mod firewall_rounds;
mod guests;
mod replay;
mod schema;
mod shape;
mod transport;
