//! Playbooks: read strictly, compared, carried out on a scripted lab.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program and looks at its files"
)]

#[path = "../days/lab.rs"]
#[expect(dead_code, reason = "another suite uses the rest")]
mod lab;

mod play;
mod samples;
mod shipped;
