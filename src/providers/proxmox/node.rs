//! Looking at a node: its storages, volumes, bridges, and which of its guests run.

use super::{
    client::Client,
    endpoint,
    entry::ClusterRead as _,
    error::ProxmoxError,
    read::ProxmoxRequest,
    request::Request,
    unanswered::Open,
    wire::{
        guest::GuestRow,
        node::{Storage, Volume},
    },
};
use crate::model::{
    cluster::EntryKind,
    ids::{HostName, Vmid},
    observed::{ObservedNode, ObservedStorage, Question},
};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// What a node said about itself.
pub(super) struct NodeAnswer {
    pub(super) name: HostName,
    pub(super) node: ObservedNode,
    /// Its guests as they are now.
    pub(super) guests: BTreeMap<Vmid, GuestRow>,
    pub(super) open: Open,
}

impl Client {
    /// Everything that is wanted of one node, at once.
    pub(super) async fn node(&self, name: &HostName, request: &ProxmoxRequest) -> NodeAnswer {
        let guests = Request::new(&endpoint::NODE_GUESTS, &[name.as_str()]);
        let (node, guests) = tokio::join!(
            self.holdings(name, request),
            self.find::<Vec<GuestRow>>(&guests)
        );
        let mut open = Open::default();
        let row = |row: GuestRow| {
            let number = u32::try_from(row.vmid.0).ok()?;
            Some((Vmid::new(number).ok()?, row))
        };
        NodeAnswer {
            node: open
                .answer(Question::Node(name.clone()), node)
                .unwrap_or_default(),
            guests: open
                .answer(Question::Power(name.clone()), guests)
                .flatten()
                .unwrap_or_default()
                .into_iter()
                .filter_map(row)
                .collect(),
            name: name.clone(),
            open,
        }
    }

    async fn holdings(
        &self,
        name: &HostName,
        request: &ProxmoxRequest,
    ) -> Result<ObservedNode, ProxmoxError> {
        let storages = Request::new(&endpoint::NODE_STORAGES, &[name.as_str()]);
        let contents = request
            .content
            .iter()
            .filter(|((node, _), _)| node == name)
            .map(|((_, storage), types)| self.volumes(name, storage.as_str(), types));
        let sdn = async {
            if request.entries.contains(&EntryKind::SdnZone) {
                self.sdn(name.as_str()).await
            } else {
                Ok(BTreeMap::new())
            }
        };
        let (storages, network, sdn, contents) = tokio::try_join!(
            self.find::<Vec<Storage>>(&storages),
            self.network(name.as_str()),
            sdn,
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
                shared: row.shared.0,
                available: row.avail.unsigned(),
                volumes: volumes.remove(&row.id).unwrap_or_default(),
            };
            (row.id, seen)
        };
        let is_bridge = |interface: &&BTreeMap<String, String>| {
            let kind = interface.get("type").map(String::as_str);
            matches!(kind, Some("bridge" | "OVSBridge")) && interface.contains_key("active")
        };
        let addresses = |interface: &BTreeMap<String, String>| {
            let own = ["cidr", "cidr6"].map(|key| interface.get(key).cloned());
            own.into_iter().flatten().collect()
        };
        let bridges = network
            .interfaces
            .iter()
            .filter(|(_, interface)| is_bridge(interface))
            .map(|(iface, interface)| (iface.clone(), addresses(interface)))
            .collect();
        Ok(ObservedNode {
            status: String::new(),
            storages: storages
                .unwrap_or_default()
                .into_iter()
                .map(storage)
                .collect(),
            bridges,
            network,
            sdn,
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
}
