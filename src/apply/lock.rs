//! One run at a time: a local `flock`, and a directory on the system's first host, so that a laptop and a nightly
//! host exclude each other.

use crate::providers::shell::{Command, Shell, ShellError};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    time::Duration,
};

/// `infra-lock ACTION FOLDER TOKEN MAX_AGE`; see the script's head for its answers.
pub const SCRIPT: &str = include_str!("scripts/lock.sh");

/// A holder that has not said that it lives for this long is dead: five missed beats.
const STALE_AFTER: Duration = Duration::from_mins(5);

/// How often a holder says that it lives.
pub const BEAT: Duration = Duration::from_mins(1);

/// Who holds the lock, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `user@machine`.
    pub who: String,
    /// The machine's id, so that a dead process of our own machine is recognised at once.
    pub machine: String,
    /// Process id on that machine.
    pub pid: u32,
    /// RFC 3339, UTC.
    pub since: String,
    /// The command.
    pub why: String,
    /// Random, unique to one run.
    pub token: String,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("start: {who} has been running `{why}` since {since}")]
    Held {
        /// Who.
        who: String,
        /// What.
        why: String,
        /// Since when.
        since: String,
    },
    /// The far side could not be asked.
    #[error("take the lock")]
    Shell(#[source] ShellError),
    /// The local lock file could not be opened.
    #[error("open the lock file {path}")]
    File {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The local half. Released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct LocalLock {
    _file: File,
}

/// Takes the local lock of a system.
///
/// # Errors
/// [`LockError::Held`] when another process of this machine holds it.
pub fn take_local(folder: &Path, holder: &Holder) -> Result<LocalLock, LockError> {
    let path = folder.join("lock");
    let fail = |source| LockError::File {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(fail)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(fail)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let held: Option<Holder> = std::fs::read_to_string(folder.join("lock.holder"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok());
        return Err(held.map_or_else(
            || LockError::Held {
                who: "another process of this machine".to_owned(),
                why: "infra".to_owned(),
                since: "a moment ago".to_owned(),
            },
            |held| LockError::Held {
                who: held.who,
                why: held.why,
                since: held.since,
            },
        ));
    }
    let text = serde_json::to_string(holder).map_err(|error| fail(error.into()))?;
    std::fs::write(folder.join("lock.holder"), text).map_err(fail)?;
    Ok(LocalLock { _file: file })
}

/// The remote half: a directory on a host.
#[derive(Debug)]
pub struct RemoteLock<'a, S: Shell> {
    shell: &'a S,
    folder: String,
    token: String,
    replaced: Option<Holder>,
}

fn call(action: &str, folder: &str, token: &str) -> Command {
    Command::script("infra-lock", SCRIPT).args([
        action,
        folder,
        token,
        &STALE_AFTER.as_secs().to_string(),
    ])
}

/// Takes the lock on the system's first host. `is_alive` tells whether a process of this machine still runs.
///
/// # Errors
/// [`LockError::Held`] when a living run holds it.
pub async fn take_remote<'a, S: Shell>(
    shell: &'a S,
    system: &str,
    holder: &Holder,
    is_alive: impl Fn(u32) -> bool + Send,
) -> Result<RemoteLock<'a, S>, LockError> {
    let folder = format!("/var/lib/infra/locks/{system}");
    let description = serde_json::to_string(holder).unwrap_or_default();
    let mut replaced = None;
    for attempt in 0..2 {
        let command = call("take", &folder, &holder.token).stdin(description.clone());
        let answer = shell
            .demand(command)
            .await
            .map_err(LockError::Shell)?
            .text();
        let answer = answer.trim();
        if let Some(dead) = answer.strip_prefix("taken") {
            return Ok(RemoteLock {
                shell,
                folder,
                token: holder.token.clone(),
                replaced: replaced.or_else(|| serde_json::from_str(dead.trim()).ok()),
            });
        }
        let text = answer.splitn(3, ' ').nth(2).unwrap_or_default();
        let held: Option<Holder> = serde_json::from_str(text).ok();
        let dead = held
            .as_ref()
            .filter(|held| attempt == 0 && held.machine == holder.machine && !is_alive(held.pid));
        match (dead, held.as_ref()) {
            (Some(dead), _) => {
                shell
                    .demand(call("break", &folder, &dead.token))
                    .await
                    .map_err(LockError::Shell)?;
                replaced = Some(dead.clone());
            }
            (None, Some(held)) => {
                return Err(LockError::Held {
                    who: held.who.clone(),
                    why: held.why.clone(),
                    since: held.since.clone(),
                });
            }
            (None, None) => break,
        }
    }
    Err(LockError::Held {
        who: "somebody".to_owned(),
        why: "infra".to_owned(),
        since: "a moment ago".to_owned(),
    })
}

impl<S: Shell> RemoteLock<'_, S> {
    /// The run whose lock was taken over: dead on this machine, or silent for too long on another one.
    pub fn replaced(&self) -> Option<&Holder> {
        self.replaced.as_ref()
    }

    /// Says that the holder lives; false when the lock was lost.
    ///
    /// # Errors
    /// [`LockError::Shell`].
    pub async fn beat(&self) -> Result<bool, LockError> {
        let command = call("beat", &self.folder, &self.token);
        let answer = self.shell.demand(command).await.map_err(LockError::Shell)?;
        Ok(answer.text().trim() == "taken")
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// [`LockError::Shell`]; the lock then goes stale by itself.
    pub async fn release(self) -> Result<(), LockError> {
        let command = call("release", &self.folder, &self.token);
        self.shell
            .demand(command)
            .await
            .map(|_| ())
            .map_err(LockError::Shell)
    }
}
