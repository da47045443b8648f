//! Looking at a cluster: many questions at once, in two rounds (three where a guest has IP sets).

use super::{
    answer,
    client::Client,
    encode, endpoint,
    entry::ClusterRead as _,
    error::ProxmoxError,
    firewall::groups_name_alias,
    firewall_file::FirewallFiles,
    read::{ProxmoxRead, ProxmoxRequest},
    request::Request,
    task::{TaskEnd, TaskStatus, Upid},
    unanswered::Open,
    wire::{
        Text,
        access::Version,
        cluster::{DirMapping, PciMapping, Pool, Resource, UsbMapping},
        guest::{GuestRow, Pending, Status},
        task::{LogLine, Status as WireTaskStatus},
    },
    write::FirewallScope,
};
use crate::model::{
    firewall::PveRules,
    firewall_step::PveLevel,
    ids::{HostName, Vmid},
    observed::{ObservedGuest, ObservedNode, ObservedProxmox, Question},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};
use tokio::time::Instant;

/// Lines of a failed task's log that its error shows.
const LOG_TAIL: usize = 12;

/// Looks at a task that its node does not know yet, right after its start.
const UNKNOWN_LOOKS: u32 = 10;

impl ProxmoxRead for Client {
    async fn observe_beside(
        &self,
        request: &ProxmoxRequest,
        files: impl Future<Output = Option<FirewallFiles>> + Send,
    ) -> Result<ObservedProxmox, ProxmoxError> {
        let resources = Request::new(&endpoint::RESOURCES, &[]);
        let version = Request::new(&endpoint::VERSION, &[]);
        let dirs = Request::new(&endpoint::DIR_MAPPINGS, &[]);
        let pcis = Request::new(&endpoint::PCI_MAPPINGS, &[]);
        let usbs = Request::new(&endpoint::USB_MAPPINGS, &[]);
        let kinds = request.entries.iter();
        let entries = kinds.map(|kind| async move { (*kind, self.entries(*kind).await) });
        let (resources, version, dirs, pcis, usbs, pools, entries, nodes, cluster) = tokio::join!(
            self.fetch::<Vec<Resource>>(&resources),
            self.fetch::<Version>(&version),
            self.fetch::<Vec<DirMapping>>(&dirs),
            self.fetch::<Vec<PciMapping>>(&pcis),
            self.fetch::<Vec<UsbMapping>>(&usbs),
            self.pools(request),
            join_all(entries),
            join_all(request.nodes.iter().map(|name| self.node(name, request))),
            self.firewall_of_cluster(request, files),
        );
        // Who does not know which guests and nodes there are knows nothing; every other answer may be missing.
        let resources = resources?;
        let mut open = Open::default();
        let mut seen = ObservedProxmox {
            version: open
                .answer(Question::Version, version)
                .map(|version| version.version)
                .unwrap_or_default(),
            dir_mappings: open
                .answer(Question::DirMappings, dirs)
                .unwrap_or_default()
                .into_iter()
                .map(|mapping| (mapping.id, mapping.map))
                .collect(),
            pci_mappings: open
                .answer(Question::PciMappings, pcis)
                .unwrap_or_default()
                .into_iter()
                .map(|mapping| (mapping.id, mapping.map))
                .collect(),
            usb_mappings: open
                .answer(Question::UsbMappings, usbs)
                .unwrap_or_default()
                .into_iter()
                .map(|mapping| (mapping.id, mapping.map))
                .collect(),
            pools: open.answer(Question::Pools, pools).flatten(),
            entries: entries
                .into_iter()
                .filter_map(|(kind, entries)| {
                    Some((kind, open.answer(Question::Entries(kind), entries)?))
                })
                .collect(),
            guests: guests(&resources),
            nodes: node_states(&resources),
            firewall: cluster.firewall,
            complaints: cluster.complaints,
            ..ObservedProxmox::default()
        };
        open.add(cluster.open, &seen);
        let mut live = BTreeMap::new();
        for mut answer in nodes {
            live.append(&mut answer.guests);
            let Some(node) = seen.nodes.get_mut(&answer.name) else {
                // Not a member: its absence says so.
                continue;
            };
            let status = std::mem::take(&mut node.status);
            *node = ObservedNode {
                status,
                ..answer.node
            };
            open.add(answer.open, &seen);
        }
        let wanted = request.guests.iter();
        let is_marked = |guest: &ObservedGuest| {
            let mark = request.mark.as_ref();
            mark.is_some_and(|mark| guest.tags.contains(mark))
        };
        let marked = seen.guests.iter().filter(|(_, guest)| is_marked(guest));
        let configured: BTreeSet<Vmid> = marked
            .map(|(vmid, _)| *vmid)
            .chain(request.guests.keys().copied())
            .collect();
        let named = groups_name_alias(&seen.firewall);
        let files = cluster.files.as_ref();
        let (details, firewalls) = tokio::join!(
            join_all(configured.iter().filter_map(|vmid| {
                let guest = seen.guests.get(vmid).filter(|guest| guest.kind == QEMU)?;
                Some(self.detail(
                    *vmid,
                    guest.clone(),
                    live.get(vmid),
                    is_off(&seen, &guest.node),
                ))
            })),
            join_all(wanted.map(|(vmid, node)| {
                let told = files.and_then(|files| files.guest(*vmid, &seen.firewall));
                self.firewall_of_guest(request, &seen, *vmid, node, told, named)
            })),
        );
        for (vmid, detail) in details {
            match open.answer(Question::Guest(vmid), detail) {
                Some(Some(guest)) => {
                    seen.guests.insert(vmid, guest);
                }
                // It vanished between two questions.
                Some(None) => {
                    seen.guests.remove(&vmid);
                }
                None => {}
            }
        }
        for (vmid, scope) in firewalls {
            let question = Question::Firewall(PveLevel::Guest(vmid));
            if let Some(Some(scope)) = open.answer(question, scope) {
                seen.complaints.extend(scope.complaints);
                seen.firewall.guests.insert(vmid, scope.value);
            }
        }
        seen.unanswered = open.0;
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
            pool: row.pool.clone(),
            lock: row.lock.clone(),
            tags: answer::tags(row.tags.as_deref().unwrap_or_default()),
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

/// The nodes of the cluster; what is on them is asked elsewhere.
fn node_states(resources: &[Resource]) -> BTreeMap<HostName, ObservedNode> {
    let node = |row: &Resource| {
        let name = HostName::new(&row.node).ok()?;
        let node = ObservedNode {
            status: row.status.clone(),
            ..ObservedNode::default()
        };
        (row.kind == "node").then_some((name, node))
    };
    resources.iter().filter_map(node).collect()
}

impl Client {
    async fn pools(&self, request: &ProxmoxRequest) -> Result<Option<Vec<String>>, ProxmoxError> {
        if !request.pools {
            return Ok(None);
        }
        let pools: Vec<Pool> = self.fetch(&Request::new(&endpoint::POOLS, &[])).await?;
        Ok(Some(pools.into_iter().map(|pool| pool.poolid).collect()))
    }

    /// The rest of a guest that exists. One question for its configuration; whether it runs is in its node's list,
    /// which is the truth where the cluster's resources are up to ten seconds late.
    async fn detail(
        &self,
        vmid: Vmid,
        guest: ObservedGuest,
        live: Option<&GuestRow>,
        is_off: bool,
    ) -> (Vmid, Result<Option<ObservedGuest>, ProxmoxError>) {
        if is_off {
            let error = ProxmoxError::NodeOff {
                node: guest.node.clone(),
            };
            return (vmid, Err(error));
        }
        let answer = match live {
            Some(row) => self.configured(vmid, guest, row.into()).await,
            None => self.complete(vmid, guest).await,
        };
        (vmid, answer)
    }

    /// Fills in configuration, pending values and the status as it is now.
    async fn complete(
        &self,
        vmid: Vmid,
        guest: ObservedGuest,
    ) -> Result<Option<ObservedGuest>, ProxmoxError> {
        let number = vmid.to_string();
        let status = Request::new(
            &endpoint::VM_STATUS,
            &[guest.node.as_str(), number.as_str()],
        );
        match self.find::<Status>(&status).await? {
            Some(status) => self.configured(vmid, guest, status).await,
            None => Ok(None),
        }
    }

    /// Fills in configuration and pending values beside a status. `/pending` holds both, and never shows what waits as
    /// if it ran.
    async fn configured(
        &self,
        vmid: Vmid,
        mut guest: ObservedGuest,
        status: Status,
    ) -> Result<Option<ObservedGuest>, ProxmoxError> {
        let number = vmid.to_string();
        let rows = Request::new(
            &endpoint::VM_PENDING,
            &[guest.node.as_str(), number.as_str()],
        );
        let Some(rows) = self.find::<Vec<Pending>>(&rows).await? else {
            return Ok(None);
        };
        let mut config: BTreeMap<String, String> = rows
            .iter()
            .filter_map(|row| {
                let Text(text) = row.value.clone()?;
                Some((row.key.clone(), encode::plain_config_value(&row.key, text)))
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
        if let Some(tags) = config.get("tags") {
            guest.tags = answer::tags(tags);
        }
        guest.pending = rows.into_iter().filter_map(waiting).collect();
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
