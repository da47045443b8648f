//! The health of a zpool as seen.

use serde::{Deserialize, Serialize};

/// A zpool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ZpoolState {
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED` ...
    pub health: String,
    /// Bytes in all; 0 when the pool cannot say.
    pub size: u64,
    /// Bytes in use.
    pub allocated: u64,
    /// Bytes free.
    pub free: u64,
    /// Percent in use.
    pub capacity: Option<u64>,
    /// Percent of free space that is in small pieces.
    pub fragmentation: Option<u64>,
    /// Files and metadata that are damaged for good.
    pub data_errors: u64,
    /// Devices that are not well, or have counted errors.
    pub devices: Vec<DeviceTrouble>,
    /// The last scrub or resilver.
    pub scan: Option<Scan>,
    /// ZFS's own words on what is wrong; empty when nothing is.
    pub status: String,
    /// ZFS's own words on what to do.
    pub action: String,
}

/// A device that needs a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTrouble {
    /// Name in `zpool status`.
    pub name: String,
    /// `OFFLINE`, `FAULTED`, `UNAVAIL`, or `ONLINE` with errors.
    pub state: String,
    /// Failed reads.
    pub read: u64,
    /// Failed writes.
    pub write: u64,
    /// Blocks whose checksum was wrong.
    pub checksum: u64,
}

/// A scrub or resilver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// `scrub` or `resilver`.
    pub function: String,
    /// `finished`, `scanning` or `canceled`.
    pub state: String,
    /// Seconds since 1970: its end, or its beginning while it runs.
    pub at: Option<i64>,
    /// Errors that it found.
    pub errors: u64,
}

impl ZpoolState {
    /// Whether the pool cannot be written: every command against it would wait for ever.
    pub fn is_stuck(&self) -> bool {
        matches!(
            self.health.as_str(),
            "SUSPENDED" | "FAULTED" | "UNAVAIL" | "REMOVED"
        )
    }
}
