//! What a lab is made with, beside the inventory.

use crate::lab::{folder::LabFolder, state::LabKind};
use std::path::PathBuf;

/// Where a lab lives and how it behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How its guests are made.
    pub kind: LabKind,
    /// The lab's own folder.
    pub folder: LabFolder,
    /// The cache that labs share.
    pub cache: PathBuf,
    /// Factor on the lab's delays; 1 is real time.
    pub clock: f64,
    /// This program: it is `zfs` and `zpool` on the node.
    pub program: PathBuf,
    /// HTTP proxy through which this machine reaches its package mirrors.
    pub proxy: Option<String>,
}
