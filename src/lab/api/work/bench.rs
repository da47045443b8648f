//! Carrying out jobs: each takes the time that the real one takes, leaves its log and ends with its words.

use crate::lab::api::{job::Work, world::World};

/// Carries out a job.
///
/// # Errors
/// What becomes the exit status.
pub(crate) async fn run(world: &World, upid: &str, work: Work) -> Result<(), String> {
    let task = Bench { world, upid };
    match work {
        Work::Create {
            vmid,
            set,
            dice,
            start,
        } => task.create(vmid, set, dice, start).await,
        Work::Configure {
            vmid,
            change,
            dice,
            summary,
        } => task.configure(vmid, change, dice, summary).await,
        Work::Start { vmid } => task.start(vmid).await,
        Work::Stop { vmid } => task.stop(vmid).await,
        Work::Shutdown {
            vmid,
            timeout,
            force,
        } => task.shutdown(vmid, timeout, force).await,
        Work::AskHa {
            vmid,
            words,
            state,
            work,
        } => {
            task.ask_ha(vmid, words, state, *work).await;
            Ok(())
        }
        Work::Reboot { vmid, timeout } => task.reboot(vmid, timeout).await,
        Work::Resize {
            vmid,
            disk,
            size,
            digest,
        } => task.resize(vmid, &disk, &size, digest.as_deref()).await,
        Work::Destroy {
            vmid,
            purge,
            unreferenced,
        } => task.destroy(vmid, purge, unreferenced).await,
        Work::Download {
            storage,
            volid,
            url,
            checksum,
        } => task.download(&storage, &volid, &url, checksum).await,
        Work::Import {
            volid,
            upload,
            checksum,
        } => task.import(&volid, upload, checksum).await,
        Work::DeleteVolume { volid } => task.delete_volume(&volid).await,
        Work::ApplyNetwork => task.apply_network().await,
        Work::ApplySdn => task.apply_sdn().await,
        Work::Snapshot {
            vmid,
            name,
            description,
        } => task.snapshot(vmid, &name, &description).await,
        Work::DeleteSnapshot { vmid, name } => task.delete_snapshot(vmid, &name).await,
        Work::Rollback { vmid, name, start } => task.rollback(vmid, &name, start).await,
        Work::Migrate {
            vmid,
            target,
            online,
        } => task.migrate(vmid, &target, online).await,
        Work::Template { vmid } => task.template(vmid).await,
        Work::Clone {
            vmid,
            to,
            name,
            full,
            storage,
            dice,
        } => {
            task.clone_guest(vmid, to, name, full, storage.as_deref(), dice)
                .await
        }
        Work::MoveDisk {
            vmid,
            disk,
            storage,
            format,
            delete,
        } => {
            task.move_disk(vmid, &disk, &storage, format.as_deref(), delete)
                .await
        }
    }
}

/// Undoes what an endpoint reserved for a job that will not run.
pub(crate) fn abort(world: &World, work: &Work) {
    if let Work::Create { vmid, .. } | Work::Clone { to: vmid, .. } = work {
        world.change(|model| model.guests.remove(vmid));
    }
}

/// One job at work.
pub(super) struct Bench<'w> {
    pub(super) world: &'w World,
    pub(super) upid: &'w str,
}

impl Bench<'_> {
    pub(super) fn log(&self, lines: impl IntoIterator<Item = String>) {
        self.world.change(|model| model.tasks.log(self.upid, lines));
    }

    /// Takes so many of the node's seconds.
    pub(super) async fn take(&self, seconds: f64) {
        self.world.clock().sleep(seconds).await;
    }

    /// The node that runs it.
    pub(super) fn node(&self) -> &str {
        self.upid.split(':').nth(1).unwrap_or_default()
    }

    pub(super) fn now(&self) -> i64 {
        self.world.clock().unix()
    }

    /// Every node loads its interfaces, with what is staged for them.
    async fn apply_sdn(&self) -> Result<(), String> {
        self.take(0.5).await;
        let log = self.world.change(|model| {
            model.sdn.apply();
            let mut log = Vec::new();
            for (name, node) in model.nodes.iter_mut().filter(|(_, node)| !node.is_off) {
                log.push(format!("{name}: reloading network config"));
                node.network.apply();
                node.sdn_lags = false;
            }
            log
        });
        self.log(log);
        Ok(())
    }

    async fn apply_network(&self) -> Result<(), String> {
        self.take(0.5).await;
        let node = self.node().to_owned();
        self.world.change(|model| {
            if let Some(node) = model.nodes.get_mut(&node) {
                node.network.apply();
            }
        });
        Ok(())
    }
}
