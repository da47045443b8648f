//! `zfs destroy` of everything, and its previews.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    mount,
    options::Options,
    store::{Snapshot, Store},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// `zfs destroy [-dfnpRrv] DATASET | DATASET@NAME[%NAME][,...] | DATASET#NAME`.
pub(super) fn destroy(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("destroy", "dfnpRrv", args)?;
    let [operand] = options.operands.as_slice() else {
        return Err(Answer::usage("destroy", "missing dataset argument"));
    };
    if let Some((dataset, short)) = operand.split_once('#') {
        let record = store.datasets.get_mut(dataset);
        return match record.and_then(|record| record.bookmarks.remove(short)) {
            Some(_) => Ok(Answer::default()),
            None => Err(Answer::refused(
                1,
                format!("bookmark '{operand}' does not exist."),
            )),
        };
    }
    match operand.split_once('@') {
        Some((dataset, names)) => snapshots(store, disk, &options, dataset, names),
        None => whole(store, disk, &options, operand),
    }
}

fn snapshots(
    store: &mut Store,
    disk: &dyn Disk,
    options: &Options,
    dataset: &str,
    names: &str,
) -> Result<Answer> {
    if !store.datasets.contains_key(dataset) {
        return Err(no_dataset(dataset));
    }
    let below: Vec<String> = if options.has('r') {
        store.below(dataset).map(|(name, _)| name.clone()).collect()
    } else {
        vec![dataset.to_owned()]
    };
    let mut there = Vec::new();
    for dataset in below {
        let Some(record) = store.datasets.get(&dataset) else {
            continue;
        };
        let found = named(&record.snapshots, names);
        there.extend(found.into_iter().map(|short| format!("{dataset}@{short}")));
    }
    if there.is_empty() {
        return Err(Answer::refused(
            1,
            "could not find any snapshots to destroy; check snapshot names.",
        ));
    }
    let cloned = there.iter().find_map(|name| {
        let clones: Vec<String> = store.clones(name).cloned().collect();
        (!clones.is_empty())
            .then(|| dependents(name, "snapshot has dependent clones", 'R', &clones))
    });
    // A preview looks at clones and not at holds.
    if options.has('n') {
        let preview = preview(options, &there);
        return match cloned {
            Some(refusal) if !options.has('d') => {
                let first = preview.lines().next().unwrap_or_default();
                Err(Answer {
                    stdout: format!("{first}\n"),
                    ..refusal
                })
            }
            Some(_) | None => Ok(Answer::text(preview)),
        };
    }
    if options.has('d') {
        for name in &there {
            if let Some((dataset, short)) = name.split_once('@')
                && let Some(record) = store.datasets.get_mut(dataset)
                && let Some(snapshot) = record.snapshots.get_mut(short)
            {
                snapshot.deferred = true;
            }
            deferred(store, disk, name)?;
        }
        return Ok(Answer::default());
    }
    if let Some(refusal) = cloned {
        return Err(refusal);
    }
    let held = there
        .iter()
        .find(|name| store.snapshot(name).is_some_and(|s| !s.holds.is_empty()));
    if let Some(held) = held {
        return Err(Answer::refused(
            1,
            format!(
                "cannot destroy snapshot {held}: it's being held. Run 'zfs holds -r {held}' to see holders."
            ),
        ));
    }
    for name in &there {
        remove(store, disk, name)?;
    }
    Ok(Answer::default())
}

/// The snapshots that a list of names and ranges chooses, in its order and each once; what is not there is passed over.
fn named(snapshots: &BTreeMap<String, Snapshot>, names: &str) -> Vec<String> {
    let mut by_age: Vec<(&String, &Snapshot)> = snapshots.iter().collect();
    by_age.sort_by_key(|(_, snapshot)| snapshot.createtxg);
    let mut out: Vec<String> = Vec::new();
    for part in names.split(',') {
        let (first, last) = part.split_once('%').unwrap_or((part, part));
        let age = |name: &str| snapshots.get(name).map(|snapshot| snapshot.createtxg);
        let is_range = part.contains('%');
        let from = if is_range && first.is_empty() {
            Some(0)
        } else {
            age(first)
        };
        let to = if is_range && last.is_empty() {
            Some(u64::MAX)
        } else {
            age(last)
        };
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        for (name, snapshot) in &by_age {
            let is_in = if is_range {
                (from..=to).contains(&snapshot.createtxg)
            } else {
                *name == part
            };
            if is_in && !out.contains(name) {
                out.push((*name).clone());
            }
        }
    }
    out
}

fn preview(options: &Options, names: &[String]) -> String {
    let mut out = String::new();
    if !options.has('v') && !options.has('p') {
        return out;
    }
    let (destroy, reclaim) = if options.has('p') {
        ("destroy\t", "reclaim\t0")
    } else {
        ("would destroy ", "would reclaim 0B")
    };
    for name in names {
        let _ = writeln!(out, "{destroy}{name}");
    }
    // Only snapshots are weighed.
    if names.iter().all(|name| name.contains('@')) {
        let _ = writeln!(out, "{reclaim}");
    }
    out
}

fn dependents(name: &str, why: &str, letter: char, all: &[String]) -> Answer {
    Answer::refused(
        1,
        format!(
            "cannot destroy '{name}': {why}\nuse '-{letter}' to destroy the following datasets:\n{}",
            all.join("\n")
        ),
    )
}

/// Takes one snapshot away.
pub(super) fn remove(store: &mut Store, disk: &dyn Disk, name: &str) -> Result<()> {
    let Some((dataset, short)) = name.split_once('@') else {
        return Ok(());
    };
    let record = store.datasets.get_mut(dataset);
    if let Some(snapshot) = record.and_then(|record| record.snapshots.remove(short)) {
        disk.remove(snapshot.files)
            .map_err(|why| Answer::refused(1, format!("cannot destroy '{name}': {why}")))?;
    }
    Ok(())
}

/// Takes a snapshot away that waited for its last hold and clone.
pub(super) fn deferred(store: &mut Store, disk: &dyn Disk, name: &str) -> Result<()> {
    let is_due = store
        .snapshot(name)
        .is_some_and(|snapshot| snapshot.deferred && snapshot.holds.is_empty())
        && store.clones(name).next().is_none();
    if is_due {
        remove(store, disk, name)?;
    }
    Ok(())
}

/// A filesystem or volume.
fn whole(store: &mut Store, disk: &dyn Disk, options: &Options, name: &str) -> Result<Answer> {
    if !store.datasets.contains_key(name) {
        return Err(no_dataset(name));
    }
    if !name.contains('/') {
        return Err(Answer::refused(
            1,
            format!(
                "cannot destroy '{name}': operation does not apply to pools\nuse 'zfs destroy -r {name}' to destroy all datasets in the pool\nuse 'zpool destroy {name}' to destroy the pool itself"
            ),
        ));
    }
    let mut below: Vec<String> = store.below(name).map(|(name, _)| name.clone()).collect();
    below.reverse();
    let mut doomed = Vec::new();
    for dataset in &below {
        let snapshots = store.datasets.get(dataset).map(|d| d.by_age());
        let shorts = snapshots.into_iter().flatten().map(|(short, _)| short);
        doomed.extend(shorts.map(|short| format!("{dataset}@{short}")));
        doomed.push(dataset.clone());
    }
    let all = &doomed[..doomed.len() - 1];
    if !all.is_empty() && !options.has('r') && !options.has('R') {
        let volume = store.datasets.get(name).is_some_and(|d| d.volume.is_some());
        let kind = if volume { "volume" } else { "filesystem" };
        return Err(dependents(name, &format!("{kind} has children"), 'r', all));
    }
    let outside: Vec<String> = doomed
        .iter()
        .flat_map(|snapshot| store.clones(snapshot))
        .filter(|clone| !below.contains(clone))
        .cloned()
        .collect();
    if !outside.is_empty() {
        return Err(dependents(
            name,
            "filesystem has dependent clones",
            'R',
            &outside,
        ));
    }
    if options.has('n') {
        return Ok(Answer::text(preview(options, &doomed)));
    }
    let held = doomed
        .iter()
        .find(|name| store.snapshot(name).is_some_and(|s| !s.holds.is_empty()));
    if let Some(held) = held {
        return Err(Answer::refused(
            1,
            format!(
                "cannot destroy snapshot {held}: it's being held. Run 'zfs holds -r {held}' to see holders."
            ),
        ));
    }
    mount::all_below(store, disk, name).map_err(|why| Answer::refused(1, why))?;
    for name in &doomed {
        if name.contains('@') {
            remove(store, disk, name)?;
            continue;
        }
        if let Some(record) = store.datasets.remove(name) {
            disk.remove(record.files)
                .map_err(|why| Answer::refused(1, format!("cannot destroy '{name}': {why}")))?;
            if let Some(partial) = record.partial {
                // Bytes that nobody asks for again.
                let _ = disk.keep(partial.files, None);
            }
            if let Some(origin) = record.origin {
                deferred(store, disk, &origin)?;
            }
        }
    }
    Ok(Answer::default())
}
