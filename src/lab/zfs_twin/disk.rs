//! Where the files of datasets lie, and mounting.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the twin does to files. Errors are told as they are.
pub trait Disk {
    /// Makes the folder of a dataset.
    ///
    /// # Errors
    /// What the tool said.
    fn make(&self, guid: u64) -> Result<(), String>;

    /// Makes a read-only copy of a dataset's folder.
    ///
    /// # Errors
    /// What the tool said.
    fn snapshot(&self, from: u64, to: u64) -> Result<(), String>;

    /// Puts a snapshot's content back into a dataset's folder.
    ///
    /// # Errors
    /// What the tool said.
    fn restore(&self, snapshot: u64, dataset: u64) -> Result<(), String>;

    /// Removes a folder.
    ///
    /// # Errors
    /// What the tool said.
    fn remove(&self, guid: u64) -> Result<(), String>;

    /// Mounts a dataset's folder.
    ///
    /// # Errors
    /// What the tool said.
    fn mount(&self, guid: u64, at: &str) -> Result<(), String>;

    /// Unmounts.
    ///
    /// # Errors
    /// What the tool said.
    fn unmount(&self, at: &str) -> Result<(), String>;

    /// Whether this dataset is mounted there.
    fn is_mounted(&self, guid: u64, at: &str) -> bool;

    /// Bytes free.
    fn free(&self) -> u64;

    /// Seconds since 1970.
    fn now(&self) -> i64;
}

/// The folder of a dataset or snapshot.
pub(super) fn data(folder: &Path, guid: u64) -> PathBuf {
    folder.join("data").join(guid.to_string())
}

/// Real files: btrfs subvolumes where the folder lies on btrfs, plain directories elsewhere.
#[derive(Debug, Clone)]
pub struct Real {
    folder: PathBuf,
}

impl Real {
    /// Files below a folder.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn is_btrfs(&self) -> bool {
        // BTRFS_SUPER_MAGIC of linux/magic.h.
        rustix::fs::statfs(&self.folder).is_ok_and(|found| found.f_type == 0x9123_683E)
    }
}

fn tool(argv: &[&str]) -> Result<(), String> {
    let [program, args @ ..] = argv else {
        return Ok(());
    };
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

impl Disk for Real {
    fn make(&self, guid: u64) -> Result<(), String> {
        let path = data(&self.folder, guid);
        std::fs::create_dir_all(self.folder.join("data")).map_err(|error| error.to_string())?;
        if self.is_btrfs() {
            tool(&[
                "btrfs",
                "-q",
                "subvolume",
                "create",
                &path.to_string_lossy(),
            ])
        } else {
            std::fs::create_dir(&path).map_err(|error| error.to_string())
        }
    }

    fn snapshot(&self, from: u64, to: u64) -> Result<(), String> {
        let (from, to) = (data(&self.folder, from), data(&self.folder, to));
        let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
        if self.is_btrfs() {
            tool(&["btrfs", "-q", "subvolume", "snapshot", "-r", &from, &to])
        } else {
            tool(&["cp", "-a", "--", &from, &to])
        }
    }

    fn restore(&self, snapshot: u64, dataset: u64) -> Result<(), String> {
        let (from, to) = (data(&self.folder, snapshot), data(&self.folder, dataset));
        let from = format!("{}/", from.to_string_lossy());
        tool(&[
            "rsync",
            "-a",
            "--delete",
            &from,
            &format!("{}/", to.to_string_lossy()),
        ])
    }

    fn remove(&self, guid: u64) -> Result<(), String> {
        let path = data(&self.folder, guid);
        if self.is_btrfs() {
            tool(&[
                "btrfs",
                "-q",
                "subvolume",
                "delete",
                &path.to_string_lossy(),
            ])
        } else {
            std::fs::remove_dir_all(&path).map_err(|error| error.to_string())
        }
    }

    fn mount(&self, guid: u64, at: &str) -> Result<(), String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let path = data(&self.folder, guid);
        tool(&["mount", "--bind", &path.to_string_lossy(), at])
    }

    fn unmount(&self, at: &str) -> Result<(), String> {
        tool(&["umount", at])
    }

    fn is_mounted(&self, guid: u64, at: &str) -> bool {
        let tail = format!("/data/{guid}");
        std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|text| {
            text.lines().any(|line| {
                let mut fields = line.split(' ').skip(3);
                let root = fields.next().unwrap_or_default();
                let target = fields.next().unwrap_or_default().replace("\\040", " ");
                root.ends_with(&tail) && target == at
            })
        })
    }

    fn free(&self) -> u64 {
        rustix::fs::statvfs(&self.folder).map_or(0, |found| found.f_bavail * found.f_frsize)
    }

    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }
}
