//! Properties: where a value comes from, and what it is.

use super::{
    disk::Disk,
    listing::{Kind as What, Thing},
    receive, sizes,
    store::Store,
    table::{ALIASES, Kind, NATIVE, RARE, SNAPSHOT, VOLUME},
};

/// A value with its source, parsable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) source: String,
}

pub(super) fn kind(property: &str) -> Option<(Kind, &'static str)> {
    NATIVE
        .iter()
        .find(|(name, _, _)| *name == property)
        .map(|(_, kind, default)| (*kind, *default))
}

/// The full name of a column.
pub(super) fn canonical(property: &str) -> &str {
    ALIASES
        .iter()
        .find(|(short, _)| *short == property)
        .map_or(property, |(_, full)| full)
}

/// Whether there is such a property.
pub(super) fn is_known(property: &str) -> bool {
    property.contains(':')
        || kind(property).is_some()
        || RARE.contains(&property)
        || property.starts_with("written@")
}

/// The value of a settable property and its source.
pub(super) fn settable(store: &Store, dataset: &str, property: &str) -> Option<(String, String)> {
    let (kind, default) = match kind(property) {
        Some(known) => known,
        None if property.contains(':') => (Kind::Inherits, ""),
        None => return None,
    };
    let record = store.datasets.get(dataset)?;
    if let Some(value) = record.local.get(property) {
        let source = match kind {
            Kind::Birth | Kind::Sealed => "-",
            Kind::Fact | Kind::Inherits | Kind::Own => "local",
        };
        return Some((value.clone(), source.to_owned()));
    }
    if let Some(value) = record.received.get(property) {
        return Some((value.clone(), "received".to_owned()));
    }
    if kind == Kind::Inherits {
        let mut above = dataset;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            let record = store.datasets.get(above);
            let set =
                record.and_then(|d| d.local.get(property).or_else(|| d.received.get(property)));
            if let Some(value) = set {
                let value = if property == "mountpoint" && value.starts_with('/') {
                    format!("{}{}", value.trim_end_matches('/'), &dataset[above.len()..])
                } else {
                    value.clone()
                };
                return Some((value, format!("inherited from {above}")));
            }
        }
    }
    if property.contains(':') {
        return None;
    }
    let value = if property == "mountpoint" {
        format!("/{dataset}")
    } else {
        default.to_owned()
    };
    let source = match kind {
        Kind::Birth | Kind::Fact => "-",
        Kind::Inherits | Kind::Own | Kind::Sealed => "default",
    };
    Some((value, source.to_owned()))
}

/// Where a filesystem is mounted when it is; none for `none` and `legacy`.
pub(super) fn mountpoint(store: &Store, dataset: &str) -> Option<String> {
    if store.datasets.get(dataset)?.volume.is_some() {
        return None;
    }
    settable(store, dataset, "mountpoint")
        .map(|(at, _)| at)
        .filter(|at| at.starts_with('/'))
}

/// One property of a thing; none when there is no such property.
pub(super) fn one(store: &Store, disk: &dyn Disk, thing: &Thing, property: &str) -> Option<Shown> {
    let property = canonical(property);
    if !is_known(property) {
        return None;
    }
    let (value, source) = match thing.kind {
        What::Dataset => of_dataset(store, disk, &thing.dataset, property),
        What::Snapshot => of_snapshot(store, disk, thing, property),
        What::Bookmark => of_bookmark(store, thing, property),
    }
    .unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
    Some(Shown {
        name: property.to_owned(),
        value,
        source,
    })
}

type Found = Option<(String, String)>;

#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "an arm among others that may have nothing to say"
)]
fn fact(value: impl ToString) -> Found {
    Some((value.to_string(), "-".to_owned()))
}

fn of_dataset(store: &Store, disk: &dyn Disk, dataset: &str, property: &str) -> Found {
    let record = store.datasets.get(dataset)?;
    let is_volume = record.volume.is_some();
    if is_volume && kind(property).is_some() && !VOLUME.contains(&property) {
        return None;
    }
    let referenced = || sizes::referenced(store, disk, dataset);
    match property {
        "name" => fact(dataset),
        "type" if is_volume => fact("volume"),
        "creation" => fact(record.creation),
        "createtxg" => fact(record.createtxg),
        "objsetid" => fact(record.files % 100_000),
        "guid" => fact(record.guid),
        "used" => fact(sizes::used(store, disk, dataset)),
        "available" => fact(sizes::available(store, disk, dataset)),
        "referenced" | "usedbydataset" => fact(referenced()),
        "written" if record.snapshots.is_empty() => fact(referenced()),
        "written" => fact(0),
        _ if property.starts_with("written@") => {
            let since = record.snapshots.get(&property["written@".len()..])?;
            let changes = disk.changes(since.files, record.files);
            // At least a block for what was changed, as it would be.
            fact(if changes.is_empty() {
                0
            } else {
                disk.bytes(record.files).max(4096)
            })
        }
        "usedbychildren" => fact(sizes::used_by_children(store, disk, dataset)),
        "logicalreferenced" => fact(referenced() - sizes::EMPTY.min(referenced()) + 43_008),
        "logicalused" => {
            let used = sizes::used(store, disk, dataset);
            fact(used - sizes::EMPTY.min(used) + 43_008)
        }
        "volsize" => record
            .volume
            .map(|bytes| (bytes.to_string(), "local".to_owned())),
        "volblocksize" => record.volume.map(|_| {
            let set = record.local.get("volblocksize").cloned();
            let source = if set.is_some() { "-" } else { "default" };
            (set.unwrap_or_else(|| "16384".to_owned()), source.to_owned())
        }),
        "mounted" => {
            let on =
                mountpoint(store, dataset).is_some_and(|at| disk.is_mounted(record.files, &at));
            fact(if on { "yes" } else { "no" })
        }
        "origin" => fact(record.origin.as_deref().unwrap_or("-")),
        "inconsistent" => fact(u8::from(record.inconsistent)),
        "keystatus" => record.key.as_ref().and_then(|key| {
            fact(if key.loaded {
                "available"
            } else {
                "unavailable"
            })
        }),
        "encryptionroot" => record.key.as_ref().and_then(|key| fact(&key.root)),
        "receive_resume_token" => record
            .partial
            .as_ref()
            .and_then(|partial| fact(receive::token(partial))),
        "clones" | "userrefs" | "defer_destroy" | "numclones" | "redacted" => None,
        _ => match settable(store, dataset, property) {
            Some((value, source)) if kind(property).is_some_and(|(k, _)| k == Kind::Fact) => {
                let _ = source;
                fact(value)
            }
            other => other,
        },
    }
}

fn of_snapshot(store: &Store, disk: &dyn Disk, thing: &Thing, property: &str) -> Found {
    let record = store.datasets.get(&thing.dataset)?;
    let snapshot = record.snapshots.get(&thing.short)?;
    match property {
        "name" => fact(thing.name()),
        "type" => fact("snapshot"),
        "creation" => fact(snapshot.creation),
        "createtxg" => fact(snapshot.createtxg),
        "guid" => fact(snapshot.guid),
        "used" | "inconsistent" => fact(0),
        "referenced" => fact(sizes::of_files(disk, snapshot.files)),
        "compressratio" | "refcompressratio" => fact("1.00"),
        "userrefs" => fact(snapshot.holds.len()),
        "defer_destroy" => fact(if snapshot.deferred { "on" } else { "off" }),
        "numclones" => fact(store.clones(&thing.name()).count()),
        "clones" => {
            let name = thing.name();
            let clones: Vec<&str> = store.clones(&name).map(String::as_str).collect();
            if clones.is_empty() {
                None
            } else {
                fact(clones.join(","))
            }
        }
        _ if property.contains(':') => match snapshot.local.get(property) {
            Some(value) => Some((value.clone(), "local".to_owned())),
            None => settable(store, &thing.dataset, property).map(|(value, source)| {
                let source = match source.as_str() {
                    "local" | "received" => format!("inherited from {}", thing.dataset),
                    _ => source,
                };
                (value, source)
            }),
        },
        _ => None,
    }
}

fn of_bookmark(store: &Store, thing: &Thing, property: &str) -> Found {
    let bookmark = store
        .datasets
        .get(&thing.dataset)?
        .bookmarks
        .get(&thing.short)?;
    match property {
        "name" => fact(thing.name()),
        "type" => fact("bookmark"),
        "creation" => fact(bookmark.creation),
        "createtxg" => fact(bookmark.createtxg),
        "guid" => fact(bookmark.guid),
        "referenced" => fact(bookmark.referenced),
        _ => None,
    }
}

/// All properties of a thing: native ones in ZFS's order, then the user's.
pub(super) fn all(store: &Store, disk: &dyn Disk, thing: &Thing) -> Vec<Shown> {
    let Some(record) = store.datasets.get(&thing.dataset) else {
        return Vec::new();
    };
    let mut names: Vec<String> = Vec::new();
    match thing.kind {
        What::Dataset if record.volume.is_some() => {
            names.extend(VOLUME.iter().map(|&name| name.to_owned()));
        }
        What::Dataset => names.extend(NATIVE.iter().map(|(name, _, _)| (*name).to_owned())),
        What::Snapshot => names.extend(SNAPSHOT.iter().map(|&name| name.to_owned())),
        What::Bookmark => {
            names
                .extend(["type", "creation", "referenced", "createtxg", "guid"].map(str::to_owned));
        }
    }
    if thing.kind == What::Dataset {
        let mut insert = |after: &str, name: &str| {
            if let Some(at) = names.iter().position(|other| other == after) {
                names.insert(at + 1, name.to_owned());
            }
        };
        if record.origin.is_some() {
            insert("mounted", "origin");
        }
        if record.key.is_some() {
            insert("pbkdf2iters", "encryptionroot");
            insert("encryptionroot", "keystatus");
        }
        if record.partial.is_some() {
            insert("redundant_metadata", "receive_resume_token");
        }
    }
    let mut users: Vec<String> = Vec::new();
    if thing.kind == What::Snapshot
        && let Some(snapshot) = record.snapshots.get(&thing.short)
    {
        users.extend(snapshot.local.keys().cloned());
    }
    let mut above = Some(thing.dataset.as_str());
    while let Some(name) = above {
        let here = store.datasets.get(name);
        users.extend(
            here.into_iter()
                .flat_map(|d| d.local.keys().chain(d.received.keys()).cloned()),
        );
        above = name.rsplit_once('/').map(|(parent, _)| parent);
    }
    users.retain(|name| name.contains(':') && thing.kind != What::Bookmark);
    users.sort();
    users.dedup();
    names.extend(users);
    names
        .iter()
        .filter_map(|name| one(store, disk, thing, name))
        .collect()
}
