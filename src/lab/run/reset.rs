//! Makes a lab forget.

use super::{
    down::down,
    error::{RunError, failed},
};
use crate::lab::folder::LabFolder;
use std::{fs, io, path::Path};

/// Takes the lab down and removes its guests, hosts, datasets, what its API remembers and its keys. Images and
/// downloads are in the cache and stay. Only what a lab itself makes is removed from the folder.
///
/// # Errors
/// When something could not be removed.
pub fn reset(folder: &LabFolder) -> Result<(), RunError> {
    down(folder)?;
    let key = folder.operator_key();
    for path in [
        folder.guests(),
        folder.hosts(),
        folder.api(),
        folder.firewall(),
        folder.zfs(),
        folder.zfs_image(),
        folder.known_hosts(),
        folder.runs(),
        folder.scripted().root().to_owned(),
        key.with_added_extension("pub"),
        key,
    ] {
        remove(&path)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), RunError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(entry) if entry.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(failed("remove", path))
}
