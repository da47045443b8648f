//! `infra backup list`.

use super::choice::{chosen, records, shell, short, told};
use crate::backup::{Standing, standing};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::backup::BackupJob;
use crate::providers::{
    backup::{CopiesRead as _, Record, Snapshot},
    program::Program,
};
use crate::view::{palette, words::size};
use clap::Args;
use std::fmt::Write as _;

/// Show backup jobs with their snapshots
///
/// Only snapshots that were proven are shown: those that `infra backup restore` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Jobs of the inventory; all of them unless given
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ListArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &ListArgs, session: Session) -> Result<u8, Failure> {
    let jobs = chosen(&session.desired, &args.jobs)?;
    let mut records = records(&jobs, &session.hosts).await;
    let now = jiff::Timestamp::now().as_second();
    let (mut code, mut rows, mut text) = (exit::DONE, Vec::new(), String::new());
    for job in jobs {
        let record = match records.remove(&job.name) {
            Some(Ok(record)) => record,
            Some(Err(failure)) => {
                code = code.max(failure.tell(context.terminal));
                continue;
            }
            None => None,
        };
        let snapshots = match &record {
            // There is no repository before the first success.
            None => Ok(Vec::new()),
            Some(_) => snapshots(&session, job).await,
        };
        let snapshots = match snapshots {
            Ok(snapshots) => snapshots,
            Err(failure) => {
                code = code.max(failure.tell(context.terminal));
                Vec::new()
            }
        };
        let stands = standing(&job.schedule, record.as_ref().map(|record| record.at), now);
        rows.push(serde_json::json!({
            "job": job.name, "host": job.host, "engine": job.engine, "repository": job.repository.to_string(),
            "schedule": job.schedule, "standing": stands, "last": record, "snapshots": snapshots,
        }));
        describe(&mut text, job, record.as_ref(), stands, &snapshots);
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({ "jobs": rows }));
    } else {
        context.terminal.answer(&text);
    }
    Ok(code)
}

async fn snapshots(session: &Session, job: &BackupJob) -> Result<Vec<Snapshot>, Failure> {
    let copies = Program::of(
        shell(session, job)?,
        &session.desired.system,
        job,
        &session.world.secrets,
    )
    .map_err(|e| told(&e))?;
    copies.snapshots().await.map_err(|e| told(&e))
}

fn describe(
    text: &mut String,
    job: &BackupJob,
    record: Option<&Record>,
    stands: Standing,
    snapshots: &[Snapshot],
) {
    let mark = match stands {
        Standing::Fresh => palette::good("✓"),
        Standing::Late { .. } | Standing::Never => palette::bad("✗"),
    };
    let state = match stands {
        Standing::Fresh => "fresh".to_owned(),
        Standing::Late { hours } => format!("late: the last success was {hours} hours ago"),
        Standing::Never => "it has never succeeded".to_owned(),
    };
    let _ = writeln!(
        text,
        "{mark} {} ({} on {}, {}): {state}",
        job.name, job.engine, job.host, job.schedule
    );
    let _ = writeln!(text, "    {}", job.repository);
    if let Some(proven) = record.and_then(|record| record.proven.as_ref()) {
        let at = jiff::Timestamp::from_second(proven.at).map(|at| at.to_string());
        let _ = writeln!(text, "    a restore was proven {}", at.unwrap_or_default());
    }
    for snapshot in snapshots {
        let counts = snapshot.summary.as_ref().map(|counts| {
            format!(
                "  {:>9} files  {:>10}",
                counts.total_files_processed,
                size(counts.total_bytes_processed)
            )
        });
        let _ = writeln!(
            text,
            "    {}  {}{}",
            short(&snapshot.id),
            snapshot.time.get(..19).unwrap_or(&snapshot.time),
            counts.unwrap_or_default()
        );
    }
}
