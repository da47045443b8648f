//! The chains that stand before and behind one machine.

use super::{
    chain::{Chain, Pool, Reading},
    enforcement::Sources,
    read_docker, read_egress,
    read_proxmox::{Cards, Names},
    read_ufw,
};
use crate::firewall::{
    addresses::Addresses,
    interfaces::Interfaces,
    matrix::{Machine, MachineKind},
    port_set::PortSet,
};
use crate::model::{
    desired::Desired,
    firewall::{PveFirewall, PveRuleKind, PveScope},
    ids::{HostName, Vmid},
    ufw::{UfwAction, UfwDirection},
};
use std::sync::Arc;

/// The chains of one machine.
#[derive(Debug)]
pub(super) struct Gates {
    pub(super) addresses: Addresses,
    pub(super) interfaces: Interfaces,
    pub(super) proxmox_out: Option<Chain>,
    pub(super) ufw_out: Option<Chain>,
    /// Of external hosts with stacks; what containers of a guest send is held where the guest is.
    pub(super) docker_out: [Option<Chain>; 2],
    pub(super) proxmox_in: Option<Chain>,
    pub(super) docker: [Option<Chain>; 2],
    pub(super) ufw_in: Option<Chain>,
    pub(super) published: PortSet,
}

impl Gates {
    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain> {
        [
            &self.proxmox_out,
            &self.ufw_out,
            &self.docker_out[0],
            &self.docker_out[1],
            &self.proxmox_in,
            &self.docker[0],
            &self.docker[1],
            &self.ufw_in,
        ]
        .into_iter()
        .flatten()
    }
}

/// Reads what stands before and behind a machine.
pub(super) fn gates(
    desired: &Desired,
    sources: &Sources<'_>,
    names: &Names<'_>,
    machine: &Machine<'_>,
    pool: &mut Pool,
) -> Gates {
    let mut out = Gates {
        addresses: machine.addresses.clone(),
        interfaces: machine.interfaces.clone(),
        proxmox_out: None,
        ufw_out: None,
        docker_out: [None, None],
        proxmox_in: None,
        docker: [None, None],
        ufw_in: None,
        published: published(desired, machine.name),
    };
    match machine.kind {
        MachineKind::External => {}
        MachineKind::Node => {
            out.proxmox_in = Some(node_chain(sources.pve, names, machine.name, pool));
            return out;
        }
        MachineKind::Guest(vmid) => {
            let cards = cards(desired, machine.name);
            let mut chain = |kind| guest_chain(sources, names, vmid, kind, &cards, pool);
            out.proxmox_in = Some(chain(PveRuleKind::In));
            out.proxmox_out = Some(chain(PveRuleKind::Out));
        }
    }
    let everything = names.everything();
    let mut ufw_chain = |direction| match sources.ufw.get(machine.name) {
        None => Chain::open("UFW is not installed"),
        Some(ufw) if !ufw.enabled => Chain::open("UFW is off"),
        Some(ufw) => {
            let (readings, unread) =
                read_ufw::list(ufw, direction, &everything, &machine.interfaces);
            let (policy, word) = match direction {
                UfwDirection::In => (ufw.incoming, "incoming"),
                UfwDirection::Out => (ufw.outgoing, "outgoing"),
                UfwDirection::Route => (ufw.routed, "routed"),
            };
            let passes = policy == UfwAction::Allow;
            let verdict = if passes { "allow" } else { "deny" };
            let mut chain =
                Chain::new(readings, passes, format!("default: {verdict} {word}"), pool);
            chain.unread = unread;
            chain
        }
    };
    out.ufw_in = Some(ufw_chain(UfwDirection::In));
    out.ufw_out = Some(ufw_chain(UfwDirection::Out));
    let lines = |v6: bool| family(sources.docker.get(machine.name), v6);
    let ways = &machine.interfaces;
    if !out.published.is_empty() {
        let mut chain = |v6| docker_chain(&lines(v6), v6, &everything, ways, pool);
        out.docker = [false, true].map(|v6| Some(chain(v6)));
    }
    let mut stacks = desired.stacks.values();
    if machine.kind == MachineKind::External && stacks.any(|stack| stack.on == *machine.name) {
        let mut chain = |v6| read_egress::chain(&lines(v6), v6, &everything, ways, pool);
        out.docker_out = [false, true].map(|v6| Some(chain(v6)));
    }
    out
}

/// The lines of one family, without its number.
fn family(lines: Option<&Vec<String>>, v6: bool) -> Vec<String> {
    let number = if v6 { "6 " } else { "4 " };
    lines
        .into_iter()
        .flatten()
        .filter_map(|line| line.strip_prefix(number))
        .map(str::to_owned)
        .collect()
}

fn docker_chain(
    mine: &[String],
    v6: bool,
    everything: &Arc<Addresses>,
    ways: &Interfaces,
    pool: &mut Pool,
) -> Chain {
    let nft: Vec<&str> = mine
        .iter()
        .filter_map(|line| line.strip_prefix("nft "))
        .filter(|line| !line.starts_with("out "))
        .collect();
    if !nft.is_empty() {
        let (readings, unread) = read_docker::nft_list(&nft, v6, everything, ways);
        let mut chain = Chain::new(readings, true, "Docker accepts what it publishes", pool);
        chain.unread = unread;
        return chain;
    }
    let Some((_, rules)) = mine
        .split_first()
        .filter(|(jump, _)| jump.as_str() == "-A DOCKER-USER -j INFRA-DOCKER")
    else {
        return Chain::open("no rule of ours stands before what Docker publishes");
    };
    let ours = rules
        .iter()
        .filter(|line| line.starts_with("-A INFRA-DOCKER "));
    let rules: Vec<String> = ours.cloned().collect();
    let (readings, unread) = read_docker::list(&rules, v6, everything, ways);
    let mut chain = Chain::new(readings, true, "Docker accepts what it publishes", pool);
    chain.unread = unread;
    chain
}

/// The ports that stacks publish on an address that others can reach.
pub(crate) fn published(desired: &Desired, host: &HostName) -> PortSet {
    let stacks = desired.stacks.values().filter(|stack| stack.on == *host);
    let ports = stacks.flat_map(|stack| &stack.publish);
    let outside = ports.filter(|p| p.address.is_none_or(|address| !address.is_loopback()));
    PortSet::of(outside.map(|publish| &publish.port))
}

fn cards(desired: &Desired, guest: &HostName) -> Cards {
    let nics = desired.guests.get(guest).into_iter().flat_map(|g| &g.nics);
    nics.enumerate()
        .map(|(index, nic)| {
            let own = Addresses::of_hosts(nic.addresses.iter().map(ipnet::IpNet::addr));
            (format!("net{index}"), own)
        })
        .collect()
}

fn is_on(scope: &PveScope, default: bool) -> bool {
    scope
        .options
        .get("enable")
        .map_or(default, |value| !matches!(value.trim(), "0" | ""))
}

fn guest_chain(
    sources: &Sources<'_>,
    names: &Names<'_>,
    vmid: Vmid,
    kind: PveRuleKind,
    cards: &Cards,
    pool: &mut Pool,
) -> Chain {
    let pve = sources.pve;
    if !is_on(&pve.cluster, false) {
        return Chain::open("the datacenter's firewall is off");
    }
    let Some(scope) = pve.guests.get(&vmid).filter(|scope| is_on(scope, false)) else {
        return Chain::open("the guest's firewall is off");
    };
    if sources.bare.contains(&vmid) {
        return Chain::open("a card of the guest has `firewall=0`");
    }
    let (option, default) = match kind {
        PveRuleKind::Out => ("policy_out", "ACCEPT"),
        PveRuleKind::In | PveRuleKind::Forward | PveRuleKind::Group => ("policy_in", "DROP"),
    };
    let policy = scope.options.get(option).map_or(default, String::as_str);
    let list = names.list(scope, kind, cards);
    let words = format!("{option}: {policy}");
    let mut chain = Chain::new(list.readings, policy == "ACCEPT", words, pool);
    chain.unread = list.unread;
    chain
}

fn node_chain(pve: &PveFirewall, names: &Names<'_>, node: &HostName, pool: &mut Pool) -> Chain {
    if !is_on(&pve.cluster, false) {
        return Chain::open("the datacenter's firewall is off");
    }
    let empty = PveScope::default();
    let scope = pve.nodes.get(node).unwrap_or(&empty);
    if !is_on(scope, true) {
        return Chain::open("the node's firewall is off");
    }
    let none = Cards::new();
    let mut list = names.list(scope, PveRuleKind::In, &none);
    let cluster = names.list(&pve.cluster, PveRuleKind::In, &none);
    list.readings.extend(cluster.readings);
    list.unread.extend(cluster.unread);
    let (allowed, ports) = names.management();
    list.readings.push(Reading {
        from: Arc::new(allowed),
        to: names.everything(),
        ports: PortSet::of(&ports),
        passes: true,
        words: "Proxmox lets the IP set `management` reach its management ports".to_owned(),
    });
    let policy = pve.cluster.options.get("policy_in");
    let policy = policy.map_or("DROP", String::as_str);
    let words = format!("policy_in: {policy}");
    let mut chain = Chain::new(list.readings, policy == "ACCEPT", words, pool);
    chain.unread = list.unread;
    chain
}
