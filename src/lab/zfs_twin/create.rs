//! `zfs create`.

use super::{
    answer::{Answer, Result},
    disk::Disk,
    key, mount, name,
    options::Options,
    sizes,
    store::{Dataset, Key, Store},
    value::{accepted, number},
};
use std::collections::BTreeMap;

/// `zfs create [-p] [-u] [-s] [-V SIZE] [-b BLOCK] [-o PROPERTY=VALUE]... NAME`.
pub(super) fn create(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
    input: &[u8],
) -> Result<Answer> {
    let options = Options::read("create", "pusnvPV:b:o:", args)?;
    let [name] = options.operands.as_slice() else {
        return Err(Answer::usage("create", "missing filesystem argument"));
    };
    if let Some(why) = name::dataset(name) {
        return Err(refused(name, &why));
    }
    let volume = match options.value('V') {
        None => None,
        Some(size) => {
            Some(number(size).ok_or_else(|| refused(name, &format!("bad volume size '{size}'")))?)
        }
    };
    let mut local = properties(&options, name)?;
    let pool = name.split('/').next().unwrap_or(name);
    if !store.pools.contains_key(pool) {
        return Err(refused(name, &format!("no such pool '{pool}'")));
    }
    if store.datasets.contains_key(name) {
        if options.has('p') {
            return Ok(Answer::default());
        }
        return Err(refused(name, "dataset already exists"));
    }
    let mut missing = Vec::new();
    let mut above = name.as_str();
    while let Some((parent, _)) = above.rsplit_once('/') {
        above = parent;
        if !store.datasets.contains_key(above) {
            missing.push(above.to_owned());
        }
    }
    if !missing.is_empty() && !options.has('p') {
        return Err(refused(name, "parent does not exist"));
    }
    if sizes::available(store, disk, above) < sizes::EMPTY {
        return Err(refused(name, "out of space"));
    }
    let key = sealed(store, disk, name, above, &mut local, input)?;
    if let Some(bytes) = volume
        && !options.has('s')
    {
        let reserved = sizes::volume_reservation(bytes);
        local.insert("refreservation".to_owned(), reserved.to_string());
    }
    if let Some(block) = options.value('b').and_then(number) {
        local.insert("volblocksize".to_owned(), block.to_string());
    }
    if options.has('n') {
        return Ok(Answer::default());
    }
    for parent in missing.iter().rev() {
        add(store, disk, parent, Dataset::default())?;
    }
    let record = Dataset {
        local,
        volume,
        key,
        ..Dataset::default()
    };
    add(store, disk, name, record)?;
    if options.has('u') || volume.is_some() {
        Ok(Answer::default())
    } else {
        mount::below(store, disk, missing.last().unwrap_or(name))
    }
}

fn properties(options: &Options, name: &str) -> Result<BTreeMap<String, String>> {
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        let Some((property, value)) = pair.split_once('=') else {
            return Err(Answer::usage(
                "create",
                format!("missing '=' for property=value argument '{pair}'"),
            ));
        };
        let value = accepted(property, value, true).map_err(|why| refused(name, &why))?;
        local.insert(property.to_owned(), value);
    }
    Ok(local)
}

/// The key of a new dataset: its own, or that of the encryption root above it.
fn sealed(
    store: &Store,
    disk: &dyn Disk,
    name: &str,
    parent: &str,
    local: &mut BTreeMap<String, String>,
    input: &[u8],
) -> Result<Option<Key>> {
    let wants = local.get("encryption").is_some_and(|value| value != "off");
    let above = store.datasets.get(parent).and_then(|d| d.key.clone());
    if !wants || (above.is_some() && !local.contains_key("keyformat")) {
        let Some(above) = above else {
            if local.contains_key("keyformat") || local.contains_key("keylocation") {
                return Err(refused(
                    name,
                    "Encryption must be turned on to set encryption properties.",
                ));
            }
            return Ok(None);
        };
        if !above.loaded {
            return Err(refused(name, "Parent encryption key must be loaded."));
        }
        let root = store.datasets.get(&above.root);
        for property in ["encryption", "keyformat", "pbkdf2iters"] {
            if let Some(value) = root.and_then(|root| root.local.get(property)) {
                local.insert(property.to_owned(), value.clone());
            }
        }
        return Ok(Some(above));
    }
    if !local.contains_key("keyformat") {
        return Err(refused(name, "Keyformat required for new encryption root."));
    }
    let location = local
        .entry("keylocation".to_owned())
        .or_insert_with(|| "prompt".to_owned());
    let hash = key::secret(disk, location, input).map_err(|why| refused(name, &why))?;
    if local
        .get("keyformat")
        .is_some_and(|format| format == "passphrase")
    {
        local.insert("pbkdf2iters".to_owned(), "350000".to_owned());
    }
    Ok(Some(Key {
        root: name.to_owned(),
        hash,
        loaded: true,
    }))
}

/// Adds one dataset with its folder; ids and time are given to it here.
pub(super) fn add(store: &mut Store, disk: &dyn Disk, name: &str, record: Dataset) -> Result<()> {
    let createtxg = store.advance();
    let id = store.id(name);
    let files = store.id(&format!("{name}\0files"));
    disk.make(files).map_err(|why| refused(name, &why))?;
    let record = Dataset {
        guid: id,
        files,
        createtxg,
        creation: disk.now(),
        ..record
    };
    store.datasets.insert(name.to_owned(), record);
    Ok(())
}

fn refused(name: &str, why: &str) -> Answer {
    Answer::refused(1, format!("cannot create '{name}': {why}"))
}
