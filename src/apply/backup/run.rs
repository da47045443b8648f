//! One run of a job, from the first dump to the record of its success.
//!
//! Nothing that was good before is touched until the new copy has been seen again in the repository; what is not proven
//! keeps another tag, so that no retention ever counts it.

use super::dumps::dumps;
use crate::backup::{Night, label, leftovers, night};
use crate::model::{
    backup::BackupJob,
    desired::Desired,
    ids::{DatasetName, HostName, SnapshotName, ZpoolName},
    secret::SecretValues,
    snapshot::{MARK, RUN as RUN_PROPERTY, SnapshotId, Survey, mark, our_name},
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead as _, CopiesWrite as _, Counted, Manifest, Record, Snapshot,
        Source, last, remember,
    },
    program::Program,
    shell::{Command, Shell as _},
    ssh::SshHost,
    zfs::{self, Zfs, ZfsError, ZfsRead as _},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// What a run needs.
pub struct Work<'a> {
    /// The inventory.
    pub desired: &'a Desired,
    /// The job.
    pub job: &'a BackupJob,
    /// Hosts with a shell.
    pub hosts: &'a BTreeMap<HostName, SshHost>,
    /// Values of secrets.
    pub secrets: &'a SecretValues,
    /// Copies of before do not matter, where the host remembers none.
    pub anew: bool,
    /// Hears of each step before it is taken.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// The record of this success; none when there was none.
    pub record: Option<Record>,
    /// What went wrong, in order.
    pub errors: Vec<BackupError>,
    /// A partial copy that stays in the repository, unproven.
    pub unproven: bool,
    /// Snapshots that went by the retention.
    pub forgotten: Option<usize>,
    /// What went wrong after the proof: the backup is good all the same.
    pub afterwards: Vec<BackupError>,
}

impl Work<'_> {
    pub(super) fn shell(&self, host: &HostName) -> Result<&SshHost, BackupError> {
        self.hosts.get(host).ok_or_else(|| BackupError::Source {
            host: host.to_string(),
            said: "the inventory gives no shell access to it".to_owned(),
        })
    }
}

impl Finished {
    /// Nothing was copied.
    fn failed(errors: Vec<BackupError>) -> Self {
        Self {
            record: None,
            errors,
            unproven: false,
            forgotten: None,
            afterwards: Vec::new(),
        }
    }
}

/// Runs a job.
pub async fn run(work: &Work<'_>) -> Finished {
    let began = Instant::now();
    let shell = match work.shell(&work.job.host) {
        Ok(shell) => shell,
        Err(error) => return Finished::failed(vec![error]),
    };
    let copies = match Program::of(shell, &work.desired.system, work.job, work.secrets) {
        Ok(copies) => copies,
        Err(error) => return Finished::failed(vec![error]),
    };
    let before = match ready(work, shell, &copies).await {
        Ok(before) => before,
        Err(error) => return Finished::failed(vec![error]),
    };
    let survey = match survey(work, shell).await {
        Ok(survey) => survey,
        Err(error) => return Finished::failed(vec![error]),
    };
    let plan = night(work.desired, work.job, survey.as_ref());
    let mut errors: Vec<BackupError> = plan
        .unreadable
        .iter()
        .map(|said| BackupError::Source {
            host: work.job.host.to_string(),
            said: said.clone(),
        })
        .collect();
    let mut sources = dumps(work, &plan, &mut errors).await;
    let moment = match taken(work, shell, &plan, survey.as_ref()).await {
        Ok(moment) => moment,
        Err(error) => {
            errors.push(error);
            return Finished::failed(errors);
        }
    };
    let manifest = Manifest {
        system: work.desired.system.to_string(),
        job: work.job.name.to_string(),
        at: moment.at,
        sources: plan_sources(&plan, work)
            .chain(sources.iter().cloned())
            .collect(),
    };
    if let Err(error) = manifest.write(shell, &work.job.stage()).await {
        errors.push(error);
    }
    let (copied, made) = copy(work, &copies, &plan, &moment, before.as_ref(), &mut errors).await;
    let mut afterwards = Vec::new();
    if let Err(error) = destroy(shell, &moment.snapshots).await {
        afterwards.push(error);
    }
    let Some(copied) = copied else {
        return Finished {
            unproven: made,
            afterwards,
            ..Finished::failed(errors)
        };
    };
    sources.splice(0..0, copied.sources);
    let record = Record {
        job: work.job.name.to_string(),
        snapshot: copied.snapshot.id.clone(),
        at: moment.at,
        seconds: began.elapsed().as_secs(),
        files: copied.files,
        bytes: copied.bytes,
        added: copied.added,
        sources,
        proven: before.and_then(|before| before.proven),
    };
    if let Err(error) = remember(shell, &record).await {
        errors.push(error);
        return Finished {
            afterwards,
            ..Finished::failed(errors)
        };
    }
    let forgotten = match copies.forget(&work.job.keep, false).await {
        Ok(done) => Some(done.removed.len()),
        Err(error) => {
            afterwards.push(error);
            None
        }
    };
    Finished {
        record: Some(record),
        unproven: false,
        errors,
        forgotten,
        afterwards,
    }
}

/// Opens the repository; makes it where the job has never succeeded. A repository that was there and is not any more is
/// never made anew: its disk may not be mounted.
async fn ready(
    work: &Work<'_>,
    shell: &SshHost,
    copies: &Program<'_, SshHost>,
) -> Result<Option<Record>, BackupError> {
    copies.ready().await?;
    let before = last(shell, work.job.name.as_str()).await?;
    match copies.open().await {
        Ok(()) if before.is_none() && !work.anew => known(work, copies).await.map(|()| before),
        Ok(()) => Ok(before),
        Err(BackupError::NoRepository { .. }) if before.is_none() => {
            place(work, shell).await?;
            (work.say)(&format!("Making the repository {}.", work.job.repository));
            copies.init().await?;
            Ok(before)
        }
        Err(error) => Err(error),
    }
}

/// A host that remembers nothing makes the first copies of a job. Where there are some already it was built anew, and what it
/// holds may be nothing: the newest copy is what comes back.
async fn known(work: &Work<'_>, copies: &Program<'_, SshHost>) -> Result<(), BackupError> {
    match copies.snapshots().await?.len() {
        0 => Ok(()),
        copies => Err(BackupError::Anew {
            job: work.job.name.to_string(),
            host: work.job.host.to_string(),
            copies,
        }),
    }
}

/// A repository on a dataset is made only where the dataset is mounted.
async fn place(work: &Work<'_>, shell: &SshHost) -> Result<(), BackupError> {
    use crate::model::backup::Repository;
    let Repository::Path {
        dataset: Some(dataset),
        ..
    } = &work.job.repository
    else {
        return Ok(());
    };
    let owner = work.desired.datasets.get(dataset);
    if owner.is_none_or(|owner| owner.host != work.job.host) {
        return Ok(());
    }
    let asked = Command::new([
        "zfs",
        "get",
        "-Hp",
        "-o",
        "value",
        "mounted",
        dataset.as_str(),
    ]);
    let output = shell.run(asked).await?;
    if output.text().trim() == "yes" {
        return Ok(());
    }
    Err(BackupError::NoRepository {
        place: format!(
            "{} (the dataset {dataset} is not mounted)",
            work.job.repository
        ),
    })
}

fn zfs(work: &Work<'_>, error: ZfsError) -> BackupError {
    if let ZfsError::Shell(error) = error {
        return BackupError::Shell(error);
    }
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    BackupError::Source {
        host: work.job.host.to_string(),
        said,
    }
}

async fn survey(work: &Work<'_>, shell: &SshHost) -> Result<Option<Survey>, BackupError> {
    let pools: BTreeSet<&str> = work.job.datasets.iter().map(DatasetName::zpool).collect();
    if pools.is_empty() {
        return Ok(None);
    }
    let pools: Vec<ZpoolName> = pools
        .into_iter()
        .filter_map(|name| ZpoolName::new(name).ok())
        .collect();
    let seen = Zfs(shell)
        .survey(&pools)
        .await
        .map_err(|error| zfs(work, error))?;
    let left = leftovers(work.desired, work.job, &seen);
    if !left.is_empty() {
        (work.say)("Removing snapshots that an earlier run left.");
        destroy(shell, &left).await?;
    }
    Ok(Some(seen))
}

async fn destroy(shell: &SshHost, snapshots: &[SnapshotId]) -> Result<(), BackupError> {
    if snapshots.is_empty() {
        return Ok(());
    }
    let failed = |said: String| BackupError::Source {
        host: shell.host().to_string(),
        said,
    };
    let done = zfs::destroy(shell, snapshots)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match done.left.first() {
        None => Ok(()),
        Some((snapshot, said)) => Err(failed(format!(
            "{snapshot} stays until the next run: {said}"
        ))),
    }
}

/// The moment of a run.
struct Moment {
    at: i64,
    name: Option<SnapshotName>,
    snapshots: Vec<SnapshotId>,
}

/// One snapshot for each zpool.
async fn taken(
    work: &Work<'_>,
    shell: &SshHost,
    plan: &Night,
    survey: Option<&Survey>,
) -> Result<Moment, BackupError> {
    let clock = if let Some(survey) = survey {
        survey.clock
    } else {
        let text = shell.demand(Command::new(["date", "+%s"])).await?.text();
        text.trim().parse().map_err(|_| BackupError::Garbled {
            program: "date".to_owned(),
            why: text.trim().to_owned(),
        })?
    };
    let mut out = Moment {
        at: clock,
        name: None,
        snapshots: Vec::new(),
    };
    if plan.datasets.is_empty() {
        return Ok(out);
    }
    let garbled = |why: &str| BackupError::Garbled {
        program: "date".to_owned(),
        why: why.to_owned(),
    };
    let stamp = jiff::Timestamp::from_second(clock).map_err(|e| garbled(&e.to_string()))?;
    let name =
        our_name(&label(work.job), stamp).ok_or_else(|| garbled("the snapshot has no name"))?;
    let properties = BTreeMap::from([
        (MARK.to_owned(), mark(&work.desired.system, &name)),
        (RUN_PROPERTY.to_owned(), format!("backup {}", work.job.name)),
    ]);
    let pools: BTreeSet<&str> = plan.datasets.iter().map(DatasetName::zpool).collect();
    for pool in pools {
        let together: BTreeSet<DatasetName> = plan
            .datasets
            .iter()
            .filter(|name| name.zpool() == pool)
            .cloned()
            .collect();
        (work.say)(&format!(
            "Taking a snapshot of {} in {pool}.",
            together.len()
        ));
        let done = zfs::take(shell, &together, &name, &properties).await;
        if let Err(error) = done {
            let _ = destroy(shell, &out.snapshots).await;
            return Err(zfs(work, error));
        }
        out.snapshots
            .extend(together.into_iter().map(|dataset| SnapshotId {
                dataset,
                name: name.clone(),
            }));
    }
    out.name = Some(name);
    Ok(out)
}

struct Copied {
    snapshot: Snapshot,
    files: u64,
    bytes: u64,
    added: u64,
    sources: Vec<Source>,
}

/// Copies, and proves the copy. With an error before it the copy is made all the same, and stays unproven. Beside it: whether
/// anything lies in the repository now.
async fn copy(
    work: &Work<'_>,
    copies: &Program<'_, SshHost>,
    plan: &Night,
    moment: &Moment,
    before: Option<&Record>,
    errors: &mut Vec<BackupError>,
) -> (Option<Copied>, bool) {
    let mounts = moment
        .name
        .as_ref()
        .map(|name| plan.mounts(work.job, name))
        .unwrap_or_default();
    let roots = plan.roots(work.job);
    if roots.is_empty() {
        errors.push(BackupError::Unproven {
            why: "there is nothing to copy".to_owned(),
        });
        return (None, false);
    }
    (work.say)(&format!("Copying to {}.", work.job.repository));
    let (summary, counts) = match copies.backup(&mounts, &roots).await {
        Ok(done) => done,
        Err(error) => {
            let made = matches!(
                error,
                BackupError::Engine { code: 3, .. } | BackupError::Unproven { .. }
            );
            errors.push(error);
            return (None, made);
        }
    };
    let sources = sources(work, plan, &counts);
    // The manifest is always there.
    if summary.files <= 1 {
        errors.push(BackupError::Unproven {
            why: "there is not one file in it".to_owned(),
        });
    }
    for source in sources.iter().filter(|source| source.is_empty) {
        let held = before.is_some_and(|before| {
            before
                .sources
                .iter()
                .any(|old| old.name == source.name && !old.is_empty)
        });
        if held {
            errors.push(BackupError::Unproven {
                why: format!("{} is empty, and held files last time", source.name),
            });
        }
    }
    if !errors.is_empty() {
        return (None, true);
    }
    let proven = match copies.prove(&summary.id, &roots).await {
        Ok(snapshot) => Some(Copied {
            snapshot,
            files: summary.files,
            bytes: summary.bytes,
            added: summary.added,
            sources,
        }),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    (proven, true)
}

/// Datasets and paths, before anything is known of them.
fn plan_sources<'p>(plan: &'p Night, work: &'p Work<'_>) -> impl Iterator<Item = Source> + 'p {
    let datasets = plan
        .datasets
        .iter()
        .map(|name| (name.to_string(), work.job.mount_of(name)));
    let paths = plan.paths.iter().map(|path| (path.clone(), path.clone()));
    datasets.chain(paths).map(|(name, path)| Source {
        name,
        path,
        ..Source::default()
    })
}

/// Datasets and paths with how many files each holds.
fn sources(work: &Work<'_>, plan: &Night, counts: &[Counted]) -> Vec<Source> {
    plan_sources(plan, work)
        .map(|source| {
            let counted = counts.iter().find(|one| one.path == source.path);
            Source {
                is_empty: counted.is_some_and(|one| one.owners == 0),
                files: counted.map(|one| one.files),
                ..source
            }
        })
        .collect()
}
