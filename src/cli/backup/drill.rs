//! `infra backup drill`.

use super::{
    choice::{chosen, short, told},
    copies::{found, stamp},
    live_restore::{directories, no_such},
};
use crate::apply::backup::{Back, Drilled, Exercise, drill, mark_proven};
use crate::backup::{Goal, restoration};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::backup::BackupJob;
use crate::providers::backup::{Restored, remember};
use crate::view::words::{count, duration, size};
use clap::Args;
use std::{collections::BTreeMap, fmt::Write as _, sync::atomic::AtomicBool, time::Instant};

/// Prove that backups come back
///
/// The newest copy comes back below the job's `scratch`, never over anything. Every file is counted, and compared with its
/// live one where nobody has touched that since. Each dump has the hash that it was made with; it is loaded into a
/// throw-away container of its database's image, without any network, its rows are counted and its stack's assertions
/// asked. Then all of it is removed, and `infra backup list`, `infra status` and the metrics say when a restore was last
/// proven.
#[derive(Debug, Clone, Args)]
pub(crate) struct DrillArgs {
    /// Jobs of the inventory; all of them unless given
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// Only this of one job, as `infra backup restore` names it; can be repeated
    #[arg(long, value_name = "WHAT")]
    pub(crate) part: Vec<String>,
    /// Leave what came back for a look
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DrillArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { drills(context, &session, args).await })
    })
}

/// Holds a drill of each job, one after the other.
pub(crate) async fn drills(
    context: &Context,
    session: &Session,
    args: &DrillArgs,
) -> Result<u8, Failure> {
    let jobs = chosen(&session.desired, &args.jobs)?;
    if !args.part.is_empty() && jobs.len() != 1 {
        return Err(Failure::new(exit::USAGE, "a part is a part of one job").hint("Name the job."));
    }
    let (mut code, mut rows) = (exit::DONE, Vec::new());
    for job in jobs {
        let (ended, row) = match locked(context, session, job, args).await {
            Ok(done) => done,
            Err(failure) if failure.code() == exit::INTERRUPTED => return Err(failure),
            Err(failure) => {
                let ended = failure.tell(context.terminal);
                (
                    ended,
                    serde_json::json!({ "job": job.name, "exit": ended, "errors": [failure.text()] }),
                )
            }
        };
        if code == exit::DONE {
            code = ended;
        }
        rows.push(row);
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({ "jobs": rows }));
    }
    Ok(code)
}

/// A drill of one job of the inventory as a night holds it.
pub(crate) async fn of_night(
    context: &Context,
    session: &Session,
    name: &str,
) -> Result<u8, Failure> {
    let args = DrillArgs {
        jobs: vec![name.to_owned()],
        part: Vec::new(),
        keep: false,
    };
    let mut code = exit::DONE;
    for job in chosen(&session.desired, &args.jobs)? {
        code = locked(context, session, job, &args).await?.0;
    }
    Ok(code)
}

/// A drill while neither a run of the job nor a restore goes on.
async fn locked(
    context: &Context,
    session: &Session,
    job: &BackupJob,
    args: &DrillArgs,
) -> Result<(u8, serde_json::Value), Failure> {
    let mut row = serde_json::Value::Null;
    let work = async {
        let (ended, said) = one(context, session, job, args).await?;
        row = said;
        Ok(ended)
    };
    let walking = AtomicBool::new(false);
    let locks = Locks::of_drill(context, session, job.name.as_str());
    let ended = locks.hold(context, &walking, work).await?;
    Ok((ended, row))
}

async fn one(
    context: &Context,
    session: &Session,
    job: &BackupJob,
    args: &DrillArgs,
) -> Result<(u8, serde_json::Value), Failure> {
    let began = Instant::now();
    let from = found(session, job, None).await?;
    let goal = Goal::Parts(job.name.clone(), args.part.clone());
    let copies = [from.copy.clone()];
    let made = restoration(&session.desired, &copies, &BTreeMap::new(), &goal).map_err(no_such)?;
    let (mut files, mut loads) = (Vec::new(), Vec::new());
    for group in made.groups {
        files.extend(group.files);
        loads.extend(group.loads);
    }
    let record = from
        .record
        .filter(|record| record.snapshot == from.copy.snapshot);
    let counted = record.iter().flat_map(|record| &record.sources);
    let stamp = stamp();
    let back = Back {
        desired: &session.desired,
        hosts: &session.hosts,
        secrets: &session.world.secrets,
        stamp: &stamp,
    };
    let say = |text: &str| context.terminal.tell(&format!("{}: {text}", job.name));
    let directories = directories(session);
    let exercise = Exercise {
        job,
        directories: &directories,
        at: from.copy.at,
        bytes: record
            .as_ref()
            .filter(|_| args.part.is_empty())
            .map(|record| record.bytes),
        files,
        counted: counted
            .filter_map(|source| Some((source.name.clone(), source.files?)))
            .collect(),
        loads,
        keep: args.keep,
        say: &say,
    };
    let mut drilled = drill(&back, &exercise).await;
    drilled.notes.extend(made.left);
    drilled.notes.extend(made.stays);
    if drilled.errors.is_empty() {
        let now = jiff::Timestamp::now();
        let proven = Restored {
            at: now.as_second(),
            snapshot: from.copy.snapshot.clone(),
            files: drilled.files,
            rows: drilled.rows,
            parts: args.part.clone(),
        };
        if let Some(mut record) = record {
            let shell = super::choice::shell(session, job)?;
            record.proven = Some(proven);
            if let Err(error) = remember(shell, &record).await {
                drilled.errors.push(error);
            }
        } else {
            drilled.notes.push(format!(
                "{} remembers no run of this copy, so nothing is remembered of this drill",
                job.host
            ));
        }
        let datasets: Vec<_> = exercise
            .files
            .iter()
            .filter(|part| part.inner.is_none() && part.live.is_some())
            .filter_map(|part| part.dataset.clone())
            .collect();
        if let Err(error) = mark_proven(&back, job, &datasets, &now.to_string()).await {
            drilled
                .notes
                .push(crate::cli::failure::failed(&error).text());
        }
    }
    let code = drilled
        .errors
        .first()
        .map_or(exit::DONE, |error| told(error).code());
    let seconds = began.elapsed().as_secs();
    if !context.global.json {
        show(context, job, &from.copy.snapshot, &drilled, seconds);
    }
    let errors: Vec<String> = drilled
        .errors
        .iter()
        .map(|error| told(error).text())
        .collect();
    Ok((
        code,
        serde_json::json!({
            "job": job.name, "snapshot": from.copy.snapshot, "exit": code, "files": drilled.files,
            "bytes": drilled.bytes, "alike": drilled.alike, "changed": drilled.changed,
            "databases": drilled.databases, "rows": drilled.rows, "assertions": drilled.held,
            "notes": drilled.notes, "errors": errors, "seconds": seconds,
        }),
    ))
}

fn show(context: &Context, job: &BackupJob, snapshot: &str, drilled: &Drilled, seconds: u64) {
    for error in &drilled.errors {
        told(error).tell(context.terminal);
    }
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let mut text = format!(
        "{}: {} and {} came back from {} ({}); {} alike to the last byte, {} changed since",
        job.name,
        count(number(drilled.files), "file", "files"),
        size(drilled.bytes),
        short(snapshot),
        duration(seconds * 1000),
        drilled.alike,
        drilled.changed,
    );
    if drilled.databases > 0 {
        let _ = write!(
            text,
            "\n  {} started without a network: {} rows, {}",
            count(number(drilled.databases), "database", "databases"),
            drilled.rows,
            count(number(drilled.held), "assertion holds", "assertions hold")
        );
    }
    for note in &drilled.notes {
        let _ = write!(text, "\n  {note}");
    }
    if drilled.errors.is_empty() {
        context.terminal.answer(&format!("{text}\n"));
    } else {
        context.terminal.complain(&format!(
            "{text}\n{}: the drill is not passed. Nothing live was touched, and the last proven restore stays what it was.",
            job.name
        ));
    }
}
