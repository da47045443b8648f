//! `infra zfs snapshot`: what is due, of one moment within each zpool.

use super::{
    hook,
    look::{Choice, Seen, look, told},
    prune::{self, PruneArgs, Pruned},
};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    dataset::SnapshotHook,
    desired::Desired,
    ids::{DatasetName, HostName, SnapshotName},
    snapshot::{LONGEST, MARK, RUN, SCHEDULED, SCHEDULES, Survey, mark, our_name},
};
use crate::providers::{shell::Shell, zfs};
use crate::retention::{Cover, doubt, due};
use crate::view::words::count;
use clap::Args;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
};

/// Take the snapshots that are due
///
/// All datasets of a zpool are snapshot by one command, of one moment. Names are in UTC. Datasets that somebody made below
/// one of the inventory follow its schedule.
#[derive(Debug, Clone, Args)]
pub(crate) struct SnapshotArgs {
    /// Those that are not due as well
    #[arg(long)]
    pub(crate) all: bool,
    /// Take and keep them under a label of your own, `before-upgrade`; retention never touches these
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Option<String>,
    /// Prune afterwards, as `infra zfs prune --yes` does
    #[arg(long, conflicts_with = "label")]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) limits: prune::Limits,
}

/// What was taken in one zpool.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) host: HostName,
    pub(super) zpool: String,
    pub(super) snapshot: SnapshotName,
    pub(super) datasets: Vec<DatasetName>,
}

/// What a run came to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) taken: Vec<Taken>,
    pub(super) complaints: Vec<String>,
    pub(super) failures: Vec<Failure>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &SnapshotArgs) -> Result<u8, Failure> {
    if args.label.as_deref() == Some(SCHEDULED) {
        return Err(Failure::new(
            exit::USAGE,
            format!("the label `{SCHEDULED}` is that of schedules"),
        )
        .hint("Choose another one."));
    }
    live::with(context, |session| {
        Box::pin(async move { show(context, args, &session).await })
    })
}

pub(super) async fn show(
    context: &Context,
    args: &SnapshotArgs,
    session: &Session,
) -> Result<u8, Failure> {
    let choice = Choice::read(context, &session.desired)?;
    let seen = look(&session.desired, &session.hosts).await;
    let mut code = seen.tell(context).unwrap_or(exit::DONE);
    let run_id = format!("{:016x}", rand::random::<u64>());
    let done = take(
        &session.desired,
        &session.hosts,
        &seen,
        &choice,
        args,
        &run_id,
    )
    .await?;
    for complaint in &done.complaints {
        context.terminal.complain(complaint);
        code = code.max(exit::PARTIAL);
    }
    for failure in &done.failures {
        code = code.max(failure.tell(context.terminal));
    }
    let mut pruned = None;
    if args.prune {
        let how = PruneArgs {
            plan: false,
            yes: true,
            limits: args.limits.clone(),
        };
        // By what was seen before: the new ones are not counted, so nothing goes too early, and nothing is listed twice.
        // What was taken is told in any case.
        match prune_locked(context, session, &seen, &choice, &how).await {
            Ok(came) => {
                code = code.max(came.code);
                pruned = Some(came);
            }
            Err(failure) => code = code.max(failure.tell(context.terminal)),
        }
    }
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "taken": done.taken,
            "complaints": done.complaints,
            "pruned": pruned,
        }));
        return Ok(code);
    }
    if done.taken.is_empty() && code == exit::DONE {
        context.terminal.answer("Nothing is due.\n");
    }
    for taken in &done.taken {
        context.terminal.answer(&format!(
            "{}: {} of zpool {}: @{}\n",
            taken.host,
            count(taken.datasets.len(), "dataset", "datasets"),
            taken.zpool,
            taken.snapshot
        ));
    }
    if done.taken.len() > 1 {
        context
            .terminal
            .tell("Each zpool is of one moment; the zpools are not of the same one.");
    }
    Ok(code)
}

/// Snapshots wait for nobody; what destroys has the run's lock.
async fn prune_locked(
    context: &Context,
    session: &Session,
    seen: &Seen,
    choice: &Choice<'_>,
    how: &PruneArgs,
) -> Result<Pruned, Failure> {
    let mut pruned = Pruned::default();
    let walking = AtomicBool::new(false);
    let locks = Locks::of(context, session, "infra zfs snapshot --prune");
    let work = async {
        pruned = prune::carry_out(context, session, seen, choice, how).await?;
        Ok(exit::DONE)
    };
    locks.hold(context, &walking, work).await?;
    Ok(pruned)
}

/// Takes what is asked for: hooks first, then one command for each zpool.
pub(super) async fn take<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
    seen: &Seen,
    choice: &Choice<'_>,
    args: &SnapshotArgs,
    run_id: &str,
) -> Result<Done, Failure> {
    if desired
        .datasets
        .values()
        .all(|entry| entry.snapshots.is_none())
    {
        return Err(Failure::new(
            exit::FAILED,
            "no dataset of the inventory has a snapshot schedule",
        )
        .hint("Write `snapshots: daily` at your datasets."));
    }
    let mut done = Done::default();
    for (host, survey) in &seen.surveys {
        let Some(shell) = hosts.get(host) else {
            continue;
        };
        let covers = choice.of(host, survey);
        let wanted = wanted(&covers, survey, desired, args);
        let hooks: BTreeMap<DatasetName, Vec<SnapshotHook>> = covers
            .iter()
            .filter(|cover| wanted.contains_key(cover.dataset))
            .filter_map(|cover| Some((cover.dataset.clone(), cover.declared?.hooks.clone())))
            .collect();
        let hooked = hook::run(desired, hosts, &hooks).await;
        done.complaints.extend(hooked.complaints);
        // A snapshot never hurts: a clock that is off is told, and the snapshot is taken.
        if let Err(doubt) = doubt(survey, &desired.system, None) {
            done.complaints.push(format!("{host}: {doubt}"));
        }
        let at = jiff::Timestamp::from_second(survey.clock)
            .map_err(|e| crate::cli::failure::failed(&e))?;
        let label = args.label.as_deref().unwrap_or(SCHEDULED);
        let name = our_name(label, at).ok_or_else(|| {
            Failure::new(exit::USAGE, format!("`{label}` is not a label"))
                .hint("Letters, digits, `-` and `.`, at most 40 of them.")
        })?;
        let mut zpools: BTreeMap<String, BTreeSet<DatasetName>> = BTreeMap::new();
        for dataset in wanted.keys().filter(|name| !hooked.skipped.contains(*name)) {
            // Somebody made it with a name that leaves no room: it must not keep its whole zpool from a snapshot.
            if dataset.as_str().len() + 1 + name.as_str().len() > LONGEST {
                done.complaints.push(format!(
                    "{host}: no snapshot of {dataset}: with @{name} its name would be longer than {LONGEST} bytes; rename the dataset"
                ));
                continue;
            }
            let zpool = dataset.zpool().to_owned();
            zpools.entry(zpool).or_default().insert(dataset.clone());
        }
        for (zpool, datasets) in zpools {
            let schedules: BTreeSet<&str> = datasets
                .iter()
                .filter_map(|d| wanted.get(d).copied())
                .collect();
            let schedules: Vec<&str> = schedules.into_iter().collect();
            let properties = BTreeMap::from([
                (MARK.to_owned(), mark(&desired.system, &name)),
                (SCHEDULES.to_owned(), schedules.join(",")),
                (RUN.to_owned(), run_id.to_owned()),
            ]);
            match zfs::take(shell, &datasets, &name, &properties).await {
                Ok(()) => done.taken.push(Taken {
                    host: host.clone(),
                    zpool,
                    snapshot: name.clone(),
                    datasets: datasets.into_iter().collect(),
                }),
                Err(error) => done.failures.push(told(&error).hint(format!(
                    "No snapshot of zpool {zpool} was taken: it is all of them or none."
                ))),
            }
        }
    }
    Ok(done)
}

/// The datasets to snapshot, with the word for why.
fn wanted(
    covers: &[Cover<'_>],
    survey: &Survey,
    desired: &Desired,
    args: &SnapshotArgs,
) -> BTreeMap<DatasetName, &'static str> {
    if args.all || args.label.is_some() {
        return covers
            .iter()
            .filter_map(|cover| {
                let schedule = cover.declared?.snapshots;
                // What a schedule never takes is taken when it is asked for by a label.
                let word = match schedule {
                    Some(schedule) => schedule.word(),
                    None if args.label.is_some() => "none",
                    None => return None,
                };
                Some((cover.dataset.clone(), word))
            })
            .collect();
    }
    due(covers, survey, &desired.system, survey.clock)
        .into_iter()
        .map(|due| (due.dataset, due.schedule.word()))
        .collect()
}
