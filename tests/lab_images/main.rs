//! The outside world as the lab's guests see it: names, mirrors, registries. Loopback only, no root.

#![expect(
    clippy::disallowed_methods,
    reason = "plays the guest and the mirror: opens connections and folders of its own"
)]
#![expect(clippy::print_stdout, reason = "says what it skips")]

mod build;
mod forwarder;
mod names;
mod registry;
mod stand_ins;
mod support;
