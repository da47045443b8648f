//! Tasks of Proxmox: journalled when they begin, begun again after a lock that was not obtained, and looked after when
//! nobody can tell whether they began.

use super::{
    failure::plain,
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{ids::Vmid, observed::ObservedGuest};
use crate::providers::proxmox::{
    ConfigChange, Delivery, ProxmoxError, ProxmoxRead, ProxmoxWrite, Upid,
};
use std::time::Duration;
use tokio::time::Instant;

/// A lock that is not obtained in this time is held by something that does not end by itself.
const LOCK_LIMIT: Duration = Duration::from_mins(2);
/// A write whose answer was lost shows up within this time, or it never arrived.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// The HA manager acts within two rounds of ten seconds, and a guest that does not listen is cut off after a minute and
/// a half.
const HA_LIMIT: Duration = Duration::from_mins(4);
/// How long a lock may hold up a run: disks of a guest that moves to another node take their time.
const BUSY_LIMIT: Duration = Duration::from_hours(2);

impl<P: ProxmoxRead + ProxmoxWrite> World<P> {
    /// Waits for a task that the journal knows.
    pub(super) async fn finish(
        &self,
        upid: &Upid,
        limit: Duration,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        Ok(self.end(upid, limit, notes).await??)
    }

    async fn end(
        &self,
        upid: &Upid,
        limit: Duration,
        notes: &Notes,
    ) -> Result<Result<(), ProxmoxError>, StepFailure> {
        notes.task(upid.as_str()).map_err(|error| plain(&error))?;
        let end = match self.api()?.wait(upid, limit).await {
            Ok(end) => end,
            Err(error) => return Ok(Err(error)),
        };
        if end.warnings > 0 {
            notes.tell(format!("{} warnings in the log of {upid}", end.warnings));
        }
        Ok(Ok(()))
    }

    /// Begins a task and sees it to its end. A lock that was not obtained in time means that nothing was done, so the
    /// task is begun again; nothing else is ever begun twice. The inner error is for the caller to look after.
    pub(super) async fn work<Begun>(
        &self,
        begin: impl Fn() -> Begun,
        limit: Duration,
        notes: &Notes,
    ) -> Result<Result<(), ProxmoxError>, StepFailure>
    where
        Begun: Future<Output = Result<Upid, ProxmoxError>>,
    {
        let deadline = Instant::now() + LOCK_LIMIT;
        loop {
            let result = match begin().await {
                Ok(upid) => self.end(&upid, limit, notes).await?,
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.is_lock_timeout() && Instant::now() < deadline => {
                    notes.tell("waiting for a lock that somebody else holds");
                    tokio::time::sleep(self.pause).await;
                }
                other => return Ok(other),
            }
        }
    }

    /// As [`World::work`]; where nobody can tell whether the write arrived, `is_done` looks until it has, and the
    /// write is never sent again.
    pub(super) async fn work_or_look<Begun, Looked>(
        &self,
        begin: impl Fn() -> Begun,
        limit: Duration,
        notes: &Notes,
        is_done: impl Fn() -> Looked,
    ) -> Result<(), StepFailure>
    where
        Begun: Future<Output = Result<Upid, ProxmoxError>>,
        Looked: Future<Output = Result<bool, ProxmoxError>>,
    {
        let error = match self.work(begin, limit, notes).await? {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_lost = error.delivery() == Delivery::MaybeApplied
            && !matches!(
                error,
                ProxmoxError::TaskFailed { .. } | ProxmoxError::TaskSlow { .. }
            );
        if !is_lost {
            return Err(error.into());
        }
        notes.tell("the answer was lost; looking whether it took effect");
        let deadline = Instant::now() + LOOK_LIMIT.min(self.pause * 40);
        loop {
            if is_done().await? {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Looks until a guest is what a task should have made it. Proxmox ends the task at once for a guest under high
    /// availability: its HA manager acts in one of its next rounds, and takes what a move or a shutdown takes.
    pub(super) async fn becomes(
        &self,
        vmid: Vmid,
        what: &str,
        notes: &Notes,
        is_so: impl Fn(Option<&ObservedGuest>) -> bool,
    ) -> Result<(), StepFailure> {
        let begun = Instant::now();
        let mut deadline = begun + HA_LIMIT;
        let mut told = false;
        loop {
            let found = self.api()?.guest(vmid).await?;
            if is_so(found.as_ref()) {
                return Ok(());
            }
            if !told {
                notes.tell(format!("asked for; looking until it {what}"));
                told = true;
            }
            // Something is at work on it. A lock may also have stayed behind: nobody waits for that for ever.
            let lock = found.and_then(|found| found.lock);
            if lock.is_some() {
                deadline = (Instant::now() + HA_LIMIT).min(begun + BUSY_LIMIT);
            }
            if Instant::now() > deadline {
                let locked = lock.map_or_else(String::new, |lock| format!(" (lock `{lock}`)"));
                return Err(StepFailure::told(
                    format!(
                        "Proxmox said OK, and {} s later guest {vmid} is still not as asked: it never {what}{locked}",
                        begun.elapsed().as_secs()
                    ),
                    "For a guest under high availability `ha-manager status` on a node says what it waits for. \
                     Run the command again when that is settled: it looks anew.",
                ));
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Whether a guest's configuration, or what waits for its next start, is what a change makes of it.
    pub(super) async fn is_configured(
        &self,
        vmid: Vmid,
        change: &ConfigChange,
    ) -> Result<bool, ProxmoxError> {
        let Some(api) = &self.proxmox else {
            return Ok(false);
        };
        let Some(found) = api.guest(vmid).await? else {
            return Ok(false);
        };
        let config = found.config.unwrap_or_default();
        let staged = |key: &String| match found.pending.get(key) {
            Some(staged) => staged.clone(),
            None => config.get(key).cloned(),
        };
        // Proxmox completes what it stores (a size, an order of parts): what was asked for is at its beginning.
        let is_set = |(key, value): (&String, &String)| {
            staged(key).is_some_and(|seen| seen.starts_with(value.as_str()))
        };
        Ok(found.lock.is_none()
            && change.set.iter().all(is_set)
            && change.delete.iter().all(|key| staged(key).is_none()))
    }
}
