//! `infra backup restore`: what a backup holds, beside what lives or in its place.

use super::{
    choice::{chosen, shell, told},
    copies::found,
    live_restore::{agree, decide, directories, shown},
    turns::carry_out,
};
use crate::backup::{Goal, Wanted, lives, wanted};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    backup::BackupJob,
    ids::{DatasetName, HostName, StackName},
};
use crate::providers::{
    backup::{BackupError, CopiesRead as _},
    program::Program,
    shell::{Command, Shell as _},
    ssh::SshHost,
};
use crate::view::words::{count, size};
use clap::Args;
use std::{fmt::Write as _, sync::atomic::AtomicBool};

/// Bring back what a backup holds, beside what lives or in its place
///
/// Without `--live` it goes into a new directory of the job's host, below its `scratch` unless `--to` names one, and never
/// over anything. With `--live` it goes to where it came from: the stacks that use it stand still, what is there is kept in
/// a guard snapshot (or moved aside where there is no ZFS; a database is kept under another name), files come first, then
/// databases from their dumps, then the stacks start in their order. The name has to be typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestoreArgs {
    /// Job of the inventory; with `--live` also `stack/NAME` or `host/NAME`, from whichever jobs hold it
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
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    pub(crate) to: Option<String>,
    /// Into the place of what lives
    #[arg(long)]
    pub(crate) live: bool,
    /// With `--live`: show what would come back from where, and change nothing
    #[arg(long, requires = "live")]
    pub(crate) plan: bool,
    /// With `--live`: the name, typed beforehand instead of at the question
    #[arg(long, value_name = "NAME", requires = "live")]
    pub(crate) confirm: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RestoreArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let walking = AtomicBool::new(false);
            if !args.live {
                let locks = Locks::of_backup(context, &session, &args.job);
                let work = beside(context, args, &session);
                return locks.hold(context, &walking, work).await;
            }
            let (goal, name) = goal(args, &session)?;
            if args.plan {
                let decided = decide(context, &session, &goal, args.snapshot.as_deref()).await?;
                context.terminal.answer(&shown(&session, &decided));
                return Ok(exit::DONE);
            }
            let locks = Locks::of_restore(context, &session, "infra backup restore");
            let work = in_place(context, args, &session, &goal, &name, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

/// What is meant, and the name that is typed.
fn goal(args: &RestoreArgs, session: &Session) -> Result<(Goal, String), Failure> {
    let desired = &session.desired;
    let named = args.job.split_once('/');
    if let Some((kind @ ("stack" | "host"), name)) = named {
        if !args.what.is_empty() {
            return Err(
                Failure::new(exit::USAGE, format!("a {kind} comes back as a whole"))
                    .hint("For a part of it name the job: `infra backup restore JOB WHAT --live`."),
            );
        }
        if args.snapshot.is_some() {
            return Err(Failure::new(
                exit::USAGE,
                format!("a {kind} comes from the newest copies of several jobs"),
            )
            .hint("For an older one name the job and what you need of it."));
        }
        let unknown = |there: Vec<String>| {
            Failure::new(exit::USAGE, format!("the inventory has no {kind} `{name}`"))
                .hint(format!("It has {}.", there.join(", ")))
        };
        if kind == "stack" {
            let known: Option<StackName> = desired
                .stacks
                .keys()
                .find(|one| one.as_str() == name)
                .cloned();
            let known = known
                .ok_or_else(|| unknown(desired.stacks.keys().map(ToString::to_string).collect()))?;
            return Ok((Goal::Stack(known), name.to_owned()));
        }
        let known: Option<HostName> = desired
            .all_hosts()
            .find(|one| one.as_str() == name)
            .cloned();
        let known =
            known.ok_or_else(|| unknown(desired.all_hosts().map(ToString::to_string).collect()))?;
        return Ok((Goal::Host(known), name.to_owned()));
    }
    let job = chosen(desired, std::slice::from_ref(&args.job))?
        .pop()
        .ok_or_else(|| Failure::new(exit::USAGE, "no job is named"))?;
    let name = match args.what.as_slice() {
        [one] => one.clone(),
        _ => job.name.to_string(),
    };
    Ok((Goal::Parts(job.name.clone(), args.what.clone()), name))
}

async fn in_place(
    context: &Context,
    args: &RestoreArgs,
    session: &Session,
    goal: &Goal,
    name: &str,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    let decided = decide(context, session, goal, args.snapshot.as_deref()).await?;
    if decided.restoration.groups.is_empty() {
        let mut failure = Failure::new(exit::FAILED, "there is nothing to bring back");
        for why in &decided.restoration.left {
            failure = failure.because(why.clone());
        }
        return Err(failure);
    }
    if !context.global.json {
        context.terminal.answer(&shown(session, &decided));
    }
    agree(context, name, args.confirm.as_deref())?;
    let (mut code, rows) = carry_out(context, session, &decided, walking).await?;
    if context.global.json {
        context.terminal.json(&decided.json(&rows));
    } else {
        let is = if decided.is_whole() {
            "is back"
        } else {
            "is back in part"
        };
        context.terminal.tell(&format!(
            "{name} {is}. Ask the system: `{}`.",
            context.again("verify")
        ));
    }
    if code == exit::DONE {
        code = decided.code(context);
    }
    Ok(code)
}

async fn beside(context: &Context, args: &RestoreArgs, session: &Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    if args.job.starts_with("stack/") || args.job.starts_with("host/") {
        return Err(Failure::new(
            exit::USAGE,
            "a stack or a host comes back into its place",
        )
        .hint("Add `--live`, and `--plan` to look first; beside what lives comes what a job holds."));
    }
    let job = chosen(desired, std::slice::from_ref(&args.job))?
        .pop()
        .ok_or_else(|| Failure::new(exit::USAGE, "no job is named"))?;
    let target = target(args, session, job)?;
    let shell = shell(session, job)?;
    let from = found(session, job, args.snapshot.as_deref()).await?;
    let copies =
        Program::of(shell, &desired.system, job, &session.world.secrets).map_err(|e| told(&e))?;
    let all = everything(args, job, &from.copy)?;
    empty(shell, &target).await?;
    let (mut text, mut rows) = (String::new(), Vec::new());
    for one in &all {
        context
            .terminal
            .tell(&format!("{}: bringing back {}.", job.name, one.name));
        let place = format!("{target}/{}", one.place);
        let back = copies
            .restore(&from.snapshot.id, &one.folder, one.inner.as_deref(), &place)
            .await
            .map_err(|error| {
                told(&error).hint(format!(
                    "What has come back so far is in {target} on {}. Nothing else was touched.",
                    job.host
                ))
            })?;
        rows.push(serde_json::json!({
            "what": one.name, "at": place, "entries": back.entries, "bytes": back.bytes,
        }));
        let entries = count(
            usize::try_from(back.entries).unwrap_or(usize::MAX),
            "entry",
            "entries",
        );
        let _ = writeln!(
            text,
            "{}: {entries}, {} in {place}",
            one.name,
            size(back.bytes)
        );
    }
    let time = from.snapshot.time.get(..19).unwrap_or(&from.snapshot.time);
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "job": job.name, "snapshot": from.snapshot.id, "time": from.snapshot.time, "host": job.host, "restored": rows,
        }));
    } else {
        context.terminal.answer(&text);
        context.terminal.tell(&format!(
            "It is on {} as of {time}. Remove it when you have what you need.",
            job.host
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
    if let Some(what) = lives(&session.desired, &directories(session), job, &target) {
        return Err(Failure::new(
            exit::REFUSED,
            format!("{target} on {} is live: {what} is there", job.host),
        )
        .hint("Bring it back beside what lives, and copy what you need: leave `--to` out, or name a directory of its own. Into the place of what lives: `--live`."));
    }
    Ok(target)
}

/// What is asked for, by what the copy says that it holds.
fn everything(
    args: &RestoreArgs,
    job: &BackupJob,
    copy: &crate::backup::Copy,
) -> Result<Vec<Wanted>, Failure> {
    let is_dataset = |name: &str| !name.starts_with('/');
    let files = || copy.sources.iter().filter(|held| held.sha256.is_none());
    let datasets: Vec<DatasetName> = files()
        .filter(|held| is_dataset(&held.name))
        .filter_map(|held| DatasetName::new(&held.name).ok())
        .collect();
    let dumps: Vec<(String, String)> = copy
        .sources
        .iter()
        .filter(|held| held.sha256.is_some())
        .map(|held| (held.name.clone(), held.path.clone()))
        .collect();
    let mut names = args.what.clone();
    if names.is_empty() {
        names.extend(files().map(|held| held.name.clone()));
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
async fn empty(shell: &SshHost, target: &str) -> Result<(), Failure> {
    let failed = |error| told(&BackupError::Shell(error));
    shell
        .demand(Command::new(["mkdir", "-p", "-m", "0700", "--", target]))
        .await
        .map_err(failed)?;
    let words = [
        "find",
        target,
        "-mindepth",
        "1",
        "-maxdepth",
        "1",
        "-print",
        "-quit",
    ];
    let there = shell.demand(Command::new(words)).await.map_err(failed)?;
    if there.text().trim().is_empty() {
        return Ok(());
    }
    Err(
        Failure::new(exit::REFUSED, format!("{target} holds something already"))
            .hint("Nothing was brought back. Name a directory that is not there yet."),
    )
}
