//! What comes back, from which copy, to where, and in which order: databases before the services that use them, hosts in the
//! order in which they start, stacks in the order of their needs.

use super::{
    night::{DumpOf, dataset_at, file},
    order::finished,
    target::is_below,
};
use crate::model::{
    backup::BackupJob,
    desired::Desired,
    ids::{BackupName, DatasetName, HostName, StackName},
    stack::Stack,
};
use std::collections::BTreeMap;

/// What shall come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Named parts of one job, or all of them: `tank/photos`, `tank/photos:2024/a.jpg`, `/srv/x`, `immich/database.immich.pgdump`.
    Parts(BackupName, Vec<String>),
    /// Files and databases of a stack.
    Stack(StackName),
    /// Everything of a host.
    Host(HostName),
    /// Every host, in order.
    All,
}

/// A proven copy, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Job.
    pub job: BackupName,
    /// Snapshot or archive.
    pub snapshot: String,
    /// Seconds since 1970.
    pub at: i64,
    /// Datasets, paths, and dumps with what is known of them.
    pub sources: Vec<Held>,
}

/// One thing that a copy holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// `tank/photos`, `/etc/pve`, `immich/database.immich.pgdump`.
    pub name: String,
    /// Where it lies in the copy.
    pub path: String,
    /// Of a dump.
    pub sha256: Option<String>,
    /// Rows of a dump, where they were counted.
    pub rows: Option<u64>,
    /// Extensions of a Postgres.
    pub extensions: Vec<String>,
}

/// Files that come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// As it was asked for.
    pub name: String,
    /// Job.
    pub job: BackupName,
    /// Snapshot or archive.
    pub snapshot: String,
    /// The folder in the copy.
    pub folder: String,
    /// One path in it, from `/`; none for all of it.
    pub inner: Option<String>,
    /// The dataset; none for a directory of the host.
    pub dataset: Option<DatasetName>,
    /// The directory of the job's host that [`Files::folder`] is a copy of; for a dataset the one that is declared.
    pub live: Option<String>,
}

/// A database or an export that comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// `immich/database.immich.pgdump`.
    pub name: String,
    /// Job.
    pub job: BackupName,
    /// Snapshot or archive.
    pub snapshot: String,
    /// Stack.
    pub stack: StackName,
    /// Its host.
    pub host: HostName,
    /// What it is.
    pub of: DumpOf,
    /// What the copy says of it.
    pub held: Held,
}

/// What comes back together, while its stacks stand still.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Heading.
    pub title: String,
    /// Files, first.
    pub files: Vec<Files>,
    /// Then exports and databases.
    pub loads: Vec<Load>,
    /// Stacks that stand still meanwhile, in the order in which they start again.
    pub stacks: Vec<StackName>,
}

/// Everything that comes back, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restoration {
    /// Groups, one after the other.
    pub groups: Vec<Group>,
    /// What should come back and does not, and why.
    pub left: Vec<String>,
    /// What stays as it is by the owner's word, or because only a person can put it back.
    pub stays: Vec<String>,
}

/// Decides it. `directories` are those of stacks, as their releases have them.
///
/// # Errors
/// Every name that nothing answers to.
pub fn restoration(
    desired: &Desired,
    copies: &[Copy],
    directories: &BTreeMap<StackName, Vec<String>>,
    goal: &Goal,
) -> Result<Restoration, Vec<String>> {
    let mut planner = Planner {
        desired,
        copies,
        directories,
        left: Vec::new(),
        stays: Vec::new(),
    };
    let groups = match goal {
        Goal::Parts(job, names) => vec![planner.parts(job, names)?],
        Goal::Stack(name) => {
            let mut group = Group {
                title: format!("stack {name}"),
                ..Group::default()
            };
            if let Some(stack) = desired.stacks.get(name) {
                planner.stack(stack, false, &mut group);
            }
            vec![group]
        }
        Goal::Host(host) => vec![planner.host(host)],
        Goal::All => planner.all(),
    };
    let Planner { left, stays, .. } = planner;
    let groups = groups
        .into_iter()
        .filter(|group| !group.files.is_empty() || !group.loads.is_empty())
        .map(|group| finished(desired, directories, group))
        .collect();
    Ok(Restoration {
        groups,
        left,
        stays,
    })
}

pub(super) struct Planner<'a> {
    pub(super) desired: &'a Desired,
    pub(super) copies: &'a [Copy],
    directories: &'a BTreeMap<StackName, Vec<String>>,
    pub(super) left: Vec<String>,
    pub(super) stays: Vec<String>,
}

impl Planner<'_> {
    fn parts(&mut self, job: &BackupName, names: &[String]) -> Result<Group, Vec<String>> {
        let copy = self.copies.iter().find(|copy| copy.job == *job);
        let (Some(copy), Some(known)) = (copy, self.desired.backups.get(job)) else {
            return Err(vec![format!("the backup `{job}` has no proven copy")]);
        };
        let mut group = Group {
            title: format!("backup {job}"),
            ..Group::default()
        };
        let (mut wrong, mut gone) = (Vec::new(), Vec::new());
        for text in names {
            if let Err(why) = self.part(copy, known, text, &mut group) {
                wrong.push(why);
            }
        }
        for held in copy.sources.iter().filter(|_| names.is_empty()) {
            if let Err(why) = self.part(copy, known, &held.name, &mut group) {
                gone.push(why);
            }
        }
        self.left.extend(gone);
        if wrong.is_empty() {
            Ok(group)
        } else {
            Err(wrong)
        }
    }

    fn part(
        &self,
        copy: &Copy,
        job: &BackupJob,
        text: &str,
        group: &mut Group,
    ) -> Result<(), String> {
        if text.split(['/', ':']).any(|part| part == "..") || text.contains('\n') {
            return Err(format!("`{text}` leads out of the backup"));
        }
        let (name, inner) = match text.split_once(':') {
            Some((name, inner)) => (name, Some(format!("/{}", inner.trim_matches('/')))),
            None => (text, None),
        };
        let Some(held) = copy.sources.iter().find(|held| held.name == name) else {
            let there: Vec<&str> = copy.sources.iter().map(|held| held.name.as_str()).collect();
            return Err(format!(
                "the backup `{}` holds no `{name}`: it holds {}",
                copy.job,
                there.join(", ")
            ));
        };
        if held.sha256.is_some() {
            let load = self.load(copy, held).ok_or_else(|| {
                format!("no stack of the inventory has `{name}` any more: restore it beside, with `--to`")
            })?;
            group.loads.push(load);
        } else {
            group.files.push(self.files(copy, job, held, inner, text));
        }
        Ok(())
    }

    pub(super) fn files(
        &self,
        copy: &Copy,
        job: &BackupJob,
        held: &Held,
        inner: Option<String>,
        name: &str,
    ) -> Files {
        let dataset = DatasetName::new(&held.name)
            .ok()
            .filter(|_| !held.name.starts_with('/'));
        let live = match &dataset {
            // A child that nobody declared is mounted wherever it says.
            Some(dataset) => self
                .desired
                .datasets
                .get(dataset)
                .filter(|known| known.host == job.host)
                .and_then(|known| known.properties.get("mountpoint"))
                .filter(|at| at.starts_with('/'))
                .cloned(),
            None => Some(held.name.clone()),
        };
        Files {
            name: name.to_owned(),
            job: copy.job.clone(),
            snapshot: copy.snapshot.clone(),
            folder: held.path.clone(),
            inner,
            dataset,
            live,
        }
    }

    pub(super) fn load(&self, copy: &Copy, held: &Held) -> Option<Load> {
        let (stack, name) = held.name.split_once('/')?;
        let stack = self
            .desired
            .stacks
            .values()
            .find(|known| known.name.as_str() == stack)?;
        let databases = stack.backup.databases.iter().cloned().map(DumpOf::Database);
        let exports = stack.backup.exports.iter().cloned().map(DumpOf::Export);
        let of = databases.chain(exports).find(|of| file(of) == name)?;
        Some(Load {
            name: held.name.clone(),
            job: copy.job.clone(),
            snapshot: copy.snapshot.clone(),
            stack: stack.name.clone(),
            host: stack.on.clone(),
            of,
            held: held.clone(),
        })
    }

    /// The copy that holds a name, the newest one; a path is one of a certain host.
    pub(super) fn newest(
        &self,
        name: &str,
        host: Option<&HostName>,
    ) -> Option<(&Copy, &BackupJob, &Held)> {
        self.copies
            .iter()
            .filter_map(|copy| {
                let job = self.desired.backups.get(&copy.job)?;
                let held = copy.sources.iter().find(|held| held.name == name)?;
                Some((copy, job, held))
            })
            .filter(|(_, job, _)| host.is_none_or(|host| job.host == *host))
            .max_by_key(|(copy, ..)| copy.at)
    }

    /// A stack's exports and databases, and its files. `whole`: its datasets come back as a whole beside it.
    pub(super) fn stack(&mut self, stack: &Stack, whole: bool, group: &mut Group) {
        let mut from: Vec<BackupName> = Vec::new();
        group.stacks.push(stack.name.clone());
        for path in self.own_paths(stack, whole) {
            match self.path_of(stack, &path) {
                Some(files) => {
                    from.push(files.job.clone());
                    group.files.push(files);
                }
                None if self.is_repository(stack, &path) => {}
                None => self.lacks_path(stack, &path),
            }
        }
        let databases = stack.backup.databases.iter().cloned().map(DumpOf::Database);
        let exports = stack.backup.exports.iter().cloned().map(DumpOf::Export);
        // Exports are configuration: databases come last, when everything that they name is there.
        for of in exports.chain(databases) {
            let name = format!("{}/{}", stack.name, file(&of));
            let holding = self
                .copies
                .iter()
                .filter(|copy| copy.sources.iter().any(|held| held.name == name));
            // Never younger than the files that it names: of the copies that bring the stack's files, the oldest.
            let with_its_files = holding
                .clone()
                .filter(|copy| from.contains(&copy.job))
                .min_by_key(|copy| copy.at);
            let copy = with_its_files.or_else(|| holding.max_by_key(|copy| copy.at));
            let load = copy.and_then(|copy| {
                let held = copy.sources.iter().find(|held| held.name == name)?;
                self.load(copy, held)
            });
            match load {
                Some(load) => group.loads.push(load),
                None => self.lacks(&name, |job| job.stacks.contains(&stack.name)),
            }
        }
    }

    /// The directories of a stack, and the mounts that are its alone.
    fn own_paths(&mut self, stack: &Stack, whole: bool) -> Vec<String> {
        let none = Vec::new();
        let directories = self.directories.get(&stack.name).unwrap_or(&none);
        let mut out: Vec<String> = Vec::new();
        let mut sorted: Vec<&String> = directories.iter().collect();
        sorted.sort();
        for path in sorted {
            if !out.iter().any(|top| is_below(path, top)) {
                out.push(path.clone());
            }
        }
        for mount in stack.mounts.values() {
            if out.iter().any(|path| is_below(path, mount)) {
                continue;
            }
            let shared = self.desired.stacks.values().find(|other| {
                other.name != stack.name
                    && other.on == stack.on
                    && other.mounts.values().any(|at| at == mount)
            });
            match shared {
                None => out.push(mount.clone()),
                Some(_) if whole => {}
                Some(other) => self.stays.push(format!(
                    "{mount} of stack {}: {} uses it too",
                    stack.name, other.name
                )),
            }
        }
        out
    }

    /// A path of a stack's host, in the newest copy that has it.
    fn path_of(&self, stack: &Stack, path: &str) -> Option<Files> {
        let mounts = stack.mounts.values().filter(|at| is_below(path, at));
        let on_dataset = mounts
            .max_by_key(|at| at.len())
            .and_then(|at| Some((at, dataset_at(self.desired, &stack.on, at)?)));
        if let Some((at, dataset)) = on_dataset {
            let (copy, job, held) = self.newest(dataset.as_str(), None)?;
            let inner = path
                .strip_prefix(at.as_str())
                .filter(|inner| !inner.is_empty());
            let name = match inner {
                Some(inner) => format!("{dataset}:{}", inner.trim_start_matches('/')),
                None => dataset.to_string(),
            };
            return Some(self.files(copy, job, held, inner.map(str::to_owned), &name));
        }
        let tops = self
            .desired
            .backups
            .values()
            .filter(|job| job.host == stack.on);
        let top = tops
            .flat_map(|job| &job.paths)
            .filter(|top| is_below(path, top))
            .max_by_key(|top| top.len())?;
        let (copy, job, held) = self.newest(top, Some(&stack.on))?;
        let inner = path
            .strip_prefix(top.as_str())
            .filter(|inner| !inner.is_empty());
        Some(self.files(copy, job, held, inner.map(str::to_owned), path))
    }

    /// Whether a stack's path is where the backups are.
    fn is_repository(&self, stack: &Stack, path: &str) -> bool {
        let mount = stack.mounts.values().find(|at| is_below(path, at));
        mount
            .and_then(|at| dataset_at(self.desired, &stack.on, at))
            .is_some_and(|dataset| self.holds_repository(&dataset))
    }

    pub(super) fn holds_repository(&self, dataset: &DatasetName) -> bool {
        use crate::model::backup::Repository;
        self.desired.backups.values().any(|job| {
            matches!(&job.repository, Repository::Path { dataset: Some(at), .. } if at == dataset)
        })
    }
}
