//! What powers the lab's guests and enforces its firewall: the border between the API and the hosts.

use crate::model::ids::Vmid;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Mutex, PoisonError},
};

/// A future that the API awaits inside a task.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A network card as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmNic {
    /// `net<index>`.
    pub index: u32,
    /// Bridge on the node.
    pub bridge: String,
    /// MAC address, upper case.
    pub mac: String,
    /// `firewall=1`.
    pub firewall: bool,
    /// VLAN tag.
    pub vlan: Option<u16>,
}

/// A virtiofs share as configured and mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmShare {
    /// Tag that the guest mounts.
    pub tag: String,
    /// Directory on the node.
    pub path: PathBuf,
}

/// A disk beside the root disk, as it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmDisk {
    /// Serial number.
    pub serial: String,
    /// Volume.
    pub volume: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// A guest at the moment of power-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSpec {
    /// Id.
    pub vmid: Vmid,
    /// Name.
    pub name: String,
    /// Node.
    pub node: String,
    /// Cores.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Cards.
    pub nics: Vec<VmNic>,
    /// The ISO in the CD-ROM drive, as a file of the lab.
    pub seed: Option<PathBuf>,
    /// The import volume that the root disk was made from (`local:import/debian-13.qcow2`).
    pub image: Option<String>,
    /// Root disk size in bytes.
    pub disk_bytes: u64,
    /// Whether a PCI device is passed through; in a lab they are graphics cards.
    pub graphics: bool,
    /// virtiofs shares.
    pub shares: Vec<VmShare>,
    /// Disks with a serial number.
    pub disks: Vec<VmDisk>,
}

/// The firewall's files as the API stores them, in Proxmox's words. Lists are in evaluation order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirewallSnapshot {
    /// Cluster options.
    pub options: BTreeMap<String, String>,
    /// Cluster rules.
    pub rules: Vec<FirewallRule>,
    /// Aliases: name -> CIDR.
    pub aliases: BTreeMap<String, String>,
    /// IP sets: name -> (CIDR or alias, nomatch).
    pub ipsets: BTreeMap<String, Vec<(String, bool)>>,
    /// Security groups.
    pub groups: BTreeMap<String, Vec<FirewallRule>>,
    /// Node options and rules.
    pub nodes: BTreeMap<String, FirewallScope>,
    /// Guest options, rules, aliases and sets.
    pub guests: BTreeMap<Vmid, FirewallScope>,
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirewallScope {
    /// Options.
    pub options: BTreeMap<String, String>,
    /// Rules.
    pub rules: Vec<FirewallRule>,
    /// Aliases.
    pub aliases: BTreeMap<String, String>,
    /// IP sets.
    pub ipsets: BTreeMap<String, Vec<(String, bool)>>,
}

/// One rule as stored: `type`, `action`, `enable`, `proto`, `source`, `dest`, `dport`, `sport`, `iface`, `macro`,
/// `log`, `comment`, `icmp-type`.
pub type FirewallRule = BTreeMap<String, String>;

/// Powers guests and enforces the firewall. Errors are the text that ends up in the task's `exitstatus`.
pub trait Backend: Send + Sync {
    /// Powers a guest on. Returns when it is on, not when it has booted.
    fn start(&self, spec: VmSpec) -> Work<'_, ()>;

    /// The disks that a guest which is on has from now on.
    fn plug(&self, _vmid: Vmid, _disks: Vec<VmDisk>) {}

    /// Ends a guest: hard (`stop`) or by asking it (`shutdown`).
    fn stop(&self, vmid: Vmid, hard: bool) -> Work<'_, ()>;

    /// Removes a stopped guest's disks.
    fn destroy(&self, vmid: Vmid) -> Work<'_, ()>;

    /// Whether the guest is on.
    fn is_running(&self, vmid: Vmid) -> bool;

    /// One guest agent command, in qemu-ga's own JSON; none when no agent answers.
    fn agent(&self, vmid: Vmid, command: serde_json::Value) -> Work<'_, Option<serde_json::Value>>;

    /// Enforces the firewall as stored, for the guests that are on.
    fn enforce(&self, firewall: FirewallSnapshot) -> Work<'_, ()>;

    /// The node's bridges: name -> addresses in CIDR form.
    fn bridges(&self) -> BTreeMap<String, Vec<String>>;

    /// Whether a directory exists on the node; directory mappings to one that does not are refused.
    fn has_directory(&self, _path: &Path) -> bool {
        true
    }
}

/// Guests that only remember whether they are on: for tests of the API.
#[derive(Debug, Default)]
pub struct Powerless {
    memory: Mutex<PowerlessMemory>,
}

/// What a [`Powerless`] backend was asked for.
#[derive(Debug, Clone, Default)]
pub struct PowerlessMemory {
    /// Guests that are on, as they were started.
    pub on: BTreeMap<Vmid, VmSpec>,
    /// Guests whose agent answers.
    pub agents: BTreeSet<Vmid>,
    /// What agents answer, in qemu-ga's own JSON; a plain guest's answers if absent.
    pub agent: Option<fn(&serde_json::Value) -> serde_json::Value>,
    /// Guests that ignore a shutdown request.
    pub deaf: BTreeSet<Vmid>,
    /// Directories that the node has; all of them if none is named.
    pub directories: BTreeSet<PathBuf>,
    /// Every firewall that was to be enforced.
    pub enforced: Vec<FirewallSnapshot>,
}

impl Powerless {
    /// Looks at or changes what it remembers.
    pub fn memory<T>(&self, look: impl FnOnce(&mut PowerlessMemory) -> T) -> T {
        look(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Backend for Powerless {
    fn start(&self, spec: VmSpec) -> Work<'_, ()> {
        self.memory(|memory| memory.on.insert(spec.vmid, spec));
        Box::pin(std::future::ready(Ok(())))
    }

    fn stop(&self, vmid: Vmid, hard: bool) -> Work<'_, ()> {
        let stops = self.memory(|memory| {
            let stops = hard || !memory.deaf.contains(&vmid);
            if stops {
                memory.on.remove(&vmid);
            }
            stops
        });
        if stops {
            Box::pin(std::future::ready(Ok(())))
        } else {
            Box::pin(std::future::pending())
        }
    }

    fn destroy(&self, vmid: Vmid) -> Work<'_, ()> {
        self.memory(|memory| memory.on.remove(&vmid));
        Box::pin(std::future::ready(Ok(())))
    }

    fn is_running(&self, vmid: Vmid) -> bool {
        self.memory(|memory| memory.on.contains_key(&vmid))
    }

    fn agent(&self, vmid: Vmid, command: serde_json::Value) -> Work<'_, Option<serde_json::Value>> {
        let answer = self.memory(|memory| {
            let answer = memory.agent.unwrap_or(agent_answer);
            memory.agents.contains(&vmid).then(|| answer(&command))
        });
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn enforce(&self, firewall: FirewallSnapshot) -> Work<'_, ()> {
        self.memory(|memory| memory.enforced.push(firewall));
        Box::pin(std::future::ready(Ok(())))
    }

    fn bridges(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    fn has_directory(&self, path: &Path) -> bool {
        self.memory(|memory| memory.directories.is_empty() || memory.directories.contains(path))
    }
}

/// What an agent in an empty guest says, in qemu-ga's own JSON.
fn agent_answer(command: &serde_json::Value) -> serde_json::Value {
    use serde_json::json;
    match command["execute"].as_str().unwrap_or_default() {
        "guest-ping" => json!({"return": {}}),
        "guest-get-host-name" => json!({"return": {"host-name": "guest"}}),
        "guest-network-get-interfaces" => {
            json!({"return": [{"name": "lo", "hardware-address": "00:00:00:00:00:00",
            "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}]}]})
        }
        name => {
            json!({"error": {"class": "CommandNotFound", "desc": format!("The command {name} has not been found")}})
        }
    }
}
