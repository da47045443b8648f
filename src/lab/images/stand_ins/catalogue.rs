//! The list of stand-ins, read from the folders beside this file.

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/lab/images/stand_ins");

/// Files that several stand-ins have.
const SHARED: &str = "shared";

/// The layer that all others lie on.
pub(in crate::lab::images) const ROOT: &str = "debian";

/// Everything that the lab can build.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Layers by name.
    pub layers: BTreeMap<String, Layer>,
    /// Stand-ins by name.
    pub stand_ins: BTreeMap<String, StandIn>,
}

/// What installing some packages changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Debian packages.
    pub packages: Vec<String>,
    /// Script that runs before the installation.
    #[serde(default)]
    pub before: String,
    /// Script that runs behind it.
    #[serde(default)]
    pub after: String,
    /// Paths, with wildcards, that guests do not pull.
    #[serde(default)]
    pub without: Vec<String>,
}

/// One stand-in.
#[derive(Debug, Clone, PartialEq)]
pub struct StandIn {
    /// What really runs, for people.
    pub runs: String,
    /// Image names without tag, each with the tags that are known to exist.
    pub images: BTreeMap<String, Vec<String>>,
    /// Layers between Debian and its own files.
    pub layers: Vec<String>,
    /// Directories that its own layer makes.
    pub directories: BTreeMap<String, Directory>,
    /// Symbolic links that its own layer makes: path -> target.
    pub links: BTreeMap<String, String>,
    /// Files of its own layer: path -> bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The `config` of an OCI image.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// A directory of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Numeric owner.
    #[serde(default)]
    pub uid: u32,
    /// Numeric group.
    #[serde(default)]
    pub gid: u32,
    /// Permission bits, octal.
    pub mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    runs: String,
    images: BTreeMap<String, Vec<String>>,
    layers: Vec<String>,
    /// Folders of `shared/` whose files it has too.
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    directories: BTreeMap<String, Directory>,
    #[serde(default)]
    links: BTreeMap<String, String>,
    config: serde_json::Map<String, serde_json::Value>,
}

/// The catalogue that this binary carries.
pub fn catalogue() -> Catalogue {
    let own = |folder: &&Dir<'_>| folder.path() != Path::new(SHARED);
    let stand_ins = FOLDER.dirs().filter(own).map(|folder| {
        let name = folder.path().to_string_lossy().into_owned();
        (name, stand_in(folder))
    });
    Catalogue {
        layers: layers(),
        stand_ins: stand_ins.collect(),
    }
}

fn layers() -> BTreeMap<String, Layer> {
    let text = FOLDER
        .get_file("layers.yaml")
        .and_then(|file| file.contents_utf8())
        .expect("layers.yaml is embedded");
    serde_saphyr::from_str(text).expect("a test reads layers.yaml")
}

fn stand_in(folder: &Dir<'_>) -> StandIn {
    let text = folder
        .get_file(folder.path().join("image.yaml"))
        .and_then(|file| file.contents_utf8())
        .expect("a test reads every image.yaml");
    let document: Document = serde_saphyr::from_str(text).expect("a test reads every image.yaml");
    let mut files = BTreeMap::new();
    for name in &document.with {
        let root = FOLDER
            .get_dir(Path::new(SHARED).join(name))
            .expect("a test reads every image.yaml");
        collect(root, root, &mut files);
    }
    if let Some(root) = folder.get_dir(folder.path().join("root")) {
        collect(root, root, &mut files);
    }
    StandIn {
        runs: document.runs,
        images: document.images,
        layers: document.layers,
        directories: document.directories,
        links: document.links,
        files,
        config: document.config,
    }
}

fn collect(root: &Dir<'_>, folder: &Dir<'_>, out: &mut BTreeMap<String, Vec<u8>>) {
    for file in folder.files() {
        let path = file
            .path()
            .strip_prefix(root.path())
            .expect("below its root");
        out.insert(
            path.to_string_lossy().into_owned(),
            file.contents().to_vec(),
        );
    }
    for inner in folder.dirs() {
        collect(root, inner, out);
    }
}

impl Catalogue {
    /// The stand-in for an image (without tag), with its name.
    pub fn find(&self, image: &str) -> Option<(&str, &StandIn)> {
        self.stand_ins
            .iter()
            .find(|(_, stand_in)| stand_in.images.contains_key(image))
            .map(|(name, stand_in)| (name.as_str(), stand_in))
    }

    /// Every reference that can be pulled, with what really runs.
    pub fn references(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for stand_in in self.stand_ins.values() {
            for (image, tags) in &stand_in.images {
                for tag in tags {
                    out.insert(format!("{image}:{tag}"), stand_in.runs.clone());
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::images::store::Reference;
    use std::collections::BTreeSet;

    #[test]
    fn every_stand_in_is_complete() {
        let catalogue = catalogue();
        assert!(catalogue.layers.contains_key(ROOT));
        let mut seen = BTreeSet::new();
        for (name, stand_in) in &catalogue.stand_ins {
            assert!(!stand_in.runs.is_empty(), "{name}");
            for layer in &stand_in.layers {
                assert!(
                    catalogue.layers.contains_key(layer),
                    "{name}: no layer {layer}"
                );
            }
            for image in stand_in.images.keys() {
                assert!(seen.insert(image.clone()), "{image} has two stand-ins");
            }
            for directory in stand_in.directories.values() {
                u32::from_str_radix(&directory.mode, 8).expect(name);
            }
            for path in stand_in.files.keys() {
                assert!(!path.contains("__pycache__"), "{name}: {path}");
            }
        }
        for (reference, runs) in catalogue.references() {
            let read = Reference::parse(&reference).expect(&reference);
            assert_eq!(read.to_string(), reference, "written out");
            assert!(!runs.is_empty());
        }
    }

    /// `bin` and its like are links into `usr`: a link there replaces what it should lead to.
    #[test]
    fn links_stand_in_real_directories() {
        for (name, stand_in) in &catalogue().stand_ins {
            for path in stand_in.links.keys() {
                let first = path.split('/').next().unwrap_or_default();
                let is_merged = ["bin", "sbin", "lib", "lib64"].contains(&first);
                assert!(!is_merged, "{name}: {path}");
            }
        }
    }

    #[test]
    fn scripts_say_what_runs_them() {
        for (name, stand_in) in catalogue().stand_ins {
            for (path, bytes) in stand_in.files {
                let is_program = path.contains("bin/")
                    || path.starts_with("app/")
                    || path == "gluetun-entrypoint";
                assert_eq!(bytes.starts_with(b"#!/"), is_program, "{name}: {path}");
            }
        }
    }
}
