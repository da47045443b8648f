//! Pools, datasets and snapshots as they are kept between commands.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Store {
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Filesystems and volumes by name.
    pub datasets: BTreeMap<String, Dataset>,
    /// The transaction group of the last change.
    pub txg: u64,
    /// Disks that nobody has but this node: name below `/dev` and bytes. `lab` is always there.
    #[serde(default)]
    pub devices: BTreeMap<String, u64>,
    /// Pools that were exported, with their datasets.
    #[serde(default)]
    pub exported: BTreeMap<String, Exported>,
}

/// A pool that is not imported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exported {
    /// The pool.
    pub pool: Pool,
    /// Its datasets by name.
    pub datasets: BTreeMap<String, Dataset>,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pool {
    /// Unique id.
    pub guid: u64,
    /// Bytes in all.
    pub size: u64,
    /// Properties set on it.
    #[serde(default)]
    pub local: BTreeMap<String, String>,
    /// Top-level parts; none for the lab's one virtual disk.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Spare disks.
    #[serde(default)]
    pub spares: Vec<String>,
    /// The last scrub or resilver.
    #[serde(default)]
    pub scan: Option<Scan>,
}

/// A mirror, a raidz or a single disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part {
    /// `mirror`, `raidz1` ...; empty for a single disk.
    pub kind: String,
    /// Unique id.
    pub guid: u64,
    /// Its disks.
    pub disks: Vec<Member>,
}

/// A disk of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// Name as `zpool status` shows it.
    pub name: String,
    /// Unique id.
    pub guid: u64,
    /// Taken offline.
    pub offline: bool,
}

/// A scrub or resilver that has finished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scan {
    /// Whether it was a resilver.
    pub resilver: bool,
    /// When it finished, seconds since 1970.
    pub at: i64,
}

/// A filesystem or a volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dataset {
    /// Unique id.
    pub guid: u64,
    /// Name of the folder with its files.
    pub files: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970.
    pub creation: i64,
    /// Properties set on it, native ones in parsable form.
    pub local: BTreeMap<String, String>,
    /// Properties that came with a stream.
    #[serde(default)]
    pub received: BTreeMap<String, String>,
    /// Bytes of a volume; none for a filesystem.
    #[serde(default)]
    pub volume: Option<u64>,
    /// The snapshot that it is a clone of.
    #[serde(default)]
    pub origin: Option<String>,
    /// Its key, when it is encrypted.
    #[serde(default)]
    pub key: Option<Key>,
    /// Snapshots by short name.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Bookmarks by short name.
    #[serde(default)]
    pub bookmarks: BTreeMap<String, Bookmark>,
    /// What an interrupted `receive -s` left.
    #[serde(default)]
    pub partial: Option<Partial>,
    /// Made by a receive that has not come to its end.
    #[serde(default)]
    pub inconsistent: bool,
}

/// The key of an encrypted dataset. The twin remembers a hash and encrypts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Key {
    /// The dataset whose key it is.
    pub root: String,
    /// SHA-256 of the passphrase.
    pub hash: String,
    /// Whether it is loaded.
    pub loaded: bool,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Unique id.
    pub guid: u64,
    /// Name of the folder with its files.
    pub files: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970.
    pub creation: i64,
    /// User properties.
    pub local: BTreeMap<String, String>,
    /// Tags that hold it, with their times.
    pub holds: BTreeMap<String, i64>,
    /// To be destroyed when the last hold and clone is gone.
    #[serde(default)]
    pub deferred: bool,
}

/// A bookmark.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bookmark {
    /// Id of the snapshot that it was made of.
    pub guid: u64,
    /// Transaction group of that snapshot.
    pub createtxg: u64,
    /// Time of that snapshot, seconds since 1970.
    pub creation: i64,
    /// What that snapshot referenced, bytes.
    pub referenced: u64,
}

/// An interrupted receive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Partial {
    /// Name of the file with the bytes that arrived.
    pub files: u64,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Id of the snapshot that was being sent.
    pub to: u64,
    /// Its name on the sending side.
    pub name: String,
    /// Id of the base; none for a full stream.
    pub from: Option<u64>,
    /// Whether the stream was a raw one.
    pub raw: bool,
}

impl Store {
    /// Reads the store of a folder; an empty one where there is none.
    ///
    /// # Errors
    /// What the disk or the parser said.
    pub fn read(folder: &Path) -> Result<Self, String> {
        match std::fs::read_to_string(folder.join("store.json")) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes it back, whole or not at all.
    ///
    /// # Errors
    /// What the disk said.
    pub fn write(&self, folder: &Path) -> Result<(), String> {
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let partial = folder.join(".store.partial");
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, folder.join("store.json")))
            .map_err(|error| error.to_string())
    }

    /// Opens the next transaction group.
    pub(super) fn advance(&mut self) -> u64 {
        self.txg += 1;
        self.txg
    }

    /// An id that follows from a name and the transaction group.
    pub(super) fn id(&self, name: &str) -> u64 {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::digest(format!("{name}\0{}", self.txg));
        let id = digest
            .iter()
            .take(8)
            .fold(0, |id, byte| id << 8 | u64::from(*byte));
        id.max(1)
    }

    /// The datasets below a name, itself first.
    pub(super) fn below<'a>(
        &'a self,
        name: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Dataset)> + use<'a> {
        let prefix = format!("{name}/");
        let name = name.to_owned();
        self.datasets
            .iter()
            .filter(move |(other, _)| **other == name || other.starts_with(&prefix))
    }

    /// A snapshot by its full name.
    pub(super) fn snapshot(&self, name: &str) -> Option<&Snapshot> {
        let (dataset, short) = name.split_once('@')?;
        self.datasets.get(dataset)?.snapshots.get(short)
    }

    /// The clones of a snapshot.
    pub(super) fn clones<'a>(&'a self, snapshot: &'a str) -> impl Iterator<Item = &'a String> {
        self.datasets
            .iter()
            .filter(move |(_, dataset)| dataset.origin.as_deref() == Some(snapshot))
            .map(|(name, _)| name)
    }
}

impl Dataset {
    /// Short names of its snapshots, oldest first.
    pub(super) fn by_age(&self) -> Vec<(&String, &Snapshot)> {
        let mut out: Vec<_> = self.snapshots.iter().collect();
        out.sort_by_key(|(_, snapshot)| snapshot.createtxg);
        out
    }

    /// Whether its key is not loaded.
    pub(super) fn is_locked(&self) -> bool {
        self.key.as_ref().is_some_and(|key| !key.loaded)
    }
}

/// Where a path of the node lies in the store's folder: that of the dataset mounted nearest above it.
pub fn host_path(folder: &Path, path: &Path) -> Option<PathBuf> {
    let store = Store::read(folder).ok()?;
    store
        .datasets
        .iter()
        .filter_map(|(name, dataset)| {
            let mountpoint = super::properties::mountpoint(&store, name)?;
            let rest = path.strip_prefix(&mountpoint).ok()?.to_owned();
            Some((
                mountpoint.len(),
                super::disk::data(folder, dataset.files).join(rest),
            ))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, path)| path)
}
