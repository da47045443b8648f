//! `zfs snapshot`, `destroy` of snapshots, `hold`, `release`, `rollback`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    store::{Snapshot, Store},
};
use std::collections::BTreeMap;

fn split(name: &str) -> Result<(&str, &str)> {
    name.split_once('@')
        .ok_or_else(|| Answer::refused(2, format!("invalid snapshot name '{name}'")))
}

/// `zfs snapshot [-r] [-o PROPERTY=VALUE]... DATASET@NAME...`; all or none.
pub(super) fn snapshot(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("ro:", args)?;
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        if let Some((property, value)) = pair.split_once('=') {
            local.insert(property.to_owned(), value.to_owned());
        }
    }
    let mut wanted: Vec<(String, String)> = Vec::new();
    for operand in &options.operands {
        let (dataset, name) = split(operand)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c);
        if let Some(odd) = name.chars().find(|c| !legal(*c)) {
            return Err(Answer::refused(
                1,
                format!(
                    "cannot create snapshot '{operand}': invalid character '{odd}' in name\nno snapshots were created"
                ),
            ));
        }
        if !store.datasets.contains_key(dataset) {
            return Err(Answer::refused(
                2,
                format!(
                    "cannot open '{dataset}': dataset does not exist\nusage:\n\tsnapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ..."
                ),
            ));
        }
        let names: Vec<String> = if options.has('r') {
            store.below(dataset).map(|(name, _)| name.clone()).collect()
        } else {
            vec![dataset.to_owned()]
        };
        wanted.extend(names.into_iter().map(|dataset| (dataset, name.to_owned())));
    }
    wanted.dedup();
    for (dataset, name) in &wanted {
        if store
            .datasets
            .get(dataset)
            .is_some_and(|d| d.snapshots.contains_key(name))
        {
            return Err(Answer::refused(
                1,
                format!(
                    "cannot create snapshot '{dataset}@{name}': dataset already exists\nno snapshots were created"
                ),
            ));
        }
    }
    for (dataset, name) in wanted {
        let (createtxg, guid) = store.next(&format!("{dataset}@{name}"));
        let Some(record) = store.datasets.get_mut(&dataset) else {
            continue;
        };
        disk.snapshot(record.guid, guid).map_err(|why| {
            Answer::refused(
                1,
                format!("cannot create snapshot '{dataset}@{name}': {why}"),
            )
        })?;
        let snapshot = Snapshot {
            guid,
            createtxg,
            creation: disk.now(),
            local: local.clone(),
            holds: vec![],
        };
        record.snapshots.insert(name, snapshot);
    }
    Ok(Answer::default())
}

/// `zfs destroy DATASET@NAME[,NAME...]`; all or none. Filesystems are not destroyed by this twin.
pub(super) fn destroy(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("d", args)?;
    let Some(operand) = options.operands.first() else {
        return Err(Answer::refused(2, "missing dataset argument"));
    };
    let (dataset, names) = split(operand)?;
    let Some(record) = store.datasets.get_mut(dataset) else {
        return Err(no_dataset(dataset));
    };
    let names: Vec<&str> = names.split(',').collect();
    let there: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| record.snapshots.contains_key(*name))
        .collect();
    if there.is_empty() {
        return Err(Answer::refused(
            1,
            "could not find any snapshots to destroy; check snapshot names.",
        ));
    }
    if let Some(held) = there.iter().find(|name| {
        record
            .snapshots
            .get(**name)
            .is_some_and(|s| !s.holds.is_empty())
    }) {
        return Err(Answer::refused(
            1,
            format!(
                "cannot destroy snapshot {dataset}@{held}: it's being held. Run 'zfs holds -r {dataset}@{held}' to see holders."
            ),
        ));
    }
    for name in there {
        if let Some(snapshot) = record.snapshots.remove(name) {
            disk.remove(snapshot.guid).map_err(|why| {
                Answer::refused(
                    1,
                    format!("cannot destroy snapshot {dataset}@{name}: {why}"),
                )
            })?;
        }
    }
    Ok(Answer::default())
}

/// `zfs hold TAG SNAPSHOT...` and `zfs release TAG SNAPSHOT...`.
pub(super) fn hold(store: &mut Store, args: &[String], release: bool) -> Result<Answer> {
    let options = Options::read("r", args)?;
    let [tag, names @ ..] = options.operands.as_slice() else {
        return Err(Answer::refused(2, "missing tag argument"));
    };
    for name in names {
        let (dataset, short) = split(name)?;
        let snapshot = store
            .datasets
            .get_mut(dataset)
            .and_then(|d| d.snapshots.get_mut(short));
        let Some(snapshot) = snapshot else {
            return Err(no_dataset(name));
        };
        let held = snapshot.holds.contains(tag);
        match (release, held) {
            (false, true) => {
                return Err(Answer::refused(
                    1,
                    format!("cannot hold snapshot '{name}': tag already exists on this dataset"),
                ));
            }
            (true, false) => {
                return Err(Answer::refused(
                    1,
                    format!(
                        "cannot release hold from snapshot '{name}': no such tag on this dataset"
                    ),
                ));
            }
            (false, false) => snapshot.holds.push(tag.clone()),
            (true, true) => snapshot.holds.retain(|other| other != tag),
        }
    }
    Ok(Answer::default())
}

/// `zfs rollback SNAPSHOT`; only to the latest one.
pub(super) fn rollback(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("", args)?;
    let Some(name) = options.operands.first() else {
        return Err(Answer::refused(2, "missing dataset argument"));
    };
    let (dataset, short) = split(name)?;
    let Some(record) = store.datasets.get(dataset) else {
        return Err(no_dataset(dataset));
    };
    let Some(snapshot) = record.snapshots.get(short) else {
        return Err(no_dataset(name));
    };
    let newer: Vec<String> = record
        .snapshots
        .iter()
        .filter(|(_, other)| other.createtxg > snapshot.createtxg)
        .map(|(other, _)| format!("{dataset}@{other}"))
        .collect();
    if !newer.is_empty() {
        return Err(Answer::refused(
            1,
            format!(
                "cannot rollback to '{name}': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n{}",
                newer.join("\n")
            ),
        ));
    }
    disk.restore(snapshot.guid, record.guid)
        .map_err(|why| Answer::refused(1, format!("cannot rollback '{dataset}': {why}")))?;
    Ok(Answer::default())
}
