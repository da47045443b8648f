//! A folder in memory for text that no disk should see.

use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// `statfs` of tmpfs and ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
const PREFIX: &str = "infra-secrets-";

/// A private folder on a file system in memory; it goes away with the value.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes one below the first of these folders that is in memory. What runs that were killed have left there goes away.
    ///
    /// # Errors
    /// What the system said; `NotFound` when none of the folders is in memory.
    pub fn make(places: &[PathBuf]) -> std::io::Result<Self> {
        let place = places
            .iter()
            .find(|place| is_in_memory(place))
            .ok_or_else(|| {
                std::io::Error::new(
                    std::io::ErrorKind::NotFound,
                    "neither $XDG_RUNTIME_DIR nor /dev/shm is a file system in memory",
                )
            })?;
        sweep(place);
        let folder = place.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Writes a file, mode 0600, and gives its path.
    ///
    /// # Errors
    /// What the system said.
    pub fn file(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.folder.join(name);
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        out.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is swept by the next run.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn is_in_memory(place: &Path) -> bool {
    rustix::fs::statfs(place).is_ok_and(|found| IN_MEMORY.contains(&found.f_type))
}

/// Folders of processes that are gone, and only our own.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    let me = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        let is_mine = entry
            .metadata()
            .is_ok_and(|found| found.is_dir() && found.uid() == me);
        if let (Some(pid), true) = (pid, is_mine)
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_private_in_memory_and_gone_afterwards() {
        let shm = PathBuf::from("/dev/shm");
        if !is_in_memory(&shm) {
            eprintln!("skipped: /dev/shm is not in memory here");
            return;
        }
        assert!(Scratch::make(&[PathBuf::from("/proc")]).is_err());
        // A folder of its own, so that other tests of this process may have one too.
        let own = tempfile::tempdir_in(&shm).expect("a folder");
        let left = own.path().join(format!("{PREFIX}4294967294"));
        std::fs::create_dir(&left).expect("left behind by a process that is gone");
        let scratch = Scratch::make(&[PathBuf::from("/proc"), own.path().to_owned()]);
        let scratch = scratch.expect("made");
        let file = scratch.file("a.yaml", "x: 1\n").expect("written");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&scratch.folder), mode(&file)), (0o700, 0o600));
        assert!(!left.exists());
        drop(scratch);
        assert!(!file.exists());
    }
}
