//! The nights: what somebody changes by hand, what breaks, and how many round trips a quiet run takes, on real guests.
//!
//! Needs root, the lab's Debian packages and `INFRA_NIGHTLY=1`; says so and passes otherwise. Every suite makes its own
//! lab. `INFRA_NIGHTLY_FOLDER=DIR` keeps the lab there and takes it up again, for those who work on a suite;
//! `INFRA_NIGHTLY_ONLY=TEXT` runs only what has the text in its name.

#![expect(
    clippy::disallowed_methods,
    reason = "changes a lab by hand, behind the program's back"
)]
#![expect(
    clippy::print_stdout,
    reason = "tells what was changed, seen and repaired, and why it skipped"
)]

mod budget;
mod days;
mod drift;
mod drifts;
mod kills;
mod lab;
#[path = "../days/kills.rs"]
mod moments;
mod report;
