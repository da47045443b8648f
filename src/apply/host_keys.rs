//! Private host keys of guests that have not read their seed yet: kept on our side only until they have.

use crate::model::ids::HostName;
use crate::seed::HostKey;
use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Why a key could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The disk refused.
    #[error("keep the host key of {guest} in {path}")]
    Disk {
        /// Guest.
        guest: HostName,
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a key.
    #[error("read the host key of {guest} in {path}: {why}; delete the file to make a new key")]
    Garbled {
        /// Guest.
        guest: HostName,
        /// File.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A folder of key files, mode 0600, one a guest.
#[derive(Debug, Clone)]
pub struct HostKeys {
    folder: PathBuf,
}

impl HostKeys {
    /// Keys kept below a system's state folder.
    pub fn below(folder: &Path) -> Self {
        Self {
            folder: folder.join("host-keys"),
        }
    }

    fn path(&self, guest: &HostName) -> PathBuf {
        self.folder.join(guest.as_str())
    }

    /// The key of a guest: that of an interrupted run, or a new one, on disk before it is used.
    ///
    /// # Errors
    /// [`HostKeyError`].
    pub fn take(&self, guest: &HostName) -> Result<HostKey, HostKeyError> {
        let path = self.path(guest);
        let disk = |source| HostKeyError::Disk {
            guest: guest.clone(),
            path: path.clone(),
            source,
        };
        let garbled = |why| HostKeyError::Garbled {
            guest: guest.clone(),
            path: path.clone(),
            why,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => return HostKey::parse(&text).map_err(|error| garbled(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk(error)),
        }
        let key = HostKey::generate(&mut rand::rngs::OsRng, guest.as_str())
            .map_err(|error| garbled(error.to_string()))?;
        std::fs::create_dir_all(&self.folder).map_err(disk)?;
        let partial = self.folder.join(format!(".{guest}.partial"));
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&partial)
            .map_err(disk)?;
        file.write_all(key.expose_private().as_bytes())
            .map_err(disk)?;
        file.sync_all().map_err(disk)?;
        std::fs::rename(&partial, &path).map_err(disk)?;
        Ok(key)
    }

    /// Removes a key that its guest has read.
    ///
    /// # Errors
    /// [`HostKeyError::Disk`].
    pub fn forget(&self, guest: &HostName) -> Result<(), HostKeyError> {
        let path = self.path(guest);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(HostKeyError::Disk {
                guest: guest.clone(),
                path,
                source,
            }),
        }
    }
}
