//! SSH through libssh2: one thread per host owns the session.
//!
//! [`fleet::Fleet`] has one [`host::SshHost`] per host of a system; a host connects on first use, runs up to eight
//! commands at a time over that one connection, and connects anew on the next use after it was lost.
//! [`known_hosts::KnownHosts`] is the file in which host keys are pinned. [`carry`] lets the output of a command on one
//! host flow into a command on another, through this machine; for that it uses OpenSSH's own client.
//!
//! Invariant: the host key is checked before the first byte of authentication, always.
//! Invariant: argv is quoted here, in [`line`], and nowhere else.
//! Invariant: a command that may have started is never started again.
//! Invariant: no libssh2 object leaves the thread that made it.

mod actor;
mod auth;
mod connect;
pub mod error;
mod exchange;
pub mod fleet;
pub mod host;
pub mod host_key;
mod jump;
pub mod known_hosts;
pub mod line;
mod pipe;
pub mod target;
pub mod trust;
mod user_config;

pub use error::ConnectError;
pub use fleet::{Fleet, FleetOptions};
pub use host::{Counts, SshHost};
pub use host_key::HostKey;
pub use known_hosts::KnownHosts;
pub use line::{quote_all, terminal_line};
pub use pipe::{Carried, carry};
pub use target::{Person, Target};
