//! Good and bad days of a homelab: the real program against a scripted lab, as a process, by its exit codes and words.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program and looks at its files"
)]

mod api;
mod budget;
mod crash;
mod hosts;
mod lab;
mod lock;
mod stacks;
