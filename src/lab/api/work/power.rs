//! Starting and stopping guests.

use super::bench::Bench;
use crate::lab::api::{
    job::Work,
    model::{cluster::Model, drive::is_numbered},
    world::{World, running},
};
use crate::model::ids::Vmid;
use serde_json::json;
use std::pin::Pin;

/// Seconds until the HA manager's nodes have seen a request and acted on it.
const HA_ROUND: f64 = 10.0;
/// A request that fails, for want of a lock or otherwise, is tried again this often.
const HA_TRIES: u32 = 3;

impl Bench<'_> {
    /// Tells a running guest which disks it has.
    pub(super) fn plug(&self, vmid: u32) {
        let disks = self.world.change(|model| {
            let guest = model.guest(vmid).ok()?.clone();
            guest.running.is_some().then(|| Model::disks(&guest))
        });
        if let (Some(disks), Ok(vmid)) = (disks, id(vmid)) {
            self.world.backend().plug(vmid, disks);
        }
    }

    pub(super) async fn start(&self, vmid: u32) -> Result<(), String> {
        self.find(vmid)?;
        let _lock = self.world.hold(vmid).await?;
        self.start_locked(vmid).await
    }

    pub(super) async fn start_locked(&self, vmid: u32) -> Result<(), String> {
        if self.find(vmid)? {
            return Err(format!("VM {vmid} already running"));
        }
        self.take(0.3).await;
        self.world.refresh();
        let (spec, log) =
            self.world
                .change(|model| model.power_on(vmid))
                .map_err(|(log, why)| {
                    self.log(log);
                    why
                })?;
        self.log(log);
        let starting = self.world.backend().start(spec);
        self.world.power(vmid, starting).await?;
        self.take(0.7).await;
        let now = self.now();
        self.world.change(|model| {
            if let Some(guest) = model.guests.get_mut(&vmid) {
                guest.running = Some(running(vmid, now));
            }
        });
        Ok(())
    }

    /// Whether an existing guest runs.
    fn find(&self, vmid: u32) -> Result<bool, String> {
        let node = self.upid.split(':').nth(1).unwrap_or_default();
        self.world.look(|model| match model.guests.get(&vmid) {
            Some(guest) => Ok(guest.running.is_some()),
            None => Err(format!(
                "unable to find configuration file for VM {vmid} on node '{node}'"
            )),
        })
    }

    pub(super) async fn migrate(
        &self,
        vmid: u32,
        target: &str,
        online: bool,
    ) -> Result<(), String> {
        let _lock = self.world.hold(vmid).await?;
        self.log([format!(
            "starting migration of VM {vmid} to node '{target}'"
        )]);
        self.world.look(|model| {
            unlocked(model, vmid)?;
            if model.guest(vmid)?.running.is_some() && !online {
                return Err("can't migrate running VM without --online".to_owned());
            }
            Ok(())
        })?;
        let tie = self.world.look(|model| tie(model, vmid));
        if let Some(tie) = tie {
            self.log([
                tie,
                "ERROR: Failed to sync data - can't migrate VM - check log".to_owned(),
            ]);
            return Err("migration aborted".to_owned());
        }
        self.take(if online { 2.0 } else { 1.0 }).await;
        self.world.change(|model| {
            let guest = model.guest_mut(vmid)?;
            let from = std::mem::replace(&mut guest.node, target.to_owned());
            // A guest that moves to its copy is copied back from there.
            for (_, job) in model
                .replication
                .iter_mut()
                .filter(|(id, _)| id.starts_with(&format!("{vmid}-")))
            {
                if job.get("target").map(String::as_str) == Some(target) {
                    job.insert("target".to_owned(), from.clone());
                    job.insert("source".to_owned(), target.to_owned());
                }
            }
            Ok::<_, String>(())
        })?;
        self.log(["migration finished successfully".to_owned()]);
        Ok(())
    }

    pub(super) async fn stop(&self, vmid: u32) -> Result<(), String> {
        if !self.find(vmid)? {
            return Ok(());
        }
        let _lock = self.world.hold(vmid).await?;
        self.take(0.3).await;
        self.world.look(|model| unlocked(model, vmid))?;
        let stopping = self.world.backend().stop(id(vmid)?, true);
        self.world.power(vmid, stopping).await?;
        self.has_stopped(vmid);
        Ok(())
    }

    fn has_stopped(&self, vmid: u32) {
        self.world.change(|model| {
            if let Some(guest) = model.guests.get_mut(&vmid) {
                guest.running = None;
            }
        });
    }

    pub(super) async fn shutdown(
        &self,
        vmid: u32,
        timeout: f64,
        force: bool,
    ) -> Result<(), String> {
        if !self.find(vmid)? {
            return Ok(());
        }
        let _lock = self.world.hold(vmid).await?;
        self.world.look(|model| unlocked(model, vmid))?;
        self.ask_to_stop(vmid, timeout, force).await?;
        self.has_stopped(vmid);
        Ok(())
    }

    /// Asks the agent if one is configured, the power button otherwise. An agent that is configured and silent means
    /// that nobody hears.
    async fn ask_to_stop(&self, vmid: u32, timeout: f64, force: bool) -> Result<(), String> {
        self.take(0.3).await;
        let guest = id(vmid)?;
        let backend = self.world.backend();
        let has_agent = self.world.look(|model| {
            let agent = model
                .guests
                .get(&vmid)
                .and_then(|guest| guest.value("agent"))
                .unwrap_or_default();
            agent.starts_with('1') || agent.contains("enabled=1")
        });
        let is_heard = !has_agent
            || backend
                .agent(guest, json!({"execute": "guest-ping"}))
                .await?
                .is_some();
        if is_heard {
            tokio::select! {
                biased;
                stopped = self.world.power(vmid, backend.stop(guest, false)) => return stopped,
                () = self.world.clock().patience(timeout) => {}
            }
        } else {
            let why = format!(
                "QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"
            );
            self.log([why]);
            self.take(timeout).await;
        }
        if force {
            self.log(["VM still running - terminating now with SIGTERM".to_owned()]);
            return self.world.power(vmid, backend.stop(guest, true)).await;
        }
        Err("VM quit/powerdown failed - got timeout".to_owned())
    }

    /// Leaves a request with the HA manager and ends. The newest wish counts: one that was taken back before the manager
    /// looked is never seen.
    pub(super) async fn ask_ha(
        &self,
        vmid: u32,
        words: &str,
        state: Option<&'static str>,
        work: Work,
    ) {
        self.take(0.3).await;
        self.log([format!("Requesting HA {words} for VM {vmid}")]);
        if let Some(state) = state {
            self.world.change(|model| {
                if let Some(options) = model.ha.get_mut(&format!("vm:{vmid}")) {
                    options.insert("state".to_owned(), state.to_owned());
                }
            });
        }
        tokio::spawn(by_ha(self.world.clone(), vmid, state, work));
    }

    /// The job ends when the guest is down; a moment later the node starts it again by itself.
    pub(super) async fn reboot(&self, vmid: u32, timeout: f64) -> Result<(), String> {
        {
            let _lock = self.world.hold(vmid).await?;
            self.ask_to_stop(vmid, timeout, false).await?;
            self.has_stopped(vmid);
        }
        let world = self.world.clone();
        tokio::spawn(async move {
            world.clock().sleep(2.0).await;
            // Nobody waits for this start: its failure shows as a guest that stays off.
            let bench = Bench {
                world: &world,
                upid: "",
            };
            if let Ok(_lock) = world.hold(vmid).await
                && world.look(|model| model.guests.contains_key(&vmid))
            {
                let _ = bench.start_locked(vmid).await;
            }
        });
        Ok(())
    }
}

/// What the HA manager does with a request; its failures are in no task of the caller's.
fn by_ha(
    world: World,
    vmid: u32,
    state: Option<&'static str>,
    work: Work,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        for _ in 0..HA_TRIES {
            world.clock().sleep(HA_ROUND).await;
            let is_wanted = world.look(|model| {
                let options = model.ha.get(&format!("vm:{vmid}"));
                options.is_some_and(|options| {
                    state.is_none_or(|state| options.get("state").is_some_and(|now| now == state))
                })
            });
            // What becomes of it shows in the guest, as in the real one.
            if !is_wanted || super::bench::run(&world, "", work.clone()).await.is_ok() {
                return;
            }
        }
    })
}

pub(super) fn unlocked(model: &Model, vmid: u32) -> Result<(), String> {
    model.guest(vmid)?.assert_unlocked()
}

pub(super) fn id(vmid: u32) -> Result<Vmid, String> {
    Vmid::new(vmid).map_err(|why| why.to_string())
}

/// What keeps a guest on its node: what it was given of the node while it runs, an image of a local storage in its drive.
fn tie(model: &Model, vmid: u32) -> Option<String> {
    let guest = model.guests.get(&vmid)?;
    if guest.running.is_some() {
        let given = |name: &'static str| {
            let keys = guest.config.keys();
            keys.filter(move |key| is_numbered(key, name))
        };
        if given("virtiofs").next().is_some() {
            let why = "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: virtiofs";
            return Some(why.to_owned());
        }
        let is_spice = |key: &&String| guest.value(key).is_some_and(|line| line.contains("spice"));
        let usb = given("usb").filter(|key| !is_spice(key));
        let devices: Vec<&str> = given("hostpci").chain(usb).map(String::as_str).collect();
        if !devices.is_empty() {
            return Some(format!(
                "can't migrate running VM which uses mapped devices: {}",
                devices.join(", ")
            ));
        }
    }
    let is_shared = |id: &str| model.storages.all.get(id).is_some_and(|one| one.shared);
    guest.drives().into_values().find_map(|drive| {
        let (storage, _) = drive.volume()?;
        let tied = drive.is_cdrom() && !drive.is_cloudinit() && !is_shared(storage);
        tied.then(|| {
            format!(
                "can't migrate local disk '{}': local cdrom image",
                drive.file
            )
        })
    })
}
