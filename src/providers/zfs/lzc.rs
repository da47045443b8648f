//! `libzfs_core` on the host itself, for what it does better than the command line: one call into the kernel for all
//! snapshots of a zpool, for destroying them, and for bookmarks.
//!
//! All three are all or nothing. So whatever goes wrong in the library, a panic of it included, has changed nothing, and
//! the command line does the same work: with its own words when it fails as well. Everything else is the command line's.
//!
//! libzetta's parsers are never used: they cut lists short in silence.

use super::{
    border::{ZfsRead, ZfsWrite},
    destroy::Destroyed,
    engine::{Zfs, in_one_zpool},
    error::ZfsError,
    facts::ZfsFacts,
};
use crate::model::{
    dataset::{DatasetDirectory, ZpoolPart},
    ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
    snapshot::{HoldFact, SnapshotId, Survey},
};
use crate::providers::shell::{Command, Outcome, Shell};
use libzetta::zfs::{BookmarkRequest, DestroyTiming, Error, ZfsEngine as _, ZfsLzc};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
    panic::catch_unwind,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

/// ZFS on this machine. Reads and what the library cannot do go through a shell of this machine.
#[derive(Debug)]
pub struct Lzc<'a, S> {
    shell: Zfs<'a, S>,
    calls: AtomicUsize,
}

impl<'a, S: Shell> Lzc<'a, S> {
    /// For a shell of this very machine; none for any other, and where the library cannot reach the kernel. Two machines
    /// may share a name: what proves it is the id of this boot.
    pub async fn here(shell: &'a S) -> Option<Self> {
        let words = ["cat", "/proc/sys/kernel/random/boot_id"];
        let there = shell.run(Command::new(words)).await.ok()?;
        let here = tokio::fs::read("/proc/sys/kernel/random/boot_id").await;
        (there.is_success() && here.is_ok_and(|here| here == there.stdout)).then_some(())?;
        call(|_| Ok(())).await.then(|| Self {
            shell: Zfs(shell),
            calls: AtomicUsize::new(0),
        })
    }

    /// How many calls the library has carried out; the rest went through the shell.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn done(
        &self,
        work: impl FnOnce(&ZfsLzc) -> Result<(), Error> + Send + std::panic::UnwindSafe + 'static,
    ) -> bool {
        let is_done = call(work).await;
        self.calls
            .fetch_add(usize::from(is_done), Ordering::Relaxed);
        is_done
    }
}

/// Runs one call on a thread that may wait, and survives a panic in it. True when it was carried out.
async fn call(
    work: impl FnOnce(&ZfsLzc) -> Result<(), Error> + Send + std::panic::UnwindSafe + 'static,
) -> bool {
    // The library's errors may not change threads; all that counts is whether it was carried out.
    let guarded = move || {
        let answer = catch_unwind(|| ZfsLzc::new().and_then(|engine| work(&engine)));
        matches!(answer, Ok(Ok(())))
    };
    tokio::task::spawn_blocking(guarded).await.unwrap_or(false)
}

fn paths<T: Display>(things: impl IntoIterator<Item = T>) -> Vec<PathBuf> {
    let name = |thing: T| PathBuf::from(thing.to_string());
    things.into_iter().map(name).collect()
}

impl<S: Shell> ZfsRead for Lzc<'_, S> {
    async fn facts(&self, zpools: &[ZpoolName]) -> Result<ZfsFacts, ZfsError> {
        self.shell.facts(zpools).await
    }

    async fn survey(&self, zpools: &[ZpoolName]) -> Result<Survey, ZfsError> {
        self.shell.survey(zpools).await
    }

    async fn dataset(&self, dataset: &DatasetName) -> Result<Survey, ZfsError> {
        self.shell.dataset(dataset).await
    }

    async fn holds(&self, snapshots: &[SnapshotId]) -> Result<Vec<HoldFact>, ZfsError> {
        self.shell.holds(snapshots).await
    }
}

impl<S: Shell> ZfsWrite for Lzc<'_, S> {
    async fn snapshot(
        &self,
        datasets: &BTreeSet<DatasetName>,
        name: &SnapshotName,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ZfsError> {
        in_one_zpool(datasets, name)?;
        let all = paths(datasets.iter().map(|dataset| format!("{dataset}@{name}")));
        let own: HashMap<String, String> = properties.clone().into_iter().collect();
        if !all.is_empty() && self.done(move |zfs| zfs.snapshot(&all, Some(own))).await {
            return Ok(());
        }
        self.shell.snapshot(datasets, name, properties).await
    }

    /// All snapshots of a zpool in one call. When one of them is held, cloned or busy none is destroyed, and the command
    /// line finds out which.
    async fn destroy_snapshots(&self, snapshots: &[SnapshotId]) -> Result<Destroyed, ZfsError> {
        let mut zpools: BTreeMap<&str, Vec<SnapshotId>> = BTreeMap::new();
        for id in snapshots {
            let own = zpools.entry(id.dataset.zpool()).or_default();
            own.push(id.clone());
        }
        let mut all = Destroyed::default();
        for ids in zpools.into_values() {
            let names = paths(&ids);
            let work = move |zfs: &ZfsLzc| zfs.destroy_snapshots(&names, DestroyTiming::RightNow);
            if self.done(work).await {
                all.gone.extend(ids);
                continue;
            }
            let done = self.shell.destroy_snapshots(&ids).await?;
            all.gone.extend(done.gone);
            all.left.extend(done.left);
        }
        all.gone.sort();
        all.gone.dedup();
        all.left.sort();
        Ok(all)
    }

    async fn bookmark(&self, snapshot: &SnapshotId, name: &SnapshotName) -> Result<(), ZfsError> {
        let request = (
            PathBuf::from(snapshot.to_string()),
            PathBuf::from(format!("{}#{name}", snapshot.dataset)),
        );
        let work = move |zfs: &ZfsLzc| zfs.bookmark(&[BookmarkRequest::new(request.0, request.1)]);
        if self.done(work).await {
            return Ok(());
        }
        self.shell.bookmark(snapshot, name).await
    }

    async fn destroy_bookmark(
        &self,
        dataset: &DatasetName,
        name: &SnapshotName,
    ) -> Result<Outcome, ZfsError> {
        self.shell.destroy_bookmark(dataset, name).await
    }

    async fn create_zpool(&self, zpool: &ZpoolName, parts: &[ZpoolPart]) -> Result<(), ZfsError> {
        self.shell.create_zpool(zpool, parts).await
    }

    async fn load_key(&self, dataset: &DatasetName, passphrase: &str) -> Result<Outcome, ZfsError> {
        self.shell.load_key(dataset, passphrase).await
    }

    async fn create(
        &self,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
        passphrase: Option<&str>,
    ) -> Result<(), ZfsError> {
        let shell = &self.shell;
        shell.create(dataset, system, properties, passphrase).await
    }

    async fn set(
        &self,
        dataset: &DatasetName,
        properties: &BTreeMap<String, String>,
    ) -> Result<Outcome, ZfsError> {
        self.shell.set(dataset, properties).await
    }

    async fn inherit(&self, dataset: &DatasetName, property: &str) -> Result<(), ZfsError> {
        self.shell.inherit(dataset, property).await
    }

    async fn mount(&self, dataset: &DatasetName) -> Result<Outcome, ZfsError> {
        self.shell.mount(dataset).await
    }

    async fn make_directories(
        &self,
        dataset: &DatasetName,
        directories: &[DatasetDirectory],
    ) -> Result<Outcome, ZfsError> {
        self.shell.make_directories(dataset, directories).await
    }

    async fn hold(&self, tag: &str, snapshots: &[SnapshotId]) -> Result<Outcome, ZfsError> {
        self.shell.hold(tag, snapshots).await
    }

    async fn mark(&self, system: &SystemName, snapshots: &[SnapshotId]) -> Result<(), ZfsError> {
        self.shell.mark(system, snapshots).await
    }

    async fn release(&self, tag: &str, snapshots: &[SnapshotId]) -> Result<Outcome, ZfsError> {
        self.shell.release(tag, snapshots).await
    }

    async fn rollback(&self, snapshot: &SnapshotId) -> Result<(), ZfsError> {
        self.shell.rollback(snapshot).await
    }

    async fn clone_snapshot(
        &self,
        snapshot: &SnapshotId,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ZfsError> {
        let shell = &self.shell;
        shell
            .clone_snapshot(snapshot, dataset, system, properties)
            .await
    }
}
