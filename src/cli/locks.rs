//! One run at a time, around every verb that changes something.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    session::Session,
};
use crate::apply::lock::{self, BEAT, Holder, LockError};
use crate::providers::ssh::SshHost;
use std::{
    future::Future,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What keeps another run away: a file here, and a directory on the system's first host, for each thing that is locked.
pub(crate) struct Locks {
    holder: Holder,
    things: Vec<Thing>,
    first: Option<SshHost>,
    /// What Ctrl-C meant, and what to do then.
    interrupted: (&'static str, String),
}

/// What is locked.
struct Thing {
    /// The folder of the file here.
    state: PathBuf,
    /// The name of the directory over there.
    system: String,
}

impl Thing {
    fn system(session: &Session) -> Self {
        Self {
            state: session.state.clone(),
            system: session.desired.system.to_string(),
        }
    }

    fn part(session: &Session, folder: &str, kind: &str, name: &str) -> Self {
        Self {
            state: session.state.join(folder).join(name),
            system: format!("{}.{kind}.{name}", session.desired.system),
        }
    }
}

impl Locks {
    /// The locks of a session's system.
    pub(crate) fn of(context: &Context, session: &Session, why: &str) -> Self {
        let first = session.desired.all_hosts().next();
        Self {
            holder: holder(context, session, why),
            things: vec![Thing::system(session)],
            first: first.and_then(|host| session.hosts.get(host)).cloned(),
            interrupted: (
                "interrupted while only looking",
                format!(
                    "Nothing was left half done. Run `{}` again.",
                    context.again(why.strip_prefix("infra ").unwrap_or(why))
                ),
            ),
        }
    }

    /// Those of one replica: two runs that send to one place would spoil each other's streams.
    pub(crate) fn of_replica(context: &Context, session: &Session, replica: &str) -> Self {
        let all = Self::of(context, session, &format!("infra zfs replicate {replica}"));
        Self {
            things: vec![Thing::part(session, "replicas", "replica", replica)],
            interrupted: (
                "interrupted",
                "What arrived is kept over there. The same command goes on from it.".to_owned(),
            ),
            ..all
        }
    }

    /// Those of one backup job: neither `up` nor another job waits for it.
    pub(crate) fn of_backup(context: &Context, session: &Session, job: &str) -> Self {
        let all = Self::of(context, session, &format!("infra backup run {job}"));
        Self {
            things: vec![Thing::part(session, "backups", "backup", job)],
            interrupted: (
                "interrupted",
                "The last good backup is untouched. What the run left is removed by the next one."
                    .to_owned(),
            ),
            ..all
        }
    }

    /// Those of one backup job while it is looked at: a run and a drill of it would be in each other's way.
    pub(crate) fn of_drill(context: &Context, session: &Session, job: &str) -> Self {
        let all = Self::of_backup(context, session, job);
        Self {
            interrupted: (
                "interrupted",
                "Nothing live was touched. What the drill left is removed by the next one."
                    .to_owned(),
            ),
            ..all
        }
    }

    /// Those of bringing back over what lives: `up` must not start what stands still, and a backup of what is half back would
    /// count as a good one.
    pub(crate) fn of_restore(context: &Context, session: &Session, why: &str) -> Self {
        let mut all = Self::of(context, session, why);
        let jobs = session.desired.backups.keys();
        all.things
            .extend(jobs.map(|job| Thing::part(session, "backups", "backup", job.as_str())));
        all
    }

    /// Those of a night: two of them would tell everything twice. Its jobs take the locks of their own verbs.
    pub(crate) fn of_night(context: &Context, session: &Session) -> Self {
        let all = Self::of(context, session, "infra nightly");
        Self {
            things: vec![Thing {
                state: session.state.join("night"),
                system: format!("{}.night", session.desired.system),
            }],
            interrupted: (
                "interrupted",
                "The job that ran is safe to run again.".to_owned(),
            ),
            ..all
        }
    }

    /// Does the work while all are held. Ctrl-C ends it at once unless it is `walking`.
    pub(crate) async fn hold(
        self,
        context: &Context,
        walking: &AtomicBool,
        work: impl Future<Output = Result<u8, Failure>>,
    ) -> Result<u8, Failure> {
        // From here on: a signal between taking the lock and the first look would leave the lock behind.
        let mut interrupts = signal(SignalKind::interrupt()).map_err(|e| failed(&e))?;
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        let result = match self.take(&mut local, &mut remote).await {
            Ok(()) => {
                if let Some(dead) = remote.iter().find_map(lock::RemoteLock::replaced) {
                    context.terminal.tell(&format!(
                        "The last run did not end by itself: process {} of {}, since {}, is gone or has been silent for minutes. Its lock is taken over.",
                        dead.pid, dead.who, dead.since
                    ));
                }
                tokio::select! {
                    result = work => result,
                    lost = beat(&remote) => Err(lost),
                    () = stopped(&mut interrupts, walking) => {
                        let (what, hint) = &self.interrupted;
                        Err(Failure::new(exit::INTERRUPTED, *what).hint(hint.clone()))
                    }
                }
            }
            Err(error) => Err(locked(&error)),
        };
        for lock in remote {
            if let Err(error) = lock.release().await {
                context
                    .terminal
                    .tell(&format!("The lock goes stale by itself: {error}."));
            }
        }
        result
    }

    /// Takes one after the other; what was taken before a failure is in the lists.
    async fn take<'s>(
        &'s self,
        local: &mut Vec<lock::LocalLock>,
        remote: &mut Vec<lock::RemoteLock<'s, SshHost>>,
    ) -> Result<(), LockError> {
        for thing in &self.things {
            local.push(lock::take_local(&thing.state, &self.holder)?);
            if let Some(shell) = &self.first {
                remote.push(lock::take_remote(shell, &thing.system, &self.holder, is_alive).await?);
            }
        }
        Ok(())
    }
}

/// Ctrl-C while nothing is being carried out ends the run at once, lock released; during a walk it is the walk's.
async fn stopped(interrupts: &mut Signal, walking: &AtomicBool) {
    loop {
        if interrupts.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        if !walking.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Says that we live until a lock is lost.
async fn beat(locks: &[lock::RemoteLock<'_, SshHost>]) -> Failure {
    loop {
        tokio::time::sleep(BEAT).await;
        for lock in locks {
            // One missed beat is no loss: the lock goes stale after several.
            if let Ok(false) = lock.beat().await {
                return Failure::new(
                    exit::LOCKED,
                    "another run took over the lock while this one was silent",
                )
                .hint("Run the command again when the other one has ended.");
            }
        }
    }
}

fn holder(context: &Context, session: &Session, why: &str) -> Holder {
    let token: u128 = rand::random();
    Holder {
        who: context.env.who.clone(),
        machine: context.env.machine.clone(),
        pid: std::process::id(),
        since: now(),
        why: format!("{why} ({})", session.desired.system),
        token: format!("{token:032x}"),
    }
}

/// RFC 3339, UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn is_alive(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

fn locked(error: &LockError) -> Failure {
    match error {
        LockError::Held { .. } => Failure::of(exit::LOCKED, error)
            .hint("Wait until that run has ended; a dead one is recognised after five minutes."),
        LockError::Shell(shell) => {
            let failure = Failure::of(exit::UNREACHABLE, error);
            match crate::providers::shell::hint(shell) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        }
        LockError::File { .. } => Failure::of(exit::FAILED, error),
    }
}
