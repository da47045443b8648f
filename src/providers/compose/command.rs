//! Intent -> command. Pure.

use super::script;
use crate::model::{
    ids::{SecretName, StackName, SystemName},
    release::Release,
    secret::SecretValues,
};
use crate::providers::shell::Command;
use std::time::Duration;

/// A big image over a slow line.
const PULL_TIMEOUT: Duration = Duration::from_mins(30);
/// Compose waits for dependencies to be healthy while it starts a stack.
const UP_MARGIN: Duration = Duration::from_mins(2);

pub(super) fn stage(release: &Release, secrets: &SecretValues) -> Result<Command, SecretName> {
    let mut input = Vec::new();
    for path in &release.needs_mounts {
        input.extend_from_slice(format!("mount {path}\n").as_bytes());
        if let Some(dataset) = release.datasets.get(path) {
            input.extend_from_slice(format!("dataset {dataset}\n").as_bytes());
        }
    }
    for d in &release.directories {
        let record = format!("directory {:04o} {} {} {}\n", d.mode, d.uid, d.gid, d.path);
        input.extend_from_slice(record.as_bytes());
    }
    for d in &release.data {
        let record = format!("data {:04o} {} {} {}\n", d.mode, d.uid, d.gid, d.path);
        input.extend_from_slice(record.as_bytes());
    }
    for file in &release.files {
        let bytes = file.content.filled(secrets)?;
        let (mode, uid, gid) = (file.mode, file.uid, file.gid);
        let record = format!(
            "file {mode:04o} {uid} {gid} {} {}\n",
            bytes.len(),
            file.path
        );
        input.extend_from_slice(record.as_bytes());
        input.extend_from_slice(&bytes);
    }
    input.extend_from_slice(b"end\n");
    Ok(Command::script(script::STAGE_NAME, script::STAGE)
        .args([release.stack.as_str(), &release.id])
        .stdin(input))
}

pub(super) fn pull(release: &Release) -> Command {
    Command::script(script::PULL_NAME, script::PULL)
        .args([release.stack.as_str(), &release.id])
        .args(&release.images)
        .timeout(PULL_TIMEOUT)
}

pub(super) fn up(release: &Release, anew: &[String]) -> Command {
    flip(release, &release.id)
        .args(anew)
        .stdin(release.unit.text.as_bytes())
}

/// To a staged release, leaving the unit as it is.
pub(super) fn flip(release: &Release, id: &str) -> Command {
    Command::script(script::UP_NAME, script::UP)
        .args([release.stack.as_str(), id])
        .timeout(seconds(release.timeout_seconds) + UP_MARGIN)
}

pub(super) fn health(release: &Release, wait: u32) -> Command {
    Command::script(script::HEALTH_NAME, script::HEALTH)
        .args([
            release.stack.to_string(),
            wait.to_string(),
            release.settle_seconds.to_string(),
        ])
        .args(release.services.iter().map(|service| service.name.clone()))
        .timeout(seconds(wait) + Duration::from_mins(1))
}

pub(super) fn remove(stack: &StackName, system: &SystemName) -> Command {
    Command::script(script::REMOVE_NAME, script::REMOVE)
        .args([stack.as_str(), system.as_str()])
        .timeout(UP_MARGIN)
}

pub(super) fn halt(stack: &StackName, system: &SystemName) -> Command {
    Command::script(script::HALT_NAME, script::HALT)
        .args([stack.as_str(), system.as_str()])
        .timeout(UP_MARGIN)
}

/// Runs a command in the running container of a service.
pub fn exec(stack: &StackName, service: &str, argv: &[String]) -> Command {
    Command::script(script::EXEC_NAME, script::EXEC)
        .args([stack.as_str(), service])
        .args(argv)
}

/// Runs a command in the running container of a service, on a terminal.
pub fn enter(stack: &StackName, service: &str, argv: &[String]) -> Command {
    Command::script(script::ENTER_NAME, script::ENTER)
        .args([stack.as_str(), service])
        .args(argv)
}

/// Which lines of a stack's log.
#[derive(Debug, Clone, Copy)]
pub struct LogRequest<'a> {
    /// Stack.
    pub stack: &'a StackName,
    /// Services; empty for all.
    pub services: &'a [String],
    /// How many lines of each.
    pub lines: u32,
    /// Only since then: RFC 3339, or `10m`.
    pub since: Option<&'a str>,
}

pub(super) fn logs(request: &LogRequest<'_>) -> Command {
    log(request, "0").timeout(UP_MARGIN)
}

/// The log as it grows, until somebody ends it. Secrets are in it.
pub fn follow(request: &LogRequest<'_>) -> Command {
    log(request, "1")
}

fn log(request: &LogRequest<'_>, follow: &str) -> Command {
    Command::script(script::LOGS_NAME, script::LOGS)
        .args([request.stack.to_string(), request.lines.to_string()])
        .args([request.since.unwrap_or("-"), follow])
        .args(request.services)
}

pub(super) fn history(stack: &StackName) -> Command {
    Command::script(script::HISTORY_NAME, script::HISTORY).args([stack.as_str()])
}

pub(super) fn digests(images: &[String]) -> Command {
    Command::script(script::DIGESTS_NAME, script::DIGESTS)
        .args(images)
        .timeout(PULL_TIMEOUT)
}

pub(super) fn files(stack: &StackName, paths: &[String]) -> Command {
    let mut input = paths.join("\n");
    input.push('\n');
    Command::script(script::FILES_NAME, script::FILES)
        .args([stack.as_str()])
        .stdin(input)
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(u64::from(n))
}
