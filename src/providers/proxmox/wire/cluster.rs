//! `/cluster/resources` and `/cluster/mapping/*`.

use super::{Flag, Number};
use serde::Deserialize;

/// One row of `GET /cluster/resources`. Fresh guests have neither name nor template flag, and status `unknown`, until
/// pvestatd's next round.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Resource {
    #[serde(rename = "type")]
    pub(in super::super) kind: String,
    #[serde(default)]
    pub(in super::super) node: String,
    #[serde(default)]
    pub(in super::super) status: String,
    #[serde(default)]
    pub(in super::super) vmid: Option<Number>,
    #[serde(default)]
    pub(in super::super) name: Option<String>,
    #[serde(default)]
    pub(in super::super) template: Option<Flag>,
    #[serde(default)]
    pub(in super::super) pool: Option<String>,
    #[serde(default)]
    pub(in super::super) lock: Option<String>,
    /// Separated by `;`.
    #[serde(default)]
    pub(in super::super) tags: Option<String>,
}

/// One row of `GET /cluster/mapping/dir`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct DirMapping {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) map: Vec<String>,
}

/// One row of `GET /cluster/mapping/pci`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct PciMapping {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) map: Vec<String>,
}

/// One row of `GET /cluster/mapping/usb`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct UsbMapping {
    pub(in super::super) id: String,
    #[serde(default)]
    pub(in super::super) map: Vec<String>,
}

/// One row of `GET /pools`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Pool {
    pub(in super::super) poolid: String,
}
