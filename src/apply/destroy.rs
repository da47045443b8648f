//! What ends a guest: looked at once more right before, and never begun twice.

use super::{
    guests::TASK_LIMIT,
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::ids::{HostName, Vmid};
use crate::providers::proxmox::{GuestRead, GuestWrite, ProxmoxRead, ProxmoxWrite, Refusal};
use std::time::Duration;

/// Destroying a large disk with many snapshots takes a node some minutes.
const DESTROY_LIMIT: Duration = Duration::from_mins(30);

impl<P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite> World<P> {
    /// Destroys a guest that still is the one that the owner named: same id, same name, ours, unprotected. An id can have
    /// been given to another guest since the plan was made.
    pub(super) async fn destroy_guest(
        &self,
        node: &HostName,
        vmid: Vmid,
        name: &str,
        tag: &str,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let Some(found) = api.guest(vmid).await? else {
            return Ok(());
        };
        let protected = found
            .config
            .as_ref()
            .and_then(|config| config.get("protection"))
            .is_some_and(|value| value == "1");
        let problem = if found.name != name {
            Some(format!(
                "guest {vmid} is `{}` now, not `{name}`",
                found.name
            ))
        } else if !found.tags.iter().any(|own| own == tag) {
            Some(format!("guest {vmid} has no tag `{tag}` any more"))
        } else if protected {
            Some(format!("guest {vmid} `{name}` is protected now"))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(StepFailure::told(
                problem,
                "Nothing was destroyed. Somebody changed it meanwhile: look at it, then run the command again.",
            ));
        }
        self.work_or_look(
            || api.destroy(node.as_str(), vmid),
            DESTROY_LIMIT,
            notes,
            || async { Ok(api.guest(vmid).await?.is_none()) },
        )
        .await?;
        if let Ok(name) = HostName::new(name) {
            let forgotten = self.host_keys.forget(&name);
            forgotten.map_err(|error| super::failure::plain(&error))?;
        }
        Ok(())
    }

    /// Deletes a volume; one that is gone already is fine.
    pub(super) async fn delete_volume(
        &self,
        node: &HostName,
        volume: &str,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        match self.api()?.delete_volume(node.as_str(), volume).await {
            Ok(Some(upid)) => self.finish(&upid, TASK_LIMIT, notes).await,
            Ok(None) => Ok(()),
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
