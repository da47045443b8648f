//! The software-defined network: staged, applied on all nodes at once, proved by new connections, or put back by each node.

use super::{
    cluster::is_written,
    failure::plain,
    guard::{Cover, GuardPolicy},
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    cluster::{Entry, EntryKind},
    ids::HostName,
    network::SdnWrite,
};
use crate::providers::{
    guard::GuardKind,
    proxmox::{ClusterRead, ClusterWrite, Delivery, ProxmoxError, ProxmoxRead, ProxmoxWrite},
};
use std::{collections::BTreeSet, time::Duration};

/// Every node loads its interfaces, one after the other.
const RELOAD_LIMIT: Duration = Duration::from_mins(5);

impl<P: ProxmoxRead + ProxmoxWrite + ClusterRead + ClusterWrite> World<P> {
    /// Stages entries and applies them. Each node puts its interfaces back by itself unless new connections come in.
    pub(super) async fn apply_sdn(
        &self,
        writes: &[SdnWrite],
        zones: &[String],
        nodes: &[HostName],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let GuardPolicy::EachStep { seconds, token } = &self.guard else {
            return Err(StepFailure::told(
                "the nodes' interfaces are not guarded by this run",
                "Run `infra up`: it arms a guard of its own for them.",
            ));
        };
        let mut machines = Vec::new();
        for node in nodes {
            machines.push((self.shell(node)?.clone(), GuardKind::Network));
        }
        self.stage_sdn(writes).await?;
        let cover = match Cover::arm(machines, token, *seconds).await {
            Ok(cover) => cover,
            Err(failure) => {
                self.unstage_sdn(notes).await;
                return Err(failure);
            }
        };
        notes.tell("guarded; proving new connections before it is kept");
        let proved = cover
            .during(async {
                self.load_sdn(zones, nodes, notes).await?;
                self.prove_access(&nodes.iter().cloned().collect()).await?;
                cover.keep().await
            })
            .await;
        match proved {
            Ok(()) => Ok(()),
            Err(cause) => Err(cover.take_back(cause).await.failure()),
        }
    }

    /// The same where no node has a shell, and nothing undoes it.
    ///
    /// # Errors
    /// What the API said.
    pub async fn apply_unguarded_sdn(
        &self,
        writes: &[SdnWrite],
        zones: &[String],
        nodes: &[HostName],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.stage_sdn(writes).await?;
        self.load_sdn(zones, nodes, notes).await?;
        self.prove_access(&BTreeSet::new()).await
    }

    /// Stages every entry, or none.
    async fn stage_sdn(&self, writes: &[SdnWrite]) -> Result<(), StepFailure> {
        let api = self.api()?;
        for SdnWrite { kind, id, write } in writes {
            let Err(error) = api.write_entry(*kind, id, write).await else {
                continue;
            };
            if error.delivery() == Delivery::MaybeApplied {
                let there = api.entries(*kind).await?;
                if is_written(there.get(id), write) {
                    continue;
                }
            }
            let hint = match api.drop_staged_sdn().await {
                Ok(()) => "Nothing was applied, and nothing is staged any more.",
                Err(_) => {
                    "Nothing was applied. What was staged before it still is; the next run takes it up."
                }
            };
            return Err(StepFailure {
                hint: Some(hint.to_owned()),
                ..plain(&error)
            });
        }
        Ok(())
    }

    async fn unstage_sdn(&self, notes: &Notes) {
        if let Some(api) = &self.proxmox
            && api.drop_staged_sdn().await.is_err()
        {
            notes.tell("changes of the software-defined network stay staged");
        }
    }

    async fn load_sdn(
        &self,
        zones: &[String],
        nodes: &[HostName],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let is_applied = || async {
            let made = api.entries(EntryKind::SdnZone).await?;
            let vnets = api.entries(EntryKind::SdnVnet).await?;
            let is_staged = |entry: &Entry| entry.contains_key("state");
            if made.values().chain(vnets.values()).any(is_staged) {
                return Ok(false);
            }
            for node in nodes {
                let there = api.sdn(node.as_str()).await?;
                let covers = |zone: &String| {
                    let nodes = made.get(zone).and_then(|entry| entry.get("nodes"));
                    nodes.is_none_or(|list| list.split(',').any(|one| one == node.as_str()))
                };
                let lags = |zone: &String| {
                    let state = there.get(zone).map(String::as_str);
                    covers(zone) && state != Some("available")
                };
                if zones.iter().any(lags) {
                    return Ok(false);
                }
            }
            Ok::<bool, ProxmoxError>(true)
        };
        self.work_or_look(|| api.apply_sdn(), RELOAD_LIMIT, notes, is_applied)
            .await?;
        if is_applied().await? {
            return Ok(());
        }
        Err(StepFailure::told(
            format!(
                "the zones {} are not available on every node",
                zones.join(", ")
            ),
            "Datacenter > SDN shows where, and `ifreload -a` on that node says why. A token without `SDN.Audit` sees no zone.",
        ))
    }
}
