//! The real folders behind the storages, in Proxmox's layout.

use super::model::storage::{Shelf, Shelved, virtual_size};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Content type -> folder below a storage.
const LAYOUT: &[(&str, &str)] = &[
    ("iso", "template/iso"),
    ("vztmpl", "template/cache"),
    ("import", "import"),
    ("snippets", "snippets"),
];

/// Every file of every storage; `prefix` stands before each key.
pub(crate) fn scan(folders: &BTreeMap<String, PathBuf>, prefix: &str) -> Shelf {
    let mut shelf = Shelf::new();
    for (id, folder) in folders {
        for (content, below) in LAYOUT {
            let Ok(entries) = fs::read_dir(folder.join(below)) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.contains(".tmp_dwnl") {
                    continue;
                }
                if let Some(file) = look(content, &entry.path()) {
                    shelf.insert(format!("{prefix}{id}:{content}/{name}"), file);
                }
            }
        }
    }
    shelf
}

fn look(content: &str, path: &Path) -> Option<Shelved> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let format = match path
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or("raw")
    {
        "img" if content == "iso" => "iso",
        "gz" | "xz" | "zst" => "tgz",
        other => other,
    };
    let mut header = Vec::new();
    if format == "qcow2" {
        fs::File::open(path)
            .ok()?
            .take(32)
            .read_to_end(&mut header)
            .ok()?;
    }
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Shelved {
        content: content.to_owned(),
        format: format.to_owned(),
        size: about.len(),
        virtual_size: virtual_size(&header, about.len()),
        ctime: i64::try_from(changed.as_secs()).ok()?,
        file: path.to_owned(),
    })
}

/// Where a file of a storage is kept, its folder made.
pub(crate) fn place(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let (content, file) = name.split_once('/').unwrap_or(("import", name));
    let below = LAYOUT
        .iter()
        .find(|(known, _)| *known == content)
        .map_or("import", |(_, below)| below);
    let folder = folder.join(below);
    fs::create_dir_all(&folder)?;
    Ok(folder.join(file))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

/// Replaces a file at once: a reader sees the old or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write_private(&next, bytes)?;
    fs::rename(next, path)
}
