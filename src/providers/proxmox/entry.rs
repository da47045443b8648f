//! Entries of the cluster's own configuration: HA resources, HA rules, replication jobs. One list and three writes for
//! each kind, all alike. And the interfaces of its nodes, which are staged and then applied together.

use super::{
    answer,
    client::Client,
    endpoint::{self, Endpoint},
    error::{ProxmoxError, Refusal},
    request::Request,
    task::Upid,
    wire::{Text, node::Network},
};
use crate::model::{
    cluster::{Entry, EntryKind, EntryWrite},
    network::{InterfaceWrite, NodeNetwork},
};
use serde_json::Value;
use std::{collections::BTreeMap, future::Future};

/// Lists entries.
pub trait ClusterRead: Send + Sync {
    /// The entries of a kind by id. A server that does not know the kind yet has none.
    fn entries(
        &self,
        kind: EntryKind,
    ) -> impl Future<Output = Result<BTreeMap<String, Entry>, ProxmoxError>> + Send;

    /// The state of each zone of the software-defined network on a node.
    fn sdn(
        &self,
        node: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, String>, ProxmoxError>> + Send;

    /// The interfaces of a node, and what is staged.
    fn network(&self, node: &str)
    -> impl Future<Output = Result<NodeNetwork, ProxmoxError>> + Send;
}

/// Writes entries.
pub trait ClusterWrite: Send + Sync {
    /// Writes one entry. Deleting one that is gone is fine.
    fn write_entry(
        &self,
        kind: EntryKind,
        id: &str,
        write: &EntryWrite,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Stages an interface. Nothing happens to it before [`ClusterWrite::reload_network`].
    fn stage_interface(
        &self,
        node: &str,
        write: &InterfaceWrite,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Forgets what is staged.
    fn drop_staged(&self, node: &str) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Forgets what is staged for the software-defined network. Proxmox VE 8 cannot, and keeps it.
    fn drop_staged_sdn(&self) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Applies what is staged for the software-defined network, on every node, with what is staged for its interfaces.
    fn apply_sdn(&self) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Applies what is staged.
    fn reload_network(&self, node: &str)
    -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;
}

/// The rows of one kind.
struct Rows {
    /// The key that names an entry.
    key: &'static str,
    list: &'static Endpoint,
    create: &'static Endpoint,
    update: &'static Endpoint,
    delete: &'static Endpoint,
}

const fn rows(kind: EntryKind) -> Rows {
    match kind {
        EntryKind::HaResource => Rows {
            key: "sid",
            list: &endpoint::HA_RESOURCES,
            create: &endpoint::HA_RESOURCE_CREATE,
            update: &endpoint::HA_RESOURCE_UPDATE,
            delete: &endpoint::HA_RESOURCE_DELETE,
        },
        EntryKind::HaRule => Rows {
            key: "rule",
            list: &endpoint::HA_RULES,
            create: &endpoint::HA_RULE_CREATE,
            update: &endpoint::HA_RULE_UPDATE,
            delete: &endpoint::HA_RULE_DELETE,
        },
        EntryKind::Replication => Rows {
            key: "id",
            list: &endpoint::REPLICATION_JOBS,
            create: &endpoint::REPLICATION_JOB_CREATE,
            update: &endpoint::REPLICATION_JOB_UPDATE,
            delete: &endpoint::REPLICATION_JOB_DELETE,
        },
        EntryKind::SdnZone => Rows {
            key: "zone",
            list: &endpoint::SDN_ZONES,
            create: &endpoint::SDN_ZONE_CREATE,
            update: &endpoint::SDN_ZONE_UPDATE,
            delete: &endpoint::SDN_ZONE_DELETE,
        },
        EntryKind::SdnVnet => Rows {
            key: "vnet",
            list: &endpoint::SDN_VNETS,
            create: &endpoint::SDN_VNET_CREATE,
            update: &endpoint::SDN_VNET_UPDATE,
            delete: &endpoint::SDN_VNET_DELETE,
        },
    }
}

impl ClusterRead for Client {
    async fn entries(&self, kind: EntryKind) -> Result<BTreeMap<String, Entry>, ProxmoxError> {
        let rows = rows(kind);
        let is_staged = matches!(kind, EntryKind::SdnZone | EntryKind::SdnVnet);
        let request = Request::new(rows.list, &[]).with_some("pending", is_staged.then_some("1"));
        let data = match self.send(&request).await {
            Err(error) if error.refusal() == Some(Refusal::NotImplemented) => {
                return Ok(BTreeMap::new());
            }
            answer => answer?,
        };
        // What is not a scalar (errors of a rule, pending values) says nothing about what is configured.
        let listed: Vec<BTreeMap<String, Value>> = answer::typed(&request.to_string(), data)?;
        let text = |value: Value| serde_json::from_value::<Text>(value).ok();
        let entry = |mut row: BTreeMap<String, Value>| {
            // What runs, and beside it what waits: the two make what is configured.
            if is_staged && let Some(Value::Object(pending)) = row.remove("pending") {
                for (key, value) in pending {
                    if value == "deleted" {
                        row.remove(&key);
                    } else {
                        row.insert(key, value);
                    }
                }
            }
            let mut entry: Entry = row
                .into_iter()
                .filter_map(|(key, value)| Some((key, text(value)?.0)))
                .collect();
            entry.remove("digest");
            Some((entry.remove(rows.key)?, entry))
        };
        Ok(listed.into_iter().filter_map(entry).collect())
    }

    async fn sdn(&self, node: &str) -> Result<BTreeMap<String, String>, ProxmoxError> {
        let request = Request::new(&endpoint::SDN_STATUS, &[node]);
        let rows: Option<Vec<BTreeMap<String, Value>>> = self.find(&request).await?;
        let text = |row: &BTreeMap<String, Value>, key: &str| {
            row.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        let state =
            |row: BTreeMap<String, Value>| Some((text(&row, "zone")?, text(&row, "status")?));
        Ok(rows
            .unwrap_or_default()
            .into_iter()
            .filter_map(state)
            .collect())
    }

    async fn network(&self, node: &str) -> Result<NodeNetwork, ProxmoxError> {
        let request = Request::new(&endpoint::NODE_NETWORK, &[node]).whole();
        let Some(answer) = self.find::<Network>(&request).await? else {
            return Ok(NodeNetwork::default());
        };
        let text = |value: Value| serde_json::from_value::<Text>(value).ok();
        let interface = |row: BTreeMap<String, Value>| {
            let mut fields: BTreeMap<String, String> = row
                .into_iter()
                .filter_map(|(key, value)| Some((key, text(value)?.0)))
                .collect();
            Some((fields.remove("iface")?, fields))
        };
        Ok(NodeNetwork {
            interfaces: answer.data.into_iter().filter_map(interface).collect(),
            staged: answer.changes.filter(|text| !text.is_empty()),
        })
    }
}

impl ClusterWrite for Client {
    async fn write_entry(
        &self,
        kind: EntryKind,
        id: &str,
        write: &EntryWrite,
    ) -> Result<(), ProxmoxError> {
        let rows = rows(kind);
        match write {
            EntryWrite::Create(entry) => {
                let request = Request::new(rows.create, &[]).with(rows.key, id);
                self.done(&request.with_all(entry)).await
            }
            EntryWrite::Update { set, delete } => {
                let gone = (!delete.is_empty()).then(|| delete.join(","));
                let request = Request::new(rows.update, &[id])
                    .with_all(set)
                    .with_some("delete", gone);
                self.done(&request).await
            }
            EntryWrite::Delete => {
                // The copy stays where it is: a job that goes takes no data with it.
                let keep = matches!(kind, EntryKind::Replication).then_some("1");
                let request = Request::new(rows.delete, &[id]).with_some("keep", keep);
                match self.done(&request).await {
                    Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(()),
                    answer => answer,
                }
            }
        }
    }

    async fn stage_interface(
        &self,
        node: &str,
        write: &InterfaceWrite,
    ) -> Result<(), ProxmoxError> {
        if write.exists {
            let gone = (!write.delete.is_empty()).then(|| write.delete.join(","));
            let request = Request::new(&endpoint::NETWORK_UPDATE, &[node, &write.iface])
                .with_all(&write.set)
                .with_some("delete", gone);
            return self.done(&request).await;
        }
        let request = Request::new(&endpoint::NETWORK_CREATE, &[node])
            .with("iface", &write.iface)
            .with_all(&write.set);
        self.done(&request).await
    }

    async fn drop_staged(&self, node: &str) -> Result<(), ProxmoxError> {
        self.done(&Request::new(&endpoint::NETWORK_REVERT, &[node]))
            .await
    }

    async fn drop_staged_sdn(&self) -> Result<(), ProxmoxError> {
        self.done(&Request::new(&endpoint::SDN_ROLLBACK, &[])).await
    }

    async fn apply_sdn(&self) -> Result<Upid, ProxmoxError> {
        self.task(&Request::new(&endpoint::SDN_APPLY, &[])).await
    }

    async fn reload_network(&self, node: &str) -> Result<Upid, ProxmoxError> {
        self.task(&Request::new(&endpoint::NETWORK_RELOAD, &[node]))
            .await
    }
}
