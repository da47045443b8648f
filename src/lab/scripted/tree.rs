//! A filesystem in memory.

use std::collections::BTreeMap;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File(Vec<u8>),
    Directory,
    Link(String),
}

/// With owner and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

/// Absolute path -> what stands there. The root is always a directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
    /// A fault: nothing more fits.
    is_full: bool,
}

impl Tree {
    /// The path with the links of its folders followed, not of its last part.
    fn locate(&self, path: &str) -> String {
        let mut out = String::new();
        let mut parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        let last = parts.pop();
        for part in parts {
            let next = format!("{out}/{part}");
            out = match self.entries.get(&next).map(|entry| &entry.kind) {
                Some(Kind::Link(target)) if target.starts_with('/') => self.locate(target),
                Some(Kind::Link(target)) => self.locate(&format!("{out}/{target}")),
                Some(Kind::File(_) | Kind::Directory) | None => next,
            };
        }
        match last {
            Some("..") => out
                .rsplit_once('/')
                .map_or("", |(above, _)| above)
                .to_owned(),
            Some(last) => format!("{out}/{last}"),
            None => out,
        }
    }

    pub(super) fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(&self.locate(path))
    }

    pub(super) fn entry_mut(&mut self, path: &str) -> Option<&mut Entry> {
        let path = self.locate(path);
        self.entries.get_mut(&path)
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        path == "/"
            || self
                .entry(path)
                .is_some_and(|entry| entry.kind == Kind::Directory)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        path == "/" || self.entry(path).is_some()
    }

    /// A regular file's content.
    pub(super) fn read(&self, path: &str) -> Option<&[u8]> {
        match &self.entry(path)?.kind {
            Kind::File(bytes) => Some(bytes),
            Kind::Directory | Kind::Link(_) => None,
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.read(path)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn link(&self, path: &str) -> Option<&str> {
        match &self.entry(path)?.kind {
            Kind::Link(target) => Some(target),
            Kind::File(_) | Kind::Directory => None,
        }
    }

    /// Makes the folders above a path, root's and 0755.
    pub(super) fn make_parents(&mut self, path: &str) -> Result<(), String> {
        let path = self.locate(path);
        for (at, _) in path.match_indices('/').skip(1) {
            let folder = &path[..at];
            match self.entries.get(folder).map(|entry| &entry.kind) {
                Some(Kind::Directory) => {}
                Some(Kind::File(_) | Kind::Link(_)) => {
                    return Err(format!(
                        "cannot create directory '{folder}': Not a directory"
                    ));
                }
                None => self.place(folder, Kind::Directory, 0, 0, 0o755),
            }
        }
        Ok(())
    }

    /// Puts something at a path, whatever was there.
    pub(super) fn place(&mut self, path: &str, kind: Kind, uid: u32, gid: u32, mode: u32) {
        let path = self.locate(path);
        self.entries.insert(
            path,
            Entry {
                kind,
                uid,
                gid,
                mode,
            },
        );
    }

    /// Writes a whole file as `mv -T` of a temporary one does.
    pub(super) fn write(
        &mut self,
        path: &str,
        bytes: &[u8],
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Result<(), String> {
        if self.is_full {
            return Err("No space left on device".to_owned());
        }
        self.make_parents(path)?;
        if self.is_directory(path) {
            return Err(format!(
                "cannot overwrite directory '{path}' with non-directory"
            ));
        }
        self.place(path, Kind::File(bytes.to_vec()), uid, gid, mode);
        Ok(())
    }

    /// A root-owned text file of the distribution.
    pub(super) fn ship(&mut self, path: &str, text: &str) {
        // Nothing of the distribution stands where another part of it wants a folder.
        if self.make_parents(path).is_ok() {
            self.place(path, Kind::File(text.as_bytes().to_vec()), 0, 0, 0o644);
        }
    }

    /// Removes a file or link; false when nothing stands there.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let path = self.locate(path);
        self.entries.remove(&path).is_some()
    }

    /// Removes a path and everything below it.
    pub(super) fn remove_tree(&mut self, path: &str) {
        let path = self.locate(path);
        let below = format!("{path}/");
        self.entries
            .retain(|at, _| *at != path && !at.starts_with(&below));
    }

    /// Everything below a folder: path relative to it -> entry.
    pub(super) fn below(&self, path: &str) -> BTreeMap<String, &Entry> {
        let below = format!("{}/", self.locate(path));
        self.entries
            .range(below.clone()..)
            .take_while(|(at, _)| at.starts_with(&below))
            .map(|(at, entry)| (at[below.len()..].to_owned(), entry))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_links_are_followed() {
        let mut tree = Tree::default();
        tree.write("/opt/x/releases/1/file", b"one", 0, 0, 0o600)
            .expect("written");
        tree.place(
            "/opt/x/current",
            Kind::Link("releases/1".to_owned()),
            0,
            0,
            0o777,
        );
        assert_eq!(tree.read("/opt/x/current/file"), Some(b"one".as_slice()));
        assert_eq!(tree.link("/opt/x/current"), Some("releases/1"));
        assert_eq!(tree.entry("/opt/x").map(|e| e.mode), Some(0o755));
        assert!(
            tree.write("/opt/x/releases/1/file/below", b"", 0, 0, 0)
                .is_err()
        );
        assert!(tree.write("/opt/x", b"", 0, 0, 0).is_err());
        assert_eq!(tree.below("/opt/x/releases").len(), 2);
        tree.remove_tree("/opt/x/releases");
        assert!(!tree.exists("/opt/x/current/file"));
    }
}
