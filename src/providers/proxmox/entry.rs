//! Entries of the cluster's own configuration: HA resources, HA rules, replication jobs. One list and three writes for
//! each kind, all alike.

use super::{
    answer,
    client::Client,
    endpoint::{self, Endpoint},
    error::{ProxmoxError, Refusal},
    request::Request,
    wire::Text,
};
use crate::model::cluster::{Entry, EntryKind, EntryWrite};
use std::{collections::BTreeMap, future::Future};

/// Lists entries.
pub trait ClusterRead: Send + Sync {
    /// The entries of a kind by id. A server that does not know the kind yet has none.
    fn entries(
        &self,
        kind: EntryKind,
    ) -> impl Future<Output = Result<BTreeMap<String, Entry>, ProxmoxError>> + Send;
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
    }
}

impl ClusterRead for Client {
    async fn entries(&self, kind: EntryKind) -> Result<BTreeMap<String, Entry>, ProxmoxError> {
        let rows = rows(kind);
        let request = Request::new(rows.list, &[]);
        let data = match self.send(&request).await {
            Err(error) if error.refusal() == Some(Refusal::NotImplemented) => {
                return Ok(BTreeMap::new());
            }
            answer => answer?,
        };
        // What is not a scalar (errors of a rule, pending values) says nothing about what is configured.
        let listed: Vec<BTreeMap<String, serde_json::Value>> =
            answer::typed(&request.to_string(), data)?;
        let text = |value: serde_json::Value| serde_json::from_value::<Text>(value).ok();
        let entry = |row: BTreeMap<String, serde_json::Value>| {
            let mut entry: Entry = row
                .into_iter()
                .filter_map(|(key, value)| Some((key, text(value)?.0)))
                .collect();
            entry.remove("digest");
            Some((entry.remove(rows.key)?, entry))
        };
        Ok(listed.into_iter().filter_map(entry).collect())
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
}
