//! Images that guests are made from.

use super::ids::{HostName, ImageName, StorageId, Vmid};
use serde::{Deserialize, Serialize};

/// What root disks are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Name in the inventory.
    pub name: ImageName,
    /// Where its bytes come from.
    pub source: ImageSource,
    /// The template that guests are cloned from; none imports the disk into each guest.
    pub template: Option<Template>,
}

/// Where an image's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// The node downloads it by itself.
    Download(Download),
    /// infra uploads a file of the operator's machine.
    Upload {
        /// The file.
        path: String,
        /// File name in the `import` storage.
        filename: String,
        /// Expected checksum, if the owner names one.
        checksum: Option<Checksum>,
    },
    /// A volume that is already there.
    Volume(String),
    /// A template that the owner made.
    Template,
}

/// A download that a node does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// https URL.
    pub url: String,
    /// File name in the `import` storage; has a `.qcow2`, `.raw` or `.vmdk` extension, as Proxmox demands.
    pub filename: String,
    /// Expected checksum; none until it is pinned.
    pub checksum: Option<Checksum>,
}

/// A checksum in Proxmox's words (`checksum-algorithm`, `checksum`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `sha256` or `sha512`.
    pub algorithm: String,
    /// Lower-case hex.
    pub hex: String,
}

/// A guest that is only cloned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its id.
    pub vmid: Vmid,
    /// Node where it is.
    pub node: Option<HostName>,
    /// Storage of its disk, for one that infra makes.
    pub storage: Option<StorageId>,
    /// A full copy of the disk, instead of one that shares blocks with the template.
    pub full: bool,
}

impl Image {
    /// The file name in an `import` storage, for an image that infra brings there.
    pub fn filename(&self) -> Option<&str> {
        match &self.source {
            ImageSource::Download(download) => Some(&download.filename),
            ImageSource::Upload { filename, .. } => Some(filename),
            ImageSource::Volume(_) | ImageSource::Template => None,
        }
    }

    /// The volume that disks are imported from, given the storage for images of a node.
    pub fn volume(&self, storage: &StorageId) -> Option<String> {
        match &self.source {
            ImageSource::Volume(volume) => Some(volume.clone()),
            ImageSource::Download(_) | ImageSource::Upload { .. } => {
                Some(format!("{storage}:import/{}", self.filename()?))
            }
            ImageSource::Template => None,
        }
    }
}
