//! Real files: btrfs subvolumes where the folder lies on btrfs, plain directories elsewhere.

use super::{Change, Disk, data};
use std::{
    collections::BTreeMap,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Files below a folder.
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

    fn path(&self, files: u64) -> String {
        data(&self.folder, files).to_string_lossy().into_owned()
    }

    fn aside(&self, name: u64) -> PathBuf {
        self.folder.join(format!("partial-{name}"))
    }
}

fn tool(argv: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let [program, args @ ..] = argv else {
        return Ok(Vec::new());
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let written = match child.stdin.take() {
        // Tools that read their input say little, so writing it first does not block.
        Some(mut stdin) => stdin.write_all(input),
        None => Ok(()),
    };
    let output = child
        .wait_with_output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        written.map_err(|error| format!("{program}: {error}"))?;
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Empties a folder. A directory on which something is mounted stays, as the mount point that it is.
fn empty(folder: &Path) -> Result<(), String> {
    use std::io::ErrorKind::{DirectoryNotEmpty, ResourceBusy};
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let path = entry.path();
        if !entry.file_type().map_err(told)?.is_dir() {
            std::fs::remove_file(&path).map_err(told)?;
            continue;
        }
        empty(&path)?;
        match std::fs::remove_dir(&path) {
            Err(error) if matches!(error.kind(), ResourceBusy | DirectoryNotEmpty) => {}
            other => other.map_err(told)?,
        }
    }
    Ok(())
}

/// What a tree holds: kind, change time and what tells two contents apart, by path.
type Tree = BTreeMap<String, (char, (i64, i64), (u64, i64, i64, u32, u32))>;

fn walk(root: &Path, below: &str, out: &mut Tree) {
    let here = root.join(below);
    let Ok(meta) = std::fs::symlink_metadata(&here) else {
        return;
    };
    let kind = match meta.file_type() {
        kind if kind.is_dir() => '/',
        kind if kind.is_symlink() => '@',
        kind if kind.is_file() => 'F',
        _ => '?',
    };
    // A directory's own size is that of its file system, not of its content.
    let size = if kind == '/' { 0 } else { meta.len() };
    let own = (
        size,
        meta.mtime(),
        meta.mtime_nsec(),
        meta.mode(),
        meta.uid(),
    );
    out.insert(
        below.to_owned(),
        (kind, (meta.ctime(), meta.ctime_nsec()), own),
    );
    if kind != '/' {
        return;
    }
    for entry in std::fs::read_dir(&here).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        walk(root, &path, out);
    }
}

fn weigh(path: &Path) -> u64 {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !meta.is_dir() {
        return meta.len();
    }
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| weigh(&entry.path()))
        .sum()
}

impl Disk for Real {
    fn make(&self, files: u64) -> Result<(), String> {
        std::fs::create_dir_all(self.folder.join("data")).map_err(|error| error.to_string())?;
        let path = self.path(files);
        if self.is_btrfs() {
            tool(&["btrfs", "-q", "subvolume", "create", &path], &[]).map(drop)
        } else {
            std::fs::create_dir(&path).map_err(|error| error.to_string())
        }
    }

    fn copy(&self, from: u64, to: u64, writable: bool) -> Result<(), String> {
        let (from, to) = (self.path(from), self.path(to));
        let mut argv = vec!["btrfs", "-q", "subvolume", "snapshot", &from, &to];
        if !self.is_btrfs() {
            argv = vec!["cp", "-a", "--", &from, &to];
        } else if !writable {
            argv.insert(4, "-r");
        }
        tool(&argv, &[]).map(drop)
    }

    fn restore(&self, snapshot: u64, dataset: u64) -> Result<(), String> {
        empty(&data(&self.folder, dataset))?;
        let from = format!("{}/.", self.path(snapshot));
        let to = self.path(dataset);
        tool(&["cp", "-a", "--reflink=auto", "--", &from, &to], &[]).map(drop)
    }

    fn remove(&self, files: u64) -> Result<(), String> {
        let path = self.path(files);
        if self.is_btrfs() {
            tool(&["btrfs", "-q", "subvolume", "delete", &path], &[]).map(drop)
        } else {
            std::fs::remove_dir_all(&path).map_err(|error| error.to_string())
        }
    }

    fn mount(&self, files: u64, at: &str) -> Result<(), String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        tool(&["mount", "--bind", &self.path(files), at], &[]).map(drop)
    }

    fn freeze(&self, at: &str) -> Result<(), String> {
        tool(&["mount", "-o", "remount,bind,ro", at], &[]).map(drop)
    }

    fn unmount(&self, at: &str) -> Result<(), String> {
        tool(&["umount", at], &[]).map(drop)
    }

    fn mounts(&self) -> Vec<(u64, String)> {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let mut fields = line.split(' ').skip(3);
                let (_, files) = fields.next()?.rsplit_once("/data/")?;
                let at = fields.next()?.replace("\\040", " ");
                Some((files.parse().ok()?, at))
            })
            .collect()
    }

    fn bytes(&self, files: u64) -> u64 {
        weigh(&data(&self.folder, files))
    }

    fn changes(&self, from: u64, to: u64) -> Vec<Change> {
        let (mut before, mut after) = (Tree::new(), Tree::new());
        walk(&data(&self.folder, from), "", &mut before);
        walk(&data(&self.folder, to), "", &mut after);
        let mut out = Vec::new();
        let change = |mark, path: &String, kind, time| Change {
            mark,
            kind,
            path: path.clone(),
            time,
        };
        for (path, (kind, time, own)) in &after {
            match before.remove(path) {
                None => out.push(change('+', path, *kind, *time)),
                Some((was, _, then)) if was != *kind || then != *own => {
                    out.push(change('M', path, *kind, *time));
                }
                Some(_) => {}
            }
        }
        for (path, (kind, time, _)) in &before {
            out.push(change('-', path, *kind, *time));
        }
        out
    }

    fn pack(&self, files: u64) -> Result<Vec<u8>, String> {
        let path = self.path(files);
        tool(
            &[
                "tar",
                "--create",
                "--sort=name",
                "--numeric-owner",
                "--format=posix",
                "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
                "-C",
                &path,
                ".",
            ],
            &[],
        )
    }

    fn unpack(&self, files: u64, stream: &[u8]) -> Result<(), String> {
        empty(&data(&self.folder, files))?;
        if stream.is_empty() {
            return Ok(());
        }
        let path = self.path(files);
        tool(
            &[
                "tar",
                "--extract",
                "--numeric-owner",
                "--same-permissions",
                "-C",
                &path,
            ],
            stream,
        )
        .map(drop)
    }

    fn keep(&self, name: u64, bytes: Option<&[u8]>) -> Result<(), String> {
        match bytes {
            Some(bytes) => std::fs::write(self.aside(name), bytes),
            None => std::fs::remove_file(self.aside(name)),
        }
        .map_err(|error| error.to_string())
    }

    fn kept(&self, name: u64) -> Result<Vec<u8>, String> {
        std::fs::read(self.aside(name)).map_err(|error| error.to_string())
    }

    fn key_file(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| error.to_string())
    }

    fn file_bytes(&self, path: &str) -> Option<u64> {
        let meta = std::fs::metadata(path).ok()?;
        (path.starts_with('/') && meta.is_file()).then_some(meta.len())
    }

    fn free(&self) -> u64 {
        rustix::fs::statvfs(&self.folder).map_or(0, |found| found.f_bavail * found.f_frsize)
    }

    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }
}
