//! The datasets of a stack whose files go back with a release that fails.

use super::{hands::World, walk::StepFailure};
use crate::model::{
    ids::DatasetName,
    release::Release,
    snapshot::{GUARD, MARK, RUN, SnapshotId, mark, our_name},
};
use crate::providers::{
    compose::{DataError, DataGuard},
    ssh::SshHost,
    zfs::{self, Zfs, ZfsWrite as _},
};
use std::collections::{BTreeMap, BTreeSet};

/// The label of the snapshots of what a failed release left behind.
const FAILED: &str = "failed";

/// Snapshots of one moment before a release, and the way back to them.
pub(super) struct ZfsGuard<'w> {
    release: &'w Release,
    parts: Vec<(&'w SshHost, SnapshotId)>,
}

/// The guard of a release; one without guarded datasets does nothing.
pub(super) fn of<'w, P>(
    world: &'w World<P>,
    release: &'w Release,
) -> Result<ZfsGuard<'w>, StepFailure> {
    let name = our_name(GUARD, jiff::Timestamp::now())
        .ok_or_else(|| StepFailure::told("the snapshot has no name", "This is a bug in infra."))?;
    let parts = release.guarded.iter().map(|guarded| {
        let id = SnapshotId {
            dataset: guarded.dataset.clone(),
            name: name.clone(),
        };
        Ok((world.shell(&guarded.host)?, id))
    });
    Ok(ZfsGuard {
        release,
        parts: parts.collect::<Result<_, StepFailure>>()?,
    })
}

impl ZfsGuard<'_> {
    async fn snapshot(&self, shell: &SshHost, id: &SnapshotId, run: &str) -> Result<(), DataError> {
        let properties = BTreeMap::from([
            (MARK.to_owned(), mark(&self.release.system, &id.name)),
            (
                RUN.to_owned(),
                format!("{run} of stack {}", self.release.stack),
            ),
        ]);
        let one: BTreeSet<DatasetName> = BTreeSet::from([id.dataset.clone()]);
        zfs::take(shell, &one, &id.name, &properties).await?;
        Ok(())
    }
}

impl DataGuard for ZfsGuard<'_> {
    fn is_set(&self) -> bool {
        !self.parts.is_empty()
    }

    async fn take(&self) -> Result<(), DataError> {
        for (shell, id) in &self.parts {
            self.snapshot(shell, id, "before a release").await?;
        }
        Ok(())
    }

    async fn put_back(&self) -> Result<String, DataError> {
        let mut told = Vec::new();
        for (shell, id) in &self.parts {
            let name =
                our_name(FAILED, jiff::Timestamp::now()).ok_or("the snapshot has no name")?;
            let left = SnapshotId {
                dataset: id.dataset.clone(),
                name,
            };
            self.snapshot(shell, &left, "what was left by a failed release")
                .await?;
            let changed = Zfs(*shell).roll_forward(id).await?;
            told.push(format!(
                "the files of {} are those of {} ({} changes undone, kept in {left})",
                id.dataset,
                id.name,
                changed.len()
            ));
        }
        Ok(told.join("; "))
    }

    fn place(&self) -> String {
        let places: Vec<String> = self.parts.iter().map(|(_, id)| id.to_string()).collect();
        places.join(", ")
    }

    async fn let_go(&self) -> Result<(), DataError> {
        for (shell, id) in &self.parts {
            Zfs(*shell)
                .destroy_snapshots(std::slice::from_ref(id))
                .await?;
        }
        Ok(())
    }
}
