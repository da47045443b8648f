//! Where a file of a mirror lies in the cache.

use std::path::{Path, PathBuf};

/// How long the content under a name stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// For ever: the name carries the version or the hash.
    Immutable,
    /// Until the mirror publishes anew.
    Index,
}

/// One file of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// The mirror.
    pub(super) host: String,
    /// Absolute path, as requested.
    pub(super) path: String,
    /// Its lifetime.
    pub(super) lifetime: Lifetime,
    /// Where it is kept.
    pub(super) file: PathBuf,
}

impl Slot {
    /// The place of `path` of `host` below `cache`; `None` for a path that leaves its folder.
    pub(super) fn new(cache: &Path, host: &str, path: &str) -> Option<Self> {
        let mut file = cache.join(host);
        for segment in path.strip_prefix('/')?.split('/') {
            // The escaped forms of `.` and `/` stay escaped, so what is compared is what is opened.
            if matches!(segment, "" | "." | "..") || segment.contains('\0') {
                return None;
            }
            file.push(segment);
        }
        let lifetime = if path.contains("/pool/") || path.contains("/by-hash/") {
            Lifetime::Immutable
        } else {
            Lifetime::Index
        };
        Some(Self {
            host: host.to_owned(),
            path: path.to_owned(),
            lifetime,
            file,
        })
    }

    /// The SHA-256 that the name promises, when it promises one.
    pub(super) fn promised_sha256(&self) -> Option<&str> {
        let (_, hash) = self.path.split_once("/by-hash/SHA256/")?;
        (hash.len() == 64).then_some(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_hashes_are_immutable_and_indexes_are_not() {
        let lifetime = |path| {
            Slot::new(Path::new("/c"), "a.example", path)
                .expect("a slot")
                .lifetime
        };
        assert_eq!(
            lifetime("/debian/pool/main/h/hello_2.deb"),
            Lifetime::Immutable
        );
        assert_eq!(lifetime("/debian/dists/trixie/InRelease"), Lifetime::Index);
        let path = format!(
            "/debian/dists/trixie/main/by-hash/SHA256/{}",
            "a".repeat(64)
        );
        let slot = Slot::new(Path::new("/c"), "a.example", &path).expect("a slot");
        assert_eq!(slot.lifetime, Lifetime::Immutable);
        assert_eq!(slot.promised_sha256(), Some("a".repeat(64).as_str()));
        assert_eq!(slot.file, Path::new(&format!("/c/a.example{path}")));
    }

    #[test]
    fn a_path_cannot_leave_the_cache() {
        for path in ["/../x", "/a/../../x", "//x", "/", "", "x", "/a/./b"] {
            assert_eq!(
                Slot::new(Path::new("/c"), "a.example", path),
                None,
                "{path}"
            );
        }
    }
}
