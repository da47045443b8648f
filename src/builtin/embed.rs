//! What is embedded: `inventory/<system>/*.yaml` and `templates/`.

use super::BuiltinError;
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

static INVENTORY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/inventory");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static PLAYBOOKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");

/// The line of a system that `infra init` fills with the operator's public keys.
pub const KEYS_MARKER: &str = "authorized_keys: []\n";
/// Beside the template folders: the list of container images.
const IMAGES: &str = "images.yaml";

/// Whether a system has a Proxmox node.
pub fn has_proxmox(system: &str) -> bool {
    files(system).is_ok_and(|files| files.values().any(|text| text.contains("\nproxmox:")))
}

/// The names of the built-in systems.
pub fn systems() -> Vec<String> {
    let mut names: Vec<String> = INVENTORY
        .dirs()
        .map(|dir| dir.path().display().to_string())
        .collect();
    names.sort();
    names
}

/// All embedded templates: path below `templates/` -> text.
pub fn templates() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    texts(&TEMPLATES, &mut out);
    out
}

/// All embedded playbooks and their templates: path below `playbooks/` -> text.
pub fn playbooks() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    texts(&PLAYBOOKS, &mut out);
    out.retain(|path, _| !is(path, "md"));
    out
}

/// Where a system is written, relative to the folder that the owner named.
pub fn folder(system: &str) -> String {
    format!("inventory/{system}")
}

/// The files of a system and of the templates that it uses: path -> text.
///
/// # Errors
/// [`BuiltinError::Unknown`].
pub fn files(system: &str) -> Result<BTreeMap<String, String>, BuiltinError> {
    let Some(dir) = INVENTORY.get_dir(system) else {
        return Err(BuiltinError::Unknown {
            name: system.to_owned(),
        });
    };
    let mut own = BTreeMap::new();
    texts(dir, &mut own);
    own.retain(|path, _| is(path, "yaml"));
    let used: BTreeSet<String> = own.values().flat_map(|text| templates_of(text)).collect();
    let mut out: BTreeMap<String, String> = own
        .into_iter()
        .map(|(path, text)| (format!("inventory/{path}"), text))
        .collect();
    for (path, text) in templates() {
        let folder = path.split('/').next().unwrap_or(&path);
        if path == IMAGES || used.contains(folder) {
            out.insert(format!("templates/{path}"), text);
        }
    }
    let playbooks = playbooks().into_iter();
    out.extend(playbooks.map(|(path, text)| (format!("playbooks/{path}"), text)));
    Ok(out)
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|own| own == extension)
}

fn texts(dir: &Dir<'_>, out: &mut BTreeMap<String, String>) {
    for file in dir.files() {
        if let Some(text) = file.contents_utf8() {
            out.insert(file.path().display().to_string(), text.to_owned());
        }
    }
    for inner in dir.dirs() {
        texts(inner, out);
    }
}

/// The templates that one inventory file refers to. Its other keys are of no interest here.
fn templates_of(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        stacks: BTreeMap<String, Stack>,
    }
    #[derive(Deserialize)]
    struct Stack {
        template: Option<String>,
    }
    let file: File = serde_saphyr::from_str(text).unwrap_or(File {
        stacks: BTreeMap::new(),
    });
    file.stacks
        .into_iter()
        .map(|(name, stack)| stack.template.unwrap_or(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_brings_the_templates_that_it_uses_and_no_secret() {
        let files = files("media-server-home").expect("built in");
        for path in [
            "inventory/media-server-home/system.yaml",
            "templates/images.yaml",
            "templates/jellyfin/compose.yaml",
            "templates/immich/stack.yaml",
        ] {
            assert!(files.contains_key(path), "{path} in {:?}", files.keys());
        }
        assert!(files.keys().all(|path| !is(path, "age")));
        let marked = files
            .values()
            .filter(|text| text.contains(KEYS_MARKER))
            .count();
        assert_eq!(marked, 1, "one line takes the operator's keys");
        assert!(super::files("nothing").is_err());
    }
}
