//! `infra backup run`.

use super::choice::{chosen, short, told};
use crate::apply::backup::{Finished, Work, run as run_job};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::backup::BackupJob;
use crate::view::words::{count, duration, size};
use clap::Args;
use std::{fmt::Write as _, sync::atomic::AtomicBool};

/// Run backup jobs now
///
/// Databases are dumped and read back, one snapshot is taken for each zpool and mounted, the engine copies, and the copy is
/// looked up in the repository again before it counts. Then the retention is applied. A copy that is not whole is kept
/// under another tag, and the run fails.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Jobs of the inventory; all of them unless given
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// What is there now is right, also on a host that remembers none of the copies in the repository
    #[arg(long)]
    pub(crate) anew: bool,
}

/// What came of one job.
pub(crate) struct Came {
    pub(crate) job: String,
    pub(crate) code: u8,
    pub(crate) finished: Option<Finished>,
    pub(crate) failures: Vec<Failure>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let came = run_jobs(context, &session, &args.jobs, args.anew).await?;
            Ok(show(context, &came))
        })
    })
}

/// Runs jobs one after the other, each under a lock of its own. What fails is told in the result; the others go on.
pub(crate) async fn run_jobs(
    context: &Context,
    session: &Session,
    named: &[String],
    anew: bool,
) -> Result<Vec<Came>, Failure> {
    let mut out = Vec::new();
    for job in chosen(&session.desired, named)? {
        let came = one(context, session, job, anew).await?;
        out.push(came);
    }
    Ok(out)
}

async fn one(
    context: &Context,
    session: &Session,
    job: &BackupJob,
    anew: bool,
) -> Result<Came, Failure> {
    let locks = Locks::of_backup(context, session, job.name.as_str());
    let walking = AtomicBool::new(false);
    let mut finished = None;
    let say = |text: &str| context.terminal.tell(&format!("{}: {text}", job.name));
    let work = async {
        let work = Work {
            desired: &session.desired,
            job,
            hosts: &session.hosts,
            secrets: &session.world.secrets,
            anew,
            say: &say,
        };
        finished = Some(run_job(&work).await);
        Ok(exit::DONE)
    };
    let mut came = Came {
        job: job.name.to_string(),
        code: exit::DONE,
        finished: None,
        failures: Vec::new(),
    };
    if let Err(failure) = locks.hold(context, &walking, work).await {
        if failure.code() == exit::INTERRUPTED {
            return Err(failure);
        }
        came.failures.push(failure);
    }
    if let Some(done) = &finished {
        came.failures.extend(done.errors.iter().map(told));
    }
    came.code = came
        .failures
        .iter()
        .map(Failure::code)
        .fold(exit::DONE, worse);
    if let Some(done) = &finished
        && came.code == exit::DONE
        && !done.afterwards.is_empty()
    {
        came.code = exit::PARTIAL;
    }
    came.finished = finished;
    Ok(came)
}

/// The first failure's code counts.
fn worse(so_far: u8, next: u8) -> u8 {
    if so_far == exit::DONE { next } else { so_far }
}

/// Prints what came of jobs; the exit code for it.
pub(crate) fn show(context: &Context, all: &[Came]) -> u8 {
    let code = all.iter().map(|came| came.code).fold(exit::DONE, worse);
    if context.global.json {
        let rows: Vec<_> = all.iter().map(json).collect();
        context.terminal.json(&serde_json::json!({ "jobs": rows }));
        return code;
    }
    for came in all {
        for failure in &came.failures {
            failure.tell(context.terminal);
        }
        let Some(done) = &came.finished else { continue };
        for error in &done.afterwards {
            told(error).tell(context.terminal);
        }
        match &done.record {
            Some(record) => {
                let mut text = format!(
                    "{}: {} and {} are in snapshot {} ({} new, {})",
                    came.job,
                    count(
                        usize::try_from(record.files).unwrap_or(usize::MAX),
                        "file",
                        "files"
                    ),
                    size(record.bytes),
                    short(&record.snapshot),
                    size(record.added),
                    duration(record.seconds * 1000),
                );
                for dump in record.sources.iter().filter(|one| one.sha256.is_some()) {
                    let rows = dump
                        .rows
                        .map(|rows| format!(", {rows} rows"))
                        .unwrap_or_default();
                    let items = dump.items.unwrap_or_default();
                    let _ = write!(text, "\n  dump {}: {items} parts{rows}", dump.name);
                }
                if let Some(gone) = done.forgotten.filter(|gone| *gone > 0) {
                    let _ = write!(
                        text,
                        "\n  {} went by the retention",
                        count(gone, "snapshot", "snapshots")
                    );
                }
                context.terminal.answer(&format!("{text}\n"));
            }
            None if done.unproven => {
                context.terminal.complain(&format!(
                    "{}: what was copied stays in the repository and does not count. The last good backup is untouched.",
                    came.job
                ));
            }
            None => {
                context.terminal.complain(&format!(
                    "{}: nothing was copied. The last good backup is untouched.",
                    came.job
                ));
            }
        }
    }
    code
}

fn json(came: &Came) -> serde_json::Value {
    let errors: Vec<String> = came.failures.iter().map(Failure::text).collect();
    let done = came.finished.as_ref();
    let afterwards: Vec<String> = done
        .map(|done| {
            done.afterwards
                .iter()
                .map(|error| told(error).text())
                .collect()
        })
        .unwrap_or_default();
    serde_json::json!({
        "job": came.job,
        "exit": came.code,
        "record": done.and_then(|done| done.record.as_ref()),
        "unproven": done.is_some_and(|done| done.unproven),
        "forgotten": done.and_then(|done| done.forgotten),
        "errors": errors,
        "afterwards": afterwards,
    })
}
