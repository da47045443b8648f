//! Images that guests are made from.

use crate::inventory::{
    word::Sum,
    written::{At, May, Text},
};
use crate::model::ids::StorageId;
use schemars::JsonSchema;
use serde::Deserialize;

/// What root disks are made from: one of `url`, `file` and `volume`, or an existing template.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// https URL of a cloud image, which the node downloads by itself.
    pub(crate) url: May<String>,
    /// Disk image beside the inventory, which infra uploads.
    pub(crate) file: May<String>,
    /// Volume that is already on the node: `local:import/debian-13.qcow2`.
    pub(crate) volume: May<String>,
    /// File name in the node's storage, ending in `.qcow2`, `.raw` or `.vmdk`; the last part of `url` or `file` unless
    /// given.
    pub(crate) filename: May<String>,
    /// Its checksum: `sha512:...` or `sha256:...`. Proxmox refuses a download that differs. Left out for a URL whose
    /// content moves: `infra images refresh` pins what is there today in `images.lock`.
    pub(crate) checksum: May<Text<Sum>>,
    /// Clones guests from a template instead of importing the disk into each.
    pub(crate) template: May<Template>,
}

/// A template.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    /// Its id. Beside `url`, `file` or `volume` infra makes it.
    pub(crate) vmid: At<u32>,
    /// Node where it is; the guest's own unless given.
    pub(crate) node: May<String>,
    /// Storage of its disk, for one that infra makes.
    pub(crate) storage: May<Text<StorageId>>,
    /// `linked` shares blocks with the template, `full` copies; `linked` unless given.
    pub(crate) clone: May<Clones>,
}

/// How guests are cloned.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clones {
    /// Shares blocks with the template.
    Linked,
    /// Copies the disk.
    Full,
}
