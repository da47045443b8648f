//! What a change does to what runs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a change does to what runs, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// Nothing running notices.
    Hot,
    /// Takes effect when the guest next starts.
    NextBoot,
    /// Restarts a service or a stack's containers.
    Restart,
    /// Reboots the guest or node.
    Reboot,
    /// Stops the guest.
    Stop,
    /// The guest gets new SSH host keys.
    HostKeyReset,
    /// Could cut our own access; runs under a guard.
    MayCutAccess,
    /// Data is lost.
    DestroysData,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "hot",
            Self::NextBoot => "next boot",
            Self::Restart => "restarts",
            Self::Reboot => "reboots",
            Self::Stop => "stops",
            Self::HostKeyReset => "resets host keys",
            Self::MayCutAccess => "may cut access",
            Self::DestroysData => "destroys data",
        })
    }
}
