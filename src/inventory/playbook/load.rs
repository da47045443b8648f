//! The disk: finds and reads playbooks.

use super::resolve::{Beside, resolve};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::inventory::{
    document,
    error::LoadError,
    reader::{Reader, Sink},
    source::Sources,
    tree,
    written::At,
};
use crate::model::playbook::Playbook;
use serde::Deserialize as _;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The folder, inside a system or beside `inventory/`.
const FOLDER: &str = "playbooks";

/// What was found.
#[derive(Debug, Default)]
pub struct LoadedPlaybooks {
    /// Those without an error, by name.
    pub playbooks: BTreeMap<String, Playbook>,
    /// Every name, good or bad.
    pub names: Vec<String>,
    /// Every problem.
    pub diagnostics: Vec<Diagnostic>,
    /// The files.
    pub sources: Vec<Source>,
}

/// Loads all playbooks of a system. `folder` is the inventory's; `builtin` has the ones that come with the program, by their
/// paths below `playbooks/`. The first place that has a name wins.
///
/// # Errors
/// Only when a file cannot be read; everything that is wrong with what was read is a diagnostic.
pub fn load(
    folder: &Path,
    builtin: &BTreeMap<String, String>,
) -> Result<LoadedPlaybooks, LoadError> {
    let mut files = builtin.clone();
    for place in [folder.join("../..").join(FOLDER), folder.join(FOLDER)] {
        if place.is_dir() {
            below(&place, &place, &mut files)?;
        }
    }
    let mut sources = Sources::default();
    let mut out = Vec::new();
    let mut loaded = LoadedPlaybooks::default();
    for (path, text) in &files {
        let Some(name) = path
            .strip_suffix(".yaml")
            .filter(|name| !name.contains('/'))
        else {
            continue;
        };
        loaded.names.push(name.to_owned());
        let mut found = Vec::new();
        let file = sources.add(&format!("{FOLDER}/{path}"), text);
        let root = tree::parse(file, &sources, &mut found);
        let document = root.and_then(|root| {
            let sink = Sink {
                sources: &sources,
                out: RefCell::new(Vec::new()),
            };
            let document = At::<document::Playbook>::deserialize(Reader::root(&root, &sink));
            found.append(&mut sink.out.into_inner());
            document.ok().and_then(|at| at.value)
        });
        if let Some(document) = document {
            let beside = Beside {
                name,
                files: &files,
                sources: &sources,
            };
            let playbook = resolve(&document, &beside, &mut found);
            let is_fine = !found.iter().any(|d| d.severity == Severity::Error);
            if let Some(playbook) = playbook.filter(|_| is_fine) {
                loaded.playbooks.insert(name.to_owned(), playbook);
            }
        }
        out.append(&mut found);
    }
    loaded.diagnostics = out;
    loaded.sources = sources.into_vec();
    Ok(loaded)
}

fn below(root: &Path, folder: &Path, out: &mut BTreeMap<String, String>) -> Result<(), LoadError> {
    let failed = |source| LoadError::List {
        folder: folder.to_owned(),
        source,
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    for path in paths {
        if path.is_dir() {
            below(root, &path, out)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        let text = std::fs::read_to_string(&path).map_err(|source| LoadError::Read {
            file: path.clone(),
            source,
        })?;
        out.insert(name.to_string_lossy().into_owned(), text);
    }
    Ok(())
}
