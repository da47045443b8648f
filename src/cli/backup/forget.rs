//! `infra backup forget`.

use super::choice::{chosen, shell, short, told};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::backup::BackupJob;
use crate::providers::{
    backup::{CopiesWrite as _, Forgotten},
    program::Program,
};
use clap::Args;
use std::{fmt::Write as _, sync::atomic::AtomicBool};

/// Apply the retention of backup jobs now
///
/// `infra backup run` does so after every success. Only snapshots that infra made for the job are touched.
#[derive(Debug, Clone, Args)]
pub(crate) struct ForgetArgs {
    /// Jobs of the inventory; all of them unless given
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// Show what would stay, why, and what would go; change nothing
    #[arg(long)]
    pub(crate) plan: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ForgetArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(carry_out(context, args, session))
    })
}

async fn carry_out(context: &Context, args: &ForgetArgs, session: Session) -> Result<u8, Failure> {
    let (mut code, mut text, mut rows) = (exit::DONE, String::new(), Vec::new());
    for job in chosen(&session.desired, &args.jobs)? {
        let mut done = None;
        let work = async {
            done = Some(forget(&session, job, args.plan).await?);
            Ok(exit::DONE)
        };
        let result = if args.plan {
            work.await
        } else {
            let walking = AtomicBool::new(false);
            Locks::of_backup(context, &session, job.name.as_str())
                .hold(context, &walking, work)
                .await
        };
        if let Err(failure) = result {
            if failure.code() == exit::INTERRUPTED {
                return Err(failure);
            }
            code = code.max(failure.tell(context.terminal));
            continue;
        }
        let done = done.unwrap_or_default();
        rows.push(serde_json::json!({
            "job": job.name,
            "kept": done.kept.iter().map(|(one, why)| serde_json::json!({"id": one.id, "time": one.time, "why": why})).collect::<Vec<_>>(),
            "removed": done.removed.iter().map(|one| &one.id).collect::<Vec<_>>(),
        }));
        describe(&mut text, job, &done, args.plan);
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({ "jobs": rows }));
    } else {
        context.terminal.answer(&text);
    }
    Ok(code)
}

async fn forget(session: &Session, job: &BackupJob, look: bool) -> Result<Forgotten, Failure> {
    let copies = Program::of(
        shell(session, job)?,
        &session.desired.system,
        job,
        &session.world.secrets,
    )
    .map_err(|e| told(&e))?;
    copies.forget(&job.keep, look).await.map_err(|e| told(&e))
}

fn describe(text: &mut String, job: &BackupJob, done: &Forgotten, look: bool) {
    let (stays, goes) = if look {
        ("would stay", "would go")
    } else {
        ("stays", "went")
    };
    let _ = writeln!(text, "{}: keeps {}", job.name, job.keep);
    let time = |time: &str| time.get(..19).unwrap_or(time).to_owned();
    for (one, why) in &done.kept {
        let _ = writeln!(
            text,
            "  {}  {}  {stays}: {}",
            short(&one.id),
            time(&one.time),
            why.join(", ")
        );
    }
    for one in &done.removed {
        let _ = writeln!(text, "  {}  {}  {goes}", short(&one.id), time(&one.time));
    }
}
