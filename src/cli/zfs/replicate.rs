//! `infra zfs replicate`: the snapshots of a dataset and of those below it, on another pool or host.

use super::{copies, look::owner, prune::Limits};
use crate::apply::replica::{End, Job, ReplicaError, look, replicate};
use crate::cli::{context::Context, exit, failure::Failure, live, locks::Locks, session::Session};
use crate::model::{
    desired::Desired,
    ids::{DatasetName, HostName, ReplicaName, SystemName},
    replica::target,
    retention::Retention,
    size::Bytes,
    snapshot::SnapshotId,
};
use crate::providers::{shell::hint, ssh::SshHost};
use crate::replication::{Divergence, Next, doubt, next};
use crate::view::words::count;
use clap::Args;
use std::sync::atomic::AtomicBool;

/// Send the snapshots of datasets to another zpool or host
///
/// Brings the replicas of the inventory up to date, or with `--to` datasets that you name. Incremental from the newest
/// common snapshot or bookmark, found by guid; an interrupted stream goes on where it was; encrypted data travel encrypted.
/// The common base is held on both sides and bookmarked here, so that no prune takes it. Nothing over there is ever rolled
/// back or overwritten: where it went its own way, that is told. Where the replica has a `retention:`, those of infra's own
/// snapshots over there that it does not keep are destroyed once the newest one has arrived.
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
    /// Show the next step of each dataset and what would go over there; send and destroy nothing
    #[arg(long)]
    pub(crate) plan: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// One replica, and what belongs to it.
struct Order {
    replica: String,
    host: HostName,
    pairs: Vec<(DatasetName, DatasetName)>,
    limit: Option<u64>,
    retention: Option<Retention>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ReplicateArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move { carry_out(context, args, &session).await })
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
        retention: replica.retention,
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
        // A policy is declared or there is none.
        retention: None,
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

pub(super) async fn carry_out(
    context: &Context,
    args: &ReplicateArgs,
    session: &Session,
) -> Result<u8, Failure> {
    let (mut code, mut rows) = (exit::DONE, Vec::new());
    for order in orders(&session.desired, args)? {
        if args.plan {
            all_of(context, session, &order, args, &mut rows).await?;
            continue;
        }
        // A lock of its own for each: a first copy takes days, and neither `up` nor another replica waits for it.
        let locks = Locks::of_replica(context, session, &order.replica);
        let walking = AtomicBool::new(false);
        let work = async {
            all_of(context, session, &order, args, &mut rows).await?;
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
        if row.failure.is_none() || row.is_current {
            context.terminal.answer(&text);
        }
        if let Some(failure) = &row.failure {
            failure.tell(context.terminal);
        }
        if args.plan {
            let lines = row.gone.iter().map(|id| format!("  - {id}\n"));
            context.terminal.answer(&lines.collect::<String>());
        }
    }
    Ok(code)
}

/// The datasets of one replica, parents first: a copy is received below that of its parent.
async fn all_of(
    context: &Context,
    session: &Session,
    order: &Order,
    args: &ReplicateArgs,
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
        let mut row = one(context, &job, args.plan).await;
        if let Some(retention) = order.retention.filter(|_| row.is_current) {
            row.prune(&job, &retention, args).await;
        }
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
    /// The newest snapshot is over there.
    is_current: bool,
    /// What went over there, or with `--plan` would.
    gone: Vec<SnapshotId>,
}

impl Row {
    /// Drops what the copy's policy does not keep. Never before the newest snapshot has arrived.
    async fn prune(&mut self, job: &Job<'_>, retention: &Retention, args: &ReplicateArgs) {
        let going = match copies::going(job, retention, &args.limits).await {
            Ok(going) => going,
            Err(failure) => return self.fail(failure),
        };
        if going.is_empty() {
            return;
        }
        let snapshots = |number| count(number, "snapshot", "snapshots");
        if args.plan {
            self.what = format!("{}; {} would go", self.what, snapshots(going.len()));
            self.gone = going;
            return;
        }
        match copies::destroy(job, &going).await {
            Ok(done) => {
                self.what = format!("{}; {} gone", self.what, snapshots(done.gone.len()));
                if let Some((id, why)) = done.left.first() {
                    let text = format!("{} could not go", snapshots(done.left.len()));
                    let why = format!("{id}: {}", why.replace('\t', " "));
                    self.fail(Failure::new(exit::PARTIAL, text).because(why));
                }
                self.gone = done.gone;
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.code = failure.code();
        self.failure = Some(failure);
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "replica": self.replica,
            "source": self.source,
            "target": self.target,
            "steps": self.steps,
            "result": self.what,
            "gone": self.gone.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
        is_current: false,
        gone: Vec::new(),
    };
    let stopped = |failure: Failure, what: &str, steps: Vec<String>| Row {
        code: failure.code(),
        failure: Some(failure),
        ..row(what.to_owned(), steps)
    };
    if plan {
        return match look(job).await {
            Ok((near, far)) => {
                if let Some(doubt) = doubt(&near, &far) {
                    context.terminal.tell(&doubt);
                }
                let step = next(&near, &far, job.system);
                Row {
                    is_current: matches!(step, Next::Nothing { .. }),
                    ..row(shown(&step), Vec::new())
                }
            }
            Err(error) => stopped(failed(&error), "not known", Vec::new()),
        };
    }
    match replicate(job, &|step| context.terminal.tell(step)).await {
        Ok(report) => match report.end {
            End::UpToDate { newest } => Row {
                is_current: true,
                ..row(format!("up to date at @{newest}"), report.steps)
            },
            End::NoSnapshot => stopped(
                no_snapshot(job.source, job.system),
                "nothing to send",
                report.steps,
            ),
            End::Diverged(how) => {
                stopped(diverged(&target, &how), "diverged", report.steps)
            }
            End::Refused { step, said } => stopped(
                Failure::new(exit::FAILED, format!("{target} did not take {step}"))
                    .because(said)
                    .hint("Nothing over there was changed but what had arrived before. Mend it there and run the same command again."),
                "refused",
                report.steps,
            ),
        },
        Err(error) => stopped(failed(&error), "not known", Vec::new()),
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
