//! What can be asked.

use super::{
    error::ProxmoxError,
    firewall_file::FirewallFiles,
    task::{TaskEnd, TaskStatus, Upid},
    write::FirewallScope,
};
use crate::model::{
    cluster::EntryKind,
    firewall::PveRules,
    ids::{HostName, StorageId, Vmid},
    observed::{ObservedGuest, ObservedProxmox},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

/// What an observation is about. The lists of nodes, guests and mappings always come; this says what else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxmoxRequest {
    /// Nodes whose storages and bridges are wanted.
    pub nodes: BTreeSet<HostName>,
    /// Storages whose volumes are wanted, with the content types to list (`iso`, `import`).
    pub content: BTreeMap<(HostName, StorageId), BTreeSet<String>>,
    /// Guests whose configuration, pending values and status are wanted, each with the node on which it would be
    /// made. Existing guests are found wherever they live; for one that does not exist the node tells where to look
    /// for firewall rules that an earlier guest of the same id left behind, which Proxmox would apply to the new one.
    pub guests: BTreeMap<Vmid, HostName>,
    /// Guests with this tag, whose configuration is wanted too; of the firewall nothing.
    pub mark: Option<String>,
    /// Whether the firewall is wanted: of the cluster, its groups, the nodes and the guests above.
    pub firewall: bool,
    /// Whether the pools are wanted.
    pub pools: bool,
    /// The kinds of the cluster's own entries that are wanted.
    pub entries: BTreeSet<EntryKind>,
}

/// Looks at a cluster. Nothing here changes anything.
pub trait ProxmoxRead: Send + Sync {
    /// Asks for everything in the request, many questions at once. What does not exist is absent from the answer; a
    /// question that was not answered is listed in [`ObservedProxmox::unanswered`].
    ///
    /// # Errors
    /// Only when not even the list of nodes and guests was answered.
    fn observe(
        &self,
        request: &ProxmoxRequest,
    ) -> impl Future<Output = Result<ObservedProxmox, ProxmoxError>> + Send {
        self.observe_beside(request, std::future::ready(None))
    }

    /// As [`ProxmoxRead::observe`], with the firewall's files if a node's shell tells them: the firewall of a guest is then
    /// no question to the API, unless its file names something that only the API can judge.
    ///
    /// # Errors
    /// As [`ProxmoxRead::observe`].
    fn observe_beside(
        &self,
        request: &ProxmoxRequest,
        files: impl Future<Output = Option<FirewallFiles>> + Send,
    ) -> impl Future<Output = Result<ObservedProxmox, ProxmoxError>> + Send;

    /// One guest with its configuration, wherever it lives; none when it does not exist.
    fn guest(
        &self,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Option<ObservedGuest>, ProxmoxError>> + Send;

    /// The rules of one list with their digest. Read again before each change that names a position.
    fn rules(
        &self,
        scope: &FirewallScope,
    ) -> impl Future<Output = Result<PveRules, ProxmoxError>> + Send;

    /// What a task is doing.
    fn task_status(
        &self,
        upid: &Upid,
    ) -> impl Future<Output = Result<TaskStatus, ProxmoxError>> + Send;

    /// Waits for a task to end well.
    ///
    /// # Errors
    /// [`ProxmoxError::TaskFailed`] with the end of its log, [`ProxmoxError::TaskUnknown`],
    /// [`ProxmoxError::TaskSlow`] after `limit`.
    fn wait(
        &self,
        upid: &Upid,
        limit: Duration,
    ) -> impl Future<Output = Result<TaskEnd, ProxmoxError>> + Send;
}
