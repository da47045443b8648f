//! What comes back of a whole host, or of all of them: nothing that a copy holds is passed over without a word.

use super::{
    night::dataset_at,
    order::{hosts_in_order, stacks_in_order},
    restoration::{Files, Goal, Group, Planner},
    target::is_below,
};
use crate::model::{
    backup::{BackupJob, ExportOf},
    dataset::Protection,
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
    release::STACKS_ROOT,
    stack::Stack,
};
use std::collections::BTreeSet;

/// Places that a machine itself lives on. While one is moved away nobody logs in, or nothing starts: only a person puts
/// such files back.
const MACHINE: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root/.ssh",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/docker/overlay2",
    "/var/lib/dpkg",
    "/var/lib/infra",
    "/var/lib/pve-cluster",
];

/// Whether a whole directory, or what is in it, is the machine's own: a recovery leaves it as it is.
pub fn is_the_machines(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    // A home as a whole has the keys that let its owner in.
    let is_home = path == "/home"
        || path
            .strip_prefix("/home/")
            .is_some_and(|rest| !rest.contains('/') || rest.contains("/.ssh"));
    is_home
        || is_below(STACKS_ROOT, path)
        || MACHINE
            .iter()
            .any(|own| is_below(path, own) || is_below(own, path))
}

/// Whether a job may hold something of a goal.
pub fn concerns(desired: &Desired, job: &BackupJob, goal: &Goal) -> bool {
    let of_stack = |stack: &Stack| {
        let mut datasets = stack
            .mounts
            .values()
            .filter_map(|at| dataset_at(desired, &stack.on, at));
        job.stacks.contains(&stack.name)
            || (job.host == stack.on && !job.paths.is_empty())
            || datasets.any(|dataset| job.takes(&dataset))
    };
    match goal {
        Goal::All => true,
        Goal::Parts(name, _) => job.name == *name,
        Goal::Stack(name) => desired.stacks.get(name).is_some_and(of_stack),
        Goal::Host(host) => {
            let guest = desired.guests.get(host).into_iter();
            let mut mounts = guest.flat_map(|guest| &guest.mounts);
            let mut stacks = desired.stacks.values().filter(|stack| stack.on == *host);
            job.host == *host
                || mounts.any(|mount| job.takes(&mount.dataset))
                || stacks.any(of_stack)
        }
    }
}

impl Planner<'_> {
    /// Every host in order, each thing once; then what no host has is named.
    pub(super) fn all(&mut self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for host in hosts_in_order(self.desired) {
            let mut group = self.host(host);
            group.files.retain(|one| {
                let mut before = groups.iter().flat_map(|group| &group.files);
                !before.any(|other| is_same(one, other))
            });
            groups.push(group);
        }
        self.forgotten(&groups);
        groups
    }

    /// All datasets that are mounted into a host or are its own, with those below them; its directories; its stacks'
    /// directories, exports and databases.
    pub(super) fn host(&mut self, host: &HostName) -> Group {
        let mut group = Group {
            title: format!("host {host}"),
            ..Group::default()
        };
        for dataset in self.datasets_of(host) {
            if let Some((copy, job, held)) = self.newest(dataset.as_str(), None) {
                let files = self.files(copy, job, held, None, dataset.as_str());
                group.files.push(files);
            } else if !self.holds_repository(&dataset) {
                self.lacks_dataset(&dataset);
            }
        }
        let jobs = self.desired.backups.values();
        let jobs = jobs.filter(|job| job.host == *host);
        let mut paths: BTreeSet<&str> = jobs
            .flat_map(|job| job.paths.iter().map(String::as_str))
            .collect();
        for copy in self.copies {
            let job = self.desired.backups.get(&copy.job);
            if job.is_some_and(|job| job.host == *host) {
                let held = copy.sources.iter().filter(|held| held.sha256.is_none());
                paths.extend(
                    held.map(|held| held.name.as_str())
                        .filter(|name| is_path(name)),
                );
            }
        }
        for path in paths {
            match self.newest(path, Some(host)) {
                Some((_, job, _)) if is_the_machines(path) => {
                    let said = format!(
                        "{path} on {host}: the machine itself lives on it; bring it back beside (`infra backup restore {} {path}`) \
                         and copy what you need",
                        job.name
                    );
                    self.stays.push(said);
                }
                Some((copy, job, held)) => {
                    let files = self.files(copy, job, held, None, path);
                    group.files.push(files);
                }
                None => self.lacks(&format!("{path} on {host}"), |job| {
                    job.host == *host && job.paths.iter().any(|own| own == path)
                }),
            }
        }
        let names: BTreeSet<StackName> = self
            .desired
            .stacks
            .values()
            .filter(|stack| stack.on == *host)
            .map(|stack| stack.name.clone())
            .collect();
        for name in stacks_in_order(self.desired, &names) {
            if let Some(stack) = self.desired.stacks.get(name) {
                let mut own = Group::default();
                self.stack(stack, true, &mut own);
                group.files.extend(own.files);
                group.loads.extend(own.loads);
                group.stacks.extend(own.stacks);
            }
        }
        group
    }

    /// Datasets that come back with a host: those that are mounted into it, and those of its own that no guest mounts; with
    /// each one below them that a copy holds. A parent comes before what is mounted in it.
    fn datasets_of(&self, host: &HostName) -> BTreeSet<DatasetName> {
        let mut out: BTreeSet<DatasetName> = BTreeSet::new();
        let guest = self.desired.guests.get(host).into_iter();
        out.extend(guest.flat_map(|guest| guest.mounts.iter().map(|one| one.dataset.clone())));
        let held = self.held_datasets();
        let inside: Vec<DatasetName> = held
            .iter()
            .map(|(name, _)| name)
            .filter(|name| out.iter().any(|top| name.is_within(top)))
            .cloned()
            .collect();
        out.extend(inside);
        let all_mounted: Vec<&DatasetName> = self
            .desired
            .guests
            .values()
            .flat_map(|guest| guest.mounts.iter().map(|one| &one.dataset))
            .collect();
        let is_own = |name: &DatasetName| !all_mounted.iter().any(|top| name.is_within(top));
        let declared = self.desired.datasets.values().filter(|dataset| {
            // What no job takes and nobody mounts is told by the runbook: here it is about copies.
            let mut jobs = self.desired.backups.values();
            dataset.host == *host && jobs.any(|job| job.takes(&dataset.name))
        });
        out.extend(
            declared
                .map(|dataset| &dataset.name)
                .chain(
                    held.iter()
                        .filter(|(_, at)| *at == host)
                        .map(|(name, _)| name),
                )
                .filter(|name| is_own(name))
                .cloned(),
        );
        out
    }

    /// The datasets that copies hold, with the hosts of their jobs.
    fn held_datasets(&self) -> Vec<(DatasetName, &HostName)> {
        let mut out = Vec::new();
        for copy in self.copies {
            let Some(job) = self.desired.backups.get(&copy.job) else {
                continue;
            };
            let held = copy.sources.iter().filter(|held| held.sha256.is_none());
            let names = held.filter(|held| !is_path(&held.name));
            out.extend(
                names.filter_map(|held| Some((DatasetName::new(&held.name).ok()?, &job.host))),
            );
        }
        out
    }

    /// What a copy holds and no group brings back.
    fn forgotten(&mut self, groups: &[Group]) {
        let mut out: BTreeSet<String> = BTreeSet::new();
        for copy in self.copies {
            let host = self.desired.backups.get(&copy.job).map(|job| &job.host);
            for held in &copy.sources {
                let is_there = if held.sha256.is_some() {
                    self.load(copy, held).is_some()
                } else if is_path(&held.name) {
                    is_the_machines(&held.name)
                        || groups.iter().flat_map(|group| &group.files).any(|one| {
                            let job = self.desired.backups.get(&one.job);
                            one.name == held.name && job.map(|job| &job.host) == host
                        })
                } else {
                    let mut files = groups.iter().flat_map(|group| &group.files);
                    files.any(|one| one.name == held.name)
                };
                if !is_there {
                    let beside = "bring it back beside: `infra backup restore";
                    out.insert(format!(
                        "{0} of the backup `{1}`: the inventory has no place for it; {beside} {1} {0}`",
                        held.name, copy.job
                    ));
                }
            }
        }
        self.left.extend(out);
    }

    fn lacks_dataset(&mut self, dataset: &DatasetName) {
        let known = self.desired.datasets.get(dataset);
        let waived = known.and_then(|known| known.waivers.get(&Protection::Backup));
        match waived {
            Some(why) => {
                let said = format!("{dataset}: no backup, by your word: {why}");
                if !self.stays.contains(&said) {
                    self.stays.push(said);
                }
            }
            None => self.lacks(dataset.as_str(), |job| job.takes(dataset)),
        }
    }

    /// A path of a stack that no copy has.
    pub(super) fn lacks_path(&mut self, stack: &Stack, path: &str) {
        let exported = stack
            .backup
            .exports
            .iter()
            .any(|export| match &export.what {
                ExportOf::Paths(paths) => paths.iter().any(|top| is_below(path, top)),
                ExportOf::Command { .. } => false,
            });
        // What infra itself leaves there is made anew.
        if exported || is_below(path, "/var/lib/infra") {
            return;
        }
        if let Some(why) = stack.waivers.get(path) {
            self.stays.push(format!(
                "{path} of stack {}: no backup, by your word: {why}",
                stack.name
            ));
            return;
        }
        let mount = stack.mounts.values().filter(|at| is_below(path, at));
        let dataset = mount
            .max_by_key(|at| at.len())
            .and_then(|at| dataset_at(self.desired, &stack.on, at));
        if let Some(known) = dataset
            .as_ref()
            .and_then(|name| self.desired.datasets.get(name))
            .filter(|known| known.waivers.contains_key(&Protection::Backup))
        {
            self.lacks_dataset(&known.name);
            return;
        }
        let what = format!("{path} of stack {}", stack.name);
        self.lacks(&what, |job| match &dataset {
            Some(dataset) => job.takes(dataset),
            None => job.host == stack.on && job.paths.iter().any(|top| is_below(path, top)),
        });
    }

    /// Something that no copy has: whether any job takes it, and which one has no copy.
    pub(super) fn lacks(&mut self, what: &str, takes: impl Fn(&BackupJob) -> bool) {
        let jobs = self.desired.backups.values().filter(|job| takes(job));
        let (read, unread): (Vec<_>, Vec<_>) =
            jobs.partition(|job| self.copies.iter().any(|copy| copy.job == job.name));
        let names = |jobs: &[&BackupJob]| {
            let names: Vec<String> = jobs.iter().map(|job| format!("`{}`", job.name)).collect();
            names.join(", ")
        };
        let said = match (read.as_slice(), unread.as_slice()) {
            ([], []) => format!("{what} is in no backup"),
            (_, unread @ [_, ..]) => {
                format!(
                    "{what} is in the backup {}, of which no copy could be read",
                    names(unread)
                )
            }
            (read, []) => format!("{what} is not in the copy of {}", names(read)),
        };
        if !self.left.contains(&said) {
            self.left.push(said);
        }
    }
}

fn is_path(name: &str) -> bool {
    name.starts_with('/')
}

/// Two parts that bring the same to the same place.
fn is_same(one: &Files, other: &Files) -> bool {
    one.job == other.job && one.folder == other.folder && one.inner == other.inner
}
