//! What can be changed.

use super::{error::ProxmoxError, task::Upid};
use crate::model::{
    firewall::{PveAlias, PveRule},
    ids::Vmid,
    image::Download,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
};

/// A list of firewall rules, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FirewallScope {
    /// Datacenter level: options, rules, aliases, IP sets.
    Cluster,
    /// A security group: rules.
    Group(String),
    /// A node: options, rules.
    Node(String),
    /// A guest: options, rules, aliases, IP sets.
    Guest {
        /// Node where it lives now.
        node: String,
        /// Guest. Proxmox does not check that it exists, and applies what is stored to the next guest of that id.
        vmid: Vmid,
    },
}

impl fmt::Display for FirewallScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster's firewall"),
            Self::Group(name) => write!(f, "security group {name}"),
            Self::Node(name) => write!(f, "the firewall of node {name}"),
            Self::Guest { vmid, .. } => write!(f, "the firewall of guest {vmid}"),
        }
    }
}

/// A change of a VM's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigChange {
    /// Options to set, in Proxmox's spelling. `sshkeys` as people write it: the client encodes it.
    pub set: BTreeMap<String, String>,
    /// Options to remove. A disk is only detached (`unusedN`), never destroyed.
    pub delete: BTreeSet<String>,
    /// Digest of the configuration that the change was made for; a stale one is refused.
    pub digest: Option<String>,
}

/// Changes a cluster.
///
/// A write is sent once. When its error says [`Delivery::MaybeApplied`](super::Delivery::MaybeApplied), look with
/// [`ProxmoxRead`](super::ProxmoxRead) whether it took effect; never call it again without having looked.
/// `create_vm`, `insert_rule` and the like would otherwise happen twice.
///
/// An [`Upid`] means that the work has begun, not that it will succeed: most refusals show up only in the task.
pub trait ProxmoxWrite: Send + Sync {
    /// Lets a node download an image into a storage of content type `import`, checksum verified by the node.
    /// An existing file fails the task ([`Refusal::Exists`](super::Refusal::Exists)).
    fn download_url(
        &self,
        node: &str,
        storage: &str,
        download: &Download,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Uploads an ISO image, checksum verified by the node. Replaces a file of the same name.
    fn upload_iso(
        &self,
        node: &str,
        storage: &str,
        filename: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Deletes a volume by its id (`local:iso/x.iso`). Some storages work at once and give no task.
    fn delete_volume(
        &self,
        node: &str,
        volid: &str,
    ) -> impl Future<Output = Result<Option<Upid>, ProxmoxError>> + Send;

    /// Creates a VM from options in Proxmox's spelling. `sshkeys` as people write it: the client encodes it.
    fn create_vm(
        &self,
        node: &str,
        vmid: Vmid,
        options: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Changes a VM's configuration. On a running VM some options wait in `pending` for the next stop and start.
    fn update_config(
        &self,
        node: &str,
        vmid: Vmid,
        change: &ConfigChange,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Grows a disk to `size` bytes, a multiple of 1 KiB. Shrinking fails in the task.
    fn resize_disk(
        &self,
        node: &str,
        vmid: Vmid,
        disk: &str,
        size: u64,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Powers a VM on. The task of one that runs already fails.
    fn start(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Cuts a VM's power. A stopped one is fine.
    fn stop(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Asks a VM to shut down, and cuts its power after `seconds` when `force` is set.
    fn shutdown(
        &self,
        node: &str,
        vmid: Vmid,
        seconds: u32,
        force: bool,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Shuts a VM down and starts it again, which applies pending values. The task ends when the VM is down; it
    /// comes up a moment later.
    fn reboot(
        &self,
        node: &str,
        vmid: Vmid,
        seconds: u32,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Makes or replaces a directory mapping; entries such as `node=pve,path=/mnt/tank/media`.
    fn put_dir_mapping(
        &self,
        id: &str,
        map: &[String],
        description: Option<&str>,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Sets and removes firewall options of the cluster, a node or a guest.
    fn set_options(
        &self,
        scope: &FirewallScope,
        set: &BTreeMap<String, String>,
        delete: &BTreeSet<String>,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Makes an alias (cluster, guest).
    fn create_alias(
        &self,
        scope: &FirewallScope,
        name: &str,
        alias: &PveAlias,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Changes an alias.
    fn update_alias(
        &self,
        scope: &FirewallScope,
        name: &str,
        alias: &PveAlias,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Deletes an alias; an unknown one is fine. Proxmox does not check whether rules use it, and skips those that do.
    fn delete_alias(
        &self,
        scope: &FirewallScope,
        name: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Makes an empty IP set (cluster, guest).
    fn create_ipset(
        &self,
        scope: &FirewallScope,
        name: &str,
        comment: Option<&str>,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Deletes an IP set with its members, in one call. Proxmox does not check whether rules use it.
    fn delete_ipset(
        &self,
        scope: &FirewallScope,
        name: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Adds a member to an IP set, or an exception when `nomatch` is set. Host bits are cleared on the far side.
    fn add_member(
        &self,
        scope: &FirewallScope,
        name: &str,
        cidr: &str,
        nomatch: bool,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Removes a member from an IP set.
    fn remove_member(
        &self,
        scope: &FirewallScope,
        name: &str,
        cidr: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Makes an empty security group; at most 18 characters.
    fn create_group(
        &self,
        name: &str,
        comment: Option<&str>,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Deletes an empty security group. References to it stay and match nothing.
    fn delete_group(&self, name: &str) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Inserts a rule at position 0, whatever the list holds: to make a list, insert its last rule first.
    fn insert_rule(
        &self,
        scope: &FirewallScope,
        rule: &PveRule,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Replaces the rule at a position. The digest is that of the list in which the position was read.
    fn update_rule(
        &self,
        scope: &FirewallScope,
        position: usize,
        rule: &PveRule,
        digest: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Moves the rule at `from` so that it stands at `to` afterwards.
    fn move_rule(
        &self,
        scope: &FirewallScope,
        from: usize,
        to: usize,
        digest: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Deletes the rule at a position. The digest is that of the list in which the position was read.
    fn delete_rule(
        &self,
        scope: &FirewallScope,
        position: usize,
        digest: &str,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;
}
