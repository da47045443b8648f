//! `infra zfs rollback`: a dataset's files as they were, and nothing lost.

use super::look::{look, owner, snapshot_id, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
    release::ReleaseUnit,
    snapshot::{GUARD, MARK, RUN, SnapshotId, mark, our_name},
};
use crate::providers::{
    shell::{Command, Shell},
    zfs::{Zfs, ZfsError, ZfsWrite as _},
};
use crate::view::words::{count, list};
use clap::Args;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// So many differing files are shown.
const SHOWN: usize = 20;

/// A stack with a big database takes its time.
const STOP_PATIENCE: Duration = Duration::from_mins(10);

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
        Box::pin(carry_out(context, args, session))
    })
}

async fn carry_out(
    context: &Context,
    args: &RollbackArgs,
    session: Session,
) -> Result<u8, Failure> {
    let id = snapshot_id(&args.snapshot)?;
    let desired = &session.desired;
    let host = owner(desired, &id.dataset)?;
    let seen = look(desired, &session.hosts).await;
    let Some(survey) = seen.surveys.get(host) else {
        return Ok(seen.tell(context).unwrap_or(exit::FAILED));
    };
    let shell = session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })?;
    let view = survey.datasets.get(&id.dataset);
    let Some(target) = view.and_then(|v| v.snapshots.iter().find(|one| one.name == id.name)) else {
        return Err(
            Failure::new(exit::USAGE, format!("there is no snapshot {id} on {host}"))
                .hint("`infra zfs list` shows what there is."),
        );
    };
    let zfs = Zfs(shell);
    let differing = zfs.differing(&id).await.map_err(|error| cannot(&error))?;
    let stacks = stacks_on(desired, &id);
    let newer = view.map_or(0, |view| {
        let all = view.snapshots.iter();
        all.filter(|one| one.createtxg > target.createtxg).count()
    });
    let units: Vec<(HostName, ReleaseUnit)> = stacks
        .iter()
        .filter_map(|name| session.compiled.releases.get(name))
        .map(|release| (release.host.clone(), release.unit.clone()))
        .collect();
    let names: Vec<String> = stacks.iter().map(ToString::to_string).collect();
    if context.global.json && args.plan {
        context.terminal.json(&serde_json::json!({
            "snapshot": id.to_string(), "differing": differing, "stacks": names, "newer_snapshots": newer,
        }));
        return Ok(exit::DONE);
    }
    context
        .terminal
        .answer(&shown(&id, &differing, &names, newer));
    if differing.is_empty() || args.plan {
        return Ok(exit::DONE);
    }
    if !args.yes {
        agree(context, &id)?;
    }
    let at =
        jiff::Timestamp::from_second(survey.clock).map_err(|e| crate::cli::failure::failed(&e))?;
    let guard =
        our_name(GUARD, at).ok_or_else(|| Failure::new(exit::FAILED, "the guard has no name"))?;
    let mut stopped = Vec::new();
    for (host, unit) in &units {
        let Some(shell) = session.hosts.get(host) else {
            continue;
        };
        context
            .terminal
            .tell(&format!("Stopping {} on {host}.", unit.name));
        if let Err(failure) = unit_verb(shell, "stop", unit).await {
            start(context, &session, &stopped).await;
            return Err(failure.hint(
                "Nothing was rolled back; the stacks that were stopped were started again.",
            ));
        }
        stopped.push((host.clone(), unit.clone()));
    }
    let result = roll(&zfs, desired, &id, &guard).await;
    let all_started = start(context, &session, &stopped).await;
    let changed = result?;
    let undo = SnapshotId {
        dataset: id.dataset.clone(),
        name: guard,
    };
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "snapshot": id.to_string(), "guard": undo.to_string(), "changed": changed.len(), "stacks": names,
        }));
    } else {
        let files = count(changed.len(), "change", "changes");
        context
            .terminal
            .answer(&format!("{} is as in {id}: {files}.\n", id.dataset));
        let again = context.again(&format!("zfs rollback '{undo}'"));
        context.terminal.tell(&format!(
            "What was there before is in {undo}. To undo: `{again}`."
        ));
    }
    Ok(if all_started {
        exit::DONE
    } else {
        exit::PARTIAL
    })
}

async fn roll<S: Shell>(
    zfs: &Zfs<'_, S>,
    desired: &Desired,
    id: &SnapshotId,
    guard: &crate::model::ids::SnapshotName,
) -> Result<Vec<String>, Failure> {
    let properties = BTreeMap::from([
        (MARK.to_owned(), mark(&desired.system, guard)),
        (RUN.to_owned(), format!("rollback to {}", id.name)),
    ]);
    let one = BTreeSet::from([id.dataset.clone()]);
    zfs.snapshot(&one, guard, &properties)
        .await
        .map_err(|error| told(&error).hint("Nothing was rolled back."))?;
    zfs.roll_forward(id).await.map_err(|error| {
        let guard = format!("{}@{guard}", id.dataset);
        cannot(&error).hint(format!(
            "Some files may be old and some new. Run the command again, or go back: `infra zfs rollback '{guard}'`."
        ))
    })
}

fn cannot(error: &ZfsError) -> Failure {
    let failure = told(error);
    if let ZfsError::Unreadable { said, .. } = error {
        let hint = if said.contains("rsync") {
            "Install it on that host: `apt install rsync`."
        } else {
            "Volumes, legacy mounts and hidden snapshots cannot be read this way: look inside with `infra zfs clone`."
        };
        return failure.hint(hint);
    }
    failure
}

fn shown(id: &SnapshotId, differing: &[String], stacks: &[String], newer: usize) -> String {
    if differing.is_empty() {
        return format!("{} is as in {id} already.\n", id.dataset);
    }
    let mut text = format!(
        "{} since {id} would be undone:\n",
        count(differing.len(), "change", "changes")
    );
    for line in differing.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", said(line));
    }
    if differing.len() > SHOWN {
        let _ = writeln!(text, "  and {} more", differing.len() - SHOWN);
    }
    if !stacks.is_empty() {
        let _ = writeln!(text, "Stopped meanwhile: {}.", list(stacks));
    }
    let newer = count(newer, "newer snapshot stays", "newer snapshots stay");
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

/// The stacks whose files lie on the dataset, on its own host or on a guest into which it is mounted.
fn stacks_on(desired: &Desired, id: &SnapshotId) -> Vec<StackName> {
    let mut places: Vec<(&HostName, String)> = Vec::new();
    if let Some(entry) = desired.datasets.get(&id.dataset)
        && let Some(at) = entry.properties.get("mountpoint")
    {
        places.push((&entry.host, at.clone()));
    }
    for guest in desired.guests.values() {
        for mount in guest
            .mounts
            .iter()
            .filter(|mount| mount.dataset == id.dataset)
        {
            places.push((&guest.name, mount.at.clone()));
        }
    }
    desired
        .stacks
        .values()
        .filter(|stack| {
            places.iter().any(|(host, at)| {
                **host == stack.on && stack.mounts.values().any(|mount| mount == at)
            })
        })
        .map(|stack| stack.name.clone())
        .collect()
}

async fn unit_verb<S: Shell>(shell: &S, verb: &str, unit: &ReleaseUnit) -> Result<(), Failure> {
    let command = Command::new(["systemctl", verb, unit.name.as_str()]).timeout(STOP_PATIENCE);
    let result = shell.demand(command).await;
    result
        .map(drop)
        .map_err(|error| told(&ZfsError::Shell(error)))
}

/// Starts what was stopped, whatever happened in between.
async fn start(context: &Context, session: &Session, stopped: &[(HostName, ReleaseUnit)]) -> bool {
    let mut all = true;
    for (host, unit) in stopped.iter().rev() {
        let Some(shell) = session.hosts.get(host) else {
            continue;
        };
        if let Err(failure) = unit_verb(shell, "start", unit).await {
            failure
                .hint(format!(
                    "Start it yourself on {host}: `systemctl start {}`.",
                    unit.name
                ))
                .tell(context.terminal);
            all = false;
        }
    }
    all
}
