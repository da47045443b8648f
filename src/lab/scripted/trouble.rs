//! What a test or a person breaks on a scripted host, and what its visitors have cost.

use serde::{Deserialize, Serialize};

/// What goes wrong on a host until it is made well again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "trouble")]
pub enum HostTrouble {
    /// Connections are cut and refused.
    Unreachable,
    /// It shows another host key.
    NewHostKey,
    /// sudo asks for a password.
    SudoRefused,
    /// Nothing can be written.
    DiskFull,
    /// The registries cannot be reached.
    PullFails,
    /// The containers of this compose service fail their healthcheck.
    Unhealthy {
        /// Service; `SERVICE@TEXT` only while it runs an image that has the text in its name.
        service: String,
    },
    /// Every command takes so much longer.
    Slow {
        /// Real seconds.
        seconds: f64,
    },
}

/// What visitors have cost a host since the lab came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Visits {
    /// Connections that were accepted.
    pub connections: u64,
    /// Commands that were run.
    pub execs: u64,
}
