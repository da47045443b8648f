//! The reference systems: each is whole, renders, and comes up for real with checks that turn red when its configuration is wrong.
//!
//! What needs real guests runs with `INFRA_SYSTEMS=1` (`make nightly SUITE=systems`) and says why it is skipped otherwise.
//! `INFRA_SYSTEMS_FOLDER=DIR` keeps the labs there and takes them up again, for those who work on a system.

#![expect(
    clippy::disallowed_methods,
    reason = "writes systems out, changes their files and runs the program on them"
)]

mod mutation;
mod real;
mod whole;
