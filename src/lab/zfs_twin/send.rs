//! `zfs send`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    print::nice,
    receive,
    store::{Snapshot, Store},
    stream::{self, Record},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// One snapshot to be sent.
struct Item {
    /// Its full name.
    name: String,
    relative: String,
    /// Full name and id of the base.
    from: Option<(String, u64)>,
    /// Bytes that the other side has.
    offset: u64,
}

/// `zfs send [-DLPRbcehnpsvVw] [-i|-I BASE] SNAPSHOT` and `zfs send [-nvP] -t TOKEN`.
pub(super) fn send(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("send", "DLPRbcehnpsvVwi:I:t:X:", args)?;
    let (items, preface) = match options.value('t') {
        Some(token) => resumed(store, token)?,
        None => (chosen(store, &options)?, String::new()),
    };
    let mut records = Vec::new();
    for item in &items {
        records.push(packed(store, disk, &options, item)?);
    }
    let mut said = String::new();
    if options.has('v') || (options.has('n') && options.has('P')) {
        said = preface;
        report(&mut said, &options, &items, &records);
    }
    if options.has('n') {
        return Ok(Answer::text(said));
    }
    Ok(Answer {
        stream: stream::write(&records),
        stderr: said,
        ..Answer::default()
    })
}

fn report(out: &mut String, options: &Options, items: &[Item], records: &[(Record, Vec<u8>)]) {
    let mut total = 0;
    for (item, (_, content)) in items.iter().zip(records) {
        let (name, bytes) = (&item.name, content.len() as u64);
        total += bytes;
        // Writing to a string does not fail.
        let _ = match (&item.from, options.has('P')) {
            (None, true) => writeln!(out, "full\t{name}\t{bytes}"),
            (Some((from, _)), true) => writeln!(out, "incremental\t{from}\t{name}\t{bytes}"),
            (None, false) => writeln!(out, "full send of {name} estimated size is {}", nice(bytes)),
            (Some((from, _)), false) => writeln!(
                out,
                "send from {} to {name} estimated size is {}",
                &from[from.find(['@', '#']).unwrap_or(0)..],
                nice(bytes)
            ),
        };
    }
    let _ = if options.has('P') {
        writeln!(out, "size\t{total}")
    } else {
        writeln!(out, "total estimated size is {}", nice(total))
    };
}

/// The snapshots that a token asks for, and what is said about it.
fn resumed(store: &Store, token: &str) -> Result<(Vec<Item>, String)> {
    let refused = |why: String| Answer::refused(255, format!("cannot resume send: {why}"));
    let partial = receive::untoken(token).map_err(|why| refused(why.to_owned()))?;
    let name = &partial.name;
    let Some(snapshot) = store.snapshot(name) else {
        return Err(refused(format!(
            "'{name}' used in the initial send no longer exists"
        )));
    };
    if snapshot.guid != partial.to {
        return Err(refused(format!(
            "'{name}' is no longer the same snapshot used in the initial send"
        )));
    }
    let from = match partial.from {
        None => None,
        Some(guid) => Some(
            base_by_id(store, name, guid)
                .ok_or_else(|| refused(format!("incremental source {guid:#x} no longer exists")))?,
        ),
    };
    let mut said = "resume token contents:\nnvlist version: 0\n".to_owned();
    if let Some((_, guid)) = &from {
        let _ = writeln!(said, "\tfromguid = {guid:#x}");
    }
    let _ = write!(
        said,
        "\tobject = 0x2\n\toffset = {:#x}\n\tbytes = {:#x}\n\ttoguid = {:#x}\n\ttoname = {name}\n",
        partial.bytes, partial.bytes, partial.to
    );
    let item = Item {
        name: name.clone(),
        relative: String::new(),
        from,
        offset: partial.bytes,
    };
    Ok((vec![item], said))
}

fn base_by_id(store: &Store, name: &str, guid: u64) -> Option<(String, u64)> {
    let dataset = name.split('@').next()?;
    let record = store.datasets.get(dataset)?;
    let mut snapshots = record.snapshots.iter();
    let mut bookmarks = record.bookmarks.iter();
    snapshots
        .find(|(_, snapshot)| snapshot.guid == guid)
        .map(|(short, _)| (format!("{dataset}@{short}"), guid))
        .or_else(|| {
            bookmarks
                .find(|(_, bookmark)| bookmark.guid == guid)
                .map(|(short, _)| (format!("{dataset}#{short}"), guid))
        })
}

fn chosen(store: &Store, options: &Options) -> Result<Vec<Item>> {
    let [name] = options.operands.as_slice() else {
        return Err(Answer::usage("send", "missing snapshot argument"));
    };
    let Some((dataset, short)) = name.split_once('@') else {
        return Err(Answer::usage(
            "send",
            format!("invalid snapshot name '{name}'"),
        ));
    };
    if store.snapshot(name).is_none() {
        return Err(no_dataset(name));
    }
    let base = options.value('i').or(options.value('I'));
    let through = options.value('I').is_some() || (options.has('R') && base.is_none());
    if !options.has('R') {
        return run(store, dataset, short, base, through && base.is_some(), "");
    }
    let mut out = Vec::new();
    let below: Vec<String> = store.below(dataset).map(|(name, _)| name.clone()).collect();
    for child in &below {
        if store.snapshot(&format!("{child}@{short}")).is_none() {
            return Err(Answer::refused(
                1,
                format!(
                    "cannot send {name} recursively: snapshot {child}@{short} does not exist\nwarning: cannot send '{name}': backup failed"
                ),
            ));
        }
        out.extend(run(
            store,
            child,
            short,
            base.map(|base| &base[base.find('@').unwrap_or(0)..]),
            through,
            &child[dataset.len()..],
        )?);
    }
    Ok(out)
}

/// One dataset's snapshots from a base to one of them; with `through`, those between as well.
fn run(
    store: &Store,
    dataset: &str,
    short: &str,
    base: Option<&str>,
    through: bool,
    relative: &str,
) -> Result<Vec<Item>> {
    let name = format!("{dataset}@{short}");
    let (Some(record), Some(last)) = (store.datasets.get(dataset), store.snapshot(&name)) else {
        return Err(no_dataset(&name));
    };
    let mut from = None;
    let mut since = 0;
    if let Some(base) = base {
        let full = if base.starts_with(['@', '#']) {
            format!("{dataset}{base}")
        } else if base.contains(['@', '#']) {
            base.to_owned()
        } else {
            format!("{dataset}@{base}")
        };
        let (of, is_mark) = (
            full.split(['@', '#']).next().unwrap_or(""),
            full.contains('#'),
        );
        let found = if is_mark {
            let short = full.split('#').nth(1).unwrap_or_default();
            record
                .bookmarks
                .get(short)
                .filter(|_| of == dataset)
                .map(|mark| (mark.guid, mark.createtxg))
        } else {
            store.snapshot(&full).map(|s| (s.guid, s.createtxg))
        };
        let Some((guid, txg)) = found else {
            return Err(no_dataset(&full));
        };
        if txg >= last.createtxg || (of != dataset && record.origin.as_deref() != Some(&full)) {
            return Err(Answer::refused(
                1,
                format!("warning: cannot send '{name}': not an earlier snapshot from the same fs"),
            ));
        }
        from = Some((full, guid));
        since = txg;
    }
    let between: Vec<(&String, &Snapshot)> = record
        .by_age()
        .into_iter()
        .filter(|(_, s)| through && s.createtxg > since && s.createtxg < last.createtxg)
        .collect();
    let mut out = Vec::new();
    for (short, guid) in between
        .into_iter()
        .map(|(short, snapshot)| (short.clone(), snapshot.guid))
        .chain([(short.to_owned(), last.guid)])
    {
        let name = format!("{dataset}@{short}");
        out.push(Item {
            name: name.clone(),
            relative: relative.to_owned(),
            from: from.replace((name, guid)),
            offset: 0,
        });
    }
    Ok(out)
}

fn packed(
    store: &Store,
    disk: &dyn Disk,
    options: &Options,
    item: &Item,
) -> Result<(Record, Vec<u8>)> {
    let name = &item.name;
    let dataset = name.split('@').next().unwrap_or(name);
    let (Some(record), Some(snapshot)) = (store.datasets.get(dataset), store.snapshot(name)) else {
        return Err(no_dataset(name));
    };
    let sealed = match &record.key {
        Some(key) if options.has('w') => Some(key.hash.clone()),
        Some(key) if !key.loaded && !options.has('n') => {
            return Err(Answer::refused(
                1,
                format!("warning: cannot send '{name}': dataset key must be loaded"),
            ));
        }
        Some(_) if options.has('R') || options.has('p') => {
            return Err(Answer::refused(
                1,
                format!(
                    "cannot send {name}: encrypted dataset {dataset} may not be sent with properties without the raw flag\nwarning: cannot send '{name}': backup failed"
                ),
            ));
        }
        Some(_) | None => None,
    };
    let content = disk
        .pack(snapshot.files)
        .map_err(|why| Answer::refused(1, format!("warning: cannot send '{name}': {why}")))?;
    let start = usize::try_from(item.offset).unwrap_or(usize::MAX);
    let content = content.get(start..).unwrap_or_default().to_vec();
    let mut properties = record.local.clone();
    if !(options.has('p') || options.has('R')) {
        properties.retain(|name, _| {
            sealed.is_some() && matches!(name.as_str(), "encryption" | "keyformat" | "pbkdf2iters")
        });
    }
    let out = Record {
        name: name.clone(),
        relative: item.relative.clone(),
        to: snapshot.guid,
        from: item.from.as_ref().map(|(_, guid)| *guid),
        creation: snapshot.creation,
        local: if options.has('p') || options.has('R') {
            snapshot.local.clone()
        } else {
            BTreeMap::new()
        },
        properties,
        volume: record.volume,
        sealed,
        offset: item.offset,
        length: content.len() as u64,
    };
    Ok((out, content))
}
