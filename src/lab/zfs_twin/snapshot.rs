//! `zfs snapshot`, `bookmark`, `hold`, `holds` and `release`.

use super::{
    answer::{Answer, Result, no_dataset},
    destroy,
    disk::Disk,
    name,
    options::Options,
    print::{Column, moment, table},
    sizes,
    store::{Bookmark, Snapshot, Store},
};
use std::collections::{BTreeMap, BTreeSet};

fn split(name: &str) -> Result<(&str, &str)> {
    name.split_once('@')
        .ok_or_else(|| Answer::refused(2, format!("invalid snapshot name '{name}'")))
}

/// `zfs snapshot [-r] [-o PROPERTY=VALUE]... DATASET@NAME...`; all or none.
pub(super) fn snapshot(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("snapshot", "ro:", args)?;
    if options.operands.is_empty() {
        return Err(Answer::usage("snapshot", "missing snapshot argument"));
    }
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        if let Some((property, value)) = pair.split_once('=') {
            local.insert(property.to_owned(), value.to_owned());
        }
    }
    let mut wanted: Vec<(String, String)> = Vec::new();
    for operand in &options.operands {
        let (dataset, short) = split(operand)?;
        if !store.datasets.contains_key(dataset) {
            let missing = no_dataset(dataset).stderr;
            return Err(Answer::usage("snapshot", missing.trim_end()));
        }
        if let Some(why) = name::short(operand, short) {
            return Err(refused(operand, &why, false));
        }
        if options.has('r') {
            let below = store.below(dataset);
            wanted.extend(below.map(|(name, _)| (name.clone(), short.to_owned())));
        } else {
            wanted.push((dataset.to_owned(), short.to_owned()));
        }
    }
    let mut seen = BTreeSet::new();
    wanted.retain(|one| seen.insert(one.clone()));
    let datasets: BTreeSet<&String> = wanted.iter().map(|(dataset, _)| dataset).collect();
    let pools: BTreeSet<&str> = datasets
        .iter()
        .map(|name| name.split('/').next().unwrap_or_default())
        .collect();
    // Two pools in one command are told the same as one dataset twice.
    if datasets.len() < wanted.len() || pools.len() > 1 {
        return Err(Answer::refused(
            1,
            "cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created",
        ));
    }
    for (dataset, short) in &wanted {
        let record = store.datasets.get(dataset);
        if record.is_some_and(|d| d.snapshots.contains_key(short)) {
            let name = format!("{dataset}@{short}");
            return Err(refused(&name, "dataset already exists", wanted.len() > 1));
        }
        if sizes::available(store, disk, dataset) == 0 {
            return Err(Answer::refused(1, "cannot create snapshots : out of space"));
        }
    }
    // What one command makes is made at one moment.
    store.advance();
    for (dataset, short) in wanted {
        add(store, disk, &dataset, &short, &local)?;
    }
    Ok(Answer::default())
}

/// Adds one snapshot of a dataset as it is now, in the open transaction group.
pub(super) fn add(
    store: &mut Store,
    disk: &dyn Disk,
    dataset: &str,
    short: &str,
    local: &BTreeMap<String, String>,
) -> Result<()> {
    let name = format!("{dataset}@{short}");
    let (guid, files) = (store.id(&name), store.id(&format!("{name}\0files")));
    let createtxg = store.txg;
    let Some(record) = store.datasets.get_mut(dataset) else {
        return Err(no_dataset(dataset));
    };
    disk.copy(record.files, files, false)
        .map_err(|why| refused(&name, &why, false))?;
    let snapshot = Snapshot {
        guid,
        files,
        createtxg,
        creation: disk.now(),
        local: local.clone(),
        ..Snapshot::default()
    };
    record.snapshots.insert(short.to_owned(), snapshot);
    Ok(())
}

fn refused(name: &str, why: &str, all: bool) -> Answer {
    let all = if all {
        "\nno snapshots were created"
    } else {
        ""
    };
    Answer::refused(1, format!("cannot create snapshot '{name}': {why}{all}"))
}

/// `zfs bookmark SNAPSHOT|BOOKMARK BOOKMARK`.
pub(super) fn bookmark(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("bookmark", "", args)?;
    let [from, to] = options.operands.as_slice() else {
        return Err(Answer::usage("bookmark", "missing bookmark argument"));
    };
    let refused = |why: &str| Answer::refused(1, format!("cannot create bookmark '{to}': {why}"));
    let (dataset, at) = match from.split_once(['@', '#']) {
        Some((dataset, _)) => (dataset, dataset.len()),
        None => return Err(Answer::usage("bookmark", "invalid source name")),
    };
    let (target, short) = to.split_once('#').unwrap_or((dataset, to));
    let target = if target.is_empty() { dataset } else { target };
    if let Some(why) = name::short(to, short) {
        return Err(refused(&why));
    }
    let record = store.datasets.get(dataset);
    let made = if from[at..].starts_with('@') {
        record
            .and_then(|record| record.snapshots.get(&from[at + 1..]))
            .map(|snapshot| Bookmark {
                guid: snapshot.guid,
                createtxg: snapshot.createtxg,
                creation: snapshot.creation,
                referenced: sizes::of_files(disk, snapshot.files),
            })
    } else {
        record
            .and_then(|record| record.bookmarks.get(&from[at + 1..]))
            .cloned()
    };
    let Some(made) = made else {
        return Err(no_dataset(from));
    };
    if target != dataset {
        return Err(refused(
            "source is not an ancestor of the new bookmark's dataset",
        ));
    }
    let Some(record) = store.datasets.get_mut(target) else {
        return Err(no_dataset(target));
    };
    if record.bookmarks.contains_key(short) {
        return Err(refused("bookmark exists"));
    }
    record.bookmarks.insert(short.to_owned(), made);
    Ok(Answer::default())
}

/// The snapshots that operands mean, with `-r` those of the same name below.
fn meant(store: &Store, options: &Options, operands: &[String]) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for operand in operands {
        let (dataset, short) = split(operand)?;
        let here: Vec<String> = if options.has('r') {
            store.below(dataset).map(|(name, _)| name.clone()).collect()
        } else {
            vec![dataset.to_owned()]
        };
        let before = out.len();
        for dataset in here {
            if store.snapshot(&format!("{dataset}@{short}")).is_some() {
                out.push((dataset, short.to_owned()));
            }
        }
        if out.len() == before {
            return Err(no_dataset(operand));
        }
    }
    Ok(out)
}

/// `zfs hold [-r] TAG SNAPSHOT...` and `zfs release [-r] TAG SNAPSHOT...`.
pub(super) fn hold(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
    release: bool,
) -> Result<Answer> {
    let verb = if release { "release" } else { "hold" };
    let options = Options::read(verb, "r", args)?;
    let [tag, operands @ ..] = options.operands.as_slice() else {
        return Err(Answer::usage(verb, "missing tag argument"));
    };
    if operands.is_empty() {
        return Err(Answer::usage(verb, "missing snapshot argument"));
    }
    let now = disk.now();
    for (dataset, short) in meant(store, &options, operands)? {
        let name = format!("{dataset}@{short}");
        let record = store.datasets.get_mut(&dataset);
        let Some(snapshot) = record.and_then(|record| record.snapshots.get_mut(&short)) else {
            return Err(no_dataset(&name));
        };
        match (snapshot.holds.contains_key(tag), release) {
            (true, false) => {
                let why = "tag already exists on this dataset";
                return Err(Answer::refused(
                    1,
                    format!("cannot hold snapshot '{name}': {why}"),
                ));
            }
            (false, true) => {
                let why = "no such tag on this dataset";
                return Err(Answer::refused(
                    1,
                    format!("cannot release hold from snapshot '{name}': {why}"),
                ));
            }
            (false, false) => {
                snapshot.holds.insert(tag.clone(), now);
            }
            (true, true) => {
                snapshot.holds.remove(tag);
                destroy::deferred(store, disk, &name)?;
            }
        }
    }
    Ok(Answer::default())
}

/// `zfs holds [-rHp] SNAPSHOT...`.
pub(super) fn holds(store: &Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("holds", "rHp", args)?;
    if options.operands.is_empty() {
        return Err(Answer::usage("holds", "missing snapshot argument"));
    }
    let mut rows = Vec::new();
    for (dataset, short) in meant(store, &options, &options.operands)? {
        let name = format!("{dataset}@{short}");
        for (tag, time) in store.snapshot(&name).into_iter().flat_map(|s| &s.holds) {
            let time = if options.has('p') {
                time.to_string()
            } else {
                moment(*time)
            };
            rows.push(vec![name.clone(), tag.clone(), time]);
        }
    }
    let columns = ["NAME", "TAG", "TIMESTAMP"].map(|heading| Column {
        heading: heading.to_owned(),
        width: 0,
        right: false,
    });
    if rows.is_empty() && !options.has('H') {
        return Ok(Answer::default());
    }
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}
