//! `zfs create`.

use super::{
    answer::{Answer, Result},
    dataset::mount_below,
    disk::Disk,
    options::Options,
    properties,
    store::{Dataset, Store},
};
use std::collections::BTreeMap;

/// `zfs create [-p] [-u] [-o PROPERTY=VALUE]... NAME`.
pub(super) fn create(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("puo:", args)?;
    let [name] = options.operands.as_slice() else {
        return Err(Answer::refused(2, "missing filesystem argument"));
    };
    check_name(name)?;
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
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        let Some((property, value)) = pair.split_once('=') else {
            return Err(Answer::refused(
                2,
                format!("missing '=' for property=value argument '{pair}'"),
            ));
        };
        let value =
            properties::accepted(property, value, true).map_err(|why| refused(name, &why))?;
        local.insert(property.to_owned(), value);
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
    for parent in missing.into_iter().rev() {
        add(store, disk, &parent, BTreeMap::new())?;
    }
    add(store, disk, name, local)?;
    if options.has('u') {
        Ok(Answer::default())
    } else {
        mount_below(store, disk, name)
    }
}

/// Adds one dataset with its folder.
pub(super) fn add(
    store: &mut Store,
    disk: &dyn Disk,
    name: &str,
    local: BTreeMap<String, String>,
) -> Result<()> {
    let (createtxg, guid) = store.next(name);
    disk.make(guid).map_err(|why| refused(name, &why))?;
    let record = Dataset {
        guid,
        createtxg,
        creation: disk.now(),
        local,
        snapshots: BTreeMap::new(),
    };
    store.datasets.insert(name.to_owned(), record);
    Ok(())
}

fn refused(name: &str, why: &str) -> Answer {
    Answer::refused(1, format!("cannot create '{name}': {why}"))
}

fn check_name(name: &str) -> Result<()> {
    if name.contains('@') {
        return Err(refused(name, "snapshot delimiter '@' is not expected here"));
    }
    if name.len() > 255 {
        return Err(refused(name, "name is too long"));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.: /".contains(c);
    match name.chars().find(|c| !legal(*c)) {
        Some(odd) => Err(refused(name, &format!("invalid character '{odd}' in name"))),
        None => Ok(()),
    }
}
