//! `zfs load-key` and `unload-key`. The twin keeps a hash of the passphrase and leaves the files as they are.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    properties,
    store::Store,
};
use std::fmt::Write as _;

/// The hash of what a key location gives: the input for `prompt`, a file for `file://`.
pub(super) fn secret(
    disk: &dyn Disk,
    location: &str,
    input: &[u8],
) -> std::result::Result<String, String> {
    use sha2::{Digest as _, Sha256};
    let bytes = match location.strip_prefix("file://") {
        Some(path) => disk
            .key_file(path)
            .map_err(|why| format!("Failed to open key material file: {why}"))?,
        None => input.to_vec(),
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    if line.len() < 8 {
        return Err("Passphrase too short (min 8).".to_owned());
    }
    let digest = Sha256::digest(line.as_bytes());
    Ok(hex(&digest))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `zfs load-key [-n] [-L LOCATION] DATASET`.
pub(super) fn load(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
    input: &[u8],
) -> Result<Answer> {
    let options = Options::read("load-key", "rnaL:", args)?;
    let Some(name) = options.operands.first() else {
        return Err(Answer::usage("load-key", "missing dataset argument"));
    };
    let refused = |why: &str| Answer::refused(255, format!("Key load error: {why}"));
    let key = store
        .datasets
        .get(name)
        .ok_or_else(|| no_dataset(name))?
        .key
        .clone();
    let Some(key) = key else {
        return Err(refused(&format!("'{name}' is not encrypted.")));
    };
    if key.root != *name {
        let root = &key.root;
        return Err(refused(&format!(
            "Keys must be loaded for encryption root of '{name}' ({root})."
        )));
    }
    if key.loaded && !options.has('n') {
        return Err(refused(&format!("Key already loaded for '{name}'.")));
    }
    let location = options.value('L').map(str::to_owned);
    let location = location
        .or_else(|| properties::settable(store, name, "keylocation").map(|(value, _)| value));
    let hash = secret(disk, location.as_deref().unwrap_or("prompt"), input)
        .map_err(|why| refused(&why))?;
    if hash != key.hash {
        return Err(refused(&format!("Incorrect key provided for '{name}'.")));
    }
    if !options.has('n') {
        mark(store, name, true);
    }
    Ok(Answer::default())
}

/// `zfs unload-key DATASET`.
pub(super) fn unload(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("unload-key", "ra", args)?;
    let Some(name) = options.operands.first() else {
        return Err(Answer::usage("unload-key", "missing dataset argument"));
    };
    let refused = |why: &str| Answer::refused(255, format!("Key unload error: {why}"));
    let record = store.datasets.get(name).ok_or_else(|| no_dataset(name))?;
    if record.key.is_none() {
        return Err(refused(&format!("'{name}' is not encrypted.")));
    }
    if record.is_locked() {
        return Err(refused(&format!("Key already unloaded for '{name}'.")));
    }
    let mounts = disk.mounts();
    let is_busy = store.datasets.values().any(|record| {
        record.key.as_ref().is_some_and(|key| key.root == *name)
            && mounts.iter().any(|(files, _)| *files == record.files)
    });
    if is_busy {
        return Err(refused(&format!("'{name}' is busy.")));
    }
    mark(store, name, false);
    Ok(Answer::default())
}

/// Loads or unloads the key of an encryption root, and so of all that is sealed with it.
pub(super) fn mark(store: &mut Store, root: &str, loaded: bool) {
    let keys = store.datasets.values_mut().filter_map(|d| d.key.as_mut());
    for key in keys.filter(|key| key.root == root) {
        key.loaded = loaded;
    }
}
