//! Real guests on this machine. Needs root and a few Debian packages; says so and passes otherwise, and with `INFRA_LAB_TESTS=0`.

#![expect(
    clippy::disallowed_methods,
    reason = "runs programs of this machine and looks at what they left"
)]
#![expect(
    clippy::print_stdout,
    reason = "says why it skipped and how long the machine took"
)]

mod firewall;
mod guests;
mod life;
mod support;
