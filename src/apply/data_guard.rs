//! The datasets of a stack whose files go back with a release that fails.

use super::{hands::World, walk::StepFailure};
use crate::model::{
    ids::{DatasetName, HostName, SnapshotName},
    release::Release,
    snapshot::{GUARD, MARK, RUN, STOPPED, SnapshotId, mark, our_name},
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
    async fn snapshot(
        &self,
        shell: &SshHost,
        datasets: &BTreeSet<DatasetName>,
        name: &SnapshotName,
        run: &str,
    ) -> Result<(), DataError> {
        let properties = BTreeMap::from([
            (MARK.to_owned(), mark(&self.release.system, name)),
            (
                RUN.to_owned(),
                format!("{run} of stack {}", self.release.stack),
            ),
        ]);
        zfs::take(shell, datasets, name, &properties).await?;
        Ok(())
    }
}

/// Datasets of one zpool are of one moment: a database's files and its log must not be parted.
fn moments<'i>(
    parts: impl IntoIterator<Item = (&'i HostName, &'i DatasetName)>,
) -> Vec<(&'i HostName, BTreeSet<DatasetName>)> {
    let mut pools: BTreeMap<(&HostName, &str), BTreeSet<DatasetName>> = BTreeMap::new();
    for (host, dataset) in parts {
        let pool = pools.entry((host, dataset.zpool())).or_default();
        pool.insert(dataset.clone());
    }
    pools
        .into_iter()
        .map(|((host, _), datasets)| (host, datasets))
        .collect()
}

impl DataGuard for ZfsGuard<'_> {
    fn is_set(&self) -> bool {
        !self.parts.is_empty()
    }

    async fn take(&self) -> Result<(), DataError> {
        let guarded = &self.release.guarded;
        for (host, datasets) in moments(guarded.iter().map(|one| (&one.host, &one.dataset))) {
            let mut parts = self.release.guarded.iter().zip(&self.parts);
            let part = parts.find(|(one, _)| one.host == *host);
            let (_, (shell, id)) = part.ok_or("the guard's host is not known")?;
            self.snapshot(shell, &datasets, &id.name, "before a release")
                .await?;
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
            let one = BTreeSet::from([id.dataset.clone()]);
            self.snapshot(shell, &one, &left.name, "what was left by a failed release")
                .await?;
            // Whoever finds the dataset after a kill knows that its files may be half old.
            let note =
                BTreeMap::from([(STOPPED.to_owned(), format!("{} {id}", self.release.stack))]);
            Zfs(*shell).set(&id.dataset, &note).await?;
            let changed = Zfs(*shell).roll_forward(id).await?;
            Zfs(*shell).inherit(&id.dataset, STOPPED).await?;
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

#[cfg(test)]
mod tests {
    use super::moments;
    use crate::model::ids::{DatasetName, HostName};

    #[test]
    fn datasets_of_one_zpool_are_of_one_moment() {
        let host = |name: &str| -> HostName { name.parse().expect("valid") };
        let dataset = |name: &str| DatasetName::new(name).expect("valid");
        let (pve, nas) = (host("pve"), host("nas"));
        let all = ["tank/db", "fast/wal", "tank/app"].map(dataset);
        let far = dataset("tank/db");
        let parts = all.iter().map(|one| (&pve, one)).chain([(&nas, &far)]);
        let found: Vec<(&str, Vec<String>)> = moments(parts)
            .into_iter()
            .map(|(host, names)| {
                let names = names.iter().map(ToString::to_string);
                (host.as_str(), names.collect())
            })
            .collect();
        let of = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(
            found,
            [
                ("nas", of(&["tank/db"])),
                ("pve", of(&["fast/wal"])),
                ("pve", of(&["tank/app", "tank/db"])),
            ]
        );
    }
}
