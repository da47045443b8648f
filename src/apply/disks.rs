//! Images, templates, clones and disks through the API.

use super::{
    guests::{DOWNLOAD_LIMIT, IMPORT_LIMIT, TASK_LIMIT},
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    device::KEEPER,
    ids::{HostName, Vmid},
    image::Checksum,
};
use crate::plan;
use crate::providers::proxmox::{
    CloneOptions, ConfigChange, Delivery, GuestRead, GuestWrite, NewVolume, ProxmoxError,
    ProxmoxRead, ProxmoxWrite, Refusal,
};
use std::{path::Path, time::Duration};

/// Copying a large disk to a slow storage takes its time, and goes on without us.
const MOVE_LIMIT: Duration = Duration::from_hours(6);

impl<P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite> World<P> {
    pub(super) async fn upload_image(
        &self,
        node: &HostName,
        storage: &str,
        filename: &str,
        file: &Path,
        checksum: Option<&Checksum>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let upid = self
            .api()?
            .upload_image(node.as_str(), storage, filename, file, checksum)
            .await?;
        self.finish(&upid, DOWNLOAD_LIMIT, notes).await
    }

    pub(super) async fn make_template(
        &self,
        node: &HostName,
        vmid: Vmid,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let is_one = || async { Ok(api.guest(vmid).await?.is_some_and(|found| found.template)) };
        self.work_or_look(
            || api.make_template(node.as_str(), vmid),
            TASK_LIMIT,
            notes,
            is_one,
        )
        .await
    }

    pub(super) async fn clone_guest(
        &self,
        node: &HostName,
        from: Vmid,
        options: &CloneOptions,
        tuning: &str,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.copy_guest(node, from, options, notes).await?;
        // Before anything else, while the clone is off: options of a drive act at a start.
        let found = self.api()?.guest(options.vmid).await?;
        let Some(found) = found else { return Ok(()) };
        let config = found.config.unwrap_or_default();
        let live = config.get("scsi0");
        let Some(value) = live.and_then(|live| plan::retune("scsi0", tuning, live)) else {
            return Ok(());
        };
        let change = ConfigChange {
            set: [("scsi0".to_owned(), value)].into(),
            ..ConfigChange::default()
        };
        let Ok(on) = HostName::new(found.node) else {
            return Ok(());
        };
        self.configure_guest(&on, options.vmid, change, notes).await
    }

    async fn copy_guest(
        &self,
        node: &HostName,
        from: Vmid,
        options: &CloneOptions,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let begin = || api.clone_vm(node.as_str(), from, options);
        match self.work(begin, IMPORT_LIMIT, notes).await? {
            Ok(()) => Ok(()),
            Err(error @ (ProxmoxError::TaskFailed { .. } | ProxmoxError::TaskSlow { .. })) => {
                Err(error.into())
            }
            Err(error) if error.delivery() == Delivery::MaybeApplied => {
                // Never sent again: what matters is whether the clone is there and whole.
                self.appears(
                    options.vmid,
                    ("description", options.description.as_str()),
                    error,
                )
                .await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A disk that is there already was made by a run whose answer was lost: its name says whose it is.
    pub(super) async fn allocate_disk(
        &self,
        node: &HostName,
        storage: &str,
        volume: &NewVolume,
    ) -> Result<(), StepFailure> {
        let owner = Vmid::new(KEEPER).expect("the keeper's number is a VMID");
        match self
            .api()?
            .create_volume(node.as_str(), storage, owner, volume)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.refusal() == Some(Refusal::Exists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn move_disk(
        &self,
        node: &HostName,
        vmid: Vmid,
        disk: &str,
        storage: &str,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let place = format!("{storage}:");
        let has_moved = || async {
            let config = api.guest(vmid).await?.and_then(|found| found.config);
            let live = config.as_ref().and_then(|config| config.get(disk));
            Ok(live.is_some_and(|live| live.starts_with(&place)))
        };
        self.work_or_look(
            || api.move_disk(node.as_str(), vmid, disk, storage),
            MOVE_LIMIT,
            notes,
            has_moved,
        )
        .await
    }
}
