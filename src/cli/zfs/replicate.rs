//! `infra zfs replicate`: the snapshots of a dataset and of those below it, on another pool or host.

use super::look::owner;
use crate::apply::replica::{End, Job, ReplicaError, look, replicate};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{
    ids::{DatasetName, HostName, SystemName},
    size::Bytes,
};
use crate::providers::{shell::hint, ssh::SshHost};
use crate::replication::{Divergence, Next, next};
use clap::Args;

/// Send the snapshots of datasets to another zpool or host
///
/// Incremental from the newest common snapshot or bookmark, found by guid; an interrupted stream goes on where it was;
/// encrypted data travel encrypted. The common base is held on both sides and bookmarked here, so that no prune takes it.
/// Nothing over there is ever rolled back, overwritten or destroyed: where it went its own way, that is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplicateArgs {
    /// Datasets of the inventory; those below them go along
    #[arg(required = true, value_name = "DATASET")]
    pub(crate) datasets: Vec<String>,
    /// Where to: `backup:backup/home` (host of the inventory and dataset), or a dataset of the same host; `tank/photos`
    /// arrives there as `photos`
    #[arg(long, value_name = "[HOST:]DATASET")]
    pub(crate) to: String,
    /// At most so much a second, `20MiB`; the data then pass through this machine in any case
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit: Option<String>,
    /// Name of the replica in holds and bookmarks; from where it goes unless given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) replica: Option<String>,
    /// Show the next step of each dataset and send nothing
    #[arg(long)]
    pub(crate) plan: bool,
}

/// Where the replicas go.
struct Place {
    host: HostName,
    below: DatasetName,
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

fn place(text: &str, own: &HostName) -> Result<Place, Failure> {
    let (host, below) = match text.split_once(':') {
        Some((host, below)) => (HostName::new(host).map_err(usage)?, below),
        None => (own.clone(), text),
    };
    Ok(Place {
        host,
        below: DatasetName::new(below).map_err(usage)?,
    })
}

/// `tank/photos/raw` below `backup/home` is `backup/home/photos/raw`.
fn target(place: &Place, source: &DatasetName) -> Result<DatasetName, Failure> {
    let inner = source.as_str().split_once('/').map(|(_, inner)| inner);
    let Some(inner) = inner else {
        return Err(usage(format!("`{source}` is a whole zpool"))
            .hint("Name the datasets in it; each goes below the one behind `--to`."));
    };
    DatasetName::new(format!("{}/{inner}", place.below)).map_err(usage)
}

/// The name in tags and bookmarks: where it goes, in letters that ZFS takes.
fn replica_name(args: &ReplicateArgs, place: &Place) -> Result<String, Failure> {
    let name = args
        .replica
        .clone()
        .unwrap_or_else(|| format!("{}.{}", place.host, place.below.as_str().replace('/', ".")));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 60 || !name.chars().all(fits) {
        return Err(usage(format!("`{name}` cannot be part of a tag")).hint(
            "Name the replica: `--as offsite`; letters, digits, `-`, `_` and `.`, at most 60.",
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
fn sources(session: &Session, args: &ReplicateArgs) -> Result<Vec<DatasetName>, Failure> {
    let mut all = Vec::new();
    for text in &args.datasets {
        let name = DatasetName::new(text.as_str()).map_err(usage)?;
        if !session.desired.datasets.contains_key(&name) {
            let known: Vec<&str> = session
                .desired
                .datasets
                .keys()
                .map(DatasetName::as_str)
                .collect();
            return Err(usage(format!("the inventory has no dataset `{name}`"))
                .hint(format!("It has {}.", known.join(", "))));
        }
        let inside = format!("{name}/");
        let below = session.desired.datasets.keys();
        all.extend(
            below
                .filter(|other| **other == name || other.as_str().starts_with(&inside))
                .cloned(),
        );
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
    let limit = match &args.limit {
        None => None,
        Some(text) => Some(text.parse::<Bytes>().map_err(usage)?.0),
    };
    let (mut code, mut rows) = (exit::DONE, Vec::new());
    for source in sources(&session, args)? {
        let own = owner(&session.desired, &source)?;
        let place = place(&args.to, own)?;
        let target = target(&place, &source)?;
        if place.host == *own
            && (target == source || target.as_str().starts_with(&format!("{source}/")))
        {
            return Err(usage(format!("`{target}` lies in `{source}` itself")));
        }
        let replica = replica_name(args, &place)?;
        let job = Job {
            system: &session.desired.system,
            replica: &replica,
            near: shell(&session, own)?,
            source: &source,
            far: shell(&session, &place.host)?,
            target: &target,
            limit,
        };
        let row = one(context, &job, args.plan).await;
        code = code.max(row.code);
        rows.push(row);
    }
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

/// What came of one dataset.
struct Row {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(name: &str) -> DatasetName {
        DatasetName::new(name).expect("valid")
    }

    #[test]
    fn a_dataset_keeps_its_way_below_the_place() {
        let own = HostName::new("pve").expect("valid");
        let there = place("backup:vault/home", &own).expect("a place");
        assert_eq!(there.host.as_str(), "backup");
        let to = target(&there, &dataset("tank/photos/raw")).expect("a target");
        assert_eq!(to.as_str(), "vault/home/photos/raw");
        let here = place("vault", &own).expect("a place");
        assert_eq!(here.host, own);
        assert!(target(&here, &dataset("tank")).is_err());
    }
}
