//! The world: one room per thing we speak to.
//!
//! Each room has the same shape: pure `command` (intent -> argv), pure `parse` (text -> facts), `client` (the
//! I/O) and `error`. Reading and writing are separate traits, so that what only looks cannot touch.
//!
//! Invariant: nothing here decides what should be; a provider does what it is told and says what it saw.
//! Invariant: `zfs`, `ufw`, `compose` and `host` know [`shell::Shell`] and never `ssh`.

pub mod backup;
pub mod borg;
pub mod compose;
pub mod guard;
pub mod host;
#[expect(clippy::disallowed_methods, reason = "runs commands on this machine")]
pub mod local;
pub mod notify;
pub mod program;
pub mod proxmox;
pub mod restic;
pub mod shell;
#[expect(
    clippy::disallowed_methods,
    reason = "connects to hosts, runs ssh, reads keys, writes known_hosts"
)]
pub mod ssh;
pub mod ufw;
pub mod zfs;
