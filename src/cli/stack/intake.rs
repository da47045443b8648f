//! A compose project on this machine's disk: its files, and where its data is.

use crate::cli::{exit, failure::Failure};
use crate::release::{Intake, Use, intake};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A folder that is shown to containers is taken along up to this size; more is data.
const FOLDER_LIMIT: u64 = 1 << 20;

/// A file that goes along.
pub(super) struct TakenFile {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) mode: u32,
}

/// Everything that was found.
pub(super) struct Collected {
    pub(super) text: String,
    pub(super) intake: Intake,
    pub(super) files: Vec<TakenFile>,
    /// Relative paths at which containers write.
    pub(super) data: BTreeSet<String>,
}

/// Reads a compose file and everything that it refers to.
pub(super) fn collect(file: &Path) -> Result<Collected, Failure> {
    let text = read(file)?;
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let shown = file.display().to_string();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    if root.join(".env").is_file() {
        texts.insert(".env".to_owned(), read(&root.join(".env"))?);
    }
    let mut data = BTreeSet::new();
    let found = loop {
        let found = intake(&shown, &text, &texts).map_err(|problem| {
            let failure = Failure::new(exit::INVALID, problem.summary);
            match problem.help {
                Some(help) => failure.hint(help),
                None => failure,
            }
        })?;
        let known = texts.len();
        data.clear();
        for (path, how) in &found.paths {
            take(&root, path, *how, &mut texts, &mut data)?;
        }
        // A file that was read just now may include others.
        if texts.len() == known {
            break found;
        }
    };
    let files = texts
        .into_iter()
        .filter(|(path, _)| path != "compose.yaml")
        .map(|(path, text)| TakenFile {
            mode: mode(&root.join(&path), &path),
            path,
            text,
        })
        .collect();
    Ok(Collected {
        text,
        intake: found,
        files,
        data,
    })
}

/// A file goes along; so does a small folder that is only shown. Everything else at which a container may write is data.
fn take(
    root: &Path,
    path: &str,
    how: Use,
    texts: &mut BTreeMap<String, String>,
    data: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    let full = root.join(path);
    if full.is_file() {
        if !texts.contains_key(path) {
            texts.insert(path.to_owned(), read(&full)?);
        }
        return Ok(());
    }
    if how == Use::Shown && full.is_dir() {
        let mut files = Vec::new();
        let small = below(&full, &mut files).is_ok_and(|size| size <= FOLDER_LIMIT);
        if small && !files.is_empty() {
            for file in files {
                let inside = file.strip_prefix(root).unwrap_or(&file);
                let inside = inside.to_string_lossy().into_owned();
                if let Entry::Vacant(place) = texts.entry(inside) {
                    place.insert(read(&file)?);
                }
            }
            return Ok(());
        }
    }
    // A file that compose reads and that is not there is told with its line, by the check of the whole.
    if how != Use::Read {
        data.insert(path.to_owned());
    }
    Ok(())
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            size += below(&path, files)?;
        } else {
            size += path.metadata()?.len();
            files.push(path);
        }
        if size > FOLDER_LIMIT {
            break;
        }
    }
    files.sort();
    Ok(size)
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::of(exit::USAGE, &error).hint(format!(
            "It is {}. A template holds text; keep other files on the host and name them by an absolute path.",
            file.display()
        ))
    })
}

/// As on this disk; what compose reads variables from is nobody else's business.
fn mode(file: &Path, path: &str) -> u32 {
    let own = file
        .metadata()
        .map_or(0o644, |found| found.permissions().mode() & 0o777);
    if path.strip_suffix(".env").is_some() {
        own & 0o600
    } else {
        own
    }
}
