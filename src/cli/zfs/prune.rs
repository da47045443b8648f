//! `infra zfs prune`: what goes, what stays, and why.

use super::look::{Choice, Seen, look, told};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    desired::Desired,
    ids::HostName,
    snapshot::{DatasetView, SnapshotId, Survey},
};
use crate::providers::{
    shell::Shell,
    zfs::{self, Zfs, ZfsRead as _},
};
use crate::retention::{Cover, Rules, decide, doubt, is_pruned};
use crate::view::{palette, words::count};
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, sync::atomic::AtomicBool};

/// So few snapshots are no loss to stop for.
pub(super) const FEW: usize = 10;

/// Destroy the scheduled snapshots that the policy does not keep
///
/// Never a foreign one, one made by hand, a held or cloned one, one that a replica needs, or one dated in the future. Shows
/// every reason with --plan. Refuses when the clock cannot be believed, or when too much of a dataset would go at once.
#[derive(Debug, Clone, Args)]
pub(crate) struct PruneArgs {
    /// Show the reason for every snapshot, and destroy nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// How far a prune may go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Refuse to destroy more than this share of a dataset's scheduled snapshots at once, beyond ten
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) max_share: u8,
    /// Believe the host's clock although it looks wrong
    #[arg(long)]
    pub(crate) clock_is_right: bool,
}

/// What happens to one snapshot.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) host: HostName,
    pub(super) snapshot: String,
    pub(super) keep: bool,
    pub(super) why: String,
    pub(super) used: u64,
}

/// What would be done on one host.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    pub(super) lines: Vec<Line>,
    pub(super) destroy: Vec<SnapshotId>,
    /// Datasets of which too much would go.
    pub(super) too_much: Vec<String>,
}

/// What a prune came to; the JSON document of the verb.
#[derive(Debug, Default, Serialize)]
pub(super) struct Pruned {
    /// Every snapshot of the chosen datasets, with the reason.
    snapshots: Vec<Line>,
    /// How many went, by host. Absent where nothing was carried out.
    destroyed: BTreeMap<HostName, usize>,
    /// What could not go, and why.
    left: BTreeMap<String, String>,
    #[serde(skip)]
    pub(super) code: u8,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &PruneArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            if args.plan {
                return whole(context, &session, args).await;
            }
            locked(context, &session, args).await
        })
    })
}

/// The whole verb, with the run's lock.
pub(super) async fn locked(
    context: &Context,
    session: &Session,
    args: &PruneArgs,
) -> Result<u8, Failure> {
    let walking = AtomicBool::new(false);
    let locks = Locks::of(context, session, "infra zfs prune");
    locks
        .hold(context, &walking, whole(context, session, args))
        .await
}

async fn whole(context: &Context, session: &Session, args: &PruneArgs) -> Result<u8, Failure> {
    let choice = Choice::read(context, &session.desired)?;
    let seen = look(&session.desired, &session.hosts).await;
    let code = seen.tell(context).unwrap_or(exit::DONE);
    let pruned = carry_out(context, session, &seen, &choice, args).await?;
    if context.global.json {
        context.terminal.json(&pruned);
    }
    Ok(code.max(pruned.code))
}

/// Decides, shows, asks, destroys. With `--json` the caller prints what came of it.
pub(super) async fn carry_out(
    context: &Context,
    session: &Session,
    seen: &Seen,
    choice: &Choice<'_>,
    args: &PruneArgs,
) -> Result<Pruned, Failure> {
    let here = jiff::Timestamp::now().as_second();
    let mut plans = BTreeMap::new();
    for (host, survey) in &seen.surveys {
        if !args.limits.clock_is_right
            && let Err(doubt) = doubt(survey, &session.desired.system, Some(here))
        {
            return Err(Failure::new(
                exit::REFUSED,
                format!("nothing was destroyed on {host}: {doubt}"),
            )
            .hint("Set the clock (`timedatectl`). Destroy or rename a snapshot that is really dated wrongly; when the clock is right, say `--clock-is-right`."));
        }
        let tags = match session.hosts.get(host) {
            Some(shell) if args.plan => tags(shell, &choice.of(host, survey)).await,
            Some(_) | None => Tags::new(),
        };
        plans.insert(
            host.clone(),
            plan(&session.desired, host, survey, choice, &args.limits, &tags),
        );
    }
    if !context.global.json {
        show(context, args, &plans);
    }
    let total: usize = plans.values().map(|plan| plan.destroy.len()).sum();
    let mut pruned = Pruned::default();
    if args.plan || total == 0 {
        pruned.snapshots = plans.into_values().flat_map(|plan| plan.lines).collect();
        return Ok(pruned);
    }
    let too_much: Vec<&str> = plans
        .values()
        .flat_map(|plan| plan.too_much.iter().map(String::as_str))
        .collect();
    if !too_much.is_empty() {
        return Err(Failure::new(
            exit::REFUSED,
            format!("nothing was destroyed: {}", too_much.join("; ")),
        )
        .hint("Look at `infra zfs prune --plan`; when it is right, allow it once with `--max-share 100`."));
    }
    if !args.yes {
        agree(context, total)?;
    }
    for (host, plan) in plans {
        if let Some(shell) = session.hosts.get(&host) {
            destroy(context, shell, &plan.destroy, &mut pruned).await?;
        }
        pruned.snapshots.extend(plan.lines);
    }
    Ok(pruned)
}

fn agree(context: &Context, total: usize) -> Result<(), Failure> {
    if !context.terminal.can_ask() {
        return Err(Failure::new(exit::USAGE, "there is nobody to ask")
            .hint("Look at `infra zfs prune --plan`, then agree beforehand with `--yes`."));
    }
    let question = format!(
        "Destroy {}? [yes / no]",
        count(total, "snapshot", "snapshots")
    );
    match context.terminal.ask(&question).as_deref() {
        Some("yes" | "y") => Ok(()),
        _ => Err(Failure::new(
            exit::FAILED,
            "nothing was destroyed: you did not agree",
        )),
    }
}

/// The tags that hold snapshots.
pub(super) type Tags = BTreeMap<SnapshotId, Vec<String>>;

/// Asks who holds what is held: one more round trip, for a plan alone. Where the answer fails, a plan says that it is held.
async fn tags<S: Shell>(shell: &S, covers: &[Cover<'_>]) -> Tags {
    let held = covers.iter().flat_map(|cover| {
        let snapshots = cover.view.snapshots.iter();
        snapshots
            .filter(|one| one.userrefs > 0)
            .map(|one| SnapshotId {
                dataset: cover.dataset.clone(),
                name: one.name.clone(),
            })
    });
    let held: Vec<SnapshotId> = held.collect();
    let mut out = Tags::new();
    for fact in Zfs(shell).holds(&held).await.unwrap_or_default() {
        out.entry(fact.snapshot).or_default().push(fact.tag);
    }
    out
}

/// Decides about the chosen datasets of a host.
pub(super) fn plan(
    desired: &Desired,
    host: &HostName,
    survey: &Survey,
    choice: &Choice<'_>,
    limits: &Limits,
    tags: &Tags,
) -> Pruning {
    let mut out = Pruning::default();
    for cover in choice.of(host, survey) {
        let Some(entry) = cover.declared else {
            continue;
        };
        let bases = bases(cover.view);
        let rules = Rules {
            system: &desired.system,
            retention: &entry.retention,
            now: survey.clock,
            bases: &bases,
        };
        let decisions = decide(cover.view, &rules);
        let going = decisions
            .iter()
            .filter(|decision| !decision.keeps())
            .count();
        let of = cover
            .view
            .snapshots
            .iter()
            .filter(|one| is_pruned(one, &rules))
            .count();
        if going > FEW && going * 100 > of * usize::from(limits.max_share) {
            out.too_much.push(format!(
                "{going} of {of} scheduled snapshots of {} would go, more than {} %",
                cover.dataset, limits.max_share
            ));
        }
        for decision in decisions {
            let id = SnapshotId {
                dataset: cover.dataset.clone(),
                name: decision.snapshot.name.clone(),
            };
            out.lines.push(Line {
                host: host.clone(),
                snapshot: id.to_string(),
                keep: decision.keeps(),
                why: {
                    let tags = tags.get(&id).into_iter().flatten();
                    let tags: Vec<&str> = tags.map(String::as_str).collect();
                    decision.why_held_by(&tags)
                },
                used: decision.snapshot.used,
            });
            if !decision.keeps() {
                out.destroy.push(id);
            }
        }
    }
    out
}

/// The last snapshots that replicas have in common with a dataset: infra's bookmarks are made of them.
pub(super) fn bases(view: &DatasetView) -> BTreeMap<u64, String> {
    view.bookmarks
        .iter()
        .filter(|bookmark| bookmark.name.as_str().starts_with("infra"))
        .map(|bookmark| (bookmark.guid, format!("#{}", bookmark.name)))
        .collect()
}

fn show(context: &Context, args: &PruneArgs, plans: &BTreeMap<HostName, Pruning>) {
    let lines: Vec<&Line> = plans.values().flat_map(|plan| &plan.lines).collect();
    let going = lines.iter().filter(|line| !line.keep).count();
    let mut text = String::new();
    for line in &lines {
        if line.keep && !args.plan {
            continue;
        }
        let sign = if line.keep {
            " ".to_owned()
        } else {
            palette::bad("-")
        };
        let _ = writeln!(text, "  {sign} {}  {}", line.snapshot, line.why);
    }
    let kept = lines.len() - going;
    let verb = if args.plan { "would go" } else { "to destroy" };
    let going = count(going, "snapshot", "snapshots");
    let _ = writeln!(text, "{going} {verb}, {kept} kept.");
    context.terminal.answer(&text);
}

/// Destroys, and tells what could not go.
async fn destroy<S: Shell>(
    context: &Context,
    shell: &S,
    snapshots: &[SnapshotId],
    pruned: &mut Pruned,
) -> Result<(), Failure> {
    let done = zfs::destroy(shell, snapshots).await.map_err(|error| {
        told(&error).hint("Some may be gone already; `infra zfs prune --plan` shows what is left.")
    })?;
    if !context.global.json {
        let gone = count(done.gone.len(), "snapshot", "snapshots");
        context
            .terminal
            .answer(&format!("Destroyed {gone} on {}.\n", shell.host()));
    }
    pruned
        .destroyed
        .insert(shell.host().clone(), done.gone.len());
    for (id, why) in &done.left {
        let why = why.replace('\t', " ");
        context
            .terminal
            .complain(&format!("{id} could not go: {why}"));
        pruned.left.insert(id.to_string(), why);
        pruned.code = exit::PARTIAL;
    }
    Ok(())
}
