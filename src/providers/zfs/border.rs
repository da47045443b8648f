//! What others ask of ZFS: reading and writing, apart.

use super::{destroy::Destroyed, error::ZfsError, facts::ZfsFacts};
use crate::model::{
    dataset::{DatasetDirectory, ZpoolPart},
    ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
    snapshot::{HoldFact, SnapshotId, Survey},
};
use crate::providers::shell::Outcome;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

/// Looks at zpools, datasets and snapshots.
pub trait ZfsRead: Send + Sync {
    /// Health of zpools, and all their datasets with all properties. A pool that is not imported is absent.
    fn facts(
        &self,
        zpools: &[ZpoolName],
    ) -> impl Future<Output = Result<ZfsFacts, ZfsError>> + Send;

    /// Clock, health, datasets, snapshots and bookmarks of zpools in one round trip. A pool that is not imported is
    /// absent; one that is suspended is there without datasets.
    fn survey(&self, zpools: &[ZpoolName])
    -> impl Future<Output = Result<Survey, ZfsError>> + Send;

    /// The same of one dataset with its snapshots and bookmarks, and nothing else of its zpool: what one replica needs.
    fn dataset(
        &self,
        dataset: &DatasetName,
    ) -> impl Future<Output = Result<Survey, ZfsError>> + Send;

    /// The tags that hold snapshots. None asked is no command.
    fn holds(
        &self,
        snapshots: &[SnapshotId],
    ) -> impl Future<Output = Result<Vec<HoldFact>, ZfsError>> + Send;
}

/// Changes datasets and snapshots. Nothing here destroys a dataset.
pub trait ZfsWrite: Send + Sync {
    /// Makes a zpool of disks that are empty. Refused when one of them cannot be proven to be.
    fn create_zpool(
        &self,
        zpool: &ZpoolName,
        parts: &[ZpoolPart],
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Loads the key of an encrypted dataset; a loaded one is fine.
    fn load_key(
        &self,
        dataset: &DatasetName,
        passphrase: &str,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Creates a filesystem whose parent exists, with native properties and the mark of its system; `passphrase` opens it
    /// when the properties say that it is encrypted. Refuses a mount point that has something in it.
    fn create(
        &self,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
        passphrase: Option<&str>,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Sets properties, all in one command. Nothing to set is no command.
    fn set(
        &self,
        dataset: &DatasetName,
        properties: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Lets a property come from the parent again.
    fn inherit(
        &self,
        dataset: &DatasetName,
        property: &str,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Mounts a filesystem; a mounted one is fine.
    fn mount(
        &self,
        dataset: &DatasetName,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Makes directories inside a mounted filesystem, with owners and modes, and the file by which it is known. The dataset's
    /// own directory is `.`.
    fn make_directories(
        &self,
        dataset: &DatasetName,
        directories: &[DatasetDirectory],
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Takes snapshots of datasets of one zpool, of one moment, all or none.
    fn snapshot(
        &self,
        datasets: &BTreeSet<DatasetName>,
        name: &SnapshotName,
        properties: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Destroys snapshots by name and nothing else: never recursively, never by force. What cannot go is left and told;
    /// what is not there has gone. Only a lost connection or a missing ZFS is an error.
    fn destroy_snapshots(
        &self,
        snapshots: &[SnapshotId],
    ) -> impl Future<Output = Result<Destroyed, ZfsError>> + Send;

    /// Holds snapshots under a tag; those that have it are fine.
    fn hold(
        &self,
        tag: &str,
        snapshots: &[SnapshotId],
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Writes on snapshots that a system took them. For copies, which lost it on their way.
    fn mark(
        &self,
        system: &SystemName,
        snapshots: &[SnapshotId],
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Takes a tag off snapshots; those that do not have it are fine.
    fn release(
        &self,
        tag: &str,
        snapshots: &[SnapshotId],
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Makes a bookmark of a snapshot: a base for sending that outlives it.
    fn bookmark(
        &self,
        snapshot: &SnapshotId,
        name: &SnapshotName,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Destroys a bookmark; one that is not there has gone.
    fn destroy_bookmark(
        &self,
        dataset: &DatasetName,
        name: &SnapshotName,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Takes a dataset back to its newest snapshot. Refused by ZFS while there is a newer snapshot or bookmark.
    fn rollback(&self, snapshot: &SnapshotId) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Makes a dataset from a snapshot, with the mark of its system.
    fn clone_snapshot(
        &self,
        snapshot: &SnapshotId,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;
}
