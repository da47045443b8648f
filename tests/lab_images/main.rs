//! The outside world as the lab's guests see it: names, mirrors, registries. Loopback only, no root.

#![expect(
    clippy::disallowed_methods,
    reason = "plays the guest and the mirror: opens connections and folders of its own"
)]

mod authelia;
mod forwarder;
mod names;
mod openid;
mod registry;
mod support;
mod traefik;
