//! `infra zfs rollback`: a dataset's files as they were, and nothing lost.

use super::{
    look::{look, owner, snapshot_id, told},
    standstill::{self, User},
};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    desired::Desired,
    snapshot::{GUARD, MARK, RUN, STOPPED, SnapshotId, mark, our_name, stopped},
};
use crate::providers::{
    shell::{Command, Shell},
    ssh::SshHost,
    zfs::{self, Zfs, ZfsError, ZfsWrite as _},
};
use crate::view::words::{count, list};
use clap::Args;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// So many differing files are shown.
const SHOWN: usize = 20;

/// Make a dataset's files those of a snapshot
///
/// Shows what differs, stops the stacks that use the dataset, takes a guard snapshot of what is there now, brings the old
/// files back in place, proves it, and starts the stacks again. No snapshot is destroyed: to undo, roll back to the guard.
#[derive(Debug, Clone, Args)]
pub(crate) struct RollbackArgs {
    /// `dataset@snapshot`
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshot: String,
    /// Show what would be lost, and change nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RollbackArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            if args.plan {
                return plan(context, args, &session).await;
            }
            let locks = Locks::of(context, &session, "infra zfs rollback");
            let walking = AtomicBool::new(false);
            let work = carry_out(context, args, &session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

/// What would be undone, and who uses it.
struct Loss<'s> {
    id: SnapshotId,
    shell: &'s SshHost,
    /// The host's, which dates the guard.
    clock: i64,
    differing: Vec<String>,
    users: Vec<User<'s>>,
    newer: usize,
    /// Stacks that an earlier rollback had stopped when it was cut off.
    left: Vec<String>,
}

impl Loss<'_> {
    fn stacks(&self) -> Vec<String> {
        self.users
            .iter()
            .map(|user| user.stack.to_string())
            .collect()
    }
}

async fn loss<'s>(
    context: &Context,
    args: &RollbackArgs,
    session: &'s Session,
) -> Result<Loss<'s>, Failure> {
    let id = snapshot_id(&args.snapshot)?;
    let desired = &session.desired;
    let host = owner(desired, &id.dataset)?;
    let seen = look(desired, &session.hosts).await;
    let (Some(survey), Some(shell)) = (seen.surveys.get(host), session.hosts.get(host)) else {
        return Err(Failure::said(seen.tell(context).unwrap_or(exit::FAILED)));
    };
    let view = survey.datasets.get(&id.dataset);
    let Some(target) = view.and_then(|v| v.snapshots.iter().find(|one| one.name == id.name)) else {
        return Err(
            Failure::new(exit::USAGE, format!("there is no snapshot {id} on {host}"))
                .hint("`infra zfs list` shows what there is."),
        );
    };
    let left = left_behind(shell, &id).await?;
    let differing = Zfs(shell)
        .differing(&id)
        .await
        .map_err(|error| cannot(&error))?;
    let newer = view.map_or(0, |view| {
        let all = view.snapshots.iter();
        all.filter(|one| one.createtxg > target.createtxg).count()
    });
    Ok(Loss {
        shell,
        clock: survey.clock,
        differing,
        users: standstill::users(session, &id.dataset)?,
        newer,
        left,
        id,
    })
}

/// The stacks that a rollback which was cut off left standing still.
async fn left_behind<S: Shell>(shell: &S, id: &SnapshotId) -> Result<Vec<String>, Failure> {
    let words = ["zfs", "get", "-H", "-o", "value", "-s", "local", STOPPED];
    let asked = Command::new(words).args([id.dataset.as_str()]);
    let output = shell
        .demand(asked)
        .await
        .map_err(|error| told(&ZfsError::Shell(error)))?;
    let text = output.text();
    let stacks = stopped(text.trim()).map(|(stacks, _)| stacks);
    let stacks = stacks.unwrap_or_default().into_iter();
    Ok(stacks.map(str::to_owned).collect())
}

async fn plan(context: &Context, args: &RollbackArgs, session: &Session) -> Result<u8, Failure> {
    let loss = loss(context, args, session).await?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "snapshot": loss.id.to_string(), "differing": loss.differing, "stacks": loss.stacks(),
            "newer_snapshots": loss.newer,
        }));
    } else {
        context.terminal.answer(&shown(&loss));
    }
    Ok(exit::DONE)
}

async fn carry_out(
    context: &Context,
    args: &RollbackArgs,
    session: &Session,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    let loss = loss(context, args, session).await?;
    if !context.global.json {
        context.terminal.answer(&shown(&loss));
    }
    if loss.differing.is_empty() {
        let all_started = restart(context, &loss).await?;
        told_done(context, &loss, None, 0);
        return Ok(if all_started {
            exit::DONE
        } else {
            exit::PARTIAL
        });
    }
    if !args.yes {
        agree(context, &loss.id)?;
    }
    let at =
        jiff::Timestamp::from_second(loss.clock).map_err(|e| crate::cli::failure::failed(&e))?;
    let guard =
        our_name(GUARD, at).ok_or_else(|| Failure::new(exit::FAILED, "the guard has no name"))?;
    let guard = SnapshotId {
        dataset: loss.id.dataset.clone(),
        name: guard,
    };
    let running = standstill::running(&loss.users, &loss.left).await?;
    // From here on Ctrl-C waits: what was stopped must be started again.
    walking.store(true, Ordering::SeqCst);
    note(&loss, &running, &guard).await?;
    if let Err(failure) = standstill::stop(context, &running).await {
        forget(&loss, &running).await?;
        return Err(failure);
    }
    let result = roll(context, loss.shell, &session.desired, &loss.id, &guard).await;
    let all_started = standstill::start(context, &running).await;
    if all_started {
        forget(&loss, &running).await?;
    }
    walking.store(false, Ordering::SeqCst);
    let changed = match result {
        Ok(changed) => changed,
        Err(failure) if all_started => {
            return Err(failure.hint("The stacks that were stopped run again."));
        }
        Err(failure) => return Err(failure),
    };
    told_done(context, &loss, Some(&guard), changed.len());
    Ok(if all_started {
        exit::DONE
    } else {
        exit::PARTIAL
    })
}

/// Starts what an earlier rollback left standing still, where there is nothing else to do.
async fn restart(context: &Context, loss: &Loss<'_>) -> Result<bool, Failure> {
    let left = standstill::of(&loss.users, &loss.left);
    let all_started = standstill::start(context, &left).await;
    if all_started {
        forget(loss, &left).await?;
    }
    Ok(all_started)
}

/// Writes on the dataset what is about to be stopped: whoever finds it after a `kill -9` knows what to start.
async fn note(loss: &Loss<'_>, users: &[&User<'_>], guard: &SnapshotId) -> Result<(), Failure> {
    if users.is_empty() {
        return Ok(());
    }
    let stacks: Vec<&str> = users.iter().map(|user| user.stack.as_str()).collect();
    let value = format!("{} {guard}", stacks.join(","));
    let property = BTreeMap::from([(STOPPED.to_owned(), value)]);
    Zfs(loss.shell)
        .set(&loss.id.dataset, &property)
        .await
        .map(drop)
        .map_err(|error| told(&error).hint("Nothing was stopped, and nothing rolled back."))
}

async fn forget(loss: &Loss<'_>, users: &[&User<'_>]) -> Result<(), Failure> {
    if users.is_empty() && loss.left.is_empty() {
        return Ok(());
    }
    Zfs(loss.shell)
        .inherit(&loss.id.dataset, STOPPED)
        .await
        .map_err(|error| told(&error))
}

fn told_done(context: &Context, loss: &Loss<'_>, guard: Option<&SnapshotId>, changed: usize) {
    let id = &loss.id;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "snapshot": id.to_string(), "guard": guard.map(ToString::to_string), "changed": changed,
            "stacks": loss.stacks(),
        }));
        return;
    }
    let Some(guard) = guard else { return };
    let files = count(changed, "change", "changes");
    context
        .terminal
        .answer(&format!("{} is as in {id}: {files}.\n", id.dataset));
    let again = context.again(&format!("zfs rollback '{guard}'"));
    context.terminal.tell(&format!(
        "What was there before is in {guard}. To undo: `{again}`."
    ));
}

async fn roll<S: Shell>(
    context: &Context,
    shell: &S,
    desired: &Desired,
    id: &SnapshotId,
    guard: &SnapshotId,
) -> Result<Vec<String>, Failure> {
    let properties = BTreeMap::from([
        (MARK.to_owned(), mark(&desired.system, &guard.name)),
        (RUN.to_owned(), format!("rollback to {}", id.name)),
    ]);
    let one = BTreeSet::from([id.dataset.clone()]);
    zfs::take(shell, &one, &guard.name, &properties)
        .await
        .map_err(|error| told(&error).hint("Nothing was rolled back."))?;
    Zfs(shell).roll_forward(id).await.map_err(|error| {
        let again = context.again(&format!("zfs rollback '{guard}'"));
        cannot(&error).hint(format!(
            "Some files may be old and some new. What was there before is in {guard}. Run the command again, or go back: `{again}`."
        ))
    })
}

fn cannot(error: &ZfsError) -> Failure {
    let failure = told(error);
    if let ZfsError::Unreadable { said, .. } = error {
        let hint = if said.contains("rsync") {
            "Install it on that host: `apt install rsync`."
        } else {
            "Only a mounted filesystem is rolled back this way: look inside with `infra zfs clone`."
        };
        return failure.hint(hint);
    }
    failure
}

fn shown(loss: &Loss<'_>) -> String {
    let Loss { id, differing, .. } = loss;
    let mut text = String::new();
    if !loss.left.is_empty() {
        let _ = writeln!(
            text,
            "An earlier rollback was cut off while it had stopped {}; started again afterwards.",
            list(&loss.left)
        );
    }
    if differing.is_empty() {
        let _ = writeln!(text, "{} is as in {id} already.", id.dataset);
        return text;
    }
    let _ = writeln!(
        text,
        "{} since {id} would be undone:",
        count(differing.len(), "change", "changes")
    );
    for line in differing.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", said(line));
    }
    if differing.len() > SHOWN {
        let _ = writeln!(text, "  and {} more", differing.len() - SHOWN);
    }
    if !loss.users.is_empty() {
        let _ = writeln!(text, "Stopped meanwhile: {}.", list(&loss.stacks()));
    }
    let newer = count(loss.newer, "newer snapshot stays", "newer snapshots stay");
    let _ = writeln!(text, "A guard snapshot is taken first; {newer}.");
    text
}

/// rsync's `*deleting x`, `>f.st...... x` in words.
fn said(line: &str) -> String {
    match line.split_once(' ') {
        Some(("*deleting", name)) => format!("goes away     {}", name.trim()),
        Some((code, name)) if code.contains("+++") => format!("comes back    {name}"),
        Some((_, name)) => format!("becomes older {name}"),
        None => line.to_owned(),
    }
}

fn agree(context: &Context, id: &SnapshotId) -> Result<(), Failure> {
    if !context.terminal.can_ask() {
        return Err(Failure::new(exit::USAGE, "there is nobody to ask")
            .hint("Look with `--plan`, then agree beforehand with `--yes`."));
    }
    let question = format!(
        "Roll back? Type the dataset's name ({}) to agree:",
        id.dataset
    );
    if context.terminal.ask(&question).as_deref() == Some(id.dataset.as_str()) {
        Ok(())
    } else {
        Err(Failure::new(
            exit::FAILED,
            "nothing was rolled back: you did not agree",
        ))
    }
}
