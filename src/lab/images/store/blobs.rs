//! Content by its digest, and tags that name it: the part of the shared cache that registries serve.

use super::reference::{Digest, Reference};
use crate::lab::images::error::ImagesError;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Blobs and tags on disk. Every file appears whole.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `root`, made when absent.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, ImagesError> {
        for folder in ["blobs", "tags"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(ImagesError::cache(&folder))?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Where a blob lies, whether it is there or not.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    /// Whether a blob is there.
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// Keeps bytes as a blob.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, ImagesError> {
        let digest = Digest::of(bytes);
        self.write(&self.blob(&digest), bytes)?;
        Ok(digest)
    }

    /// Takes a finished file on the same filesystem in as a blob.
    ///
    /// # Errors
    /// When it cannot be moved there.
    pub fn take(&self, file: &Path, digest: &Digest) -> Result<(), ImagesError> {
        std::fs::rename(file, self.blob(digest)).map_err(ImagesError::cache(file))
    }

    /// The bytes of a small blob: a manifest or a configuration.
    ///
    /// # Errors
    /// When it is not there.
    pub fn bytes(&self, digest: &Digest) -> Result<Vec<u8>, ImagesError> {
        let path = self.blob(digest);
        std::fs::read(&path).map_err(ImagesError::cache(&path))
    }

    /// Gives a manifest the name of a tag, in place of what had it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn tag(&self, reference: &Reference, manifest: &Digest) -> Result<(), ImagesError> {
        self.write(&self.tag_file(reference), manifest.to_string().as_bytes())
    }

    /// The manifest that a reference names; none when nobody built it, or its blob is gone.
    pub fn manifest(&self, reference: &Reference) -> Option<Digest> {
        let digest = if let Some(digest) = &reference.digest {
            digest.clone()
        } else {
            Digest::parse(&std::fs::read_to_string(self.tag_file(reference)).ok()?)?
        };
        self.has(&digest).then_some(digest)
    }

    fn tag_file(&self, reference: &Reference) -> PathBuf {
        // A part of a repository never begins with `_`, so tags and deeper repositories do not meet.
        let folder = self.root.join("tags").join(&reference.registry);
        folder
            .join(&reference.repository)
            .join("_tags")
            .join(&reference.tag)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ImagesError> {
        let folder = path.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(folder).map_err(ImagesError::cache(folder))?;
        let mut file = NamedTempFile::new_in(&self.root).map_err(ImagesError::cache(&self.root))?;
        file.write_all(bytes).map_err(ImagesError::cache(path))?;
        file.persist(path)
            .map_err(|error| ImagesError::cache(path)(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_a_manifest_only_while_its_blob_is_there() {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path()).expect("opened");
        let reference = Reference::parse("ghcr.io/a/b:1").expect("a reference");
        assert_eq!(store.manifest(&reference), None);
        let digest = store.put(b"{}").expect("kept");
        store.tag(&reference, &digest).expect("tagged");
        assert_eq!(store.manifest(&reference), Some(digest.clone()));
        let deeper = Reference::parse("ghcr.io/a/b/c:1").expect("a reference");
        store.tag(&deeper, &digest).expect("tagged");
        let pinned = Reference {
            digest: Some(Digest::of(b"other")),
            ..reference.clone()
        };
        assert_eq!(store.manifest(&pinned), None);
        std::fs::remove_file(store.blob(&digest)).expect("removed");
        assert_eq!(store.manifest(&reference), None);
    }
}
