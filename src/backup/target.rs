//! Where something may be restored to: beside what lives, never over it.

use super::order::own_files;
use crate::model::{
    backup::{BackupJob, Repository},
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
};
use std::collections::BTreeMap;

/// Something that is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// As it was asked for.
    pub name: String,
    /// The folder in the backup.
    pub folder: String,
    /// One path in it, from `/`; none for all.
    pub inner: Option<String>,
    /// Where it goes below the target.
    pub place: String,
}

/// Reads what is asked for: a dataset, `DATASET:PATH` for one file or folder in it, a path of the job, a dump as
/// `STACK/FILE`. `dumps` are the names and places of those in the backup.
///
/// # Errors
/// What is there instead.
pub fn wanted(
    job: &BackupJob,
    datasets: &[DatasetName],
    dumps: &[(String, String)],
    text: &str,
) -> Result<Wanted, String> {
    if text.split(['/', ':']).any(|part| part == "..") || text.contains('\n') {
        return Err(format!("`{text}` leads out of the backup"));
    }
    let (name, inner) = match text.split_once(':') {
        Some((name, inner)) => (name, Some(format!("/{}", inner.trim_matches('/')))),
        None => (text, None),
    };
    if let Some(dataset) = datasets.iter().find(|one| one.as_str() == name) {
        return Ok(Wanted {
            name: text.to_owned(),
            folder: job.mount_of(dataset),
            inner,
            place: name.to_owned(),
        });
    }
    if let Some((_, path)) = dumps.iter().find(|(dump, _)| dump == text)
        && let Some((folder, file)) = path.rsplit_once('/')
    {
        return Ok(Wanted {
            name: text.to_owned(),
            folder: folder.to_owned(),
            inner: Some(format!("/{file}")),
            place: "dumps".to_owned(),
        });
    }
    if let Some(path) = job.paths.iter().find(|path| *path == name) {
        return Ok(Wanted {
            name: text.to_owned(),
            folder: path.clone(),
            inner,
            place: path.trim_start_matches('/').to_owned(),
        });
    }
    let mut there: Vec<String> = datasets.iter().map(ToString::to_string).collect();
    there.extend(job.paths.iter().cloned());
    there.extend(dumps.iter().map(|(name, _)| name.clone()));
    Err(format!(
        "the backup `{}` holds no `{name}`: it holds {}",
        job.name,
        there.join(", ")
    ))
}

/// What lives at a path of a job's host, or around or inside it; none where nothing of the inventory does. `directories` are
/// those of stacks, as their releases have them.
pub fn lives(
    desired: &Desired,
    directories: &BTreeMap<StackName, Vec<String>>,
    job: &BackupJob,
    path: &str,
) -> Option<String> {
    let touches = |top: &str| is_below(path, top) || is_below(top, path);
    let mut all: Vec<(String, String)> = Vec::new();
    for dataset in desired.datasets.values().filter(|one| one.host == job.host) {
        // One that nobody uses and no backup takes is a place for drills.
        let is_used = desired.backups.values().any(|job| job.takes(&dataset.name))
            || desired
                .guests
                .values()
                .any(|guest| guest.mounts.iter().any(|one| one.dataset == dataset.name));
        if let Some(at) = dataset
            .properties
            .get("mountpoint")
            .filter(|at| is_used && at.starts_with('/'))
        {
            all.push((at.clone(), format!("the dataset {}", dataset.name)));
        }
    }
    all.extend(mounted(desired, &job.host));
    for stack in desired.stacks.values().filter(|stack| stack.on == job.host) {
        let mounts = stack.mounts.values().chain(&stack.needs_mounts).cloned();
        let own = directories.get(&stack.name).into_iter().flatten().cloned();
        let every = mounts.chain(own).chain(own_files(stack));
        all.extend(every.map(|at| (at, format!("the stack {}", stack.name))));
    }
    all.extend(job.paths.iter().map(|at| (at.clone(), format!("`{at}`"))));
    if let Repository::Path { path, .. } = &job.repository {
        all.push((path.clone(), "the repository".to_owned()));
    }
    all.into_iter()
        .find(|(at, _)| touches(at))
        .map(|(_, what)| what)
}

fn mounted(desired: &Desired, host: &HostName) -> Vec<(String, String)> {
    let guest = desired.guests.get(host).into_iter();
    guest
        .flat_map(|guest| &guest.mounts)
        .map(|mount| (mount.at.clone(), format!("the dataset {}", mount.dataset)))
        .collect()
}

pub(super) fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
