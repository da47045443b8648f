//! The scripted hosts of a lab, and how they are powered.

use super::{
    door::{Door, Shared},
    error::ScriptedError,
    machine::{Machine, Role},
    seed::{Login, Seed},
    trouble::{HostTrouble, Visits},
    volume::Volumes,
};
use crate::lab::backend::{Backend, FirewallSnapshot, VmDisk, VmSpec, Work};
use crate::model::ids::{HostName, Vmid};
use russh::keys::PrivateKey;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Seconds from power-on to SSH, before the clock factor: a small VM on a small server.
const BOOT: f64 = 20.0;

/// Seconds that a guest takes to shut down when asked, before the clock factor.
const SHUTDOWN: f64 = 4.0;

/// A node of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptedNode {
    /// Bridges and their addresses in CIDR form.
    pub bridges: BTreeMap<String, Vec<String>>,
    /// Pools whose disks are in this node.
    pub zpools: Vec<String>,
    /// The folder that it sees as `/etc/pve`.
    pub pve: Option<PathBuf>,
}

/// What is there before any guest is made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScriptedOptions {
    /// Nodes; root logs in.
    pub nodes: BTreeMap<HostName, ScriptedNode>,
    /// Machines that Proxmox does not run, with their login names.
    pub externals: BTreeMap<HostName, String>,
    /// Guests that may come, so that their ports are known before they do.
    pub guests: Vec<HostName>,
    /// The `authorized_keys` line that nodes and externals accept.
    pub operator_public_key: String,
    /// Factor on delays: 1 is real time, 0 is none.
    pub clock: f64,
}

/// A host with its machine, port and key.
#[derive(Debug)]
struct Host {
    machine: Shared,
    door: Door,
    key: PrivateKey,
}

#[derive(Debug, Default)]
struct World {
    /// Nodes and externals.
    fixed: BTreeMap<HostName, Host>,
    guests: BTreeMap<Vmid, Host>,
    /// Ports of guests that are not there.
    reserved: BTreeMap<HostName, Door>,
    /// Where each host that ever had a port listens.
    addresses: BTreeMap<HostName, SocketAddr>,
    firewall: FirewallSnapshot,
    volumes: Volumes,
}

/// In-process hosts. Cheap to clone; all clones are the same lab.
#[derive(Debug, Clone)]
pub struct ScriptedHosts {
    world: Arc<Mutex<World>>,
    bridges: BTreeMap<String, Vec<String>>,
    clock: f64,
}

impl World {
    /// Everybody who is there, by name.
    fn hosts(&self) -> impl Iterator<Item = (String, &Host)> {
        let all = self.fixed.values().chain(self.guests.values());
        all.map(|host| (host.machine().name.clone(), host))
    }
}

impl Host {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_key() -> Result<PrivateKey, ScriptedError> {
    let key = ssh_key::PrivateKey::random(&mut rand::rngs::OsRng, ssh_key::Algorithm::Ed25519)
        .and_then(|key| key.to_openssh(ssh_key::LineEnding::LF))
        .map_err(ScriptedError::Key)?;
    PrivateKey::from_openssh(key.as_str()).map_err(ScriptedError::OwnKey)
}

impl ScriptedHosts {
    /// Starts nodes and externals, and reserves a port for every guest that may come. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ScriptedError`].
    pub fn start(options: &ScriptedOptions) -> Result<Self, ScriptedError> {
        russh::keys::PublicKey::from_openssh(&options.operator_public_key)
            .map_err(ScriptedError::Operator)?;
        let mut world = World::default();
        let nodes = options
            .nodes
            .iter()
            .map(|(name, node)| (name, Role::Node, "root", Some(node)));
        let externals = options
            .externals
            .iter()
            .map(|(name, user)| (name, Role::External, user.as_str(), None));
        for (name, role, user, node) in nodes.chain(externals) {
            let mut machine = Machine::new(name.as_str(), role);
            machine.logins.push(Login {
                name: user.to_owned(),
                keys: vec![options.operator_public_key.clone()],
                sudo: true,
            });
            for pool in node.into_iter().flat_map(|node| &node.zpools) {
                machine.add_pool(pool)?;
            }
            machine.pve = node.and_then(|node| node.pve.clone());
            machine.boot(None);
            let (machine, key) = (Arc::new(Mutex::new(machine)), new_key()?);
            let mut door = Door::new()?;
            door.open(Arc::clone(&machine), key.clone(), Duration::ZERO)?;
            world.addresses.insert(name.clone(), door.address());
            world
                .fixed
                .insert(name.clone(), Host { machine, door, key });
        }
        for name in &options.guests {
            let door = Door::new()?;
            world.addresses.insert(name.clone(), door.address());
            world.reserved.insert(name.clone(), door);
        }
        let bridges = options
            .nodes
            .values()
            .flat_map(|node| node.bridges.clone())
            .collect();
        Ok(Self {
            world: Arc::new(Mutex::new(world)),
            bridges,
            clock: options.clock,
        })
    }

    /// Where each host listens, for [`crate::lab::state::LabState::ssh`].
    pub fn ssh(&self) -> BTreeMap<HostName, SocketAddr> {
        self.world().addresses.clone()
    }

    /// `known_hosts` lines of nodes and externals; guests get their keys from their seeds.
    pub fn known_hosts(&self) -> Vec<String> {
        let world = self.world();
        let line = |(name, host): (&HostName, &Host)| {
            let key = host.key.public_key().to_openssh().ok()?;
            let mut words = key.split(' ');
            Some(format!("{name} {} {}", words.next()?, words.next()?))
        };
        world.fixed.iter().filter_map(line).collect()
    }

    /// The firewall as the API last handed it over. Nothing enforces it here.
    pub fn firewall(&self) -> FirewallSnapshot {
        self.world().firewall.clone()
    }

    /// Breaks something on a host until [`Self::recover`].
    ///
    /// # Errors
    /// When there is no such host now.
    pub fn suffer(&self, name: &HostName, trouble: &HostTrouble) -> Result<(), String> {
        let world = self.world();
        let (_, host) = world
            .hosts()
            .find(|(known, _)| known == name.as_str())
            .ok_or_else(|| format!("there is no host `{name}` in the lab now"))?;
        host.machine().suffer(trouble);
        match trouble {
            HostTrouble::Unreachable => host.door.shut(true),
            HostTrouble::NewHostKey => {
                host.door
                    .show(new_key().map_err(|error| error.to_string())?);
            }
            HostTrouble::SudoRefused
            | HostTrouble::DiskFull
            | HostTrouble::PullFails
            | HostTrouble::Unhealthy { .. }
            | HostTrouble::Slow { .. } => {}
        }
        Ok(())
    }

    /// Ends every trouble of every host.
    pub fn recover(&self) {
        for (_, host) in self.world().hosts() {
            host.machine().recover();
            host.door.shut(false);
            host.door.show(host.key.clone());
        }
    }

    /// What each host has cost its visitors.
    pub fn visits(&self) -> BTreeMap<String, Visits> {
        let world = self.world();
        let hosts = world.hosts();
        hosts
            .map(|(name, host)| (name, host.machine().visits))
            .collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.clock).unwrap_or_default()
    }

    fn power_on(&self, spec: VmSpec, image: Option<&[u8]>) -> Result<(), String> {
        let seed = image.map(Seed::read).transpose()?;
        let name: HostName = spec.name.parse().map_err(|error| format!("{error}"))?;
        let mut world = self.world();
        let volumes = world.volumes.clone();
        if let Some(old) = world.guests.get(&spec.vmid) {
            if old.door.is_open() {
                return Err(format!("VM {} already running", spec.vmid));
            }
        } else {
            let door = match world.reserved.remove(&name) {
                Some(door) => door,
                None => Door::new().map_err(|error| error.to_string())?,
            };
            world.addresses.insert(name.clone(), door.address());
            let machine = Arc::new(Mutex::new(Machine::new(name.as_str(), Role::Guest)));
            let key = new_key().map_err(|error| error.to_string())?;
            world.guests.insert(spec.vmid, Host { machine, door, key });
        }
        let host = world
            .guests
            .get_mut(&spec.vmid)
            .ok_or("it was put there just before")?;
        {
            let mut machine = host.machine.lock().unwrap_or_else(PoisonError::into_inner);
            machine.shares = spec.shares;
            machine.disks = spec.disks;
            machine.volumes = volumes;
            // Keys are made, or taken from the seed, once for each instance.
            if let Some(seed) = seed
                .as_ref()
                .filter(|seed| seed.instance_id != machine.instance_id)
            {
                host.key = match &seed.host_key {
                    Some(key) => key.clone(),
                    None => new_key().map_err(|error| error.to_string())?,
                };
            }
            machine.boot(seed.as_ref());
        }
        let machine = Arc::clone(&host.machine);
        host.door
            .open(machine, host.key.clone(), self.delay(BOOT))
            .map_err(|error| error.to_string())
    }

    async fn power_off(&self, vmid: Vmid) -> Result<(), String> {
        let closed = self.world().guests.get_mut(&vmid).and_then(|host| {
            let open = host.door.close()?;
            Some((open, host.door.address()))
        });
        let (open, address) = closed.ok_or_else(|| format!("VM {vmid} not running"))?;
        let socket = open.cut(address).await.map_err(|error| error.to_string())?;
        if let Some(host) = self.world().guests.get_mut(&vmid) {
            host.door.reserve(socket);
        }
        Ok(())
    }

    fn ask_agent(&self, vmid: Vmid, command: &Value) -> Option<Value> {
        let world = self.world();
        let host = world.guests.get(&vmid).filter(|host| host.door.is_open())?;
        let machine = host.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if !machine
            .units
            .get("qemu-guest-agent.service")
            .is_some_and(|unit| unit.active)
        {
            return None;
        }
        let name = command["execute"].as_str().unwrap_or_default();
        Some(match name {
            "guest-ping" => json!({"return": {}}),
            "guest-get-host-name" => json!({"return": {"host-name": machine.name}}),
            "guest-get-osinfo" => json!({"return": {
                "id": "debian", "name": "Debian GNU/Linux", "version": "13 (trixie)", "version-id": "13",
                "pretty-name": "Debian GNU/Linux 13 (trixie)", "machine": "x86_64",
            }}),
            "guest-fsfreeze-status" => json!({"return": "thawed"}),
            "guest-fsfreeze-freeze" | "guest-fsfreeze-thaw" => json!({"return": 1}),
            name => json!({"error": {
                "class": "CommandNotFound", "desc": format!("The command {name} has not been found"),
            }}),
        })
    }
}

impl Backend for ScriptedHosts {
    fn start(&self, spec: VmSpec) -> Work<'_, ()> {
        Box::pin(async move {
            let image = match &spec.seed {
                Some(path) => Some(
                    tokio::fs::read(path)
                        .await
                        .map_err(|error| format!("{}: {error}", path.display()))?,
                ),
                None => None,
            };
            self.power_on(spec, image.as_deref())
        })
    }

    fn plug(&self, vmid: Vmid, disks: Vec<VmDisk>) {
        let world = self.world();
        if let Some(host) = world.guests.get(&vmid) {
            let mut machine = host.machine();
            for disk in &disks {
                let mut before = machine.disks.iter();
                if let Some(before) = before.find(|before| before.serial == disk.serial) {
                    world.volumes.carry(&before.volume, &disk.volume);
                }
            }
            machine.disks = disks;
        }
    }

    fn stop(&self, vmid: Vmid, hard: bool) -> Work<'_, ()> {
        Box::pin(async move {
            if !hard {
                tokio::time::sleep(self.delay(SHUTDOWN)).await;
            }
            self.power_off(vmid).await
        })
    }

    fn destroy(&self, vmid: Vmid) -> Work<'_, ()> {
        Box::pin(async move {
            let mut world = self.world();
            if world
                .guests
                .get(&vmid)
                .is_some_and(|host| host.door.is_open())
            {
                return Err(format!("VM {vmid} is running - destroy failed"));
            }
            world.volumes.forget(vmid);
            if let Some(host) = world.guests.remove(&vmid) {
                let name = host
                    .machine
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .name
                    .clone();
                // The port stays the name's: the state file tells it to everybody.
                if let Ok(name) = name.parse() {
                    world.reserved.insert(name, host.door);
                }
            }
            Ok(())
        })
    }

    fn is_running(&self, vmid: Vmid) -> bool {
        self.world()
            .guests
            .get(&vmid)
            .is_some_and(|host| host.door.is_open())
    }

    fn agent(&self, vmid: Vmid, command: Value) -> Work<'_, Option<Value>> {
        Box::pin(async move { Ok(self.ask_agent(vmid, &command)) })
    }

    fn enforce(&self, firewall: FirewallSnapshot) -> Work<'_, ()> {
        Box::pin(async move {
            self.world().firewall = firewall;
            Ok(())
        })
    }

    fn bridges(&self) -> BTreeMap<String, Vec<String>> {
        self.bridges.clone()
    }

    fn has_directory(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        let world = self.world();
        world.fixed.values().any(|host| {
            let machine = host.machine();
            machine.tree.is_directory(&path)
                || machine.zfs.mounted().iter().any(|(at, _)| *at == path)
        })
    }
}
