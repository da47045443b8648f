//! What is done to a cluster rather than to one guest: entries of its configuration, and moves between its nodes.

use super::{
    failure::plain,
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    cluster::{Entry, EntryKind, EntryWrite},
    ids::{HostName, Vmid},
    observed::ObservedGuest,
};
use crate::providers::proxmox::{
    ClusterRead, ClusterWrite, ConfigChange, Delivery, GuestRead, GuestWrite, ProxmoxRead,
    ProxmoxWrite,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// A drive without a medium.
const NO_MEDIUM: &str = "none,media=cdrom";
/// A move copies the disks of a guest, which takes what its network takes.
const MOVE_LIMIT: Duration = Duration::from_hours(12);
const TASK_LIMIT: Duration = Duration::from_mins(10);
/// A write whose answer was lost shows up within this time, or it never arrived.
const LOOK_LIMIT: Duration = Duration::from_secs(20);

impl<P> World<P>
where
    P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite + ClusterRead + ClusterWrite,
{
    /// Writes an entry. Nothing is sent twice: after a lost answer the list says whether it arrived.
    pub(super) async fn write_entry(
        &self,
        kind: EntryKind,
        id: &str,
        write: &EntryWrite,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let error = match api.write_entry(kind, id, write).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.delivery() != Delivery::MaybeApplied {
            return Err(error.into());
        }
        notes.tell("the answer was lost; looking whether it took effect");
        let deadline = Instant::now() + LOOK_LIMIT.min(self.pause * 40);
        loop {
            let entries = api.entries(kind).await?;
            if is_written(entries.get(id), write) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Moves a guest: its drive is emptied first, and it is stopped only where it cannot move while it runs.
    pub(super) async fn migrate_guest(
        &self,
        (from, to): (&HostName, &HostName),
        (vmid, guest): (Vmid, &HostName),
        drive: Option<&str>,
        stop: bool,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let found = api.guest(vmid).await?.ok_or_else(|| {
            StepFailure::told(format!("guest {vmid} is gone"), "Run `infra plan` again.")
        })?;
        let ran = found.status == "running";
        if found.node != to.as_str() {
            if drive.is_some() {
                self.eject(&found.node, vmid, notes).await?;
            }
            if ran && stop {
                self.power_off(from, vmid, notes).await?;
            }
            let online = ran && !stop;
            notes.tell(if online {
                "moving while it runs"
            } else {
                "moving its disks"
            });
            let arrived = || async {
                let found = api.guest(vmid).await?;
                Ok(found.is_some_and(|found| found.node == to.as_str() && found.lock.is_none()))
            };
            self.work_or_look(
                || api.migrate(&found.node, vmid, to.as_str(), online),
                MOVE_LIMIT,
                notes,
                arrived,
            )
            .await?;
            let is_there = |found: Option<&ObservedGuest>| {
                found.is_some_and(|found| found.node == to.as_str() && found.lock.is_none())
            };
            let what = format!("lives on {to}");
            self.becomes(vmid, &what, notes, is_there).await?;
        }
        if let Some(volume) = drive.filter(|volume| volume.contains(":iso/infra-")) {
            self.delete_volume(from, volume, notes).await?;
        }
        if ran && stop {
            if let Some(shell) = self.fleet.host(guest) {
                shell.disconnect();
            }
            self.power_on(to, vmid, notes).await?;
        }
        Ok(())
    }

    /// Empties the drive of a guest that answered with its pinned key, and so has read its seed.
    pub(super) async fn empty_drive(
        &self,
        node: &HostName,
        vmid: Vmid,
        guest: &HostName,
        seed: Option<&str>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.reach(guest, notes).await?;
        self.empty_read_drive(node, vmid, guest, seed, notes).await
    }

    /// Empties the drive of a guest that is known to have read its seed.
    ///
    /// # Errors
    /// What the API said.
    pub async fn empty_read_drive(
        &self,
        node: &HostName,
        vmid: Vmid,
        guest: &HostName,
        seed: Option<&str>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let found = self.api()?.guest(vmid).await?;
        let lives_on = found.map_or_else(|| node.to_string(), |found| found.node);
        self.eject(&lives_on, vmid, notes).await?;
        if let Some(volume) = seed {
            self.delete_volume(node, volume, notes).await?;
        }
        self.host_keys.forget(guest).map_err(|error| plain(&error))
    }

    async fn eject(&self, node: &str, vmid: Vmid, notes: &Notes) -> Result<(), StepFailure> {
        let api = self.api()?;
        let change = ConfigChange {
            set: BTreeMap::from([("ide2".to_owned(), NO_MEDIUM.to_owned())]),
            ..ConfigChange::default()
        };
        self.work_or_look(
            || api.update_config(node, vmid, &change),
            TASK_LIMIT,
            notes,
            || self.is_configured(vmid, &change),
        )
        .await
    }
}

/// Whether an entry is what a write makes of it. Lists are the same in every order.
pub(super) fn is_written(found: Option<&Entry>, write: &EntryWrite) -> bool {
    let holds = |found: &Entry, set: &Entry| {
        set.iter().all(|(key, value)| {
            let parts = |text: &str| {
                let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
                parts.sort();
                parts
            };
            // What Proxmox means anyway it may leave out.
            found
                .get(key)
                .is_none_or(|seen| parts(seen) == parts(value))
        })
    };
    match (write, found) {
        (EntryWrite::Create(entry), Some(found)) => holds(found, entry),
        (EntryWrite::Update { set, delete }, Some(found)) => {
            holds(found, set) && delete.iter().all(|key| !found.contains_key(key))
        }
        (EntryWrite::Delete, found) => found.is_none_or(|found| found.contains_key("remove_job")),
        (EntryWrite::Create(_) | EntryWrite::Update { .. }, None) => false,
    }
}
