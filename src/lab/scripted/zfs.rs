//! The node's `zfs` and `zpool`: the lab's twin of OpenZFS, with mounts that are only remembered.

use super::machine::Reply;
use crate::lab::zfs_twin::{self, Change, Disk, Store};
use std::{cell::RefCell, fmt::Write as _};

/// Bytes of a pool: two disks of 4 TB as a mirror.
const SIZE: u64 = 3_985_729_650_688;

/// Pools, datasets and what is mounted.
#[derive(Debug, Default)]
pub(super) struct Zfs {
    store: Store,
    mounts: Mounts,
}

/// Folder and mount point of what is mounted.
#[derive(Debug, Default)]
struct Mounts(RefCell<Vec<(u64, String)>>);

/// Datasets hold no files here, so there is nothing to make, copy or remove.
impl Disk for Mounts {
    fn make(&self, _files: u64) -> Result<(), String> {
        Ok(())
    }

    fn copy(&self, _from: u64, _to: u64, _writable: bool) -> Result<(), String> {
        Ok(())
    }

    fn restore(&self, _snapshot: u64, _dataset: u64) -> Result<(), String> {
        Ok(())
    }

    fn remove(&self, _files: u64) -> Result<(), String> {
        Ok(())
    }

    fn mount(&self, files: u64, at: &str) -> Result<(), String> {
        self.0.borrow_mut().push((files, at.to_owned()));
        Ok(())
    }

    fn freeze(&self, _at: &str) -> Result<(), String> {
        Ok(())
    }

    fn unmount(&self, at: &str) -> Result<(), String> {
        let mut mounts = self.0.borrow_mut();
        let last = mounts.iter().rposition(|(_, place)| place == at);
        last.map(|last| drop(mounts.remove(last)))
            .ok_or_else(|| format!("{at}: not mounted"))
    }

    fn mounts(&self) -> Vec<(u64, String)> {
        self.0.borrow().clone()
    }

    fn bytes(&self, _files: u64) -> u64 {
        0
    }

    fn changes(&self, _from: u64, _to: u64) -> Vec<Change> {
        Vec::new()
    }

    fn pack(&self, _files: u64) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn unpack(&self, _files: u64, _stream: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn keep(&self, _name: u64, _bytes: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }

    fn kept(&self, _name: u64) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn key_file(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("{path}: No such file or directory"))
    }

    fn file_bytes(&self, _path: &str) -> Option<u64> {
        None
    }

    fn free(&self) -> u64 {
        SIZE
    }

    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }
}

impl Zfs {
    /// A new pool on disks of the node.
    pub(super) fn add_pool(&mut self, name: &str) -> Reply {
        self.run("zpool", &["create", name, "lab"])
    }

    /// One command of the twin.
    pub(super) fn run(&mut self, program: &str, words: &[&str]) -> Reply {
        self.run_with(program, words, &[])
    }

    /// One command of the twin that reads its input.
    pub(super) fn run_with(&mut self, program: &str, words: &[&str], input: &[u8]) -> Reply {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let answer = zfs_twin::run(&mut self.store, &self.mounts, program, &words, input);
        Reply {
            code: answer.code,
            stdout: [answer.stdout.into_bytes(), answer.stream].concat(),
            stderr: answer.stderr.into_bytes(),
        }
    }

    pub(super) fn has(&self, dataset: &str) -> bool {
        self.store.datasets.contains_key(dataset)
    }

    /// Mount points with the datasets that are mounted there.
    pub(super) fn mounted(&self) -> Vec<(String, String)> {
        let mounts = self.mounts.0.borrow();
        let name = |files: u64| {
            let mut datasets = self.store.datasets.iter();
            datasets
                .find(|(_, dataset)| dataset.files == files)
                .map(|(name, _)| name.clone())
        };
        mounts
            .iter()
            .filter_map(|(files, at)| Some((at.clone(), name(*files)?)))
            .collect()
    }

    pub(super) fn mountpoint(&self, dataset: &str) -> Option<String> {
        self.mounted()
            .into_iter()
            .find(|(_, name)| name == dataset)
            .map(|(at, _)| at)
    }

    /// What `facts_zfs POOL...` prints.
    pub(super) fn facts(&mut self, pools: &[String]) -> String {
        let mut out = String::new();
        for pool in pools {
            let health = ["list", "-Hp", "-o", "name,health,size,free", pool];
            let all = [
                "get",
                "-Hp",
                "-r",
                "-t",
                "filesystem,volume",
                "-o",
                "name,property,value,source",
                "all",
                pool,
            ];
            for (about, program, words) in [
                ("pool", "zpool", health.as_slice()),
                ("datasets", "zfs", &all),
            ] {
                let reply = self.run(program, words);
                let (said, complaint) = (
                    String::from_utf8_lossy(&reply.stdout),
                    String::from_utf8_lossy(&reply.stderr),
                );
                // Writing to a string does not fail.
                let _ = write!(out, "==zfs {about} {pool}\n{said}");
                let _ = writeln!(
                    out,
                    "==zfs exit {} {}",
                    reply.code,
                    complaint.replace('\n', " ")
                );
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twin_answers_and_remembers_mounts() {
        let mut zfs = Zfs::default();
        let made = zfs.add_pool("tank");
        assert_eq!(made, Reply::default());
        let made = zfs.run(
            "zfs",
            &[
                "create",
                "-o",
                "recordsize=1M",
                "-o",
                "mountpoint=/mnt/media",
                "tank/media",
            ],
        );
        assert_eq!(made, Reply::default());
        assert_eq!(zfs.mountpoint("tank/media").as_deref(), Some("/mnt/media"));
        let facts = zfs.facts(&["tank".to_owned(), "other".to_owned()]);
        assert!(
            facts.contains("tank/media\trecordsize\t1048576\tlocal\n"),
            "{facts}"
        );
        assert!(
            facts.contains("==zfs exit 1 cannot open 'other': no such pool"),
            "{facts}"
        );
        assert_eq!(zfs.run("zfs", &["unmount", "tank/media"]).code, 0);
        assert_eq!(zfs.mountpoint("tank/media"), None);
        assert_eq!(
            zfs.run("zfs", &["create", "-o", "recordsze=1M", "tank/x"])
                .code,
            1
        );
    }
}
