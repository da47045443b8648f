//! Good and bad days of a homelab: the real program against a scripted lab, as a process, by its exit codes and words.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program and looks at its files"
)]

mod api;
mod broken;
mod budget;
mod canary;
mod crash;
mod fleet;
mod hosts;
mod lab;
mod lock;
mod stacks;
