//! Looking at a cluster: many questions at once, in two rounds (three where a guest has IP sets).

use super::{
    answer,
    client::Client,
    encode,
    endpoint::{self, Endpoint},
    error::ProxmoxError,
    read::{ProxmoxRead, ProxmoxRequest},
    request::Request,
    task::{TaskEnd, TaskStatus, Upid},
    wire::{
        Text,
        access::Version,
        cluster::{DirMapping, PciMapping, Resource},
        guest::{Config, Pending, Status},
        node::{Interface, Storage, Volume},
        task::{LogLine, Status as WireTaskStatus},
    },
    write::FirewallScope,
};
use crate::model::{
    firewall::PveRules,
    ids::{HostName, Vmid},
    observed::{ObservedGuest, ObservedNode, ObservedProxmox, ObservedStorage},
};
use futures_util::future::try_join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// Lines of a failed task's log that its error shows.
const LOG_TAIL: usize = 12;

/// Looks at a task that its node does not know yet, right after its start.
const UNKNOWN_LOOKS: u32 = 10;

impl ProxmoxRead for Client {
    async fn observe(&self, request: &ProxmoxRequest) -> Result<ObservedProxmox, ProxmoxError> {
        let version = Request::new(&endpoint::VERSION, &[]);
        let resources = Request::new(&endpoint::RESOURCES, &[]);
        let dirs = Request::new(&endpoint::DIR_MAPPINGS, &[]);
        let pcis = Request::new(&endpoint::PCI_MAPPINGS, &[]);
        let (version, resources, dirs, pcis, mut nodes, cluster) = tokio::try_join!(
            self.fetch::<Version>(&version),
            self.fetch::<Vec<Resource>>(&resources),
            self.fetch::<Vec<DirMapping>>(&dirs),
            self.fetch::<Vec<PciMapping>>(&pcis),
            self.nodes(request),
            self.firewall_of_cluster(request),
        )?;
        let mut seen = ObservedProxmox {
            version: version.version,
            dir_mappings: dirs
                .into_iter()
                .map(|mapping| (mapping.id, mapping.map))
                .collect(),
            pci_mappings: pcis.into_iter().map(|mapping| mapping.id).collect(),
            firewall: cluster.firewall,
            complaints: cluster.complaints,
            ..ObservedProxmox::default()
        };
        for row in &resources {
            if let (true, Ok(name)) = (row.kind == "node", HostName::new(&row.node)) {
                let answer = nodes
                    .remove(&name)
                    .unwrap_or_else(|| Ok(ObservedNode::default()));
                let node = match answer {
                    // The API passes questions on to the node itself: one that is off cannot answer them.
                    Err(ProxmoxError::Gateway { .. }) if row.status != "online" => {
                        ObservedNode::default()
                    }
                    answer => answer?,
                };
                seen.nodes.insert(
                    name,
                    ObservedNode {
                        status: row.status.clone(),
                        ..node
                    },
                );
            }
        }
        seen.guests = guests(&resources);
        let (details, firewalls) = tokio::try_join!(
            try_join_all(
                request
                    .guests
                    .keys()
                    .filter_map(|vmid| self.detail(*vmid, &seen))
            ),
            try_join_all(
                request
                    .guests
                    .iter()
                    .map(|(vmid, node)| self.firewall_of_guest(request, &seen, *vmid, node))
            ),
        )?;
        for (vmid, detail) in details {
            match detail {
                Some(guest) => seen.guests.insert(vmid, guest),
                // It vanished between two questions.
                None => seen.guests.remove(&vmid),
            };
        }
        for (vmid, scope) in firewalls.into_iter().flatten() {
            seen.complaints.extend(scope.complaints);
            seen.firewall.guests.insert(vmid, scope.value);
        }
        Ok(seen)
    }

    async fn guest(&self, vmid: Vmid) -> Result<Option<ObservedGuest>, ProxmoxError> {
        let resources = Request::new(&endpoint::RESOURCES, &[]).with("type", "vm");
        let resources: Vec<Resource> = self.fetch(&resources).await?;
        match guests(&resources).remove(&vmid) {
            Some(guest) if guest.kind == QEMU => self.complete(vmid, guest).await,
            other => Ok(other),
        }
    }

    async fn rules(&self, scope: &FirewallScope) -> Result<PveRules, ProxmoxError> {
        Ok(self.rule_list(scope).await?.value)
    }

    async fn task_status(&self, upid: &Upid) -> Result<TaskStatus, ProxmoxError> {
        let request = Request::new(&endpoint::TASK_STATUS, &[upid.node(), upid.as_str()]);
        let status: WireTaskStatus = self.fetch(&request).await?;
        Ok(TaskStatus::read(
            &status.status,
            status.exitstatus.as_deref(),
        ))
    }

    async fn wait(&self, upid: &Upid, limit: Duration) -> Result<TaskEnd, ProxmoxError> {
        let begin = Instant::now();
        let unknown = |why: String| ProxmoxError::TaskUnknown {
            upid: upid.clone(),
            why,
        };
        let mut round = 0;
        loop {
            match self.task_status(upid).await {
                Ok(TaskStatus::Running) => {}
                Ok(TaskStatus::Done(end)) => return Ok(end),
                Ok(TaskStatus::Failed(exit)) => {
                    let log = self.task_log(upid).await;
                    return Err(ProxmoxError::TaskFailed {
                        upid: upid.clone(),
                        exit,
                        log,
                    });
                }
                Ok(TaskStatus::Unknown) => return Err(unknown("unexpected status".to_owned())),
                // A task can be asked for before its node has written it down.
                Err(error) if error.is_not_found() && round < UNKNOWN_LOOKS => {}
                Err(error) if error.is_not_found() => return Err(unknown(error.to_string())),
                Err(error) => return Err(error),
            }
            if begin.elapsed() >= limit {
                return Err(ProxmoxError::TaskSlow {
                    upid: upid.clone(),
                    limit,
                });
            }
            tokio::time::sleep(self.options().task_pace.wait(round)).await;
            round += 1;
        }
    }
}

const QEMU: &str = "qemu";

/// The rows that are guests.
fn guests(resources: &[Resource]) -> BTreeMap<Vmid, ObservedGuest> {
    let guest = |row: &Resource| {
        let number = row.vmid.and_then(|number| u32::try_from(number.0).ok())?;
        let guest = ObservedGuest {
            node: row.node.clone(),
            name: row.name.clone().unwrap_or_default(),
            kind: row.kind.clone(),
            status: row.status.clone(),
            template: row.template.is_some_and(|flag| flag.0),
            lock: row.lock.clone(),
            ..ObservedGuest::default()
        };
        Some((Vmid::new(number).ok()?, guest))
    };
    resources
        .iter()
        .filter(|row| row.kind == QEMU || row.kind == "lxc")
        .filter_map(guest)
        .collect()
}

type NodeAnswers = BTreeMap<HostName, Result<ObservedNode, ProxmoxError>>;

impl Client {
    /// What each node says; failures are kept, since a node may be known to be off.
    async fn nodes(&self, request: &ProxmoxRequest) -> Result<NodeAnswers, ProxmoxError> {
        let each = request.nodes.iter().map(|name| async move {
            let answer = self.node(name, request).await;
            Ok::<_, ProxmoxError>((name.clone(), answer))
        });
        Ok(try_join_all(each).await?.into_iter().collect())
    }

    async fn node(
        &self,
        name: &HostName,
        request: &ProxmoxRequest,
    ) -> Result<ObservedNode, ProxmoxError> {
        let storages = Request::new(&endpoint::NODE_STORAGES, &[name.as_str()]);
        let network = Request::new(&endpoint::NODE_NETWORK, &[name.as_str()]);
        let contents = request
            .content
            .iter()
            .filter(|((node, _), _)| node == name)
            .map(|((_, storage), types)| self.volumes(name, storage.as_str(), types));
        let (storages, network, contents) = tokio::try_join!(
            self.find::<Vec<Storage>>(&storages),
            self.find::<Vec<Interface>>(&network),
            try_join_all(contents),
        )?;
        let mut volumes: BTreeMap<String, BTreeMap<String, u64>> = contents.into_iter().collect();
        let storage = |row: Storage| {
            let seen = ObservedStorage {
                kind: row.kind,
                content: row
                    .content
                    .split(',')
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
                active: row.active.0 && row.enabled.0,
                available: row.avail.unsigned(),
                volumes: volumes.remove(&row.id).unwrap_or_default(),
            };
            (row.id, seen)
        };
        let bridge = |row: Interface| {
            let is_bridge = matches!(row.kind.as_str(), "bridge" | "OVSBridge");
            let addresses = row.cidr.into_iter().chain(row.cidr6).collect();
            (is_bridge && row.active.0).then_some((row.iface, addresses))
        };
        Ok(ObservedNode {
            status: String::new(),
            storages: storages
                .unwrap_or_default()
                .into_iter()
                .map(storage)
                .collect(),
            bridges: network
                .unwrap_or_default()
                .into_iter()
                .filter_map(bridge)
                .collect(),
        })
    }

    /// The volumes of the wanted types. Without the type a storage would list every disk too, which is slow.
    async fn volumes(
        &self,
        node: &HostName,
        storage: &str,
        types: &BTreeSet<String>,
    ) -> Result<(String, BTreeMap<String, u64>), ProxmoxError> {
        let lists = types.iter().map(|kind| async move {
            let names = [node.as_str(), storage];
            let request = Request::new(&endpoint::STORAGE_CONTENT, &names).with("content", kind);
            self.find::<Vec<Volume>>(&request).await
        });
        let lists = try_join_all(lists).await?;
        let volume = |row: Volume| (row.volid, row.size.unsigned());
        Ok((
            storage.to_owned(),
            lists.into_iter().flatten().flatten().map(volume).collect(),
        ))
    }

    /// The rest of a guest that exists and whose node can be asked.
    fn detail<'a>(
        &'a self,
        vmid: Vmid,
        seen: &ObservedProxmox,
    ) -> Option<
        impl Future<Output = Result<(Vmid, Option<ObservedGuest>), ProxmoxError>> + Send + use<'a>,
    > {
        let guest = seen.guests.get(&vmid)?;
        if guest.kind != QEMU || is_off(seen, &guest.node) {
            return None;
        }
        let guest = guest.clone();
        Some(async move { Ok((vmid, self.complete(vmid, guest).await?)) })
    }

    /// Fills in configuration, pending values and the status as it is now.
    async fn complete(
        &self,
        vmid: Vmid,
        mut guest: ObservedGuest,
    ) -> Result<Option<ObservedGuest>, ProxmoxError> {
        let number = vmid.to_string();
        let ask = |endpoint: &'static Endpoint| {
            Request::new(endpoint, &[guest.node.as_str(), number.as_str()])
        };
        // Without `current` the answer shows pending values as if they acted already.
        let config = ask(&endpoint::VM_CONFIG).with("current", "1");
        let pending = ask(&endpoint::VM_PENDING);
        let status = ask(&endpoint::VM_STATUS);
        let (config, pending, status) = tokio::try_join!(
            self.find::<Config>(&config),
            self.find::<Vec<Pending>>(&pending),
            self.find::<Status>(&status),
        )?;
        let (Some(config), Some(pending), Some(status)) = (config, pending, status) else {
            return Ok(None);
        };
        let mut config: BTreeMap<String, String> = config
            .into_iter()
            .filter_map(|(key, text)| {
                let Text(text) = text?;
                let text = encode::plain_config_value(&key, text);
                Some((key, text))
            })
            .collect();
        guest.status = status.power;
        guest.digest = config.remove("digest");
        guest.lock = config.remove("lock").or(status.lock);
        if let Some(name) = config.get("name").cloned().or(status.name) {
            guest.name = name;
        }
        guest.template = config
            .get("template")
            .map_or(guest.template, |flag| flag == "1")
            || status.template.is_some_and(|flag| flag.0);
        guest.pending = pending.into_iter().filter_map(waiting).collect();
        guest.config = Some(config);
        Ok(Some(guest))
    }

    /// The end of a task's log. A log that cannot be read is no reason to hide why the task failed.
    async fn task_log(&self, upid: &Upid) -> Vec<String> {
        let names = [upid.node(), upid.as_str()];
        let request = Request::new(&endpoint::TASK_LOG, &names).with("limit", "0");
        let lines: Vec<LogLine> = match self.send(&request).await {
            Ok(data) => answer::typed(&request.to_string(), data).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let lines: Vec<String> = lines
            .into_iter()
            .filter_map(|line| line.t)
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].to_vec()
    }
}

/// Whether the cluster knows that a node is off.
pub(super) fn is_off(seen: &ObservedProxmox, node: &str) -> bool {
    seen.nodes
        .iter()
        .any(|(name, seen)| name.as_str() == node && seen.status == "offline")
}

/// The row of `/pending`, when something waits.
fn waiting(row: Pending) -> Option<(String, Option<String>)> {
    if row.delete.is_some_and(|delete| delete.0 != 0) {
        return Some((row.key, None));
    }
    let Text(text) = row.next?;
    let text = encode::plain_config_value(&row.key, text);
    Some((row.key, Some(text)))
}
