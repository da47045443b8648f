//! One run of a job, decided before anything is touched.

use crate::model::{
    backup::{BackupJob, DUMPS, Database, Export, STAGE},
    desired::Desired,
    ids::{DatasetName, HostName, SnapshotName, StackName},
    snapshot::{SnapshotId, Survey},
    stack::Stack,
};

/// What a job does in one night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// Dumps and exports, in order.
    pub dumps: Vec<Dump>,
    /// Datasets that are snapshot and mounted.
    pub datasets: Vec<DatasetName>,
    /// What cannot be read, and why. The run is not whole where there is any.
    pub unreadable: Vec<String>,
    /// Directories and files that are copied as they are.
    pub paths: Vec<String>,
}

/// One dump or export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Stack.
    pub stack: StackName,
    /// Its host.
    pub host: HostName,
    /// What.
    pub of: DumpOf,
    /// Where it is written on the stack's host.
    pub path: String,
    /// Where it is carried on the job's host; none when it lies where the job finds it.
    pub carried: Option<String>,
    /// Where it lies in the backup.
    pub kept: String,
}

/// What is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpOf {
    /// A database.
    Database(Database),
    /// An export.
    Export(Export),
}

impl Dump {
    /// `immich/database.immich.pgdump`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.stack, file(&self.of))
    }
}

pub(super) fn file(of: &DumpOf) -> String {
    match of {
        DumpOf::Database(database) => database.file(),
        DumpOf::Export(export) => export.file(),
    }
}

/// The label of a job's snapshots.
pub fn label(job: &BackupJob) -> String {
    format!("backup-{}", job.name)
}

/// Decides a run. Without a survey (a host without ZFS) there are no datasets.
pub fn night(desired: &Desired, job: &BackupJob, survey: Option<&Survey>) -> Night {
    let mut out = Night {
        dumps: Vec::new(),
        datasets: Vec::new(),
        unreadable: Vec::new(),
        paths: job.paths.clone(),
    };
    for top in &job.datasets {
        let Some(survey) = survey else {
            out.unreadable
                .push(format!("{top}: its host gave no answer"));
            continue;
        };
        if !survey.datasets.contains_key(top) {
            out.unreadable
                .push(format!("{top}: there is no such dataset"));
        }
        for (name, view) in survey
            .datasets
            .iter()
            .filter(|(name, _)| name.is_within(top))
        {
            if view.is_volume {
                out.unreadable.push(format!(
                    "{name}: it is a volume, whose files nobody here can read"
                ));
            } else if view.is_unlocked == Some(false) {
                out.unreadable
                    .push(format!("{name}: its key is not loaded"));
            } else {
                out.datasets.push(name.clone());
            }
        }
    }
    out.datasets.sort();
    out.datasets.dedup();
    let stacks = job
        .stacks
        .iter()
        .filter_map(|name| desired.stacks.get(name));
    for stack in stacks {
        let databases = stack.backup.databases.iter().cloned().map(DumpOf::Database);
        let exports = stack.backup.exports.iter().cloned().map(DumpOf::Export);
        out.dumps.extend(
            databases
                .chain(exports)
                .map(|of| dump(desired, job, stack, of)),
        );
    }
    out
}

/// A dump lies on a dataset of its stack where the job takes one along: then it is of the same moment as the stack's files.
fn dump(desired: &Desired, job: &BackupJob, stack: &Stack, of: DumpOf) -> Dump {
    let name = format!("{}/{}", stack.name, file(&of));
    let on_dataset = stack.mounts.values().find_map(|at| {
        let dataset = dataset_at(desired, &stack.on, at)?;
        job.takes(&dataset).then_some((at, dataset))
    });
    let (path, carried, kept) = if let Some((at, dataset)) = on_dataset {
        (
            format!("{at}/{DUMPS}/{name}"),
            None,
            format!("{}/{DUMPS}/{name}", job.mount_of(&dataset)),
        )
    } else {
        let staged = format!("{}/{name}", job.stage());
        if stack.on == job.host {
            (staged.clone(), None, staged)
        } else {
            let out = format!("{STAGE}/{}/out/{name}", job.name);
            (out, Some(staged.clone()), staged)
        }
    };
    Dump {
        stack: stack.name.clone(),
        host: stack.on.clone(),
        of,
        path,
        carried,
        kept,
    }
}

/// The dataset that is mounted on a host at a path.
pub(super) fn dataset_at(desired: &Desired, host: &HostName, at: &str) -> Option<DatasetName> {
    if let Some(guest) = desired.guests.get(host) {
        let mount = guest.mounts.iter().find(|mount| mount.at == at)?;
        return Some(mount.dataset.clone());
    }
    let own = desired.datasets.values().find(|dataset| {
        dataset.host == *host
            && dataset
                .properties
                .get("mountpoint")
                .is_some_and(|p| p == at)
    });
    own.map(|dataset| dataset.name.clone())
}

impl Night {
    /// Snapshots with the places where they are mounted.
    pub fn mounts(&self, job: &BackupJob, name: &SnapshotName) -> Vec<(SnapshotId, String)> {
        let mount = |dataset: &DatasetName| {
            let id = SnapshotId {
                dataset: dataset.clone(),
                name: name.clone(),
            };
            (id, job.mount_of(dataset))
        };
        self.datasets.iter().map(mount).collect()
    }

    /// What the engine is told to copy.
    pub fn roots(&self, job: &BackupJob) -> Vec<String> {
        let mut out: Vec<String> = self
            .datasets
            .iter()
            .map(|name| job.mount_of(name))
            .collect();
        out.extend(self.paths.iter().cloned());
        if !out.is_empty() || !self.dumps.is_empty() {
            // The manifest is there, and what lies on no dataset.
            out.push(job.stage());
        }
        out
    }
}

/// Snapshots that a dead run of the job left.
pub fn leftovers(desired: &Desired, job: &BackupJob, survey: &Survey) -> Vec<SnapshotId> {
    let label = label(job);
    let mut out = Vec::new();
    for (dataset, view) in &survey.datasets {
        let ours = view.snapshots.iter().filter(|one| {
            one.label(&desired.system) == Some(label.as_str())
                && one.userrefs == 0
                && one.clones.is_empty()
        });
        out.extend(ours.map(|one| SnapshotId {
            dataset: dataset.clone(),
            name: one.name.clone(),
        }));
    }
    out
}
