//! Storages, the disk volumes on them and the files in their folders.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A storage as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Storage {
    /// `dir` or `zfspool`.
    pub(crate) kind: String,
    /// What it may hold: `images`, `iso`, `import` ...
    pub(crate) content: BTreeSet<String>,
    /// Path on the node as the API shows it (dir).
    pub(crate) path: Option<String>,
    /// zpool or dataset (zfspool).
    pub(crate) pool: Option<String>,
    pub(crate) shared: bool,
    /// Bytes in all.
    pub(crate) capacity: u64,
    /// A fault: nothing more fits.
    #[serde(default)]
    pub(crate) is_full: bool,
}

/// How a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageState {
    /// As its owner made it.
    Well,
    /// Nothing more fits.
    Full,
    /// It is not in the node's configuration.
    Missing,
}

impl Storage {
    /// Whether volumes are files with a format, below a directory per guest.
    pub(crate) fn is_file_based(&self) -> bool {
        self.kind == "dir"
    }

    /// Where a volume or file of this storage lies on the node, as messages name it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        match (&self.path, &self.pool) {
            (Some(path), _) => match name.split_once('/') {
                Some(("iso", file)) => format!("{path}/template/iso/{file}"),
                Some(("vztmpl", file)) => format!("{path}/template/cache/{file}"),
                Some(("import" | "snippets" | "backup", _)) => format!("{path}/{name}"),
                _ => format!("{path}/images/{name}"),
            },
            (None, Some(pool)) => format!("/dev/zvol/{pool}/{name}"),
            (None, None) => name.to_owned(),
        }
    }
}

/// The disk of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) vmid: u32,
    pub(crate) format: String,
    pub(crate) size: u64,
    /// Bytes that it takes now.
    pub(crate) used: u64,
    pub(crate) ctime: i64,
    /// The import volume that it was copied from.
    pub(crate) made_from: Option<String>,
    /// The base volume that it is a linked clone of.
    pub(crate) parent: Option<String>,
}

/// A file in a storage's folder: ISO image, import image, snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shelved {
    pub(crate) content: String,
    pub(crate) format: String,
    pub(crate) size: u64,
    /// Size of the disk inside (qcow2), else `size`.
    pub(crate) virtual_size: u64,
    pub(crate) ctime: i64,
    /// Where the lab keeps it.
    pub(crate) file: PathBuf,
}

/// The files of all storages: key -> file. The key is the volume id on the cluster's first node, and `node!volid` on
/// any other: what lies on one node's disks is not on another's.
pub(crate) type Shelf = BTreeMap<String, Shelved>;

/// What is asked of a new disk.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) vmid: u32,
    /// `disk` or `cloudinit`.
    pub(crate) stem: &'a str,
    pub(crate) format: Option<&'a str>,
    pub(crate) size: u64,
    pub(crate) made_from: Option<&'a str>,
    pub(crate) now: i64,
}

/// Storages and volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Storages {
    pub(crate) all: BTreeMap<String, Storage>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// Taken away by a fault.
    #[serde(default)]
    pub(crate) missing: BTreeMap<String, Storage>,
}

impl Storages {
    /// Makes a storage full, takes it away, or makes it well again.
    ///
    /// # Errors
    /// When there is no such storage.
    pub(crate) fn set(&mut self, id: &str, state: StorageState) -> Result<(), String> {
        let found = self.all.remove(id).or_else(|| self.missing.remove(id));
        let mut storage = found.ok_or_else(|| format!("there is no storage `{id}`"))?;
        storage.is_full = state == StorageState::Full;
        match state {
            StorageState::Well | StorageState::Full => self.all.insert(id.to_owned(), storage),
            StorageState::Missing => self.missing.insert(id.to_owned(), storage),
        };
        Ok(())
    }

    /// Storages that are not well.
    pub(crate) fn troubles(&self) -> BTreeMap<String, StorageState> {
        let full = self.all.iter().filter(|(_, storage)| storage.is_full);
        let missing = self.missing.keys();
        full.map(|(id, _)| (id.clone(), StorageState::Full))
            .chain(missing.map(|id| (id.clone(), StorageState::Missing)))
            .collect()
    }

    /// A storage by id.
    ///
    /// # Errors
    /// The real API's words for one that does not exist.
    pub(crate) fn find(&self, id: &str) -> Result<&Storage, String> {
        self.all
            .get(id)
            .ok_or_else(|| format!("storage '{id}' does not exist"))
    }

    /// Bytes in use: volumes and files.
    pub(crate) fn used(&self, id: &str, files: &Shelf) -> u64 {
        let prefix = format!("{id}:");
        let volumes = self
            .volumes
            .iter()
            .filter(|(volid, _)| volid.starts_with(&prefix));
        let files = files.iter().filter(|(volid, _)| volid.starts_with(&prefix));
        volumes.map(|(_, volume)| volume.used).sum::<u64>()
            + files.map(|(_, file)| file.size).sum::<u64>()
    }

    /// Bytes still free.
    pub(crate) fn available(&self, id: &str, files: &Shelf) -> u64 {
        let room = self.all.get(id).filter(|storage| !storage.is_full);
        let capacity = room.map_or(0, |storage| storage.capacity);
        capacity.saturating_sub(self.used(id, files))
    }

    /// Makes a new disk and gives its volume id.
    ///
    /// # Errors
    /// The storage does not exist, may not hold disks or is full.
    pub(crate) fn allocate(
        &mut self,
        id: &str,
        wanted: &Wanted<'_>,
        files: &Shelf,
    ) -> Result<String, String> {
        let storage = self.find(id)?;
        if !storage.content.contains("images") {
            return Err(format!(
                "storage '{id}' does not support content-type 'images'"
            ));
        }
        let is_file = storage.is_file_based();
        let format = if is_file {
            wanted.format.unwrap_or("raw")
        } else {
            "raw"
        };
        let name = |number: Option<u32>| {
            let number = number
                .map(|number| format!("-{number}"))
                .unwrap_or_default();
            let (vmid, stem) = (wanted.vmid, wanted.stem);
            if is_file {
                format!("{id}:{vmid}/vm-{vmid}-{stem}{number}.{format}")
            } else {
                format!("{id}:vm-{vmid}-{stem}{number}")
            }
        };
        let source = wanted
            .made_from
            .and_then(|volid| files.get(volid))
            .map_or(0, |file| file.size);
        // A thin file takes what is copied into it; a zvol reserves its whole size.
        let used = if is_file {
            source.max(256 * 1024)
        } else {
            wanted.size
        };
        let stem_of = |volid: &str| {
            volid
                .rsplit_once('.')
                .map_or(volid, |(stem, _)| stem)
                .to_owned()
        };
        let taken: BTreeSet<String> = self.volumes.keys().map(|volid| stem_of(volid)).collect();
        let is_taken = |volid: &str| {
            taken.contains(&stem_of(volid))
                || taken.contains(&stem_of(&volid.replace("/vm-", "/base-")))
        };
        let volid = if wanted.stem == "cloudinit" {
            name(None)
        } else {
            (0..u32::MAX)
                .map(|n| name(Some(n)))
                .find(|volid| !is_taken(volid))
                .expect("numbers do not run out")
        };
        if self.available(id, files) < used {
            return Err(match &storage.pool {
                Some(pool) => {
                    let dataset = volid.split_once(':').map_or("", |(_, name)| name);
                    format!("zfs error: cannot create '{pool}/{dataset}': out of space")
                }
                None => format!(
                    "copy failed: no space left on device ({})",
                    storage.path_of(&volid)
                ),
            });
        }
        let volume = Volume {
            vmid: wanted.vmid,
            format: format.to_owned(),
            size: wanted.size,
            used,
            ctime: wanted.now,
            made_from: wanted.made_from.map(str::to_owned),
            parent: None,
        };
        self.volumes.insert(volid.clone(), volume);
        Ok(volid)
    }

    /// Where a volume lies on the node, as logs name it.
    pub(crate) fn path_of(&self, volid: &str) -> String {
        let Some((id, name)) = volid.split_once(':') else {
            return volid.to_owned();
        };
        self.all
            .get(id)
            .map_or_else(|| volid.to_owned(), |storage| storage.path_of(name))
    }
}

/// Sizes as configuration files write them: `2G`, `528K`.
pub(crate) fn printed_size(bytes: u64) -> String {
    let units = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    units
        .iter()
        .find(|(_, shift)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift))
        .map_or_else(
            || bytes.to_string(),
            |(unit, shift)| format!("{}{unit}", bytes >> shift),
        )
}

/// Reads `10G`, `512M`, `+1G` without the sign, or plain bytes.
pub(crate) fn parsed_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.char_indices().last()? {
        (at, 'K') => (&text[..at], 10),
        (at, 'M') => (&text[..at], 20),
        (at, 'G') => (&text[..at], 30),
        (at, 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    scaled(number, shift)
}

/// A decimal number times a power of two.
pub(crate) fn scaled(number: &str, shift: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().ok()?;
    let digits = fraction.get(..fraction.len().min(6))?;
    let part: u64 = digits.parse().ok()?;
    let unit = 10_u64.pow(u32::try_from(digits.len()).ok()?);
    let fraction = part.checked_mul(1_u64.checked_shl(shift)?)? / unit;
    whole.checked_mul(1 << shift)?.checked_add(fraction)
}

/// Size of the disk inside an image: qcow2 says it in its header, anything else is as large as its file.
pub(crate) fn virtual_size(header: &[u8], size: u64) -> u64 {
    match header {
        [b'Q', b'F', b'I', 0xfb, ..] if header.len() >= 32 => {
            let bytes = header[24..32].try_into().expect("eight bytes");
            u64::from_be_bytes(bytes)
        }
        _ => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kind: &str, capacity: u64) -> Storages {
        let storage = Storage {
            kind: kind.to_owned(),
            content: BTreeSet::from(["images".to_owned()]),
            path: (kind == "dir").then(|| "/var/lib/vz".to_owned()),
            pool: (kind == "zfspool").then(|| "rpool/data".to_owned()),
            shared: false,
            capacity,
            is_full: false,
        };
        Storages {
            all: BTreeMap::from([("s".to_owned(), storage)]),
            ..Storages::default()
        }
    }

    fn wanted(size: u64) -> Wanted<'static> {
        Wanted {
            vmid: 150,
            stem: "disk",
            format: Some("qcow2"),
            size,
            made_from: None,
            now: 0,
        }
    }

    #[test]
    fn disks_are_named_as_the_storage_names_them() {
        let mut dir = with("dir", 1 << 40);
        assert_eq!(
            dir.allocate("s", &wanted(1), &Shelf::new()).expect("room"),
            "s:150/vm-150-disk-0.qcow2"
        );
        assert_eq!(
            dir.allocate("s", &wanted(1), &Shelf::new()).expect("room"),
            "s:150/vm-150-disk-1.qcow2"
        );
        let mut zfs = with("zfspool", 1 << 40);
        assert_eq!(
            zfs.allocate("s", &wanted(1), &Shelf::new()).expect("room"),
            "s:vm-150-disk-0"
        );
    }

    #[test]
    fn a_full_pool_refuses_and_keeps_nothing() {
        let mut zfs = with("zfspool", 1 << 30);
        let why = zfs
            .allocate("s", &wanted(2 << 30), &Shelf::new())
            .expect_err("too large");
        assert_eq!(
            why,
            "zfs error: cannot create 'rpool/data/vm-150-disk-0': out of space"
        );
        assert!(zfs.volumes.is_empty());
    }

    #[test]
    fn sizes_are_read_and_printed() {
        assert_eq!(printed_size(2 << 30), "2G");
        assert_eq!(printed_size(528 * 1024), "528K");
        assert_eq!(parsed_size("1.5G"), Some(3 << 29));
        assert_eq!(parsed_size("x"), None);
    }
}
