//! Files where there are none.

use super::BuiltinError;
use std::{
    collections::BTreeMap,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Writes files below a folder. A file that is there with the same content is left; one that differs refuses the whole,
/// before anything is written. Returns the paths that were written.
///
/// # Errors
/// [`BuiltinError::Exists`] and [`BuiltinError::Write`].
pub fn write(
    folder: &Path,
    files: &BTreeMap<String, String>,
) -> Result<Vec<PathBuf>, BuiltinError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| BuiltinError::Write { path, source }
    };
    let mut missing = Vec::new();
    let mut different = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(_) => different.push(path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing.push((path, text));
            }
            Err(source) => return Err(failed(&path)(source)),
        }
    }
    if !different.is_empty() {
        return Err(BuiltinError::Exists { paths: different });
    }
    let mut written = Vec::new();
    for (path, text) in missing {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        // `create_new`: a file that appeared meanwhile is somebody's work.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path)
            .map_err(failed(&path))?;
        file.write_all(text.as_bytes()).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_refuses_the_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = BTreeMap::from([
            ("a/one".to_owned(), "1".to_owned()),
            ("b".to_owned(), "2".to_owned()),
        ]);
        assert_eq!(write(folder.path(), &files).expect("writes").len(), 2);
        assert!(
            write(folder.path(), &files)
                .expect("nothing to do")
                .is_empty()
        );
        std::fs::write(folder.path().join("b"), "mine").expect("writes");
        std::fs::remove_file(folder.path().join("a/one")).expect("removes");
        let refused = write(folder.path(), &files).expect_err("refuses");
        assert!(matches!(refused, BuiltinError::Exists { ref paths } if paths.len() == 1));
        assert!(!folder.path().join("a/one").exists(), "nothing was written");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("b")).expect("reads"),
            "mine"
        );
    }
}
