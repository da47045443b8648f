//! `/nodes/{node}/storage`, `/network`.

use super::{Flag, Number};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
    pub(in super::super) shared: Flag,
    #[serde(default)]
    pub(in super::super) avail: Number,
}

/// One row of `GET /nodes/{node}/storage/{storage}/content`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Volume {
    pub(in super::super) volid: String,
    #[serde(default)]
    pub(in super::super) size: Number,
    /// When it was made; backups have it.
    #[serde(default)]
    pub(in super::super) ctime: Number,
}

/// `GET /nodes/{node}/network` with what stands beside its data.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Network {
    #[serde(default)]
    pub(in super::super) data: Vec<BTreeMap<String, Value>>,
    /// A diff, while changes are staged in `interfaces.new`.
    #[serde(default)]
    pub(in super::super) changes: Option<String>,
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
