//! `/nodes/{node}/qemu/{vmid}/*`.

use super::{Flag, Number, Text};
use serde::Deserialize;

/// One row of `GET .../pending`. The digest is a row too.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Pending {
    pub(in super::super) key: String,
    /// The value that acts now. Strings or numbers by no rule that could be relied on.
    #[serde(default)]
    pub(in super::super) value: Option<Text>,
    /// The value after the next stop and start.
    #[serde(default, rename = "pending")]
    pub(in super::super) next: Option<Text>,
    /// 1 for a pending deletion, 2 for one with force.
    #[serde(default)]
    pub(in super::super) delete: Option<Number>,
}

/// `GET .../status/current`: the truth, where `/cluster/resources` is up to ten seconds late.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Status {
    #[serde(rename = "status")]
    pub(in super::super) power: String,
    #[serde(default)]
    pub(in super::super) lock: Option<String>,
    #[serde(default)]
    pub(in super::super) name: Option<String>,
    #[serde(default)]
    pub(in super::super) template: Option<Flag>,
}

/// One row of `GET /nodes/{node}/qemu`: as true as the status of one guest, for all of a node at once.
#[derive(Debug, Deserialize)]
pub(in super::super) struct GuestRow {
    pub(in super::super) vmid: Number,
    status: String,
    #[serde(default)]
    lock: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    template: Option<Flag>,
}

impl From<&GuestRow> for Status {
    fn from(row: &GuestRow) -> Self {
        Self {
            power: row.status.clone(),
            lock: row.lock.clone(),
            name: row.name.clone(),
            template: row.template,
        }
    }
}

/// One row of `GET .../snapshot`; the last one, `current`, is no snapshot.
#[derive(Debug, Deserialize)]
pub(in super::super) struct SnapshotRow {
    pub(in super::super) name: String,
    #[serde(default)]
    pub(in super::super) description: String,
    #[serde(default)]
    pub(in super::super) snaptime: Number,
    #[serde(default)]
    pub(in super::super) parent: Option<String>,
}

/// `GET .../agent/file-read`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct FileContent {
    #[serde(default)]
    pub(in super::super) content: String,
}
