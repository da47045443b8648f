//! The backend: what the API asks for, done on this machine.

use super::{
    agent,
    cgroup::Cgroup,
    container::check_folder,
    disk,
    error::NamespaceError,
    filter, guest,
    host::{self, Host},
    image::Image,
    key::Key,
    names::Names,
    network,
    power::Power,
    share, sweep,
    topology::Topology,
};
use crate::lab::{
    backend::{Backend, FirewallSnapshot, VmNic, VmShare, VmSpec, Work},
    folder::LabFolder,
    pve_firewall::{self, NodeNetwork, Tap},
};
use crate::model::ids::{HostName, Vmid};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a guest may take to shut down before the request is given up, as `qm shutdown` gives up.
const SHUTDOWN_WITHIN: Duration = Duration::from_mins(1);

/// What a namespace lab is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The lab's folder.
    pub folder: LabFolder,
    /// The image that everything starts from.
    pub image: Image,
    /// Bridges, addresses and routes.
    pub topology: Topology,
    /// Certificate authority that guests and hosts trust, PEM.
    pub ca: Option<String>,
    /// The key that the node and external hosts accept.
    pub operator: Key,
    /// This program, which is `zfs` and `zpool` on the node; none leaves them out.
    pub program: Option<PathBuf>,
}

/// A node with its guests on this machine. Clones share it.
#[derive(Debug, Clone)]
pub struct Machine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    names: Names,
    plan: Plan,
    hosts: BTreeMap<HostName, Host>,
    guests: Mutex<BTreeMap<Vmid, On>>,
    /// The firewall as last enforced. Held while it is loaded: two loads must not mix.
    firewall: Mutex<FirewallSnapshot>,
}

/// A guest that is on, or was until a moment ago.
#[derive(Debug, Clone)]
struct On {
    power: Arc<Power>,
    nics: Vec<VmNic>,
}

impl Machine {
    /// Builds the network, the pool's disk, the node and the external hosts. What an earlier lab in the same folder
    /// left on the machine is removed first: its guests lost their power when it died.
    ///
    /// # Errors
    /// When the machine refuses; what was made until then is for [`sweep()`].
    pub fn build(plan: Plan) -> Result<Self, NamespaceError> {
        check_folder(plan.folder.root())?;
        let names = Names::of(plan.folder.root());
        sweep::sweep(&plan.folder)?;
        let cgroup = Cgroup::of_lab(&names)?;
        cgroup.create()?;
        cgroup.delegate();
        network::build(&names, &plan.topology)?;
        disk::mount(&plan.folder)?;
        let hosts = host::boot_all(&names, &plan)?;
        Ok(Self {
            inner: Arc::new(Inner {
                names,
                plan,
                hosts,
                guests: Mutex::default(),
                firewall: Mutex::default(),
            }),
        })
    }

    /// The names of what it made.
    pub fn names(&self) -> &Names {
        &self.inner.names
    }

    /// `known_hosts` lines of the node and the external hosts.
    pub fn known_hosts(&self) -> Vec<String> {
        self.inner.hosts.values().map(Host::known_host).collect()
    }

    /// Ends every guest and host and removes everything from the machine, disks in the lab's folder excepted.
    ///
    /// # Errors
    /// [`NamespaceError::Leftovers`] with all that could not be removed.
    pub fn tear_down(&self) -> Result<(), NamespaceError> {
        let guests: Vec<_> = self.inner.guests().values().cloned().collect();
        for guest in guests {
            // The sweep ends what does not end here, and reports it.
            let _ = guest.power.cut();
        }
        sweep::sweep(&self.inner.plan.folder)
    }
}

impl Inner {
    fn guests(&self) -> MutexGuard<'_, BTreeMap<Vmid, On>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn firewall(&self) -> MutexGuard<'_, FirewallSnapshot> {
        self.firewall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn power(&self, vmid: Vmid) -> Option<Arc<Power>> {
        let guests = self.guests();
        let guest = guests.get(&vmid).filter(|guest| guest.power.is_on())?;
        Some(Arc::clone(&guest.power))
    }

    fn start(&self, spec: &VmSpec) -> Result<(), NamespaceError> {
        if self.power(spec.vmid).is_some() {
            return Ok(());
        }
        let shares = self.shares(spec)?;
        let plan = &self.plan;
        let ca = plan.ca.as_deref();
        let container = guest::prepare(&self.names, &plan.folder, &plan.image, ca, spec, &shares)?;
        network::connect_guest(&self.names, spec.vmid, &spec.nics)?;
        // A card that comes up has its rules before its first packet.
        let last = self.firewall().clone();
        self.enforce(last, spec.nics.iter().map(|nic| (spec.vmid, nic)))?;
        let cycle = guest::GuestCycle {
            names: self.names.clone(),
            vmid: spec.vmid,
            nics: spec.nics.clone(),
        };
        match Power::on(container, cycle) {
            Ok(power) => {
                let nics = spec.nics.clone();
                self.guests().insert(spec.vmid, On { power, nics });
                Ok(())
            }
            Err(error) => {
                network::disconnect_guest(&self.names, spec.vmid)?;
                Err(error)
            }
        }
    }

    fn shares(&self, spec: &VmSpec) -> Result<Vec<PathBuf>, NamespaceError> {
        let found = |wanted: &VmShare| {
            self.directory(&wanted.path)?
                .ok_or_else(|| NamespaceError::NoShare {
                    tag: wanted.tag.clone(),
                    path: wanted.path.clone(),
                })
        };
        spec.shares.iter().map(found).collect()
    }

    /// Where a directory of the node is on the machine; none when the node has none there.
    fn directory(&self, path: &Path) -> Result<Option<PathBuf>, NamespaceError> {
        let name = self.plan.topology.node.as_ref();
        let node = name.and_then(|name| self.hosts.get(name));
        match node.and_then(|node| Some((node, node.init()?))) {
            Some((node, init)) => share::source(init, &self.plan.folder.zfs(), &node.upper(), path),
            None => Ok(None),
        }
    }

    fn stop(&self, vmid: Vmid, hard: bool) -> Result<bool, NamespaceError> {
        let Some(power) = self.power(vmid) else {
            return Ok(true);
        };
        if hard {
            power.cut()?;
        } else {
            power.press();
        }
        Ok(power.wait(SHUTDOWN_WITHIN))
    }

    /// Loads the firewall for the cards that are up, and for those of a guest that is about to start.
    fn enforce<'a>(
        &self,
        firewall: FirewallSnapshot,
        starting: impl IntoIterator<Item = (Vmid, &'a VmNic)>,
    ) -> Result<(), NamespaceError> {
        let mut last = self.firewall();
        let tap = |(vmid, nic): (Vmid, &VmNic)| {
            nic.firewall.then(|| Tap {
                vmid,
                index: nic.index,
                mac: nic.mac.clone(),
            })
        };
        let mut taps: Vec<Tap> = starting.into_iter().filter_map(tap).collect();
        for (vmid, guest) in self
            .guests()
            .iter()
            .filter(|(_, guest)| guest.power.is_on())
        {
            taps.extend(guest.nics.iter().filter_map(|nic| tap((*vmid, nic))));
        }
        let topology = &self.plan.topology;
        let node = NodeNetwork {
            name: topology
                .node
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            management: topology
                .bridges
                .values()
                .flatten()
                .find(|network| Some(network.addr()) == topology.node_address)
                .copied(),
        };
        let restore = pve_firewall::compile(&firewall, &taps, &node);
        *last = firewall;
        filter::load(&self.names, &self.plan.folder.firewall(), &restore)
    }

    fn destroy(&self, vmid: Vmid) -> Result<(), NamespaceError> {
        if let Some(power) = self.power(vmid) {
            power.cut()?;
        }
        self.guests().remove(&vmid);
        super::files::remove_tree(&self.plan.folder.guest(vmid))
    }
}

/// Runs what blocks away from the runtime's threads, with errors as the text that a task ends with.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NamespaceError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| error.chain()),
        Err(error) => Err(error.to_string()),
    }
}

impl Backend for Machine {
    fn start(&self, spec: VmSpec) -> Work<'_, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || inner.start(&spec)))
    }

    fn stop(&self, vmid: Vmid, hard: bool) -> Work<'_, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            if blocking(move || inner.stop(vmid, hard)).await? {
                Ok(())
            } else {
                Err("VM quit/powerdown failed - got timeout".to_owned())
            }
        })
    }

    fn destroy(&self, vmid: Vmid) -> Work<'_, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || inner.destroy(vmid)))
    }

    fn is_running(&self, vmid: Vmid) -> bool {
        self.inner.power(vmid).is_some()
    }

    fn agent(&self, vmid: Vmid, command: serde_json::Value) -> Work<'_, Option<serde_json::Value>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || {
            let folder = inner.plan.folder.guest(vmid).join(guest::SOCKET_FOLDER);
            let on = inner.power(vmid).is_some();
            Ok(on.then(|| agent::ask(&folder, &command)).flatten())
        }))
    }

    fn enforce(&self, firewall: FirewallSnapshot) -> Work<'_, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(move || inner.enforce(firewall, [])))
    }

    fn has_directory(&self, path: &Path) -> bool {
        matches!(self.inner.directory(path), Ok(Some(_)))
    }

    fn bridges(&self) -> BTreeMap<String, Vec<String>> {
        let text =
            |addresses: &Vec<ipnet::IpNet>| addresses.iter().map(ToString::to_string).collect();
        self.inner
            .plan
            .topology
            .bridges
            .iter()
            .map(|(bridge, addresses)| (bridge.to_string(), text(addresses)))
            .collect()
    }
}
