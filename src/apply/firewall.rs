//! The flow matrix onto its enforcement points, and the proof that we can still come in.

use super::{
    failure::plain,
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    firewall_step::{PveLevel, PveStep},
    ids::{HostName, Vmid},
    ufw::UfwSteps,
};
use crate::providers::{
    proxmox::{FirewallScope, ProxmoxRead, ProxmoxRequest, ProxmoxWrite},
    shell::{Command, Shell},
    ufw::{UfwClient, UfwWrite as _},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The node forgets an unconfirmed `enable` after 60 s; the proof must be quicker than that.
const PROOF_LIMIT: Duration = Duration::from_secs(40);

fn scope(level: &PveLevel, nodes: &BTreeMap<Vmid, HostName>) -> Result<FirewallScope, StepFailure> {
    Ok(match level {
        PveLevel::Cluster => FirewallScope::Cluster,
        PveLevel::Group(name) => FirewallScope::Group(name.clone()),
        PveLevel::Node(node) => FirewallScope::Node(node.to_string()),
        PveLevel::Guest(vmid) => FirewallScope::Guest {
            node: nodes
                .get(vmid)
                .ok_or_else(|| {
                    StepFailure::told(
                        format!("the plan does not say on which node guest {vmid} lives"),
                        "This is a bug in infra; nothing was written.",
                    )
                })?
                .to_string(),
            vmid: *vmid,
        },
    })
}

impl<P: ProxmoxRead + ProxmoxWrite> World<P> {
    pub(super) async fn firewall(
        &self,
        steps: &[PveStep],
        nodes: &BTreeMap<Vmid, HostName>,
    ) -> Result<(), StepFailure> {
        for step in steps {
            self.firewall_step(step, nodes).await?;
        }
        Ok(())
    }

    async fn firewall_step(
        &self,
        step: &PveStep,
        nodes: &BTreeMap<Vmid, HostName>,
    ) -> Result<(), StepFailure> {
        let api = self.api()?;
        let at = scope(step.level(), nodes)?;
        match step {
            PveStep::AliasCreate { name, alias, .. } => {
                api.create_alias(&at, name, alias).await?;
            }
            PveStep::AliasUpdate { name, alias, .. } => {
                api.update_alias(&at, name, alias).await?;
            }
            PveStep::AliasDelete { name, .. } => api.delete_alias(&at, name).await?,
            PveStep::IpsetCreate { name, comment, .. }
            | PveStep::IpsetComment { name, comment, .. } => {
                api.create_ipset(&at, name, comment.as_deref()).await?;
            }
            PveStep::MemberAdd {
                name,
                cidr,
                nomatch,
                ..
            } => {
                api.add_member(&at, name, cidr, *nomatch).await?;
            }
            PveStep::MemberRemove { name, cidr, .. } => {
                api.remove_member(&at, name, cidr).await?;
            }
            PveStep::IpsetDelete { name, .. } => api.delete_ipset(&at, name).await?,
            PveStep::GroupCreate { name, comment } => {
                api.create_group(name, comment.as_deref()).await?;
            }
            PveStep::GroupDelete { name } => api.delete_group(name).await?,
            PveStep::RuleAdd { rule, .. } => api.insert_rule(&at, rule).await?,
            PveStep::RuleDelete { position, rule, .. } => {
                let digest = self.standing(&at, *position, rule).await?;
                api.delete_rule(&at, *position, &digest).await?;
            }
            PveStep::RuleMove { from, to, rule, .. } => {
                let digest = self.standing(&at, *from, rule).await?;
                api.move_rule(&at, *from, *to, &digest).await?;
            }
            PveStep::Options { set, .. } => {
                api.set_options(&at, set, &BTreeSet::new()).await?;
            }
        }
        Ok(())
    }

    /// The digest of a list in which the rule still stands where the plan saw it.
    async fn standing(
        &self,
        at: &FirewallScope,
        position: usize,
        rule: &crate::model::firewall::PveRule,
    ) -> Result<String, StepFailure> {
        let list = self.api()?.rules(at).await?;
        let there = list
            .rules
            .get(position)
            .is_some_and(|seen| seen.canonical() == rule.canonical());
        match (there, list.digest) {
            (true, Some(digest)) => Ok(digest),
            (true, None) | (false, _) => Err(StepFailure::told(
                format!(
                    "rule {position} of {at} is not the one the plan saw: somebody changed the list"
                ),
                "Run the command again: it looks anew.",
            )),
        }
    }

    /// Switches the cluster's firewall on under its own dead-man switch: `enable=2` is stored as a time and counts as
    /// off after 60 s (seen with PVE 9.2.11), so that a lock-out ends by itself.
    pub(super) async fn enable_firewall(
        &self,
        steps: &[PveStep],
        nodes: &BTreeMap<Vmid, HostName>,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let mut last = BTreeMap::new();
        for step in steps {
            if let PveStep::Options {
                level: PveLevel::Cluster,
                set,
            } = step
            {
                last.extend(set.clone());
            } else {
                self.firewall_step(step, nodes).await?;
            }
        }
        let mut armed = last.clone();
        armed.insert("enable".to_owned(), "2".to_owned());
        let api = self.api()?;
        api.set_options(&FirewallScope::Cluster, &armed, &BTreeSet::new())
            .await?;
        notes.tell("on for 60 s; proving new connections");
        if let Err(failure) = self.prove_access(nodes).await {
            return Err(StepFailure {
                why: format!(
                    "the firewall was switched on for 60 s and new connections failed, so it was not confirmed \
                     and switches itself off\n  because: {}",
                    failure.why
                ),
                hint: Some(
                    "Compare the set `operators` with the address of this machine, then run the command again."
                        .to_owned(),
                ),
            });
        }
        api.set_options(&FirewallScope::Cluster, &last, &BTreeSet::new())
            .await?;
        Ok(())
    }

    /// A NEW connection to the API and to every node's shell.
    async fn prove_access(&self, nodes: &BTreeMap<Vmid, HostName>) -> Result<(), StepFailure> {
        let fresh = (self.reconnect)().ok_or_else(|| {
            StepFailure::told("no second connection to the API could be opened", "")
        })?;
        let nothing_special = ProxmoxRequest::default();
        tokio::time::timeout(PROOF_LIMIT, fresh.observe(&nothing_special))
            .await
            .map_err(|_| StepFailure::told("the API does not answer a new connection", ""))??;
        let names: BTreeSet<&HostName> = nodes.values().collect();
        for node in names {
            self.prove_shell(node).await?;
        }
        Ok(())
    }

    /// A NEW connection to a host's shell.
    async fn prove_shell(&self, host: &HostName) -> Result<(), StepFailure> {
        let shell = self.shell(host)?;
        shell.disconnect();
        let proof = shell.demand(Command::new(["true"]).timeout(PROOF_LIMIT));
        tokio::time::timeout(PROOF_LIMIT, proof)
            .await
            .map_err(|_| {
                StepFailure::told(format!("{host} does not answer a new connection"), "")
            })??;
        Ok(())
    }

    /// Changes UFW, then proves that a new connection comes in.
    pub(super) async fn ufw(&self, host: &HostName, steps: &UfwSteps) -> Result<(), StepFailure> {
        let ufw = UfwClient::new(self.shell(host)?);
        ufw.carry_out(steps).await.map_err(|error| plain(&error))?;
        self.prove_shell(host).await
    }
}
