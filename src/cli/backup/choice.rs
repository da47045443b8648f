//! Which jobs are meant, and what is known of them.

use crate::backup::{Standing, is_due, standing};
use crate::cli::{exit, failure::Failure, session::Session};
use crate::model::{
    backup::{BackupJob, in_order},
    desired::Desired,
    ids::{BackupName, HostName},
};
use crate::providers::{
    backup::{BackupError, Record, last},
    shell::Shell,
    ssh::SshHost,
};
use crate::view::human::StatusLine;
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// The named jobs, all of them where none is named, in their order.
pub(super) fn chosen<'d>(
    desired: &'d Desired,
    named: &[String],
) -> Result<Vec<&'d BackupJob>, Failure> {
    let all = in_order(&desired.backups);
    let known: Vec<String> = all.iter().map(|job| job.name.to_string()).collect();
    if known.is_empty() {
        return Err(
            Failure::new(exit::FAILED, "the inventory has no backup job")
                .hint("Write `backups:` in the inventory; docs/backups.md shows how."),
        );
    }
    if let Some(other) = named.iter().find(|name| !known.contains(name)) {
        return Err(Failure::new(
            exit::USAGE,
            format!("the inventory has no backup job `{other}`"),
        )
        .hint(format!("It has {}.", known.join(", "))));
    }
    Ok(all
        .into_iter()
        .filter(|job| named.is_empty() || named.contains(&job.name.to_string()))
        .collect())
}

/// The shell of a job's host.
pub(super) fn shell<'s>(session: &'s Session, job: &BackupJob) -> Result<&'s SshHost, Failure> {
    session.hosts.get(&job.host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {}", job.host),
        )
    })
}

/// A snapshot as it is told: the beginning of restic's ids, the whole of borg's names.
pub(super) fn short(id: &str) -> &str {
    if id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        &id[..id.len().min(8)]
    } else {
        id
    }
}

/// An error with its exit code and what can be done.
pub(super) fn told(error: &BackupError) -> Failure {
    let code = match error {
        BackupError::Shell(_) => exit::UNREACHABLE,
        BackupError::Busy { .. } | BackupError::Locked { .. } => exit::LOCKED,
        BackupError::Anew { .. } => exit::REFUSED,
        BackupError::Program { .. }
        | BackupError::Source { .. }
        | BackupError::NoRepository { .. }
        | BackupError::Password
        | BackupError::Engine { .. }
        | BackupError::Unproven { .. }
        | BackupError::Dump { .. }
        | BackupError::Load { .. }
        | BackupError::Restore { .. }
        | BackupError::Half { .. }
        | BackupError::Garbled { .. }
        | BackupError::Secret { .. } => exit::FAILED,
    };
    let failure = Failure::of(code, error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The records of jobs, all hosts asked at once.
pub(super) async fn records<S: Shell>(
    jobs: &[&BackupJob],
    hosts: &BTreeMap<HostName, S>,
) -> BTreeMap<BackupName, Result<Option<Record>, Failure>> {
    let answers = jobs.iter().map(|job| async move {
        let answer = match hosts.get(&job.host) {
            Some(shell) => last(shell, job.name.as_str()).await.map_err(|e| told(&e)),
            None => Err(Failure::new(
                exit::UNREACHABLE,
                format!("the inventory gives no shell access to {}", job.host),
            )),
        };
        (job.name.clone(), answer)
    });
    join_all(answers).await.into_iter().collect()
}

/// Backup jobs for `infra status`: how each stands, and when a restore of it was last proven. One that has never run is
/// named and no complaint: `infra zfs coverage` and `infra backup check` say what it means.
pub(crate) async fn lines<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
) -> Vec<StatusLine> {
    let jobs = in_order(&desired.backups);
    let now = jiff::Timestamp::now().as_second();
    let mut records = records(&jobs, hosts).await;
    let line = |job: &&BackupJob| {
        let (state, well) = match records.remove(&job.name) {
            Some(Ok(Some(record))) => {
                let stands = standing(&job.schedule, Some(record.at), now);
                let proven = record.proven.as_ref().and_then(|proven| {
                    let at = jiff::Timestamp::from_second(proven.at).ok()?;
                    Some(format!("a restore was proven {}", at.strftime("%Y-%m-%d")))
                });
                let proven = proven.unwrap_or_else(|| "no restore was ever proven".to_owned());
                match stands {
                    Standing::Late { hours } => (
                        format!("late: the last success was {hours} hours ago; {proven}"),
                        false,
                    ),
                    Standing::Fresh | Standing::Never => (format!("fresh; {proven}"), true),
                }
            }
            Some(Ok(None)) | None => ("has never run".to_owned(), true),
            Some(Err(failure)) => (failure.text(), false),
        };
        StatusLine {
            host: job.host.to_string(),
            what: format!("backup {}", job.name),
            state,
            well,
        }
    };
    jobs.iter().map(line).collect()
}

/// How a job stands, in numbers.
pub(crate) struct Stand {
    pub(crate) is_late: bool,
    /// Seconds since 1970; 0 for never.
    pub(crate) succeeded: i64,
    pub(crate) proven: i64,
}

/// How every job stands, in numbers. One whose host gives no answer is not among them.
pub(crate) async fn stands<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
) -> BTreeMap<BackupName, Stand> {
    let jobs: Vec<&BackupJob> = desired.backups.values().collect();
    let now = jiff::Timestamp::now().as_second();
    let stand = |(name, answer): (BackupName, Result<Option<Record>, Failure>)| {
        let record = answer.ok()?;
        let at = record.as_ref().map(|record| record.at);
        let job = desired.backups.get(&name)?;
        let proven = record.and_then(|record| record.proven);
        let stand = Stand {
            is_late: standing(&job.schedule, at, now) != Standing::Fresh,
            succeeded: at.unwrap_or_default(),
            proven: proven.map_or(0, |proven| proven.at),
        };
        Some((name, stand))
    };
    let records = records(&jobs, hosts).await;
    records.into_iter().filter_map(stand).collect()
}

/// How every job of the inventory stands. One whose host gives no answer counts as never.
pub(crate) async fn standings<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
) -> BTreeMap<BackupName, Standing> {
    let jobs: Vec<&BackupJob> = desired.backups.values().collect();
    let now = jiff::Timestamp::now().as_second();
    records(&jobs, hosts)
        .await
        .into_iter()
        .map(|(name, record)| {
            let at = record.ok().flatten().map(|record| record.at);
            let stands = desired
                .backups
                .get(&name)
                .map_or(Standing::Never, |job| standing(&job.schedule, at, now));
            (name, stands)
        })
        .collect()
}

/// The jobs of which a night holds a drill, in their order: those whose proof is older than their `drill` allows. One that
/// has never succeeded has nothing to prove; one whose host gives no answer is among them: its failure is then told.
pub(crate) async fn due_drills<S: Shell>(
    desired: &Desired,
    hosts: &BTreeMap<HostName, S>,
) -> Vec<String> {
    let jobs: Vec<&BackupJob> = in_order(&desired.backups)
        .into_iter()
        .filter(|job| job.drill.is_some())
        .collect();
    let now = jiff::Timestamp::now().as_second();
    let mut records = records(&jobs, hosts).await;
    jobs.into_iter()
        .filter(|job| match (&job.drill, records.remove(&job.name)) {
            (Some(drill), Some(Ok(Some(record)))) => {
                is_due(drill, record.proven.map(|proven| proven.at), now)
            }
            (_, Some(Ok(None))) => false,
            (_, Some(Err(_)) | None) | (None, _) => true,
        })
        .map(|job| job.name.to_string())
        .collect()
}

/// The jobs that a night runs, in their order. One whose host gives no answer is among them: its failure is then told.
pub(crate) async fn due<S: Shell>(desired: &Desired, hosts: &BTreeMap<HostName, S>) -> Vec<String> {
    let jobs = in_order(&desired.backups);
    let now = jiff::Timestamp::now().as_second();
    let mut records = records(&jobs, hosts).await;
    jobs.into_iter()
        .filter(|job| match records.remove(&job.name) {
            Some(Ok(record)) => is_due(&job.schedule, record.map(|record| record.at), now),
            Some(Err(_)) | None => true,
        })
        .map(|job| job.name.to_string())
        .collect()
}
