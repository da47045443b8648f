//! The nights: timers on a host, jobs in order, and people who are told by real little servers.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program, looks at its files, and listens"
)]

#[path = "../days/lab.rs"]
#[expect(dead_code, reason = "another suite uses the rest")]
mod lab;

mod install;
mod night;
mod server;
mod told;
