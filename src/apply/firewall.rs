//! The flow matrix onto its enforcement points, and the proof that we can still come in.

use super::{
    failure::plain,
    guard::{Cover, GuardPolicy},
    hands::World,
    walk::{Notes, StepFailure},
};
use crate::model::{
    firewall_step::{PveLevel, PveStep},
    ids::{HostName, Vmid},
    ufw::UfwSteps,
};
use crate::plan::change::{Change, Operation};
use crate::providers::{
    guard::GuardKind,
    proxmox::{FirewallScope, ProxmoxRead, ProxmoxWrite},
    ufw::{UfwClient, UfwWrite as _},
};
use std::collections::{BTreeMap, BTreeSet};

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
            PveStep::RuleReplace {
                position,
                was,
                rule,
                ..
            } => {
                let digest = self.standing(&at, *position, was).await?;
                api.update_rule(&at, *position, rule, &digest).await?;
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

    /// Writes to the Proxmox firewall under one guard: what may cut access is kept only after new connections came in
    /// with it in force.
    pub(super) async fn pve_firewall(
        &self,
        changes: &[Change],
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let mut nodes = BTreeSet::new();
        let mut may_cut = false;
        for change in changes {
            if let Operation::Firewall { steps, nodes: of }
            | Operation::EnableFirewall {
                steps, nodes: of, ..
            } = &change.operation
            {
                nodes.extend(of.values().cloned());
                nodes.insert(change.host.clone());
                may_cut |= !steps.iter().all(PveStep::only_opens);
            }
        }
        let work = async {
            for change in changes {
                if let Operation::EnableFirewall {
                    steps,
                    nodes: of,
                    nftables,
                } = &change.operation
                {
                    self.enable_firewall(steps, of, &nodes, *nftables, notes)
                        .await?;
                } else if let Operation::Firewall { steps, nodes: of } = &change.operation {
                    for step in steps {
                        self.firewall_step(step, of).await?;
                    }
                } else {
                    return Err(super::hands::misplaced(&change.operation));
                }
            }
            Ok(())
        };
        let GuardPolicy::EachStep { seconds, token } = &self.guard else {
            return work.await;
        };
        if !may_cut {
            return work.await;
        }
        // The files are the cluster's, and every node enforces them: each can put them back.
        let mut machines = Vec::new();
        for node in &nodes {
            let shell = self.shell(node).map_err(|_| {
                StepFailure::told(
                    format!("{node} has no shell, so nothing there would undo a lock-out"),
                    "Give the node `ssh:` in the inventory.",
                )
            })?;
            machines.push((shell.clone(), GuardKind::Node));
        }
        let cover = Cover::arm(machines, token, *seconds).await?;
        notes.tell("guarded; proving new connections before it is kept");
        let proved = cover
            .during(async {
                work.await?;
                self.settle(&nodes).await?;
                self.prove_access(&nodes).await?;
                cover.keep().await
            })
            .await;
        match proved {
            Ok(()) => Ok(()),
            Err(cause) => Err(cover.take_back(cause).await.failure()),
        }
    }

    /// Switches the cluster's firewall on under its own dead-man switch: `enable=2` is stored as a time and counts as
    /// off after 60 s (seen with PVE 9.2.11), so that a lock-out ends by itself even where no timer of ours runs. The
    /// service for nftables reads `enable` as a switch and refuses a time: there the guard's timer on the nodes is the one.
    async fn enable_firewall(
        &self,
        steps: &[PveStep],
        of: &BTreeMap<Vmid, HostName>,
        nodes: &BTreeSet<HostName>,
        nftables: bool,
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
                self.firewall_step(step, of).await?;
            }
        }
        let mut armed = last.clone();
        if !nftables {
            armed.insert("enable".to_owned(), "2".to_owned());
        }
        let api = self.api()?;
        api.set_options(&FirewallScope::Cluster, &armed, &BTreeSet::new())
            .await?;
        notes.tell(if nftables {
            "on until the guard's timer; proving new connections"
        } else {
            "on for 60 s; proving new connections"
        });
        self.settle(nodes).await?;
        self.prove_access(nodes).await?;
        if nftables {
            return Ok(());
        }
        api.set_options(&FirewallScope::Cluster, &last, &BTreeSet::new())
            .await?;
        Ok(())
    }

    /// Changes UFW, and keeps it only after a new connection came in.
    pub(super) async fn ufw(
        &self,
        host: &HostName,
        steps: &UfwSteps,
        notes: &Notes,
    ) -> Result<(), StepFailure> {
        let shell = self.shell(host)?;
        let work = async {
            let ufw = UfwClient::new(shell);
            ufw.carry_out(steps).await.map_err(|error| plain(&error))?;
            self.prove_access(&BTreeSet::from([host.clone()])).await
        };
        let GuardPolicy::EachStep { seconds, token } = &self.guard else {
            return work.await;
        };
        let machines = vec![(shell.clone(), GuardKind::Host)];
        let cover = Cover::arm(machines, token, *seconds).await?;
        notes.tell("guarded; proving a new connection before it is kept");
        let proved = cover
            .during(async {
                work.await?;
                cover.keep().await
            })
            .await;
        match proved {
            Ok(()) => Ok(()),
            Err(cause) => Err(cover.take_back(cause).await.failure()),
        }
    }
}
