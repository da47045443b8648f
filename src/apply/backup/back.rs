//! Bringing back: files into the place of live ones, dumps into live databases.
//!
//! What is there is kept first, by a guard snapshot or under another name. Whoever calls makes the stacks stand still.

use super::guards::Guards;
use crate::backup::{DumpOf, Files, Load, extra};
use crate::model::{
    backup::{BackupJob, ExportOf, STAGE},
    desired::Desired,
    ids::{BackupName, DatasetName, HostName},
    secret::SecretValues,
    snapshot::SnapshotId,
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead as _, Facts, Into, Returned, aside, aside_back, hash_and_send,
        load, present, receive, remove, tidy, unpack,
    },
    program::Program,
    shell::{Command, Shell as _},
    ssh::{SshHost, carry},
};
use std::collections::BTreeMap;

/// What bringing back needs.
pub struct Back<'a> {
    /// The inventory.
    pub desired: &'a Desired,
    /// Hosts with a shell.
    pub hosts: &'a BTreeMap<HostName, SshHost>,
    /// Values of secrets.
    pub secrets: &'a SecretValues,
    /// Makes names unique: `20261130t174713`.
    pub stamp: &'a str,
}

/// Files that are back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesBack {
    /// What came back.
    pub returned: Returned,
    /// Files and directories that were not in the copy and are gone; none where they were left alone.
    pub removed: Option<usize>,
    /// Where the former ones are.
    pub kept: Option<String>,
    /// Where they are.
    pub at: String,
}

/// A dump that is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBack {
    /// Tables or keys.
    pub items: u64,
    /// Rows.
    pub rows: Option<u64>,
    /// Assertions that hold.
    pub held: u64,
    /// Where the former data is.
    pub kept: Vec<String>,
    /// A file that is there for its owner to load.
    pub by_hand: Option<String>,
}

pub(super) fn restore(what: &str, why: impl std::convert::Into<String>) -> BackupError {
    BackupError::Restore {
        what: what.to_owned(),
        why: why.into(),
    }
}

impl Back<'_> {
    pub(super) fn job(&self, name: &BackupName) -> Result<&BackupJob, BackupError> {
        self.desired
            .backups
            .get(name)
            .ok_or_else(|| restore(name.as_str(), "the inventory has no such job"))
    }

    pub(super) fn shell(&self, host: &HostName) -> Result<&SshHost, BackupError> {
        self.hosts.get(host).ok_or_else(|| BackupError::Source {
            host: host.to_string(),
            said: "the inventory gives no shell access to it".to_owned(),
        })
    }

    pub(super) fn program<'s>(
        &'s self,
        job: &'s BackupJob,
    ) -> Result<Program<'s, SshHost>, BackupError> {
        Program::of(
            self.shell(&job.host)?,
            &self.desired.system,
            job,
            self.secrets,
        )
    }
}

/// Where a dataset is mounted. One that is not is no place for files: they would lie below it.
pub(super) async fn mountpoint(
    shell: &SshHost,
    dataset: &DatasetName,
) -> Result<String, BackupError> {
    let asked = Command::new(["zfs", "get", "-Hp", "-o", "value", "mounted,mountpoint"]);
    let output = shell.run(asked.args([dataset.as_str()])).await?;
    if !output.is_success() {
        return Err(restore(dataset.as_str(), output.complaint()));
    }
    let text = output.text();
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some("yes"), Some(at)) if at.starts_with('/') => Ok(at.to_owned()),
        _ => Err(restore(
            dataset.as_str(),
            format!("it is not mounted on {}", shell.target().host),
        )),
    }
}

/// Brings files into the place of live ones; the guards of their datasets are taken.
///
/// # Errors
/// Anything but all of them; the former ones are kept then as well.
pub async fn files_back(
    back: &Back<'_>,
    part: &Files,
    guards: &Guards,
) -> Result<FilesBack, BackupError> {
    let job = back.job(&part.job)?;
    match &part.dataset {
        Some(dataset) => into_dataset(back, job, part, dataset, &guards.id(dataset)).await,
        None => into_directory(back, job, part).await,
    }
}

async fn into_dataset(
    back: &Back<'_>,
    job: &BackupJob,
    part: &Files,
    dataset: &DatasetName,
    guard: &SnapshotId,
) -> Result<FilesBack, BackupError> {
    let shell = back.shell(&job.host)?;
    let at = mountpoint(shell, dataset).await?;
    let told = |error: BackupError| half(&part.name, &error, Some(guard.to_string()));
    let copies = back.program(job)?;
    let inner = part.inner.as_deref();
    let returned = copies
        .restore(&part.snapshot, &part.folder, inner, &at)
        .await
        .map_err(told)?;
    let below = inner.unwrap_or_default();
    let copied = copies
        .paths(&part.snapshot, &format!("{}{below}", part.folder))
        .await
        .map_err(told)?;
    let live = present(shell, &format!("{at}{below}"))
        .await
        .map_err(told)?;
    let lead = |paths: Vec<String>| -> Vec<String> {
        let below = below.trim_start_matches('/');
        let place = |path: String| {
            if below.is_empty() {
                path
            } else {
                format!("{below}/{path}")
            }
        };
        paths.into_iter().map(place).collect()
    };
    let extra = extra(&lead(live), &lead(copied), &job.excludes);
    if let Some(extra) = &extra {
        tidy(shell, &at, extra).await.map_err(told)?;
    }
    Ok(FilesBack {
        returned,
        removed: extra.map(|extra| extra.len()),
        kept: Some(guard.to_string()),
        at: format!("{at}{below}"),
    })
}

/// Something came back in part, or may have.
fn half(what: &str, error: &BackupError, kept: Option<String>) -> BackupError {
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    BackupError::Half {
        what: what.to_owned(),
        why: match kept {
            Some(kept) => format!("{why}; what was there before is in {kept}"),
            None => why,
        },
    }
}

/// Proxmox's own filesystem takes no renames and no owners.
const CLUSTER: &str = "/etc/pve";

async fn into_directory(
    back: &Back<'_>,
    job: &BackupJob,
    part: &Files,
) -> Result<FilesBack, BackupError> {
    let shell = back.shell(&job.host)?;
    let (parent, inner) = apart(part);
    let at = format!("{}{inner}", parent.trim_end_matches('/'));
    if at == CLUSTER || at.starts_with("/etc/pve/") {
        return Err(restore(
            &part.name,
            "it belongs to Proxmox, which keeps it in a database: bring it back beside, and copy what you need",
        ));
    }
    let kept = aside(shell, &at, back.stamp).await?;
    let copies = back.program(job)?;
    match copies
        .restore(&part.snapshot, &parent, Some(&inner), &parent)
        .await
    {
        Ok(returned) => Ok(FilesBack {
            returned,
            removed: Some(0),
            kept,
            at,
        }),
        Err(error) => {
            if aside_back(shell, &at, back.stamp).await.is_err() {
                return Err(half(&part.name, &error, kept));
            }
            Err(restore(
                &part.name,
                format!("{error}; what was there is there again"),
            ))
        }
    }
}

/// The directory that holds what comes back, and the rest of its path: a root of a job may be one file.
pub(super) fn apart(part: &Files) -> (String, String) {
    let whole = format!(
        "{}{}",
        part.folder.trim_end_matches('/'),
        part.inner.as_deref().unwrap_or_default()
    );
    let (parent, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
    let parent = if parent.is_empty() { "/" } else { parent };
    (parent.to_owned(), format!("/{name}"))
}

/// A folder of this restore's own on a host.
fn folder(back: &Back<'_>, kind: &str, rest: &str) -> String {
    format!("{STAGE}/{kind}/{}/{rest}", back.stamp)
}

/// Brings a dump to its stack's host, with the hash that it had when it was made. Its path there.
pub(super) async fn fetch(back: &Back<'_>, part: &Load) -> Result<String, BackupError> {
    let job = back.job(&part.job)?;
    let near = back.shell(&job.host)?;
    let far = back.shell(&part.host)?;
    let (from, file) = part
        .held
        .path
        .rsplit_once('/')
        .ok_or_else(|| restore(&part.name, "its place makes no sense"))?;
    let temporary = folder(back, "back", part.stack.as_str());
    let place = folder(back, "kept", part.stack.as_str());
    for (shell, path) in [(near, &temporary), (far, &place)] {
        shell
            .demand(Command::new(["install", "-d", "-m", "0700", path]))
            .await?;
    }
    let inner = format!("/{file}");
    let copies = back.program(job)?;
    copies
        .restore(&part.snapshot, from, Some(&inner), &temporary)
        .await?;
    let arrived = format!("{temporary}/{file}");
    let there = format!("{place}/{file}");
    let sha256 = part.held.sha256.as_deref().unwrap_or_default();
    let result = carry(
        near.target(),
        &hash_and_send(&arrived),
        far.target(),
        &receive(&there, sha256),
        None,
    )
    .await;
    // A copy of what the repository has.
    let _ = remove(near, &folder(back, "back", "")).await;
    let carried = result?;
    if carried.sent.is_success() && carried.received.is_success() {
        return Ok(there);
    }
    let said = if carried.received.is_success() {
        carried.sent.complaint()
    } else {
        carried.received.complaint()
    };
    Err(restore(
        &part.name,
        format!("what came back is not what was dumped: {said}"),
    ))
}

/// Removes a dump that was fetched; what was kept beside it stays.
pub(super) async fn drop_dump(back: &Back<'_>, host: &HostName, path: &str) {
    let Ok(shell) = back.shell(host) else { return };
    let _ = remove(shell, path).await;
    if let Some((folder, _)) = path.rsplit_once('/') {
        let words = [
            "rmdir",
            "--parents",
            "--ignore-fail-on-non-empty",
            "--",
            folder,
        ];
        let _ = shell.run(Command::new(words)).await;
    }
}

/// Brings a dump into its live database, or an export to its live paths.
///
/// # Errors
/// Anything but all of it.
pub async fn load_back(back: &Back<'_>, part: &Load) -> Result<LoadBack, BackupError> {
    let dump = fetch(back, part).await?;
    let shell = back.shell(&part.host)?;
    let mut out = LoadBack {
        items: 0,
        rows: None,
        held: 0,
        kept: Vec::new(),
        by_hand: None,
    };
    match &part.of {
        DumpOf::Database(database) => {
            let facts = Facts {
                rows: part.held.rows,
                extensions: &part.held.extensions,
            };
            let result = load(
                shell,
                &part.stack,
                database,
                &dump,
                Into::Live,
                back.stamp,
                &facts,
            )
            .await;
            // Without an answer nobody knows how far it came.
            let result = match result {
                Err(error @ BackupError::Shell(_)) => return Err(half(&part.name, &error, None)),
                result => result,
            };
            drop_dump(back, &part.host, &dump).await;
            let loaded = result?;
            out.items = loaded.items;
            out.rows = loaded.rows;
            out.held = loaded.held;
            out.kept.extend(loaded.kept);
        }
        DumpOf::Export(export) => match &export.what {
            ExportOf::Paths(paths) => {
                let mut result = Ok(());
                let mut moved: Vec<&String> = Vec::new();
                for path in paths {
                    match aside(shell, path, back.stamp).await {
                        Ok(kept) => out.kept.extend(kept),
                        Err(error) => {
                            result = Err(error);
                            break;
                        }
                    }
                    moved.push(path);
                }
                if result.is_ok() {
                    result = unpack(shell, &dump).await;
                }
                drop_dump(back, &part.host, &dump).await;
                if let Err(error) = result {
                    let mut is_undone = true;
                    for path in moved {
                        is_undone &= aside_back(shell, path, back.stamp).await.is_ok();
                    }
                    if !is_undone {
                        let kept = Some(out.kept.join(", ")).filter(|kept| !kept.is_empty());
                        return Err(half(&part.name, &error, kept));
                    }
                    return Err(restore(
                        &part.name,
                        format!("{error}; what was there is there again"),
                    ));
                }
                out.items = u64::try_from(paths.len()).unwrap_or(u64::MAX);
            }
            ExportOf::Command { .. } => out.by_hand = Some(dump),
        },
    }
    Ok(out)
}
