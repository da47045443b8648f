//! A guest that a verb of `infra vm` is about, and waiting for what was asked of it.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    session::Session,
};
use crate::model::{
    guest::Guest,
    ids::{HostName, Vmid},
    observed::ObservedGuest,
};
use crate::providers::proxmox::{
    Client, Delivery, GuestRead as _, ProxmoxError, ProxmoxRead as _, Upid,
};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// What a request did whose answer was lost shows within this time.
const LOST_LIMIT: Duration = Duration::from_secs(20);
/// The HA manager acts within two rounds of ten seconds, and gives a guest the time that it was told to shut down.
const HA_LIMIT: Duration = Duration::from_mins(4);
const LOST_PAUSE: Duration = Duration::from_millis(500);

/// A guest of the inventory, as it is now.
pub(super) struct Found<'a> {
    pub(super) api: &'a Client,
    pub(super) wanted: &'a Guest,
    pub(super) live: ObservedGuest,
}

/// Finds a guest of the inventory, wherever it lives.
pub(super) async fn find<'a>(session: &'a Session, name: &str) -> Result<Found<'a>, Failure> {
    let key = HostName::new(name).map_err(|error| Failure::of(exit::USAGE, &error))?;
    let Some(wanted) = session.desired.guests.get(&key) else {
        let names: Vec<&str> = session
            .desired
            .guests
            .keys()
            .map(HostName::as_str)
            .collect();
        return Err(
            Failure::new(exit::USAGE, format!("there is no guest `{name}`"))
                .hint(format!("The inventory has {}.", names.join(", "))),
        );
    };
    let api = session
        .world
        .proxmox
        .as_ref()
        .ok_or_else(|| Failure::new(exit::USAGE, "the inventory has no Proxmox"))?;
    let found = api.guest(wanted.vmid).await.map_err(|error| told(&error))?;
    let Some(live) = found else {
        return Err(Failure::new(
            exit::FAILED,
            format!("guest {} `{name}` does not exist yet", wanted.vmid),
        )
        .hint("`infra up` makes it."));
    };
    Ok(Found { api, wanted, live })
}

/// A failure of the API with what can be done.
pub(super) fn told(error: &ProxmoxError) -> Failure {
    match error.hint() {
        Some(hint) => failed(error).hint(hint),
        None => failed(error),
    }
}

impl Found<'_> {
    /// Whether it is on.
    pub(super) fn runs(&self) -> bool {
        self.live.status == "running"
    }

    pub(super) fn vmid(&self) -> Vmid {
        self.wanted.vmid
    }

    pub(super) async fn wait(
        &self,
        started: Result<Upid, ProxmoxError>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let upid = started.map_err(|error| told(&error))?;
        self.api
            .wait(&upid, limit)
            .await
            .map(drop)
            .map_err(|error| told(&error))
    }

    /// As [`Found::wait`], and then looks until it is done: for a guest under high availability the task only leaves a
    /// request with the HA manager. A request whose answer was lost is never sent again: what it should have done is
    /// looked for.
    pub(super) async fn settle<F: Future<Output = Result<bool, ProxmoxError>>>(
        &self,
        started: Result<Upid, ProxmoxError>,
        limit: Duration,
        is_done: impl Fn() -> F,
    ) -> Result<(), Failure> {
        let (lost, patience) = match started {
            Err(error) if error.delivery() == Delivery::MaybeApplied => (Some(error), LOST_LIMIT),
            started => {
                self.wait(started, limit).await?;
                (None, HA_LIMIT)
            }
        };
        let mut deadline = Instant::now() + patience;
        loop {
            if is_done().await.map_err(|error| told(&error))? {
                return Ok(());
            }
            if Instant::now() > deadline {
                let live = self.api.guest(self.vmid()).await;
                let is_at_work = live
                    .map_err(|error| told(&error))?
                    .is_some_and(|live| live.lock.is_some());
                match &lost {
                    // A long move, for one.
                    None if is_at_work => deadline = Instant::now() + patience,
                    None => {
                        return Err(Failure::new(
                            exit::FAILED,
                            format!(
                                "Proxmox said OK, and {} s later `{}` is still not as asked",
                                patience.as_secs(),
                                self.wanted.name
                            ),
                        )
                        .hint(
                            "For a guest under high availability `ha-manager status` on a node says what it waits for.",
                        ));
                    }
                    Some(error) => {
                        return Err(told(error).hint(
                            "Whether it was begun is unknown; nothing of it shows. Look at the node's tasks, then run the command again.",
                        ));
                    }
                }
            }
            tokio::time::sleep(LOST_PAUSE).await;
        }
    }

    /// Whether the guest runs, or not, and nothing has locked it.
    pub(super) async fn is_powered(&self, on: bool) -> Result<bool, ProxmoxError> {
        let live = self.api.guest(self.vmid()).await?;
        Ok(live.is_some_and(|live| (live.status == "running") == on && live.lock.is_none()))
    }

    /// Whether a snapshot is there, or not, and the guest is no longer locked for it.
    pub(super) async fn has_snapshot(
        &self,
        label: &str,
        there: bool,
    ) -> Result<bool, ProxmoxError> {
        let all = self.api.snapshots(&self.live.node, self.vmid()).await?;
        let live = self.api.guest(self.vmid()).await?;
        let is_free = live.is_some_and(|live| live.lock.is_none());
        Ok(is_free && all.iter().any(|one| one.name == label) == there)
    }

    pub(super) fn done(&self, context: &Context, deed: &str, word: &str) -> u8 {
        if context.global.json {
            context.terminal.json(&serde_json::json!({
                "guest": self.wanted.name,
                "vmid": self.vmid(),
                "node": self.live.node,
                "done": word,
            }));
        } else {
            context
                .terminal
                .answer(&format!("{} ({}) {deed}.\n", self.wanted.name, self.vmid()));
        }
        exit::DONE
    }
}
