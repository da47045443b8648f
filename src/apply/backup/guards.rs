//! What is kept of datasets before files come back over them, and the note that tells of a restore that was killed.

use super::back::{Back, mountpoint, restore};
use crate::backup::Files;
use crate::model::{
    ids::{DatasetName, HostName, SnapshotName, StackName},
    snapshot::{GUARD, MARK, RUN, STOPPED, SnapshotId, mark, our_name},
};
use crate::providers::{
    backup::BackupError,
    shell::{Command, Shell as _},
    zfs::{Zfs, ZfsError, ZfsWrite as _},
};
use std::collections::{BTreeMap, BTreeSet};

/// The datasets into which files come back, with the guard snapshots that they get.
pub struct Guards {
    name: SnapshotName,
    datasets: BTreeMap<DatasetName, HostName>,
}

impl Guards {
    /// Those of files, named and not yet taken.
    ///
    /// # Errors
    /// A job that the inventory does not have.
    pub fn of(back: &Back<'_>, files: &[Files]) -> Result<Self, BackupError> {
        let name = our_name(GUARD, jiff::Timestamp::now())
            .ok_or_else(|| restore("the guard", "it has no name"))?;
        let mut datasets = BTreeMap::new();
        for part in files {
            if let Some(dataset) = &part.dataset {
                datasets.insert(dataset.clone(), back.job(&part.job)?.host.clone());
            }
        }
        Ok(Self { name, datasets })
    }

    /// The guard of a dataset.
    pub fn id(&self, dataset: &DatasetName) -> SnapshotId {
        SnapshotId {
            dataset: dataset.clone(),
            name: self.name.clone(),
        }
    }

    /// All of them, in words; empty where there is none.
    pub fn places(&self) -> Vec<String> {
        let ids = self.datasets.keys().map(|dataset| self.id(dataset));
        ids.map(|id| id.to_string()).collect()
    }

    /// Every dataset is mounted. One that nobody declared and that is not there is made below its parent, as it was when it
    /// was copied.
    ///
    /// # Errors
    /// A dataset that is no place for files. Nothing else was touched.
    pub async fn ready(&self, back: &Back<'_>) -> Result<(), BackupError> {
        for (dataset, host) in &self.datasets {
            let shell = back.shell(host)?;
            if !back.desired.datasets.contains_key(dataset) {
                let asked = Command::new(["zfs", "list", "-H", "-o", "name"]);
                let asked = asked.args([dataset.as_str()]);
                if !shell.run(asked).await?.is_success() {
                    let made = Command::new(["zfs", "create"]).args([dataset.as_str()]);
                    shell.demand(made).await?;
                }
            }
            mountpoint(shell, dataset).await?;
        }
        Ok(())
    }

    /// Takes them: of one moment in each zpool.
    ///
    /// # Errors
    /// ZFS's. Nothing was touched.
    pub async fn take(&self, back: &Back<'_>) -> Result<(), BackupError> {
        let mut pools: BTreeMap<(&HostName, &str), BTreeSet<DatasetName>> = BTreeMap::new();
        for (dataset, host) in &self.datasets {
            let pool = pools.entry((host, dataset.zpool())).or_default();
            pool.insert(dataset.clone());
        }
        let properties = BTreeMap::from([
            (MARK.to_owned(), mark(&back.desired.system, &self.name)),
            (RUN.to_owned(), "before a restore".to_owned()),
        ]);
        for ((host, pool), datasets) in &pools {
            let taken = Zfs(back.shell(host)?)
                .snapshot(datasets, &self.name, &properties)
                .await;
            taken.map_err(|error| failed(pool, "no guard snapshot", &error))?;
        }
        Ok(())
    }

    /// Writes on the datasets which stacks stand still for them: whoever finds it after a `kill -9` knows what happened.
    ///
    /// # Errors
    /// ZFS's. Nothing else was touched.
    pub async fn note(&self, back: &Back<'_>, stacks: &[StackName]) -> Result<(), BackupError> {
        if stacks.is_empty() {
            return Ok(());
        }
        let stacks: Vec<&str> = stacks.iter().map(StackName::as_str).collect();
        for (dataset, host) in &self.datasets {
            let value = format!("{} {}", stacks.join(","), self.id(dataset));
            let property = BTreeMap::from([(STOPPED.to_owned(), value)]);
            let set = Zfs(back.shell(host)?).set(dataset, &property).await;
            set.map_err(|error| failed(dataset.as_str(), "it cannot be noted", &error))?;
        }
        Ok(())
    }

    /// Removes the notes.
    ///
    /// # Errors
    /// ZFS's.
    pub async fn forget(&self, back: &Back<'_>) -> Result<(), BackupError> {
        for (dataset, host) in &self.datasets {
            let gone = Zfs(back.shell(host)?).inherit(dataset, STOPPED).await;
            gone.map_err(|error| {
                restore(
                    dataset.as_str(),
                    format!("its note stays: {error}; when all is well: `zfs inherit {STOPPED} {dataset}`"),
                )
            })?;
        }
        Ok(())
    }
}

fn failed(what: &str, doing: &str, error: &ZfsError) -> BackupError {
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    restore(what, format!("{doing}: {why}; nothing was touched"))
}
