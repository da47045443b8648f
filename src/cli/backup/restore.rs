//! `infra backup restore`: what a backup holds, beside what lives.

use super::choice::{chosen, records, shell, told};
use crate::backup::{Wanted, lives, wanted};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{backup::BackupJob, ids::DatasetName};
use crate::providers::{
    backup::Record,
    restic::{Restic, Snapshot},
    shell::{Command, Shell as _},
};
use crate::view::words::{count, size};
use clap::Args;
use std::{fmt::Write as _, sync::atomic::AtomicBool};

/// Bring back what a backup holds, beside what lives
///
/// Goes into a new directory of the job's host, below its `scratch` unless `--to` names one. It never writes over anything: a
/// directory that holds something, or where data of the inventory lives, is refused. From there you copy back what you need.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestoreArgs {
    /// Job of the inventory
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// `tank/photos`, `tank/photos:2024/a.jpg`, `/etc/pve`, a dump as `immich/database.immich.pgdump`; everything unless
    /// given
    #[arg(value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// Snapshot by the beginning of its id, as `infra backup list` shows it; the newest unless given
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot: Option<String>,
    /// Absolute path on the job's host that is not there yet, or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RestoreArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let locks = Locks::of_backup(context, &session, &args.job);
            let walking = AtomicBool::new(false);
            locks
                .hold(context, &walking, restore(context, args, &session))
                .await
        })
    })
}

async fn restore(context: &Context, args: &RestoreArgs, session: &Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let job = chosen(desired, std::slice::from_ref(&args.job))?
        .pop()
        .ok_or_else(|| Failure::new(exit::USAGE, "no job is named"))?;
    let target = target(args, session, job)?;
    let record = match records(&[job], &session.hosts).await.remove(&job.name) {
        Some(record) => record?,
        None => None,
    };
    let record = record.ok_or_else(|| {
        Failure::new(
            exit::FAILED,
            format!("the backup {} has never succeeded", job.name),
        )
        .hint("There is nothing to bring back. `infra backup list` shows all jobs.")
    })?;
    let shell = shell(session, job)?;
    let restic =
        Restic::new(shell, &desired.system, job, &session.world.secrets).map_err(|e| told(&e))?;
    let snapshot = snapshot(args, restic.snapshots().await.map_err(|e| told(&e))?)?;
    let all = everything(args, job, &record, &snapshot)?;
    empty(shell, &target).await?;
    let (mut text, mut rows) = (String::new(), Vec::new());
    for one in &all {
        context
            .terminal
            .tell(&format!("{}: bringing back {}.", job.name, one.name));
        let place = format!("{target}/{}", one.place);
        let (files, bytes) = restic
            .restore(&snapshot.id, &one.folder, one.inner.as_deref(), &place)
            .await
            .map_err(|error| {
                told(&error).hint(format!(
                    "What has come back so far is in {target} on {}. Nothing else was touched.",
                    job.host
                ))
            })?;
        rows.push(
            serde_json::json!({ "what": one.name, "at": place, "entries": files, "bytes": bytes }),
        );
        let entries = count(
            usize::try_from(files).unwrap_or(usize::MAX),
            "entry",
            "entries",
        );
        let _ = writeln!(text, "{}: {entries}, {} in {place}", one.name, size(bytes));
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "job": job.name, "snapshot": snapshot.id, "time": snapshot.time, "host": job.host, "restored": rows,
        }));
    } else {
        context.terminal.answer(&text);
        context.terminal.tell(&format!(
            "It is on {} as of {}. Remove it when you have what you need.",
            job.host,
            snapshot.time.get(..19).unwrap_or(&snapshot.time)
        ));
    }
    Ok(exit::DONE)
}

/// A directory of its own where nothing lives.
fn target(args: &RestoreArgs, session: &Session, job: &BackupJob) -> Result<String, Failure> {
    let target = match &args.to {
        None => format!("{}/{}-{:08x}", job.scratch, job.name, rand::random::<u32>()),
        Some(path) => path.trim_end_matches('/').to_owned(),
    };
    let is_plain = target.len() > 1
        && target.starts_with('/')
        && !target.contains('\n')
        && target
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."));
    if !is_plain {
        return Err(Failure::new(
            exit::USAGE,
            format!("`{target}` is not an absolute path"),
        ));
    }
    if let Some(what) = lives(&session.desired, job, &target) {
        return Err(Failure::new(
            exit::REFUSED,
            format!("{target} on {} is live: {what} is there", job.host),
        )
        .hint("Bring it back beside what lives, and copy what you need: leave `--to` out, or name a directory of its own."));
    }
    Ok(target)
}

/// The newest, or the one that begins with an id.
fn snapshot(args: &RestoreArgs, mut all: Vec<Snapshot>) -> Result<Snapshot, Failure> {
    let Some(id) = &args.snapshot else {
        return all.pop().ok_or_else(|| {
            Failure::new(
                exit::FAILED,
                "the repository holds no proven snapshot of this job",
            )
        });
    };
    all.retain(|one| id.len() >= 4 && one.id.starts_with(id.as_str()));
    match all.pop() {
        Some(one) if all.is_empty() => Ok(one),
        Some(_) => Err(Failure::new(
            exit::USAGE,
            format!("several snapshots begin with `{id}`"),
        )),
        None => Err(Failure::new(
            exit::USAGE,
            format!("no proven snapshot of this job begins with `{id}`"),
        )
        .hint("`infra backup list` shows them; four characters at least.")),
    }
}

/// What is asked for, by what the snapshot says that it holds.
fn everything(
    args: &RestoreArgs,
    job: &BackupJob,
    record: &Record,
    snapshot: &Snapshot,
) -> Result<Vec<Wanted>, Failure> {
    let lead = format!("{}/data/", job.run_folder());
    let datasets: Vec<DatasetName> = snapshot
        .paths
        .iter()
        .filter_map(|path| path.strip_prefix(&lead)?.strip_suffix("/@"))
        .filter_map(|name| DatasetName::new(name).ok())
        .collect();
    let dumps: Vec<(String, String)> = record
        .sources
        .iter()
        .filter(|source| source.sha256.is_some())
        .map(|source| (source.name.clone(), source.path.clone()))
        .collect();
    let mut names = args.what.clone();
    if names.is_empty() {
        names.extend(datasets.iter().map(ToString::to_string));
        names.extend(job.paths.iter().cloned());
        // Those that lie on a dataset come with it.
        let staged = dumps
            .iter()
            .filter(|(_, path)| path.starts_with(&job.stage()));
        names.extend(staged.map(|(name, _)| name.clone()));
    }
    names
        .iter()
        .map(|text| {
            wanted(job, &datasets, &dumps, text).map_err(|why| Failure::new(exit::USAGE, why))
        })
        .collect()
}

/// Makes the target; one that holds something is refused.
async fn empty(shell: &crate::providers::ssh::SshHost, target: &str) -> Result<(), Failure> {
    let failed = |error| told(&crate::providers::backup::BackupError::Shell(error));
    shell
        .demand(Command::new(["mkdir", "-p", "-m", "0700", "--", target]))
        .await
        .map_err(failed)?;
    let there = shell
        .demand(Command::new([
            "find",
            target,
            "-mindepth",
            "1",
            "-maxdepth",
            "1",
            "-print",
            "-quit",
        ]))
        .await
        .map_err(failed)?;
    if there.text().trim().is_empty() {
        return Ok(());
    }
    Err(
        Failure::new(exit::REFUSED, format!("{target} holds something already"))
            .hint("Nothing was brought back. Name a directory that is not there yet."),
    )
}
