//! Template folders as read.

use crate::inventory::{document::Manifest, written::At};
use std::collections::BTreeMap;

/// The file in a template folder that describes it.
pub(crate) const MANIFEST: &str = "stack.yaml";
/// The file without which there is nothing to run.
pub(crate) const COMPOSE: &str = "compose.yaml";

/// All folders that the inventory refers to, with the image list beside them.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// Folders by template name.
    pub(crate) read: BTreeMap<String, Folder>,
    /// Names of all folders that could be referred to.
    pub(crate) names: Vec<String>,
    /// Image references by name.
    pub(crate) images: BTreeMap<String, String>,
}

impl Folders {
    /// A folder by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Folder> {
        self.read.get(name)
    }
}

/// One template folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its files: path inside the folder -> file of the sources.
    pub(crate) files: BTreeMap<String, u32>,
    /// Its manifest, when there is one that can be read.
    pub(crate) manifest: Option<At<Manifest>>,
}
