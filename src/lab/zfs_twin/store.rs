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
    /// Filesystems by name.
    pub datasets: BTreeMap<String, Dataset>,
    /// The next transaction group.
    pub txg: u64,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pool {
    /// Unique id.
    pub guid: u64,
    /// Bytes in all.
    pub size: u64,
}

/// A filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dataset {
    /// Unique id; also the name of its folder.
    pub guid: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970.
    pub creation: i64,
    /// Properties set on it, native ones in parsable form.
    pub local: BTreeMap<String, String>,
    /// Snapshots by short name.
    pub snapshots: BTreeMap<String, Snapshot>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Unique id; also the name of its folder.
    pub guid: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970.
    pub creation: i64,
    /// User properties.
    pub local: BTreeMap<String, String>,
    /// Tags that hold it.
    pub holds: Vec<String>,
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
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        let partial = folder.join(".store.partial");
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, folder.join("store.json")))
            .map_err(|error| error.to_string())
    }

    /// The next transaction group and an id that follows from it and the name.
    pub(super) fn next(&mut self, name: &str) -> (u64, u64) {
        use sha2::{Digest as _, Sha256};
        self.txg += 1;
        let digest = Sha256::digest(format!("{name}\0{}", self.txg));
        let guid = digest
            .iter()
            .take(8)
            .fold(0, |guid, byte| guid << 8 | u64::from(*byte));
        (self.txg, guid.max(1))
    }

    /// The datasets below a name, itself first.
    pub(super) fn below<'a>(
        &'a self,
        name: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Dataset)> {
        let prefix = format!("{name}/");
        let name = name.to_owned();
        self.datasets
            .iter()
            .filter(move |(other, _)| **other == name || other.starts_with(&prefix))
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
                super::disk::data(folder, dataset.guid).join(rest),
            ))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, path)| path)
}
