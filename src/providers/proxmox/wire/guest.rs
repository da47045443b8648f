//! `/nodes/{node}/qemu/{vmid}/*`.

use super::{Flag, Number, Text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET .../config`. Values are strings or numbers by no rule that could be relied on; absent ones may be null.
pub(in super::super) type Config = BTreeMap<String, Option<Text>>;

/// One row of `GET .../pending`. The digest is a row too.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Pending {
    pub(in super::super) key: String,
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
