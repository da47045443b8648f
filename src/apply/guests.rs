//! Guests through the API: image, seeds, creation, configuration, power.

use super::{
    failure::plain,
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    host::GuestSeed,
    ids::{HostName, ImageName, Vmid},
    image::Download,
    observed::ObservedGuest,
    size::Bytes,
};
use crate::providers::{
    proxmox::{
        ConfigChange, Delivery, GuestRead, GuestWrite, ProxmoxError, ProxmoxRead, ProxmoxWrite,
    },
    shell::{Command, Shell, ShellError},
};
use crate::seed::{HostKey, SeedNic, SeedSpec};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Downloads depend on the owner's line; half an hour is 1 MB/s for a large image.
pub(super) const DOWNLOAD_LIMIT: Duration = Duration::from_mins(30);
/// Importing copies the whole image on the node's disks.
pub(super) const IMPORT_LIMIT: Duration = Duration::from_mins(15);
/// Everything else is done by a node within seconds, or waits for a lock.
pub(super) const TASK_LIMIT: Duration = Duration::from_mins(3);
/// A cloud image boots in half a minute on slow hardware; this is for emulation and busy disks.
const BOOT_LIMIT: Duration = Duration::from_mins(6);
/// Before it has read its seed a guest may refuse the key or show another host key.
const SEED_GRACE: Duration = Duration::from_mins(2);
/// A start whose answer was lost shows within this time, or it never arrived.
const POWER_LIMIT: Duration = Duration::from_secs(20);
/// A guest that was asked to shut down gets this long before its power is cut.
const SHUTDOWN_SECONDS: u32 = 90;

impl<P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite> World<P> {
    pub(super) async fn download(
        &self,
        node: &HostName,
        storage: &str,
        image: &ImageName,
        download: &Download,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let upid = self
            .api()?
            .download_url(node.as_str(), storage, download)
            .await?;
        match self.finish(&upid, DOWNLOAD_LIMIT, notes).await {
            Ok(()) => Ok(()),
            Err(mut failure) => {
                failure.hint = failure.hint.or_else(|| {
                    Some(format!(
                        "Check that {node} reaches {} and that the checksum of image `{image}` is the published one.",
                        download.url
                    ))
                });
                Err(failure)
            }
        }
    }

    /// Makes the guest's host key (or takes up the one of an interrupted run), pins it and uploads the seed with it.
    pub(super) async fn upload_boot_seed(
        &self,
        node: &HostName,
        storage: &str,
        seed: &GuestSeed,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let key = self
            .host_keys
            .take(&seed.guest)
            .map_err(|error| plain(&error))?;
        self.pin(&seed.guest, &key)?;
        let bytes = spec(seed, Some(key)).seed().iso();
        let upid = self
            .api()?
            .upload_iso(node.as_str(), storage, &seed.filename, bytes)
            .await?;
        self.finish(&upid, TASK_LIMIT, notes).await
    }

    pub(super) async fn create_guest(
        &self,
        node: &HostName,
        vmid: Vmid,
        params: &BTreeMap<String, String>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let begin = || api.create_vm(node.as_str(), vmid, params);
        match self.work(begin, IMPORT_LIMIT, notes).await? {
            Ok(()) => Ok(()),
            Err(error @ (ProxmoxError::TaskFailed { .. } | ProxmoxError::TaskSlow { .. })) => {
                Err(error.into())
            }
            Err(error) if error.delivery() == Delivery::MaybeApplied => {
                // Never sent again: what matters is whether the guest is there.
                let tags = params.get("tags").map_or("", String::as_str);
                self.appears(vmid, ("tags", tags), error).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// After an ambiguous creation: waits until the guest is there, whole and ours.
    pub(super) async fn appears(
        &self,
        vmid: Vmid,
        (key, mark): (&str, &str),
        error: ProxmoxError,
    ) -> Result<(), StepFailure> {
        let begun = Instant::now();
        let mut deadline = begun + Duration::from_secs(20);
        loop {
            if let Some(found) = self.api()?.guest(vmid).await? {
                // The node works on it: an import or a full clone takes its time, and marks come with its end.
                if matches!(found.lock.as_deref(), Some("create" | "clone")) {
                    deadline = (Instant::now() + Duration::from_secs(20)).min(begun + IMPORT_LIMIT);
                }
                let config = found.config.unwrap_or_default();
                let seen = config.get(key).map(|value| value.trim_end());
                let ours = !mark.is_empty() && seen == Some(mark);
                if ours && found.lock.is_none() && config.contains_key("scsi0") {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    pub(super) async fn configure_guest(
        &self,
        node: &HostName,
        vmid: Vmid,
        change: ConfigChange,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        self.work_or_look(
            || api.update_config(node.as_str(), vmid, &change),
            TASK_LIMIT,
            notes,
            || self.is_configured(vmid, &change),
        )
        .await
    }

    pub(super) async fn grow_disk(
        &self,
        node: &HostName,
        vmid: Vmid,
        disk: &str,
        size: Bytes,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let has_grown = || async {
            let found = api.guest(vmid).await?;
            let config = found.and_then(|found| found.config).unwrap_or_default();
            let live = config.get(disk).and_then(|line| {
                line.split(',')
                    .find_map(|part| part.strip_prefix("size="))?
                    .parse::<Bytes>()
                    .ok()
            });
            Ok(live.is_some_and(|live| live >= size))
        };
        self.work_or_look(
            || api.resize_disk(node.as_str(), vmid, disk, size.0),
            TASK_LIMIT,
            notes,
            has_grown,
        )
        .await
    }

    pub(super) async fn start_guest(
        &self,
        node: &HostName,
        vmid: Vmid,
        guest: &HostName,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.power_on(node, vmid, notes).await?;
        let reached = tokio::select! {
            reached = self.reach(guest, notes) => reached,
            failed = self.first_boot_fails(node, vmid, guest) => return Err(failed),
        };
        match reached {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.explained(failure, node, vmid).await),
        }
    }

    /// Starts a guest. Right after a stop the node's clean-up holds its lock for some seconds; and somebody else may
    /// have been faster, which is all that was wanted.
    ///
    /// # Errors
    /// What the API said.
    pub async fn power_on(
        &self,
        node: &HostName,
        vmid: Vmid,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let begin = || api.start(node.as_str(), vmid);
        let error = match self.work(begin, TASK_LIMIT, notes).await? {
            Ok(()) => {
                let runs = |found: Option<&ObservedGuest>| {
                    found.is_some_and(|found| found.status == "running")
                };
                return self.becomes(vmid, "runs", notes, runs).await;
            }
            Err(ProxmoxError::TaskFailed { exit, .. }) if exit.contains("already running") => {
                return Ok(());
            }
            Err(error) => error,
        };
        if error.delivery() != Delivery::MaybeApplied {
            return Err(error.into());
        }
        // A start whose answer was lost may have begun; one that failed may have started the guest all the same.
        let has_ended = matches!(error, ProxmoxError::TaskFailed { .. });
        let deadline = Instant::now() + POWER_LIMIT.min(self.pause * 40);
        loop {
            let found = api.guest(vmid).await?;
            if found.is_some_and(|found| found.status == "running") {
                return Ok(());
            }
            if has_ended || Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Shuts a guest down, by force when it does not listen.
    ///
    /// # Errors
    /// What the API said.
    pub async fn power_off(
        &self,
        node: &HostName,
        vmid: Vmid,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let limit = TASK_LIMIT + Duration::from_secs(u64::from(SHUTDOWN_SECONDS));
        let is_off = || async {
            let found = api.guest(vmid).await?;
            Ok(found.is_none_or(|found| found.status == "stopped"))
        };
        self.work_or_look(
            || api.shutdown(node.as_str(), vmid, SHUTDOWN_SECONDS, true),
            limit,
            notes,
            is_off,
        )
        .await?;
        let is_off =
            |found: Option<&ObservedGuest>| found.is_none_or(|found| found.status == "stopped");
        self.becomes(vmid, "is off", notes, is_off).await
    }

    pub(super) async fn restart_guest(
        &self,
        node: &HostName,
        vmid: Vmid,
        guest: &HostName,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.power_off(node, vmid, notes).await?;
        if let Some(shell) = self.fleet.host(guest) {
            shell.disconnect();
        }
        self.start_guest(node, vmid, guest, notes).await
    }

    /// Waits until a guest that was started answers, trusted, and has finished its first boot.
    pub(super) async fn reach(&self, guest: &HostName, notes: &Notes) -> Result<(), StepFailure> {
        let shell = self.shell(guest)?;
        let begun = Instant::now();
        loop {
            let try_it = Command::new(["true"]).timeout(Duration::from_secs(10));
            match shell.demand(try_it).await {
                Ok(_) => break,
                Err(error) => {
                    let patience = match &error {
                        ShellError::Unreachable { .. } | ShellError::Lost { .. } => BOOT_LIMIT,
                        ShellError::HostKey { .. }
                        | ShellError::Refused { .. }
                        | ShellError::Sudo { .. }
                        | ShellError::TimedOut { .. }
                        | ShellError::Failed { .. }
                        | ShellError::Garbled { .. } => SEED_GRACE,
                    };
                    if begun.elapsed() > patience {
                        return Err(error.into());
                    }
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
        notes.tell("answers over SSH");
        self.first_boot(guest).await
    }

    /// Puts the seed without a private key into the drive and removes what carried the key, here and there.
    pub(super) async fn seal_seed(
        &self,
        node: &HostName,
        vmid: Vmid,
        storage: &str,
        seed: &GuestSeed,
        replaces: Option<&str>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        // Only a guest that answered with the pinned key has read its seed.
        self.reach(&seed.guest, notes).await?;
        self.seal_read_seed(node, vmid, storage, seed, replaces, notes)
            .await
    }

    /// Seals the seed of a guest that is known to have read it.
    ///
    /// # Errors
    /// What the API said.
    pub async fn seal_read_seed(
        &self,
        node: &HostName,
        vmid: Vmid,
        storage: &str,
        seed: &GuestSeed,
        replaces: Option<&str>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let bytes = spec(seed, None).seed().iso();
        let upid = api
            .upload_iso(node.as_str(), storage, &seed.filename, bytes)
            .await?;
        self.finish(&upid, TASK_LIMIT, notes).await?;
        let lives_on = api
            .guest(vmid)
            .await?
            .map_or_else(|| node.to_string(), |g| g.node);
        let drive = crate::plan::drive(storage, &seed.filename);
        let change = ConfigChange {
            set: BTreeMap::from([("ide2".to_owned(), drive)]),
            ..ConfigChange::default()
        };
        self.work_or_look(
            || api.update_config(&lives_on, vmid, &change),
            TASK_LIMIT,
            notes,
            || self.is_configured(vmid, &change),
        )
        .await?;
        if let Some(volume) = replaces {
            self.delete_volume(node, volume, notes).await?;
        }
        self.host_keys
            .forget(&seed.guest)
            .map_err(|error| plain(&error))
    }
}

/// What the guest is told. Packages are installed over SSH, where a failure can be told.
fn spec(seed: &GuestSeed, host_key: Option<HostKey>) -> SeedSpec {
    SeedSpec {
        instance_id: seed.instance_id.clone(),
        hostname: seed.guest.clone(),
        user: seed.user.clone(),
        authorized_keys: seed.authorized_keys.clone(),
        host_key,
        timezone: seed.timezone.clone(),
        nameservers: seed.nameservers.clone(),
        nics: seed
            .nics
            .iter()
            .map(|card| SeedNic {
                mac: card.mac,
                addresses: card.addresses.clone(),
                gateways: card.gateways.clone(),
            })
            .collect(),
        extra: seed.cloud_init.clone(),
    }
}
