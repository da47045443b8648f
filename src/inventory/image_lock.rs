//! `images.lock`: what an image was when its owner last looked. Committed beside the inventory.

use crate::model::image::Checksum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// File name, beside the inventory's files.
pub const IMAGE_LOCK: &str = "images.lock";

/// The pins by image name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageLock {
    /// Image -> pin.
    #[serde(default)]
    pub images: BTreeMap<String, Pin>,
    /// Container images by reference, as templates write them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, ContainerPin>,
}

/// What a tag stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPin {
    /// Digest of its manifest, or of its list of manifests: `sha256:...`.
    pub digest: String,
    /// When, in UTC.
    pub since: String,
}

/// What a URL served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The URL. A pin of another URL says nothing.
    pub url: String,
    /// Checksum of what it served.
    pub checksum: Checksum,
    /// When, in UTC.
    pub since: String,
}

impl ImageLock {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong with it, as text.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The file's text.
    pub fn print(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }

    /// The digests of container images by reference.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let pins = self.containers.iter();
        pins.map(|(reference, pin)| (reference.clone(), pin.digest.clone()))
            .collect()
    }

    /// The checksum that is pinned for an image at a URL.
    pub fn pin(&self, image: &str, url: &str) -> Option<&Checksum> {
        self.images
            .get(image)
            .filter(|pin| pin.url == url)
            .map(|pin| &pin.checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_belongs_to_its_url() {
        let pin = Pin {
            url: "https://example.org/a.qcow2".to_owned(),
            checksum: Checksum {
                algorithm: "sha256".to_owned(),
                hex: "ab".repeat(32),
            },
            since: "2026-11-20T08:00:00Z".to_owned(),
        };
        let lock = ImageLock {
            images: BTreeMap::from([("debian".to_owned(), pin.clone())]),
            ..ImageLock::default()
        };
        assert_eq!(ImageLock::parse(&lock.print()), Ok(lock.clone()));
        assert_eq!(lock.pin("debian", &pin.url), Some(&pin.checksum));
        assert_eq!(lock.pin("debian", "https://example.org/b.qcow2"), None);
        assert!(ImageLock::parse("{\"images\": {\"x\": {}}}").is_err());
    }
}
