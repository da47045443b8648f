//! Files and folders of the lab, with errors that name them.

use super::error::NamespaceError;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs,
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
};

/// Names the file in an error.
pub(super) fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NamespaceError {
    let path = path.to_owned();
    move |source| NamespaceError::File { verb, path, source }
}

/// Creates a folder with its parents.
pub(super) fn create(folder: &Path) -> Result<(), NamespaceError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))
}

/// Creates a folder with its parents and gives it a mode.
pub(super) fn create_with_mode(folder: &Path, mode: u32) -> Result<(), NamespaceError> {
    create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).map_err(failed("write", folder))
}

/// Writes a file whole, in place of whatever stood there; nobody sees half of it.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), NamespaceError> {
    let folder = path.parent().expect("a file stands in a folder");
    create(folder)?;
    let mut name = path.file_name().expect("a file has a name").to_owned();
    name.push(".infra-new");
    let draft = folder.join(name);
    remove(&draft)?;
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes))
        // The mode at creation is cut by the umask.
        .and_then(|()| fs::set_permissions(&draft, fs::Permissions::from_mode(mode)));
    written.map_err(failed("write", path))?;
    rename(&draft, path)
}

/// Writes into a file of the kernel (`/proc/sys`, cgroup).
pub(super) fn poke(path: &Path, text: &str) -> Result<(), NamespaceError> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed("write", path))
}

/// Reads a text; none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, NamespaceError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Makes a symbolic link in place of whatever stood there.
pub(super) fn link(target: &str, path: &Path) -> Result<(), NamespaceError> {
    remove(path)?;
    create(path.parent().expect("a link stands in a folder"))?;
    symlink(target, path).map_err(failed("write", path))
}

/// Renames.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), NamespaceError> {
    fs::rename(from, to).map_err(failed("write", to))
}

/// Removes a file, a link or a whole folder; gone already is fine.
pub(super) fn remove(path: &Path) -> Result<(), NamespaceError> {
    match fs::symlink_metadata(path) {
        Ok(entry) if entry.is_dir() => remove_tree(path),
        Ok(_) => fs::remove_file(path).map_err(failed("remove", path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Removes a folder with everything in it; gone already is fine.
pub(super) fn remove_tree(folder: &Path) -> Result<(), NamespaceError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// The names in a folder, sorted; none when there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, NamespaceError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", folder)(error)),
    };
    let mut names = entries
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed("read", folder))?;
    names.sort();
    Ok(names)
}

/// Waits for a lock file and holds it until the value is dropped.
pub(super) fn lock(path: &Path) -> Result<fs::File, NamespaceError> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| failed("lock", path)(error.into()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_and_removing_twice_is_fine() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("deep/file");
        write(&path, b"one", 0o600).expect("written");
        write(&path, b"two", 0o640).expect("written");
        assert_eq!(read(&path).expect("read").as_deref(), Some("two"));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(&folder.path().join("deep")).expect("names"), ["file"]);
        remove(&path).expect("removed");
        remove(&path).expect("gone");
        assert_eq!(read(&path).expect("read"), None);
    }
}
