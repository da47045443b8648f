//! What `list` and `get` speak about.

use super::{
    answer::{Answer, Result, no_dataset},
    options::Options,
    store::Store,
};

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dataset,
    Snapshot,
    Bookmark,
}

/// One thing that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) dataset: String,
    /// Name behind `@` or `#`.
    pub(super) short: String,
}

impl Thing {
    /// A filesystem or volume.
    pub(super) fn dataset(name: &str) -> Self {
        Self {
            kind: Kind::Dataset,
            dataset: name.to_owned(),
            short: String::new(),
        }
    }

    /// What a name stands for.
    pub(super) fn named(name: &str) -> Self {
        let (kind, at) = match (name.find('@'), name.find('#')) {
            (Some(at), _) => (Kind::Snapshot, at),
            (None, Some(at)) => (Kind::Bookmark, at),
            (None, None) => return Self::dataset(name),
        };
        Self {
            kind,
            dataset: name[..at].to_owned(),
            short: name[at + 1..].to_owned(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self.kind {
            Kind::Dataset => self.dataset.clone(),
            Kind::Snapshot => format!("{}@{}", self.dataset, self.short),
            Kind::Bookmark => format!("{}#{}", self.dataset, self.short),
        }
    }

    pub(super) fn is_in(&self, store: &Store) -> bool {
        let Some(record) = store.datasets.get(&self.dataset) else {
            return false;
        };
        match self.kind {
            Kind::Dataset => true,
            Kind::Snapshot => record.snapshots.contains_key(&self.short),
            Kind::Bookmark => record.bookmarks.contains_key(&self.short),
        }
    }
}

/// Which kinds `-t` asks for.
#[derive(Debug, Clone, Copy)]
struct Types {
    filesystems: bool,
    volumes: bool,
    snapshots: bool,
    bookmarks: bool,
}

impl Types {
    fn read(verb: &str, text: &str) -> Result<Self> {
        let mut out = Self {
            filesystems: false,
            volumes: false,
            snapshots: false,
            bookmarks: false,
        };
        for word in text.split(',') {
            match word {
                "filesystem" | "fs" => out.filesystems = true,
                "volume" | "vol" => out.volumes = true,
                "snapshot" | "snap" => out.snapshots = true,
                "bookmark" => out.bookmarks = true,
                "all" => {
                    (out.filesystems, out.volumes, out.snapshots, out.bookmarks) =
                        (true, true, true, true);
                }
                other => return Err(Answer::usage(verb, format!("invalid type '{other}'"))),
            }
        }
        Ok(out)
    }
}

/// The things that operands, `-r`, `-d` and `-t` choose.
pub(super) fn chosen(
    store: &Store,
    verb: &str,
    options: &Options,
    default: &str,
) -> Result<Vec<Thing>> {
    let types = Types::read(verb, options.value('t').unwrap_or(default))?;
    let mut out = Vec::new();
    let mut add = |name: &str| {
        let Some(record) = store.datasets.get(name) else {
            return;
        };
        let is_wanted = if record.volume.is_some() {
            types.volumes
        } else {
            types.filesystems
        };
        if is_wanted {
            out.push(Thing::dataset(name));
        }
        if types.snapshots {
            let snapshots = record.by_age();
            out.extend(snapshots.into_iter().map(|(short, _)| Thing {
                kind: Kind::Snapshot,
                dataset: name.to_owned(),
                short: short.clone(),
            }));
        }
        if types.bookmarks {
            out.extend(record.bookmarks.keys().map(|short| Thing {
                kind: Kind::Bookmark,
                dataset: name.to_owned(),
                short: short.clone(),
            }));
        }
    };
    if options.operands.is_empty() {
        for name in store.datasets.keys() {
            add(name);
        }
        return Ok(out);
    }
    let deep = match options.value('d').map(str::parse::<usize>) {
        Some(Ok(depth)) => Some(depth),
        Some(Err(_)) | None if options.has('r') => Some(usize::MAX),
        Some(Err(_)) | None => None,
    };
    let mut direct = Vec::new();
    // Whatever the order of the operands, datasets come by name.
    let mut named = std::collections::BTreeSet::new();
    for operand in &options.operands {
        let thing = Thing::named(operand);
        if !thing.is_in(store) {
            return Err(no_dataset(operand));
        }
        if thing.kind != Kind::Dataset {
            direct.push(thing);
            continue;
        }
        match deep {
            None => {
                named.insert(operand);
            }
            Some(most) => {
                let depth = operand.matches('/').count();
                let below = store.below(operand).map(|(name, _)| name);
                named.extend(below.filter(|name| name.matches('/').count() - depth <= most));
            }
        }
    }
    for name in named {
        add(name);
    }
    out.extend(direct);
    Ok(out)
}
