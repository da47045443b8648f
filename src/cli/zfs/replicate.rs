//! `infra zfs replicate`: the snapshots of a dataset and of those below it, on another pool or host.

use super::look::owner;
use crate::apply::replica::{End, Job, ReplicaError, look, replicate};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    desired::Desired,
    ids::{DatasetName, HostName, ReplicaName, SystemName},
    replica::target,
    size::Bytes,
};
use crate::providers::{shell::hint, ssh::SshHost};
use crate::replication::{Divergence, Next, next};
use clap::Args;
use std::sync::atomic::AtomicBool;

/// Send the snapshots of datasets to another zpool or host
///
/// Brings the replicas of the inventory up to date, or with `--to` datasets that you name. Incremental from the newest
/// common snapshot or bookmark, found by guid; an interrupted stream goes on where it was; encrypted data travel encrypted.
/// The common base is held on both sides and bookmarked here, so that no prune takes it. Nothing over there is ever rolled
/// back, overwritten or destroyed: where it went its own way, that is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplicateArgs {
    /// Replicas of the inventory, all of them unless given; with `--to` datasets of the inventory, and those inside go along
    #[arg(value_name = "REPLICA|DATASET")]
    pub(crate) what: Vec<String>,
    /// Where to, once: `backup:backup/home` (host of the inventory and dataset), or a dataset of the same host;
    /// `tank/photos` arrives there as `photos`
    #[arg(long, value_name = "[HOST:]DATASET", requires = "what")]
    pub(crate) to: Option<String>,
    /// At most so much a second, `20MiB`; the data then pass through this machine in any case
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit: Option<String>,
    /// Name of the replica in holds and bookmarks; from where it goes unless given
    #[arg(long = "as", value_name = "NAME", requires = "to")]
    pub(crate) replica: Option<String>,
    /// Show the next step of each dataset and send nothing
    #[arg(long)]
    pub(crate) plan: bool,
}

/// One replica, and what belongs to it.
struct Order {
    replica: String,
    host: HostName,
    pairs: Vec<(DatasetName, DatasetName)>,
    limit: Option<u64>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ReplicateArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(carry_out(context, args, session))
    })
}

fn usage(text: impl std::fmt::Display) -> Failure {
    Failure::new(exit::USAGE, text.to_string())
}

/// What is asked for: replicas of the inventory, or one for this time.
fn orders(desired: &Desired, args: &ReplicateArgs) -> Result<Vec<Order>, Failure> {
    let limit = match &args.limit {
        None => None,
        Some(text) => Some(text.parse::<Bytes>().map_err(usage)?.0),
    };
    if let Some(to) = &args.to {
        return once(desired, args, to, limit).map(|order| vec![order]);
    }
    let known: Vec<&str> = desired.replicas.keys().map(ReplicaName::as_str).collect();
    let hint = if known.is_empty() {
        "Write `replicas:` in the inventory, or name datasets and where to: `infra zfs replicate tank/photos --to backup:vault/home`.".to_owned()
    } else {
        format!("It has {}.", known.join(", "))
    };
    if known.is_empty() && args.what.is_empty() {
        return Err(Failure::new(exit::FAILED, "the inventory has no replica").hint(hint));
    }
    if let Some(other) = args
        .what
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(usage(format!("the inventory has no replica `{other}`")).hint(hint));
    }
    let chosen = desired.replicas.values().filter(|replica| {
        args.what.is_empty() || args.what.iter().any(|name| name == replica.name.as_str())
    });
    let orders = chosen.map(|replica| Order {
        replica: replica.name.to_string(),
        host: replica.host.clone(),
        pairs: replica
            .datasets
            .iter()
            .filter_map(|source| Some((source.clone(), replica.target(source)?)))
            .collect(),
        limit: limit.or(replica.limit.map(|bytes| bytes.0)),
    });
    Ok(orders.collect())
}

/// A replica that only the command line knows.
fn once(
    desired: &Desired,
    args: &ReplicateArgs,
    to: &str,
    limit: Option<u64>,
) -> Result<Order, Failure> {
    let sources = sources(desired, &args.what)?;
    let own = sources
        .first()
        .map(|first| owner(desired, first))
        .transpose()?
        .ok_or_else(|| usage("no dataset is named"))?;
    let (host, below) = match to.split_once(':') {
        Some((host, below)) => (HostName::new(host).map_err(usage)?, below),
        None => (own.clone(), to),
    };
    let below = DatasetName::new(below).map_err(usage)?;
    let mut pairs = Vec::new();
    for source in sources {
        let place = target(&below, &source).ok_or_else(|| {
            usage(format!("`{source}` is a whole zpool"))
                .hint("Name the datasets in it; each goes below the one behind `--to`.")
        })?;
        if host == *owner(desired, &source)? && place.is_within(&source) {
            return Err(usage(format!("`{place}` lies in `{source}` itself")));
        }
        pairs.push((source, place));
    }
    let replica = replica_name(args, &host, &below)?;
    Ok(Order {
        replica,
        host,
        pairs,
        limit,
    })
}

/// The name in tags and bookmarks: where it goes, in letters that ZFS takes.
fn replica_name(
    args: &ReplicateArgs,
    host: &HostName,
    below: &DatasetName,
) -> Result<String, Failure> {
    let name = args
        .replica
        .clone()
        .unwrap_or_else(|| format!("{host}.{}", below.as_str().replace('/', ".")));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
        return Err(usage(format!("`{name}` cannot be part of a tag")).hint(
            "Name the replica: `--as offsite`; letters, digits, `-`, `_` and `.`, at most 63.",
        ));
    }
    Ok(name)
}

fn shell<'s>(session: &'s Session, host: &HostName) -> Result<&'s SshHost, Failure> {
    session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })
}

fn failed(error: &ReplicaError) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(shell) = inner.downcast_ref::<crate::providers::shell::ShellError>() {
            let failure = Failure::of(exit::UNREACHABLE, error);
            return match hint(shell) {
                Some(hint) => failure.hint(hint),
                None => failure
                    .hint("What arrived is kept over there; the same command goes on from it."),
            };
        }
        cause = inner.source();
    }
    Failure::of(exit::FAILED, error)
}

/// The inventory's datasets that were named, with those below them, parents first.
fn sources(desired: &Desired, named: &[String]) -> Result<Vec<DatasetName>, Failure> {
    let mut all = Vec::new();
    for text in named {
        let name = DatasetName::new(text.as_str()).map_err(usage)?;
        if !desired.datasets.contains_key(&name) {
            let known: Vec<&str> = desired.datasets.keys().map(DatasetName::as_str).collect();
            return Err(usage(format!("the inventory has no dataset `{name}`"))
                .hint(format!("It has {}.", known.join(", "))));
        }
        let below = desired.datasets.keys();
        all.extend(below.filter(|other| other.is_within(&name)).cloned());
    }
    all.sort();
    all.dedup();
    Ok(all)
}

async fn carry_out(
    context: &Context,
    args: &ReplicateArgs,
    session: Session,
) -> Result<u8, Failure> {
    let (mut code, mut rows) = (exit::DONE, Vec::new());
    for order in orders(&session.desired, args)? {
        if args.plan {
            all_of(context, &session, &order, true, &mut rows).await?;
            continue;
        }
        // A lock of its own for each: a first copy takes days, and neither `up` nor another replica waits for it.
        let locks = Locks::of_replica(context, &session, &order.replica);
        let walking = AtomicBool::new(false);
        let work = async {
            all_of(context, &session, &order, false, &mut rows).await?;
            Ok(exit::DONE)
        };
        if let Err(failure) = locks.hold(context, &walking, work).await {
            if failure.code() == exit::INTERRUPTED {
                return Err(failure);
            }
            code = code.max(failure.tell(context.terminal));
        }
    }
    code = rows.iter().map(|row| row.code).fold(code, u8::max);
    if context.global.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        context
            .terminal
            .json(&serde_json::json!({ "replicas": rows }));
        return Ok(code);
    }
    for row in &rows {
        let text = format!("{} -> {}: {}\n", row.source, row.target, row.what);
        match &row.failure {
            Some(failure) => {
                failure.tell(context.terminal);
            }
            None => context.terminal.answer(&text),
        }
    }
    Ok(code)
}

/// The datasets of one replica, parents first: a copy is received below that of its parent.
async fn all_of(
    context: &Context,
    session: &Session,
    order: &Order,
    plan: bool,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    for (source, target) in &order.pairs {
        let job = Job {
            system: &session.desired.system,
            replica: &order.replica,
            near: shell(session, owner(&session.desired, source)?)?,
            source,
            far: shell(session, &order.host)?,
            target,
            limit: order.limit,
        };
        let mut row = one(context, &job, plan).await;
        row.replica.clone_from(&order.replica);
        rows.push(row);
    }
    Ok(())
}

/// What came of one dataset.
struct Row {
    replica: String,
    source: DatasetName,
    target: String,
    what: String,
    steps: Vec<String>,
    code: u8,
    failure: Option<Failure>,
}

impl Row {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "replica": self.replica,
            "source": self.source,
            "target": self.target,
            "steps": self.steps,
            "result": self.what,
            "exit": self.code,
        })
    }
}

async fn one(context: &Context, job: &Job<'_>, plan: bool) -> Row {
    let target = format!("{}:{}", job.far.target().host, job.target);
    let row = |what: String, steps: Vec<String>| Row {
        replica: String::new(),
        source: job.source.clone(),
        target: target.clone(),
        what,
        steps,
        code: exit::DONE,
        failure: None,
    };
    let stopped = |failure: Failure, code: u8, what: &str, steps: Vec<String>| Row {
        code,
        failure: Some(failure),
        ..row(what.to_owned(), steps)
    };
    if plan {
        return match look(job).await {
            Ok((near, far)) => row(shown(&next(&near, &far, job.system)), Vec::new()),
            Err(error) => stopped(failed(&error), exit::UNREACHABLE, "not known", Vec::new()),
        };
    }
    match replicate(job, &|step| context.terminal.tell(step)).await {
        Ok(report) => match report.end {
            End::UpToDate { newest } => row(format!("up to date at @{newest}"), report.steps),
            End::NoSnapshot => stopped(
                no_snapshot(job.source, job.system),
                exit::FAILED,
                "nothing to send",
                report.steps,
            ),
            End::Diverged(how) => {
                stopped(diverged(&target, &how), exit::REFUSED, "diverged", report.steps)
            }
            End::Refused { step, said } => stopped(
                Failure::new(exit::FAILED, format!("{target} did not take {step}"))
                    .because(said)
                    .hint("Nothing over there was changed but what had arrived before. Mend it there and run the same command again."),
                exit::FAILED,
                "refused",
                report.steps,
            ),
        },
        Err(error) => stopped(failed(&error), exit::FAILED, "not known", Vec::new()),
    }
}

fn shown(step: &Next) -> String {
    match step {
        Next::NoSnapshot => "nothing to send: no snapshot of this system".to_owned(),
        Next::Nothing { newest, .. } => format!("up to date at @{newest}"),
        Next::Resume { .. } => "would go on with an interrupted stream".to_owned(),
        Next::Full { to, .. } => format!("would send all of @{to}"),
        Next::Incremental { to, .. } => format!("would send what has changed up to @{to}"),
        Next::Diverged(Divergence::NothingCommon { .. }) => {
            "has diverged: no snapshot over there is known here".to_owned()
        }
        Next::Diverged(Divergence::Written { since, .. }) => {
            format!("has diverged: somebody wrote into it since @{since}")
        }
    }
}

fn no_snapshot(source: &DatasetName, system: &SystemName) -> Failure {
    Failure::new(
        exit::FAILED,
        format!("{source} has no snapshot of system {system} to send"),
    )
    .hint("Take one: `infra zfs snapshot`.")
}

fn diverged(target: &str, how: &Divergence) -> Failure {
    let (text, hint) = match how {
        Divergence::NothingCommon { snapshots } => (
            format!("{target} is something else: none of its {snapshots} snapshots is known here"),
            format!(
                "Nothing was sent. If it is in the way, rename it over there: `zfs rename`; then run the same command again. {target} is never overwritten."
            ),
        ),
        Divergence::Written { since, bytes } => (
            format!("somebody wrote {bytes} bytes into {target} since @{since}"),
            format!(
                "Nothing was sent. To keep it, clone it over there first; to drop it, `zfs rollback` to @{since} over there (it destroys what is newer) and run the same command again. infra does neither by itself."
            ),
        ),
    };
    Failure::new(exit::REFUSED, text).hint(hint)
}
