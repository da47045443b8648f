//! `zfs rollback`, `clone`, `promote`, `rename` and `diff`.

use super::{
    answer::{Answer, Result, no_dataset},
    create, destroy,
    disk::Disk,
    mount, name,
    options::Options,
    properties,
    store::{Dataset, Store},
    value::accepted,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// `zfs rollback [-rRf] SNAPSHOT`.
pub(super) fn rollback(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("rollback", "rRf", args)?;
    let [name] = options.operands.as_slice() else {
        return Err(Answer::usage("rollback", "missing dataset argument"));
    };
    let Some((dataset, _)) = name.split_once('@') else {
        return Err(Answer::usage(
            "rollback",
            format!("invalid dataset '{name}'"),
        ));
    };
    let Some(record) = store.datasets.get(dataset) else {
        return Err(no_dataset(dataset));
    };
    let Some(snapshot) = store.snapshot(name) else {
        return Err(no_dataset(name));
    };
    let (files, txg) = (snapshot.files, snapshot.createtxg);
    let newer: Vec<String> = record
        .by_age()
        .into_iter()
        .filter(|(_, other)| other.createtxg > txg)
        .map(|(other, _)| format!("{dataset}@{other}"))
        .collect();
    let bookmarks: Vec<String> = record
        .bookmarks
        .iter()
        .filter(|(_, other)| other.createtxg > txg)
        .map(|(other, _)| other.clone())
        .collect();
    let to = record.files;
    let forced = options.has('r') || options.has('R');
    let is_newest = newer.is_empty() && bookmarks.is_empty();
    if !forced && !is_newest {
        let marks = bookmarks.iter().map(|short| format!("{dataset}#{short}"));
        let all: Vec<String> = newer.iter().cloned().chain(marks).collect();
        return Err(Answer::refused(
            1,
            format!(
                "cannot rollback to '{name}': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n{}",
                all.join("\n")
            ),
        ));
    }
    let clones: Vec<&String> = newer.iter().flat_map(|name| store.clones(name)).collect();
    if !clones.is_empty() && !options.has('R') {
        let clones: Vec<&str> = clones.into_iter().map(String::as_str).collect();
        return Err(Answer::refused(
            1,
            format!(
                "cannot rollback to '{name}': clones of previous snapshots exist\nuse '-R' to force deletion of the following clones and dependents:\n{}",
                clones.join("\n")
            ),
        ));
    }
    for newer in &newer {
        if store.snapshot(newer).is_some_and(|s| !s.holds.is_empty()) {
            return Err(Answer::refused(
                1,
                format!("cannot destroy '{newer}': dataset is busy"),
            ));
        }
        destroy::remove(store, disk, newer)?;
    }
    if let Some(record) = store.datasets.get_mut(dataset) {
        record
            .bookmarks
            .retain(|short, _| !bookmarks.contains(short));
    }
    disk.restore(files, to)
        .map_err(|why| Answer::refused(1, format!("cannot rollback '{dataset}': {why}")))?;
    Ok(Answer::default())
}

/// `zfs clone [-p] [-u] [-o PROPERTY=VALUE]... SNAPSHOT NAME`.
pub(super) fn clone(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("clone", "puo:", args)?;
    let [from, to] = options.operands.as_slice() else {
        return Err(Answer::usage("clone", "missing source dataset argument"));
    };
    let refused = |why: &str| Answer::refused(1, format!("cannot create '{to}': {why}"));
    let Some(snapshot) = store.snapshot(from).cloned() else {
        return Err(no_dataset(from));
    };
    if let Some(why) = name::dataset(to) {
        return Err(refused(&why));
    }
    if store.datasets.contains_key(to) {
        return Err(refused("dataset already exists"));
    }
    let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !store.datasets.contains_key(parent) {
        return Err(refused("parent does not exist"));
    }
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = accepted(property, value, true).map_err(|why| refused(&why))?;
        local.insert(property.to_owned(), value);
    }
    let source = from.split('@').next().and_then(|d| store.datasets.get(d));
    let (volume, key) = source.map_or((None, None), |d| (d.volume, d.key.clone()));
    let record = Dataset {
        local,
        volume,
        key,
        origin: Some(from.clone()),
        ..Dataset::default()
    };
    create::add(store, disk, to, record)?;
    let Some(made) = store.datasets.get(to).map(|record| record.files) else {
        return Err(no_dataset(to));
    };
    disk.remove(made)
        .and_then(|()| disk.copy(snapshot.files, made, true))
        .map_err(|why| refused(&why))?;
    mount::below(store, disk, to)
}

/// `zfs promote CLONE`.
pub(super) fn promote(store: &mut Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("promote", "", args)?;
    let [name] = options.operands.as_slice() else {
        return Err(Answer::usage(
            "promote",
            "missing clone filesystem argument",
        ));
    };
    let record = store.datasets.get(name).ok_or_else(|| no_dataset(name))?;
    let Some(origin) = record.origin.clone() else {
        return Err(Answer::refused(
            1,
            format!("cannot promote '{name}': not a cloned filesystem"),
        ));
    };
    let Some((parent, short)) = origin.split_once('@') else {
        return Err(no_dataset(&origin));
    };
    let Some(txg) = store.snapshot(&origin).map(|snapshot| snapshot.createtxg) else {
        return Err(no_dataset(&origin));
    };
    let Some(above) = store.datasets.get_mut(parent) else {
        return Err(no_dataset(parent));
    };
    let (moved, kept) = std::mem::take(&mut above.snapshots)
        .into_iter()
        .partition(|(_, snapshot)| snapshot.createtxg <= txg);
    above.snapshots = kept;
    let previous = above.origin.replace(format!("{name}@{short}"));
    let moved: BTreeMap<String, _> = moved;
    for other in store.datasets.values_mut() {
        let from = other.origin.as_deref().and_then(|o| o.split_once('@'));
        if let Some((dataset, short)) = from
            && dataset == parent
            && moved.contains_key(short)
        {
            other.origin = Some(format!("{name}@{short}"));
        }
    }
    if let Some(record) = store.datasets.get_mut(name) {
        record.snapshots.extend(moved);
        record.origin = previous;
    }
    Ok(Answer::default())
}

/// `zfs rename [-fpu] FROM TO` and `zfs rename -r SNAPSHOT SNAPSHOT`.
pub(super) fn rename(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("rename", "fpur", args)?;
    let [from, to] = options.operands.as_slice() else {
        return Err(Answer::usage("rename", "missing source dataset argument"));
    };
    if let Some((dataset, short)) = from.split_once('@') {
        let to = to.split_once('@').map_or(to.as_str(), |(_, short)| short);
        let below: Vec<String> = if options.has('r') {
            store.below(dataset).map(|(name, _)| name.clone()).collect()
        } else {
            vec![dataset.to_owned()]
        };
        if store.snapshot(from).is_none() {
            return Err(no_dataset(from));
        }
        for dataset in below {
            rename_snapshot(store, &dataset, short, to)?;
        }
        return Ok(Answer::default());
    }
    let refused = |why: &str| Answer::refused(1, format!("cannot rename to '{to}': {why}"));
    if !store.datasets.contains_key(from) {
        return Err(no_dataset(from));
    }
    if let Some(why) = name::dataset(to) {
        return Err(refused(&why));
    }
    if store.datasets.contains_key(to) {
        return Err(Answer::refused(
            1,
            format!("cannot rename '{from}': dataset already exists"),
        ));
    }
    let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !store.datasets.contains_key(parent) {
        return Err(refused("parent does not exist"));
    }
    let mounts = disk.mounts();
    let was_mounted: Vec<u64> = store
        .below(from)
        .map(|(_, record)| record.files)
        .filter(|files| mounts.iter().any(|(other, _)| other == files))
        .collect();
    mount::all_below(store, disk, from).map_err(|why| Answer::refused(1, why))?;
    let moved: Vec<String> = store.below(from).map(|(name, _)| name.clone()).collect();
    for old in moved {
        let new = format!("{to}{}", &old[from.len()..]);
        if let Some(record) = store.datasets.remove(&old) {
            store.datasets.insert(new.clone(), record);
        }
        for other in store.datasets.values_mut() {
            if let Some((dataset, short)) = other.origin.as_deref().and_then(|o| o.split_once('@'))
                && dataset == old
            {
                other.origin = Some(format!("{new}@{short}"));
            }
            if let Some(key) = other.key.as_mut().filter(|key| key.root == old) {
                key.root.clone_from(&new);
            }
        }
    }
    for (name, record) in store.below(to) {
        if was_mounted.contains(&record.files)
            && let Some(at) = properties::mountpoint(store, name)
        {
            disk.mount(record.files, &at)
                .map_err(|why| Answer::refused(1, format!("cannot mount '{name}': {why}")))?;
        }
    }
    Ok(Answer::default())
}

fn rename_snapshot(store: &mut Store, dataset: &str, from: &str, to: &str) -> Result<()> {
    let name = format!("{dataset}@{from}");
    let Some(record) = store.datasets.get_mut(dataset) else {
        return Err(no_dataset(dataset));
    };
    if record.snapshots.contains_key(to) {
        return Err(Answer::refused(
            1,
            format!("cannot rename '{name}': dataset already exists"),
        ));
    }
    if let Some(snapshot) = record.snapshots.remove(from) {
        record.snapshots.insert(to.to_owned(), snapshot);
    }
    for other in store.datasets.values_mut() {
        if other.origin.as_deref() == Some(name.as_str()) {
            other.origin = Some(format!("{dataset}@{to}"));
        }
    }
    Ok(())
}

/// `zfs diff [-FHt] SNAPSHOT [SNAPSHOT|FILESYSTEM]`.
pub(super) fn diff(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("diff", "FHth", args)?;
    let (from, to) = match options.operands.as_slice() {
        [from] => (from, from.split('@').next().unwrap_or(from).to_owned()),
        [from, to] => (from, to.clone()),
        [] | [_, _, _, ..] => {
            return Err(Answer::usage(
                "diff",
                "must provide at least one snapshot name",
            ));
        }
    };
    let files = |name: &str| {
        if name.contains('@') {
            store.snapshot(name).map(|snapshot| snapshot.files)
        } else {
            store.datasets.get(name).map(|record| record.files)
        }
    };
    let (Some(old), Some(new)) = (files(from), files(&to)) else {
        return Err(no_dataset(from));
    };
    let dataset = to.split('@').next().unwrap_or(&to);
    let at = properties::mountpoint(store, dataset).unwrap_or_else(|| format!("/{dataset}"));
    let mut changes = disk.changes(old, new);
    changes.sort_by(|a, b| b.path.cmp(&a.path));
    let mut out = String::new();
    for change in changes {
        if options.has('t') {
            let (seconds, nanos) = change.time;
            let _ = write!(out, "{seconds}.{nanos:09}\t");
        }
        let _ = write!(out, "{}\t", change.mark);
        if options.has('F') {
            let _ = write!(out, "{}\t", change.kind);
        }
        let _ = writeln!(out, "{at}/{}", change.path);
    }
    Ok(Answer::text(out))
}
