//! Which of the two engines does a piece of work: `libzfs_core` where infra was built with it and runs on the host itself,
//! else the command line.

use crate::model::{
    ids::{DatasetName, SnapshotName},
    snapshot::SnapshotId,
};
#[cfg(feature = "libzetta")]
use crate::providers::zfs::Lzc;
use crate::providers::{
    shell::Shell,
    zfs::{Destroyed, Zfs, ZfsError, ZfsWrite as _},
};
use std::collections::{BTreeMap, BTreeSet};

/// Takes snapshots of datasets of one zpool.
pub(super) async fn take<S: Shell>(
    shell: &S,
    datasets: &BTreeSet<DatasetName>,
    name: &SnapshotName,
    properties: &BTreeMap<String, String>,
) -> Result<(), ZfsError> {
    #[cfg(feature = "libzetta")]
    if let Some(lzc) = Lzc::here(shell).await {
        return lzc.snapshot(datasets, name, properties).await;
    }
    Zfs(shell).snapshot(datasets, name, properties).await
}

/// Destroys snapshots by name.
pub(super) async fn destroy<S: Shell>(
    shell: &S,
    snapshots: &[SnapshotId],
) -> Result<Destroyed, ZfsError> {
    #[cfg(feature = "libzetta")]
    if let Some(lzc) = Lzc::here(shell).await {
        return lzc.destroy_snapshots(snapshots).await;
    }
    Zfs(shell).destroy_snapshots(snapshots).await
}
