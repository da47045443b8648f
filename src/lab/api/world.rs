//! A running cluster: the model, its locks, its jobs and its rounds.

use super::{
    certificate::Certificate,
    clock::Clock,
    config::WorldConfig,
    disk_folder,
    error::ApiError,
    fault::Faults,
    job::Job,
    model::{access::Who, cluster::Model, guest::Running, storage::StorageState},
    pve_files::{self, PveFiles},
    uuid::uuid,
    work,
};
use crate::lab::backend::{Backend, FirewallSnapshot};
use crate::model::ids::Vmid;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// Below a storage's folder: what lies on other nodes than the first.
const NODES: &str = "nodes";

/// Seconds for which a job waits for a guest's file lock.
const LOCK_PATIENCE: f64 = 10.0;

/// Seconds between rounds of the statistics daemon and of the firewall's.
const ROUND: f64 = 10.0;

/// A cluster that [`super::serve`] answers for. Clones share it.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    config: WorldConfig,
    folders: BTreeMap<String, PathBuf>,
    model: Mutex<Model>,
    /// Locked after the model.
    files: Option<Mutex<PveFiles>>,
    locks: Mutex<BTreeMap<u32, Arc<Lock<()>>>>,
    named: Mutex<BTreeMap<String, Arc<Lock<()>>>>,
    /// Guests that the backend is at work on.
    powering: Mutex<BTreeSet<u32>>,
    enforced: Lock<Option<(FirewallSnapshot, BTreeSet<u32>)>>,
    fingerprint: OnceLock<String>,
    trouble: Mutex<Option<String>>,
    requests: AtomicU64,
    /// Requests so far, by method and path template.
    counted: Mutex<BTreeMap<String, u64>>,
}

/// What becomes of a job.
#[derive(Debug, Default)]
pub(crate) enum Fate {
    /// What its work makes of it.
    #[default]
    Own,
    /// It ends with this text and has done nothing.
    Fails(String),
    /// It begins only when the faults are cleared.
    Stuck,
}

impl World {
    /// Makes a cluster, or continues the saved one. Jobs that ran when it was saved have ended with an unexpected
    /// status.
    ///
    /// # Errors
    /// [`ApiError::Saved`] if the saved model cannot be read, [`ApiError::Folder`] if a folder cannot be made.
    pub fn new(config: WorldConfig) -> Result<Self, ApiError> {
        let folders: BTreeMap<String, PathBuf> = config
            .storages
            .iter()
            .map(|(id, storage)| (id.clone(), storage.folder.clone()))
            .collect();
        for path in folders.values() {
            fs::create_dir_all(path).map_err(|source| ApiError::Folder {
                path: path.clone(),
                source,
            })?;
        }
        let now = config.clock.unix();
        let saved = config
            .saved
            .as_ref()
            .and_then(|path| Some((path, fs::read(path).ok()?)));
        let model = match saved {
            Some((path, bytes)) => {
                let mut model: Model =
                    serde_json::from_slice(&bytes).map_err(|source| ApiError::Saved {
                        path: path.clone(),
                        source,
                    })?;
                model.tasks.abandon(now);
                model
            }
            None => config.model(uuid(), now),
        };
        let files = config
            .node_files
            .as_ref()
            .map(|folder| {
                let nodes: Vec<String> = config.nodes.keys().cloned().collect();
                let make = |source| ApiError::Folder {
                    path: folder.clone(),
                    source,
                };
                let (pve, daemon) = (folder.join("pve"), folder.join("pve-firewall"));
                let mut files = PveFiles::at(&pve, &daemon, &nodes).map_err(make)?;
                if files.is_new().map_err(make)? {
                    files.store(&model.firewall).map_err(make)?;
                }
                Ok(Mutex::new(files))
            })
            .transpose()?;
        let shared = Shared {
            files,
            config,
            folders,
            model: Mutex::new(model),
            locks: Mutex::default(),
            named: Mutex::default(),
            powering: Mutex::default(),
            enforced: Lock::default(),
            fingerprint: OnceLock::new(),
            trouble: Mutex::default(),
            requests: AtomicU64::new(0),
            counted: Mutex::default(),
        };
        let world = Self(Arc::new(shared));
        world.refresh();
        Ok(world)
    }

    /// The lab's time.
    pub fn clock(&self) -> &Clock {
        &self.0.config.clock
    }

    /// The faults that can be injected.
    pub fn faults(&self) -> &Faults {
        &self.0.config.faults
    }

    /// Makes a storage full, takes it away, or makes it well again.
    ///
    /// # Errors
    /// When there is no such storage.
    pub fn set_storage(&self, id: &str, state: StorageState) -> Result<(), String> {
        self.change(|model| model.storages.set(id, state))
    }

    /// Storages that are not well.
    pub fn storage_troubles(&self) -> BTreeMap<String, StorageState> {
        self.look(|model| model.storages.troubles())
    }

    /// How many requests have come in.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn count_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The requests so far, by method and path template.
    pub fn requests_by_endpoint(&self) -> BTreeMap<String, u64> {
        lock(&self.0.counted).clone()
    }

    pub(crate) fn count_endpoint(&self, name: String) {
        *lock(&self.0.counted).entry(name).or_default() += 1;
    }

    /// Switches a member off, or on again. Its guests stay its own, except for those that the HA manager starts elsewhere.
    pub fn switch(&self, node: &str, on: bool) {
        self.change(|model| {
            if let Some(node) = model.nodes.get_mut(node) {
                node.is_off = !on;
            }
            if !on {
                model.recover(node);
            }
            model.count();
        });
    }

    /// Moves a guest as a migration by somebody else would.
    pub fn relocate(&self, vmid: Vmid, node: &str) {
        self.change(|model| {
            if let Some(guest) = model.guests.get_mut(&vmid.number()) {
                node.clone_into(&mut guest.node);
            }
        });
    }

    /// The firewall's files as the nodes have them below `/etc/pve`: `firewall/cluster.fw`, `firewall/110.fw` ...
    pub fn firewall_files(&self) -> BTreeMap<String, String> {
        self.look(|model| pve_files::texts(&model.firewall))
    }

    /// What last went wrong in the background: saving the model, or enforcing the firewall.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).clone()
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.config.backend
    }

    pub(crate) fn config(&self) -> &WorldConfig {
        &self.0.config
    }

    /// The real folder of a storage; storages that were added by the API have none.
    pub(crate) fn folder(&self, node: &str, storage: &str) -> Option<PathBuf> {
        let folder = self.0.folders.get(storage)?;
        let key = self.look(|model| model.key(node, &format!("{storage}:")));
        Some(match key.split_once('!') {
            Some((node, _)) => folder.join(NODES).join(node),
            None => folder.clone(),
        })
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.0.fingerprint.get().cloned().unwrap_or_default()
    }

    pub(crate) fn show(&self, certificate: &Certificate) {
        self.0.fingerprint.get_or_init(|| certificate.shown());
    }

    /// Looks at the model.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        let mut model = lock(&self.0.model);
        self.read_files(&mut model);
        look(&model)
    }

    /// What somebody wrote into the firewall's files counts before anything else does.
    fn read_files(&self, model: &mut Model) {
        if let Some(files) = &self.0.files
            && let Err(why) = lock(files).load(&mut model.firewall)
        {
            self.remember(format!("read the firewall's files: {why}"));
        }
    }

    /// Changes the model and saves it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = lock(&self.0.model);
        self.read_files(&mut model);
        let result = change(&mut model);
        if let Some(files) = &self.0.files
            && let Err(why) = lock(files).store(&model.firewall)
        {
            self.remember(format!("write the firewall's files: {why}"));
        }
        if let Some(path) = &self.0.config.saved {
            let saved = serde_json::to_vec(&*model)
                .map_err(|why| why.to_string())
                .and_then(|bytes| {
                    disk_folder::replace(path, &bytes).map_err(|why| why.to_string())
                });
            if let Err(why) = saved {
                self.remember(format!("save the model: {why}"));
            }
        }
        result
    }

    fn remember(&self, trouble: String) {
        *lock(&self.0.trouble) = Some(trouble);
    }

    /// Reads the folders again and asks the backend which guests are still on.
    pub(crate) fn refresh(&self) {
        self.shelve();
        self.sync();
    }

    /// Reads the folders again.
    pub(crate) fn shelve(&self) {
        let mut files = disk_folder::scan(&self.0.folders, "");
        for node in self.0.config.nodes.keys().skip(1) {
            let folders = self
                .0
                .folders
                .iter()
                .map(|(id, folder)| (id.clone(), folder.join(NODES).join(node)))
                .collect();
            files.extend(disk_folder::scan(&folders, &format!("{node}!")));
        }
        lock(&self.0.model).shelf = files;
    }

    /// Asks the backend which guests are still on.
    pub(crate) fn sync(&self) {
        let now = self.clock().unix();
        let mut model = lock(&self.0.model);
        for (number, guest) in &mut model.guests {
            let is_on = Vmid::new(*number).is_ok_and(|vmid| self.backend().is_running(vmid));
            match (is_on, guest.running.is_some()) {
                (false, true) => guest.running = None,
                (true, false) if guest.value("lock").is_none() => {
                    guest.running = Some(running(*number, now));
                }
                _ => {}
            }
        }
        let bridges = self.backend().bridges();
        if let Some(node) = model.nodes.values_mut().next() {
            for (name, addresses) in bridges {
                let interface = node.network.live.entry(name).or_default();
                interface.active = true;
                if interface.kind.is_empty() {
                    "bridge".clone_into(&mut interface.kind);
                    interface.autostart = true;
                }
                if let Some(first) = addresses.into_iter().next() {
                    interface.cidr = Some(first);
                }
            }
        }
    }

    /// Takes a guest's file lock. While the backend is at work on the guest the ten seconds do not run: its pace is
    /// its own, whatever the lab's clock.
    ///
    /// # Errors
    /// Somebody else held it for ten seconds.
    pub(crate) async fn hold(&self, vmid: u32) -> Result<OwnedMutexGuard<()>, String> {
        let waiting = Arc::clone(lock(&self.0.locks).entry(vmid).or_default()).lock_owned();
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                biased;
                guard = &mut waiting => return Ok(guard),
                () = self.clock().sleep(LOCK_PATIENCE) => {}
            }
            if !lock(&self.0.powering).contains(&vmid) {
                return Err(format!(
                    "can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"
                ));
            }
        }
    }

    /// Takes one of the cluster's or a storage's locks, as `cfs_lock` and `cluster_lock_storage` do.
    ///
    /// # Errors
    /// Somebody else held it for ten seconds.
    pub(crate) async fn hold_named(&self, name: &str) -> Result<OwnedMutexGuard<()>, String> {
        let waiting = Arc::clone(lock(&self.0.named).entry(name.to_owned()).or_default());
        tokio::select! {
            biased;
            guard = waiting.lock_owned() => Ok(guard),
            () = self.clock().sleep(LOCK_PATIENCE) => Err(match name.strip_prefix("cfs:") {
                Some(file) => format!("error during cfs-locked '{file}' operation: got lock request timeout"),
                None => format!("can't lock file '/var/lock/pve-manager/pve-storage-{name}' - got timeout"),
            }),
        }
    }

    /// Lets the backend work on a guest.
    pub(crate) async fn power<T>(&self, vmid: u32, work: impl Future<Output = T>) -> T {
        lock(&self.0.powering).insert(vmid);
        let _mark = Powering { world: self, vmid };
        work.await
    }

    /// Holds a guest's file lock for so many of the node's seconds, as `qm cleanup` may after a stop.
    pub(crate) fn hold_for(&self, vmid: u32, seconds: f64) {
        let world = self.clone();
        let lock = Arc::clone(lock(&self.0.locks).entry(vmid).or_default());
        if let Ok(guard) = lock.try_lock_owned() {
            tokio::spawn(async move {
                world.clock().sleep(seconds).await;
                drop(guard);
            });
        }
    }

    /// Starts a job and gives its UPID. A fault may decide how it ends.
    pub(crate) fn launch(&self, job: Job, who: &Who, fate: Fate) -> String {
        let now = self.clock().unix();
        let upid = self.change(|model| model.tasks.begin(&job.node, job.kind, &job.id, who, now));
        let world = self.clone();
        let name = upid.clone();
        tokio::spawn(async move {
            let result = match fate {
                Fate::Fails(text) => {
                    work::abort(&world, &job.work);
                    Err(text)
                }
                Fate::Stuck => {
                    world.faults().cleared().await;
                    work::run(&world, &name, job.work).await
                }
                Fate::Own => work::run(&world, &name, job.work).await,
            };
            let now = world.clock().unix();
            world.change(|model| model.tasks.end(&name, result, now));
        });
        upid
    }

    /// Hands the firewall to the backend if it is not what is enforced already.
    pub(crate) async fn enforce(&self) {
        let now = self.clock().unix();
        let (wanted, files) = self.look(|model| {
            let files = self.0.files.as_ref().map(|files| {
                let files = lock(files);
                (files.daemon(), files.fingerprint())
            });
            let on = model
                .guests
                .iter()
                .filter(|(_, guest)| guest.running.is_some())
                .map(|(vmid, _)| *vmid);
            let wanted = (
                model.firewall.snapshot(now, self.clock().scale()),
                on.collect::<BTreeSet<u32>>(),
            );
            (wanted, files)
        });
        let mut enforced = self.0.enforced.lock().await;
        if enforced.as_ref() != Some(&wanted) {
            match self.backend().enforce(wanted.0.clone()).await {
                Ok(()) => *enforced = Some(wanted),
                Err(why) => {
                    *enforced = None;
                    self.remember(format!("enforce the firewall: {why}"));
                    return;
                }
            }
        }
        if let Some((daemon, fingerprint)) = files
            && let Err(why) = PveFiles::tell_enforced(&daemon, &fingerprint)
        {
            self.remember(format!("tell what is enforced: {why}"));
        }
    }

    /// The daemons: every ten seconds statistics are gathered and the firewall is brought in line.
    pub(crate) async fn rounds(self) {
        loop {
            self.clock().sleep(ROUND).await;
            self.refresh();
            self.change(Model::count);
            self.enforce().await;
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("nodes", &self.0.config.nodes)
            .finish_non_exhaustive()
    }
}

/// Takes the mark off again, also when the work is given up.
struct Powering<'w> {
    world: &'w World,
    vmid: u32,
}

impl Drop for Powering<'_> {
    fn drop(&mut self) {
        lock(&self.world.0.powering).remove(&self.vmid);
    }
}

/// A process that began now.
pub(crate) fn running(vmid: u32, now: i64) -> Running {
    Running {
        pid: 1_000 + vmid,
        since: now,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
