//! Good and bad days of a homelab: the real program against a scripted lab, as a process, by its exit codes and words.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program and looks at its files"
)]

mod adoption;
mod api;
mod broken;
mod budget;
mod canary;
mod clones;
mod crash;
mod destroy;
mod disks;
mod fleet;
mod forty;
mod guests;
mod hand;
mod hosts;
mod kills;
mod lab;
mod lock;
mod options;
mod real;
mod stacks;
