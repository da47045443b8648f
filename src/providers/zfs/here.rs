//! Which of the two engines does a piece of work: `libzfs_core` where infra was built with it and runs on the host itself,
//! else the command line.

#[cfg(feature = "libzetta")]
use super::lzc::Lzc;
use super::{border::ZfsWrite as _, destroy::Destroyed, engine::Zfs, error::ZfsError};
use crate::model::{
    ids::{DatasetName, SnapshotName},
    snapshot::SnapshotId,
};
use crate::providers::shell::Shell;
use std::collections::{BTreeMap, BTreeSet};

/// Takes snapshots of datasets of one zpool, of one moment, all or none.
///
/// # Errors
/// As [`ZfsWrite::snapshot`](super::ZfsWrite::snapshot).
pub async fn take<S: Shell>(
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
///
/// # Errors
/// As [`ZfsWrite::destroy_snapshots`](super::ZfsWrite::destroy_snapshots).
pub async fn destroy<S: Shell>(shell: &S, snapshots: &[SnapshotId]) -> Result<Destroyed, ZfsError> {
    #[cfg(feature = "libzetta")]
    if let Some(lzc) = Lzc::here(shell).await {
        return lzc.destroy_snapshots(snapshots).await;
    }
    Zfs(shell).destroy_snapshots(snapshots).await
}

/// Makes a bookmark of a snapshot.
///
/// # Errors
/// As [`ZfsWrite::bookmark`](super::ZfsWrite::bookmark).
pub async fn bookmark<S: Shell>(
    shell: &S,
    snapshot: &SnapshotId,
    name: &SnapshotName,
) -> Result<(), ZfsError> {
    #[cfg(feature = "libzetta")]
    if let Some(lzc) = Lzc::here(shell).await {
        return lzc.bookmark(snapshot, name).await;
    }
    Zfs(shell).bookmark(snapshot, name).await
}
