//! The interfaces of a node: staged, applied, proved by new connections, or put back by the node itself.

use super::{
    failure::plain,
    guard::{Cover, GuardPolicy},
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{ids::HostName, network::InterfaceWrite};
use crate::providers::{
    guard::GuardKind,
    proxmox::{ClusterRead, ClusterWrite, Delivery, ProxmoxRead, ProxmoxWrite},
};
use std::{collections::BTreeSet, time::Duration};

/// `ifreload` of a busy node takes a few seconds; one that hangs has cut something.
const RELOAD_LIMIT: Duration = Duration::from_mins(2);

impl<P: ProxmoxRead + ProxmoxWrite + ClusterRead + ClusterWrite> World<P> {
    /// Applies interfaces. The node's own timer puts back what was there unless new connections come in afterwards.
    pub(super) async fn apply_network(
        &self,
        node: &HostName,
        writes: &[InterfaceWrite],
        expects: &[String],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let GuardPolicy::EachStep { seconds, token } = &self.guard else {
            return Err(StepFailure::told(
                format!("the interfaces of {node} are not guarded by this run"),
                "Run `infra up`: it arms a guard of its own for them.",
            ));
        };
        let shell = self.shell(node)?;
        self.stage(node, writes).await?;
        let machines = vec![(shell.clone(), GuardKind::Network)];
        let cover = match Cover::arm(machines, token, *seconds).await {
            Ok(cover) => cover,
            Err(failure) => {
                self.unstage(node, notes).await;
                return Err(failure);
            }
        };
        notes.tell("guarded; proving new connections before it is kept");
        let proved = cover
            .during(async {
                self.reload(node, expects, notes).await?;
                self.prove_access(&BTreeSet::from([node.clone()])).await?;
                cover.keep().await
            })
            .await;
        match proved {
            Ok(()) => Ok(()),
            Err(cause) => Err(cover.take_back(cause).await.failure()),
        }
    }

    /// The same on a node without a shell, where nothing undoes it.
    ///
    /// # Errors
    /// What the API said.
    pub async fn apply_unguarded_network(
        &self,
        node: &HostName,
        writes: &[InterfaceWrite],
        expects: &[String],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        self.stage(node, writes).await?;
        if let Err(failure) = self.reload(node, expects, notes).await {
            // What stays staged would look like somebody else's to the next run.
            self.unstage(node, notes).await;
            return Err(failure);
        }
        self.prove_access(&BTreeSet::new()).await
    }

    /// Stages every interface, or none.
    async fn stage(&self, node: &HostName, writes: &[InterfaceWrite]) -> Result<(), StepFailure> {
        let api = self.api()?;
        for write in writes {
            let Err(error) = api.stage_interface(node.as_str(), write).await else {
                continue;
            };
            if error.delivery() == Delivery::MaybeApplied {
                let there = api.network(node.as_str()).await?;
                if there.interfaces.contains_key(&write.iface) && there.staged.is_some() {
                    continue;
                }
            }
            api.drop_staged(node.as_str()).await.ok();
            return Err(StepFailure {
                hint: Some("Nothing was applied, and nothing is staged any more.".to_owned()),
                ..plain(&error)
            });
        }
        Ok(())
    }

    async fn unstage(&self, node: &HostName, notes: &Notes) {
        if let Some(api) = &self.proxmox
            && api.drop_staged(node.as_str()).await.is_err()
        {
            notes.tell(format!("changes stay staged on {node}"));
        }
    }

    /// Applies what is staged and looks whether it is there.
    async fn reload(
        &self,
        node: &HostName,
        expects: &[String],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let is_applied = || async {
            let there = api.network(node.as_str()).await?;
            let is_up = |name: &String| {
                let interface = there.interfaces.get(name);
                interface.is_some_and(|interface| interface.contains_key("active"))
            };
            Ok(there.staged.is_none() && expects.iter().all(is_up))
        };
        self.work_or_look(
            || api.reload_network(node.as_str()),
            RELOAD_LIMIT,
            notes,
            is_applied,
        )
        .await?;
        if is_applied().await? {
            return Ok(());
        }
        Err(StepFailure::told(
            format!("{} is not up on {node}", expects.join(", ")),
            "`ifreload -a` on the node says why.",
        ))
    }
}
