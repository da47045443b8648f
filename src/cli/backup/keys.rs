//! `infra backup keys`: what is needed to open the backups when nothing else is left.

use super::choice::chosen;
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{
    backup::{BackupJob, Engine, Repository},
    ids::SecretName,
};
use clap::Args;
use std::fmt::Write as _;

/// Show what opens the backups, and print the emergency sheet
///
/// With `--export` the passwords themselves are printed, to be kept on paper far from the machines: without them every
/// backup is lost.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeysArgs {
    /// Print the sheet with the passwords
    #[arg(long)]
    pub(crate) export: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &KeysArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { show(context, args, &session) })
    })
}

fn show(context: &Context, args: &KeysArgs, session: &Session) -> Result<u8, Failure> {
    let jobs = chosen(&session.desired, &[])?;
    if !args.export {
        let mut text = String::new();
        for job in &jobs {
            let names: Vec<String> = job.secrets().iter().map(ToString::to_string).collect();
            let _ = writeln!(
                text,
                "{}: {} opens with {}",
                job.name,
                job.repository,
                names.join(", ")
            );
        }
        context.terminal.answer(&text);
        context.terminal.tell("`infra backup keys --export` prints the passwords: on paper, they open the backups when everything else is gone.");
        return Ok(exit::DONE);
    }
    let mut text = format!(
        "EMERGENCY SHEET of {}, printed {}\n\nKeep it on paper, away from the machines. Whoever has it can read every backup.\n",
        session.desired.system,
        jiff::Timestamp::now().strftime("%Y-%m-%d")
    );
    for job in &jobs {
        sheet(&mut text, session, job)?;
    }
    context.terminal.answer(&text);
    Ok(exit::DONE)
}

fn sheet(text: &mut String, session: &Session, job: &BackupJob) -> Result<(), Failure> {
    // The one place where a secret is printed: it is what was asked for.
    let value = |name: &SecretName| {
        session
            .world
            .secrets
            .expose(name)
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(exit::INVALID, format!("the secret {name} has no value")))
    };
    let password = value(&job.password)?;
    let _ = write!(
        text,
        "\n== {}\nProgram:     {}\nRepository:  {} (as seen from {})\nPassword:    {password}\n",
        job.name, job.engine, job.repository, job.host
    );
    match &job.repository {
        Repository::Path { .. } => {}
        Repository::Ssh(place) => {
            let _ = write!(
                text,
                "Host key:    {}\nPrivate key:\n{}\n",
                place.host_key,
                value(&place.key)?.trim_end()
            );
        }
        Repository::S3(place) => {
            let _ = write!(
                text,
                "Access key:  {}\nSecret key:  {}\n",
                value(&place.access_key)?,
                value(&place.secret_key)?
            );
        }
    }
    let by_hand = match job.engine {
        Engine::Restic => {
            "restic -r REPOSITORY snapshots; restic -r REPOSITORY restore SNAPSHOT --target /mnt/restored"
        }
        Engine::Borg => {
            "borg list REPOSITORY; mkdir /mnt/restored; cd /mnt/restored; borg extract --numeric-ids REPOSITORY::ARCHIVE"
        }
    };
    let _ = writeln!(text, "By hand:     {by_hand}");
    let sources: Vec<String> = job
        .datasets
        .iter()
        .map(ToString::to_string)
        .chain(job.paths.iter().cloned())
        .chain(job.stacks.iter().map(|name| format!("stack {name}")))
        .collect();
    let _ = writeln!(text, "Holds:       {}", sources.join(", "));
    Ok(())
}
