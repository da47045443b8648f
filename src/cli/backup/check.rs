//! `infra backup check`.

use super::choice::{chosen, records, shell, told};
use crate::backup::{Standing, standing};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::backup::BackupJob;
use crate::providers::{
    backup::{CopiesRead as _, Damage},
    program::Program,
};
use clap::Args;

/// Check repositories, and that every job has succeeded in time
///
/// Reads the repository's structure, and a part of its data. Exits with 12 when something is damaged or late.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckArgs {
    /// Jobs of the inventory; all of them unless given
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// How much of the data is read back: `5%`, `100%`, `500M`, or `0` for the structure alone
    #[arg(long, value_name = "PART", default_value = "5%", value_parser = part)]
    pub(crate) read: String,
}

fn part(text: &str) -> Result<String, String> {
    let number = text.trim_end_matches(['%', 'K', 'M', 'G', 'T']);
    let is_fine = number.parse::<u32>().is_ok()
        && text.len() - number.len() <= 1
        && !(text.ends_with('%') && number.parse::<u32>().is_ok_and(|n| n > 100));
    if is_fine {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no part: write `5%`, `100%`, `500M` or `0`"
        ))
    }
}

/// What came of one job.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) job: String,
    pub(crate) standing: Standing,
    pub(crate) damage: Option<Damage>,
    pub(crate) failure: Option<Failure>,
}

impl Checked {
    /// Its exit code.
    pub(crate) fn code(&self) -> u8 {
        match (&self.failure, &self.damage, self.standing) {
            (Some(failure), ..) => failure.code(),
            (None, None, Standing::Fresh) => exit::DONE,
            (None, ..) => exit::CHECK_FAILED,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &CheckArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let all = check_jobs(context, &session, &args.jobs, &args.read).await?;
            Ok(show(context, &all))
        })
    })
}

/// Checks jobs one after the other.
pub(crate) async fn check_jobs(
    context: &Context,
    session: &Session,
    named: &[String],
    read: &str,
) -> Result<Vec<Checked>, Failure> {
    let jobs = chosen(&session.desired, named)?;
    let mut records = records(&jobs, &session.hosts).await;
    let now = jiff::Timestamp::now().as_second();
    let mut out = Vec::new();
    for job in jobs {
        let mut one = Checked {
            job: job.name.to_string(),
            standing: Standing::Never,
            damage: None,
            failure: None,
        };
        match records.remove(&job.name) {
            Some(Ok(Some(record))) => {
                one.standing = standing(&job.schedule, Some(record.at), now);
                context
                    .terminal
                    .tell(&format!("{}: reading {read} of the repository.", job.name));
                match look(session, job, read).await {
                    Ok(damage) => one.damage = damage,
                    Err(failure) => one.failure = Some(failure),
                }
            }
            Some(Err(failure)) => one.failure = Some(failure),
            // There is no repository before the first success.
            Some(Ok(None)) | None => {}
        }
        out.push(one);
    }
    Ok(out)
}

async fn look(session: &Session, job: &BackupJob, read: &str) -> Result<Option<Damage>, Failure> {
    let copies = Program::of(
        shell(session, job)?,
        &session.desired.system,
        job,
        &session.world.secrets,
    )
    .map_err(|e| told(&e))?;
    let subset = Some(read).filter(|part| *part != "0" && *part != "0%");
    copies.check(subset).await.map_err(|e| told(&e))
}

/// Prints it; gives the exit code.
pub(crate) fn show(context: &Context, all: &[Checked]) -> u8 {
    let code = all.iter().map(Checked::code).max().unwrap_or(exit::DONE);
    if context.global.json {
        let rows: Vec<_> = all
            .iter()
            .map(|one| {
                serde_json::json!({
                    "job": one.job, "standing": one.standing, "exit": one.code(),
                    "errors": one.damage.as_ref().map(|damage| &damage.said),
                    "packs": one.damage.as_ref().map(|damage| &damage.packs),
                    "failure": one.failure.as_ref().map(Failure::text),
                })
            })
            .collect();
        context.terminal.json(&serde_json::json!({ "jobs": rows }));
        return code;
    }
    for one in all {
        if let Some(failure) = &one.failure {
            failure.tell(context.terminal);
            continue;
        }
        if let Some(damage) = &one.damage {
            let mut failure = Failure::new(
                exit::CHECK_FAILED,
                format!(
                    "the repository of {} is damaged: {} errors",
                    one.job, damage.errors
                ),
            );
            for line in damage.said.iter().take(5) {
                failure = failure.because(line.lines().next().unwrap_or_default());
            }
            failure
                .hint("Copy the repository as it is before anything else. Then see the program's own pages about damage; `infra backup run` to another repository protects meanwhile.")
                .tell(context.terminal);
            continue;
        }
        let text = match one.standing {
            Standing::Fresh => "whole and fresh".to_owned(),
            Standing::Late { hours } => format!("late: the last success was {hours} hours ago"),
            Standing::Never => "it has never succeeded".to_owned(),
        };
        context.terminal.answer(&format!("{}: {text}\n", one.job));
    }
    code
}
