//! That a new connection still comes in, once what was written is in force.

use crate::apply::{failure::plain, hands::World, walk::StepFailure};
use crate::model::ids::HostName;
use crate::providers::{
    proxmox::{ProxmoxRead, ProxmoxRequest, ProxmoxWrite},
    shell::{Command, Shell as _, ShellError},
    ssh::SshHost,
};
use futures_util::future::try_join_all;
use std::{collections::BTreeSet, time::Duration};

/// A new connection that takes longer than this is no proof.
const PROOF_LIMIT: Duration = Duration::from_secs(10);

/// The daemon looks at its files every 10 s, and needs a few on a busy node.
const SETTLE_LIMIT: Duration = Duration::from_secs(45);

const SETTLE: &str = include_str!("scripts/settle.sh");

impl<P: ProxmoxRead + ProxmoxWrite> World<P> {
    /// Waits until every node enforces what is stored: a proof before that proves nothing.
    ///
    /// # Errors
    /// When a node does not say so in time.
    pub async fn settle(&self, nodes: &BTreeSet<HostName>) -> Result<(), StepFailure> {
        try_join_all(nodes.iter().map(|node| async move {
            let command = Command::script("infra-firewall-settle", SETTLE).timeout(SETTLE_LIMIT);
            self.shell(node)?.demand(command).await?;
            Ok::<_, StepFailure>(())
        }))
        .await
        .map(drop)
    }

    /// NEW connections: to the API, and to the shell of every machine named.
    ///
    /// # Errors
    /// The first that does not come in.
    pub async fn prove_access(&self, machines: &BTreeSet<HostName>) -> Result<(), StepFailure> {
        let api = async {
            if self.proxmox.is_none() {
                return Ok(());
            }
            let fresh = (self.reconnect)().ok_or_else(|| {
                StepFailure::told("no second connection to the API could be opened", "")
            })?;
            let nothing_special = ProxmoxRequest::default();
            tokio::time::timeout(PROOF_LIMIT, fresh.observe(&nothing_special))
                .await
                .map_err(|_| {
                    StepFailure::told("the Proxmox API does not answer a new connection", "")
                })??;
            Ok(())
        };
        let shells = try_join_all(machines.iter().map(|machine| self.prove_shell(machine)));
        tokio::try_join!(api, shells).map(drop)
    }

    /// A NEW connection to a machine's shell.
    async fn prove_shell(&self, machine: &HostName) -> Result<(), StepFailure> {
        let target = self.shell(machine)?.target().clone();
        let fresh = SshHost::new(target);
        let silent = || {
            StepFailure::told(
                format!("{machine} does not answer a new SSH connection"),
                "Compare the set `operators` with the address of this machine.",
            )
        };
        match tokio::time::timeout(PROOF_LIMIT, fresh.demand(Command::new(["true"]))).await {
            Err(_) | Ok(Err(ShellError::Unreachable { .. })) => Err(silent()),
            Ok(Err(error)) => Err(plain(&error)),
            Ok(Ok(_)) => Ok(()),
        }
    }
}
