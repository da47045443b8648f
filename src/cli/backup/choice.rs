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

/// An error with its exit code and what can be done.
pub(super) fn told(error: &BackupError) -> Failure {
    let code = match error {
        BackupError::Shell(_) => exit::UNREACHABLE,
        BackupError::Busy { .. } | BackupError::Locked { .. } => exit::LOCKED,
        BackupError::Program { .. }
        | BackupError::Source { .. }
        | BackupError::NoRepository { .. }
        | BackupError::Password
        | BackupError::Engine { .. }
        | BackupError::Unproven { .. }
        | BackupError::Dump { .. }
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
