//! The front desk: clap types and one file per verb; each verb is load, call, view.
//!
//! [`main`] is all that the binary calls. `args` is what may be typed, [`system`] an inventory compiled offline,
//! [`session`] one run against live machines.
//!
//! Invariant: nothing uses `cli`.
//! Invariant: the environment is read here, once, and nowhere else.

mod args;
mod backup;
mod check;
mod closed;
mod context;
mod destroy;
mod doctor;
mod dr;
mod env;
mod exit;
mod failure;
mod firewall;
mod images;
mod import;
mod init;
mod inventory;
#[cfg(feature = "lab")]
mod lab;
#[cfg(feature = "lab")]
mod lab_fault;
mod live;
mod locks;
mod manual;
mod narrow;
mod nightly;
mod plan;
mod play;
mod rendered;
mod rounds;
mod secrets;
mod session;
mod stack;
mod start;
mod status;
mod substitute;
mod system;
mod timers;
mod up;
mod verify;
mod vm;
mod vm_found;
mod vm_life;
mod zfs;

pub use start::main;
