//! `/nodes/{node}/storage`, `/network`.

use super::{Flag, Number};
use serde::Deserialize;

/// One row of `GET /nodes/{node}/storage`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Storage {
    #[serde(rename = "storage")]
    pub(in super::super) id: String,
    #[serde(rename = "type")]
    pub(in super::super) kind: String,
    /// Comma-separated, in any order.
    #[serde(default)]
    pub(in super::super) content: String,
    #[serde(default)]
    pub(in super::super) active: Flag,
    #[serde(default)]
    pub(in super::super) enabled: Flag,
    #[serde(default)]
    pub(in super::super) avail: Number,
}

/// One row of `GET /nodes/{node}/storage/{storage}/content`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Volume {
    pub(in super::super) volid: String,
    #[serde(default)]
    pub(in super::super) size: Number,
}

/// One row of `GET /nodes/{node}/network`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Interface {
    pub(in super::super) iface: String,
    #[serde(rename = "type")]
    pub(in super::super) kind: String,
    /// Absent for an interface that is only staged in `interfaces.new`.
    #[serde(default)]
    pub(in super::super) active: Flag,
    #[serde(default)]
    pub(in super::super) cidr: Option<String>,
    #[serde(default)]
    pub(in super::super) cidr6: Option<String>,
}

/// `GET /nodes/{node}/status`, the part about its root file system.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Status {
    #[serde(default)]
    pub(in super::super) pveversion: String,
    #[serde(default)]
    pub(in super::super) rootfs: Space,
}

/// Bytes of a file system.
#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Space {
    #[serde(default)]
    pub(in super::super) avail: Number,
    #[serde(default)]
    pub(in super::super) total: Number,
}

/// `GET /nodes/{node}/time`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Time {
    pub(in super::super) time: Number,
    #[serde(default)]
    pub(in super::super) timezone: String,
}

/// `GET /nodes/{node}/dns`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Dns {
    #[serde(default)]
    pub(in super::super) dns1: Option<String>,
    #[serde(default)]
    pub(in super::super) dns2: Option<String>,
    #[serde(default)]
    pub(in super::super) dns3: Option<String>,
}
