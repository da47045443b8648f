//! `zfs receive`.

use super::{
    answer::{Answer, Result, no_dataset},
    create, destroy,
    disk::Disk,
    key::hex,
    mount, name,
    options::Options,
    sizes,
    store::{Dataset, Key, Partial, Snapshot, Store},
    stream::{self, Arrived, Record},
    value::accepted,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// What the user asked of one command.
struct Wish {
    options: Options,
    /// `-o`, checked.
    set: BTreeMap<String, String>,
    excluded: Vec<String>,
}

/// `zfs receive [-FMnsuvh] [-o PROPERTY=VALUE]... [-x PROPERTY]... [-d|-e] NAME` and `zfs receive -A NAME`.
pub(super) fn receive(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
    input: &[u8],
) -> Result<Answer> {
    let options = Options::read("receive", "AFMnsuvhdeo:x:", args)?;
    let [target] = options.operands.as_slice() else {
        return Err(Answer::usage("receive", "missing snapshot argument"));
    };
    let target = target.clone();
    if options.has('A') {
        return abort(store, disk, &target);
    }
    let mut set = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = accepted(property, value, true)
            .map_err(|why| Answer::refused(1, format!("cannot receive: {why}")))?;
        set.insert(property.to_owned(), value);
    }
    let excluded = options.values.get(&'x').cloned().unwrap_or_default();
    let stream =
        stream::read(input).map_err(|why| Answer::refused(1, format!("cannot receive: {why}")))?;
    let wish = Wish {
        options,
        set,
        excluded,
    };
    let mut answer = Answer::default();
    for arrived in &stream.records {
        let to = destination(&wish, &target, &arrived.record);
        one(store, disk, &wish, &to, arrived, &mut answer)?;
    }
    if !stream.is_whole && stream.records.iter().all(Arrived::is_whole) {
        // Cut between two snapshots: those that arrived stay.
        return Err(Answer::refused(
            1,
            "cannot receive: failed to read from stream",
        ));
    }
    Ok(answer)
}

/// Name of the snapshot that a record becomes.
fn destination(wish: &Wish, target: &str, record: &Record) -> String {
    let (source, short) = record.name.split_once('@').unwrap_or((&record.name, ""));
    let (target, short) = match target.split_once('@') {
        Some((dataset, short)) => (dataset.to_owned(), short),
        None => (target.to_owned(), short),
    };
    let below = if wish.options.has('d') {
        source.split_once('/').map_or("", |(_, rest)| rest)
    } else if wish.options.has('e') {
        source.rsplit('/').next().unwrap_or("")
    } else {
        return format!("{target}{}@{short}", record.relative);
    };
    if below.is_empty() {
        format!("{target}@{short}")
    } else {
        format!("{target}/{below}@{short}")
    }
}

fn one(
    store: &mut Store,
    disk: &dyn Disk,
    wish: &Wish,
    to: &str,
    arrived: &Arrived<'_>,
    answer: &mut Answer,
) -> Result<()> {
    let record = &arrived.record;
    let (dataset, short) = to.split_once('@').unwrap_or((to, ""));
    let (kind, kind_shown) = match record.from {
        Some(_) => ("incremental", "incremental"),
        None => ("new filesystem", "full"),
    };
    let refused = |why: &str| Answer::refused(1, format!("cannot receive {kind} stream: {why}"));
    if let Some(why) = name::dataset(dataset) {
        return Err(refused(&why));
    }
    let is_resume = record.offset > 0;
    let forced = wish.options.has('F');
    let existing = store.datasets.get(dataset);
    let partial = existing.and_then(|d| d.partial.clone());
    match (&partial, is_resume) {
        (Some(_), false) if record.from.is_some() => {
            return Err(refused(&format!(
                "destination {dataset} contains partially-complete state from \"zfs receive -s\"."
            )));
        }
        (None, true) if existing.is_none() => {
            return Err(Answer::refused(
                1,
                format!("cannot receive resume stream: destination '{dataset}' does not exist"),
            ));
        }
        (None, true) => {
            return Err(refused(&format!(
                "'{dataset}' does not have any resumable receive state"
            )));
        }
        (Some(partial), true) if partial.to != record.to || partial.bytes != record.offset => {
            return Err(refused(
                "kernel modules must be upgraded to receive this stream.",
            ));
        }
        (Some(_), _) | (None, false) => {}
    }
    let is_new = existing.is_none_or(|d| d.inconsistent && is_resume);
    if record.from.is_none() && !is_new && !forced {
        return Err(refused(&format!(
            "destination '{dataset}' exists\nmust specify -F to overwrite it"
        )));
    }
    if record.from.is_some() && existing.is_none() {
        return Err(refused(&format!("destination '{dataset}' does not exist")));
    }
    let parent = dataset.rsplit_once('/').map_or("", |(parent, _)| parent);
    if existing.is_none() && !store.datasets.contains_key(parent) {
        if wish.options.has('d') || wish.options.has('e') {
            let missing = parent.to_owned();
            create::add(store, disk, &missing, Dataset::default())?;
        } else {
            let above = parent.split('/').next().unwrap_or(parent);
            let missing = if store.datasets.contains_key(above) {
                parent
            } else {
                above
            };
            return Err(Answer::refused(
                1,
                format!(
                    "cannot open '{missing}': dataset does not exist\ncannot receive {kind} stream: unable to restore to destination"
                ),
            ));
        }
    }
    if wish.options.has('n') {
        if wish.options.has('v') {
            let _ = writeln!(
                answer.stdout,
                "would receive {kind_shown} stream of {} into {to}",
                record.name
            );
        }
        return Ok(());
    }
    if let (Some(base), false) = (record.from, is_new) {
        // A stream that is there already changes nothing.
        if store
            .datasets
            .get(dataset)
            .is_some_and(|d| d.snapshots.values().any(|s| s.guid == record.to))
        {
            return Ok(());
        }
        on_top_of(store, disk, dataset, base, forced)?;
    } else if !is_new {
        overwrite(store, disk, dataset)?;
    }
    let room = sizes::available(
        store,
        disk,
        if existing_name(store, dataset) {
            dataset
        } else {
            parent
        },
    );
    if room < record.length {
        let quota = existing_name(store, dataset)
            && store
                .datasets
                .get(dataset)
                .is_some_and(|d| d.local.get("quota").is_some_and(|quota| quota != "0"));
        return Err(refused(&if quota {
            format!("destination {dataset} space quota exceeded.")
        } else {
            "out of space".to_owned()
        }));
    }
    arrive(store, disk, wish, dataset, short, arrived)
        .map_err(|failed| match failed {
            Failed::Said(why) => refused(&why),
            Failed::Cut(token) if token.is_empty() => refused("incomplete stream"),
            Failed::Cut(token) => refused(&format!(
                "checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA resuming stream can be generated on the sending system by running:\n    zfs send -t {token}"
            )),
        })?;
    if wish.options.has('v') {
        let _ = writeln!(
            answer.stdout,
            "receiving {kind_shown} stream of {} into {to}\nreceived {} stream in 0.01 seconds (0B/sec)",
            record.name,
            super::print::nice(record.length),
        );
    }
    Ok(())
}

fn existing_name(store: &Store, dataset: &str) -> bool {
    store.datasets.contains_key(dataset)
}

/// Makes sure that an incremental stream fits on what is there; with force, by going back to its base.
fn on_top_of(
    store: &mut Store,
    disk: &dyn Disk,
    dataset: &str,
    base: u64,
    forced: bool,
) -> Result<()> {
    let refused =
        |why: String| Answer::refused(1, format!("cannot receive incremental stream: {why}"));
    let Some(record) = store.datasets.get(dataset) else {
        return Err(no_dataset(dataset));
    };
    let found = record.snapshots.values().find(|s| s.guid == base).cloned();
    let Some(found) = found else {
        return Err(refused(format!(
            "most recent snapshot of {dataset} does not\nmatch incremental source"
        )));
    };
    let files = record.files;
    if !forced {
        if disk.changes(found.files, files).is_empty() {
            return Ok(());
        }
        return Err(refused(format!(
            "destination {dataset} has been modified\nsince most recent snapshot"
        )));
    }
    let newer: Vec<String> = record
        .by_age()
        .into_iter()
        .filter(|(_, s)| s.createtxg > found.createtxg)
        .map(|(short, _)| format!("{dataset}@{short}"))
        .collect();
    for name in newer {
        if store.snapshot(&name).is_some_and(|s| !s.holds.is_empty()) {
            return Err(refused(format!("cannot destroy '{name}': dataset is busy")));
        }
        destroy::remove(store, disk, &name)?;
    }
    disk.restore(found.files, files).map_err(refused)
}

/// `-F` with a full stream: only onto something that has no snapshots.
fn overwrite(store: &Store, disk: &dyn Disk, dataset: &str) -> Result<()> {
    let Some(record) = store.datasets.get(dataset) else {
        return Ok(());
    };
    if !record.snapshots.is_empty() {
        let snapshots = record.by_age();
        let first = snapshots.first().map_or("", |(short, _)| short.as_str());
        return Err(Answer::refused(
            1,
            format!(
                "cannot receive new filesystem stream: destination has snapshots (eg. {dataset}@{first})\nmust destroy them to overwrite it"
            ),
        ));
    }
    disk.unpack(record.files, &[])
        .map_err(|why| Answer::refused(1, format!("cannot receive new filesystem stream: {why}")))
}

enum Failed {
    Said(String),
    /// The stream ended early; the token, empty when nothing was kept.
    Cut(String),
}

fn arrive(
    store: &mut Store,
    disk: &dyn Disk,
    wish: &Wish,
    dataset: &str,
    short: &str,
    arrived: &Arrived<'_>,
) -> std::result::Result<(), Failed> {
    let record = &arrived.record;
    if !store.datasets.contains_key(dataset) {
        let made = Dataset {
            volume: record.volume,
            inconsistent: true,
            ..Dataset::default()
        };
        create::add(store, disk, dataset, made).map_err(|a| Failed::Said(a.stderr))?;
    }
    let Some(here) = store.datasets.get(dataset) else {
        return Err(Failed::Said("dataset does not exist".to_owned()));
    };
    let (files, kept) = (here.files, here.partial.clone());
    let mut content = match &kept {
        Some(partial) => disk.kept(partial.files).map_err(Failed::Said)?,
        None => Vec::new(),
    };
    content.extend(arrived.content);
    if !arrived.is_whole() {
        return Err(cut(store, disk, wish, dataset, record, &content));
    }
    disk.unpack(files, &content).map_err(Failed::Said)?;
    if let Some(partial) = kept {
        disk.keep(partial.files, None).map_err(Failed::Said)?;
    }
    let createtxg = store.advance();
    let copy = store.id(&format!("{dataset}@{short}\0files"));
    disk.copy(files, copy, false).map_err(Failed::Said)?;
    let Some(here) = store.datasets.get_mut(dataset) else {
        return Err(Failed::Said("dataset does not exist".to_owned()));
    };
    let first = std::mem::take(&mut here.inconsistent);
    here.partial = None;
    let snapshot = Snapshot {
        guid: record.to,
        files: copy,
        createtxg,
        creation: record.creation,
        local: record.local.clone(),
        ..Snapshot::default()
    };
    here.snapshots.insert(short.to_owned(), snapshot);
    for (property, value) in &record.properties {
        if !wish.excluded.contains(property) {
            here.received.insert(property.clone(), value.clone());
        }
    }
    here.local.extend(wish.set.clone());
    if let Some(hash) = record.sealed.clone().filter(|_| here.key.is_none()) {
        let own = ["encryption", "keyformat", "pbkdf2iters"];
        for property in own {
            if let Some(value) = here.received.remove(property) {
                here.local.insert(property.to_owned(), value);
            }
        }
        here.local
            .insert("keylocation".to_owned(), "prompt".to_owned());
        here.key = Some(Key {
            root: dataset.to_owned(),
            hash,
            loaded: false,
        });
    }
    if first && !wish.options.has('u') && here.volume.is_none() {
        mount::below(store, disk, dataset).map_err(|a| Failed::Said(a.stderr))?;
    }
    Ok(())
}

/// The stream ended early: keeps what arrived with `-s`, else forgets it.
fn cut(
    store: &mut Store,
    disk: &dyn Disk,
    wish: &Wish,
    dataset: &str,
    record: &Record,
    content: &[u8],
) -> Failed {
    let name = store.id(&format!("{dataset}\0partial"));
    let Some(here) = store.datasets.get_mut(dataset) else {
        return Failed::Cut(String::new());
    };
    if wish.options.has('s') {
        let partial = Partial {
            files: here.partial.as_ref().map_or(name, |partial| partial.files),
            bytes: content.len() as u64,
            to: record.to,
            name: record.name.clone(),
            from: record.from,
            raw: record.sealed.is_some(),
        };
        if let Err(why) = disk.keep(partial.files, Some(content)) {
            return Failed::Said(why);
        }
        let token = token(&partial);
        here.partial = Some(partial);
        return Failed::Cut(token);
    }
    if here.inconsistent && here.partial.is_none() {
        let files = here.files;
        store.datasets.remove(dataset);
        if let Err(why) = disk.remove(files) {
            return Failed::Said(why);
        }
    }
    Failed::Cut(String::new())
}

fn abort(store: &mut Store, disk: &dyn Disk, name: &str) -> Result<Answer> {
    let Some(record) = store.datasets.get_mut(name) else {
        let missing = no_dataset(name).stderr;
        return Err(Answer::usage("receive", missing.trim_end()));
    };
    let Some(partial) = record.partial.take() else {
        return Err(Answer::refused(
            1,
            format!("'{name}' does not have any resumable receive state to abort"),
        ));
    };
    let gone = (record.inconsistent, record.files);
    let mut done = disk.keep(partial.files, None);
    if gone.0 {
        store.datasets.remove(name);
        done = done.and_then(|()| disk.remove(gone.1));
    }
    done.map_err(|why| Answer::refused(1, why))?;
    Ok(Answer::default())
}

/// What `receive_resume_token` shows: version, checksum, length, and the state in hex, as the real one is built.
pub(super) fn token(partial: &Partial) -> String {
    let text = serde_json::to_vec(partial).unwrap_or_default();
    let sum = checksum(&text);
    format!("1-{sum:x}-{:x}-{}", text.len(), hex(&text))
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum: u32, byte| sum.rotate_left(5) ^ u32::from(*byte))
}

/// What a token means, or what is wrong with it.
pub(super) fn untoken(token: &str) -> std::result::Result<Partial, &'static str> {
    let mut parts = token.splitn(4, '-');
    let (Some(version), Some(sum), Some(_), Some(hex)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("resume token is corrupt (invalid format)");
    };
    if version != "1" {
        return Err("resume token is corrupt (invalid format)");
    }
    let bytes: Option<Vec<u8>> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect();
    let Some(bytes) = bytes else {
        return Err("resume token is corrupt (payload is not hex-encoded)");
    };
    if u32::from_str_radix(sum, 16) != Ok(checksum(&bytes)) {
        return Err("resume token is corrupt (incorrect checksum)");
    }
    serde_json::from_slice(&bytes).map_err(|_| "resume token is corrupt (nvlist_unpack failed)")
}
