//! What powers the lab's guests and enforces its firewall: the border between the API and the hosts.

use crate::model::ids::Vmid;
use std::{collections::BTreeMap, future::Future, path::PathBuf, pin::Pin};

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
    /// virtiofs shares.
    pub shares: Vec<VmShare>,
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
}
