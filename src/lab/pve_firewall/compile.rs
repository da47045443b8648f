//! The stored firewall -> text for ipset and iptables.

use super::{
    address::Names,
    chain::{Chains, Family},
    guest::{add_card, filter_name},
    ipset::{self, Owner},
    node::add_node,
    rule::add_groups,
};
use crate::lab::backend::{FirewallScope, FirewallSnapshot};
use crate::model::ids::Vmid;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::Ipv6Addr};

/// A POSIX script that loads a [`Restore`] in the network namespace in which it runs: `$1` is a folder with the files
/// `ipsets`, `v4` and `v6`. Needs `ipset`, `iptables` and `ip6tables`; may run again and again.
pub const LOAD: &str = include_str!("load.sh");

/// A guest's card that is up and has `firewall=1`; its interface is `tap<vmid>i<index>` on bridge `fwbr<vmid>i<index>`,
/// whose other port is `fwln<vmid>i<index>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// Guest.
    pub vmid: Vmid,
    /// `net<index>`.
    pub index: u32,
    /// MAC address.
    pub mac: String,
}

/// The node's network, as far as the firewall asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNetwork {
    /// Node name, under which its rules are stored.
    pub name: String,
    /// Its management address with the network around it: `local_network` unless an alias says otherwise.
    pub management: Option<IpNet>,
}

/// What is loaded, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// For `ipset -exist restore`.
    pub ipsets: String,
    /// For `iptables-restore --noflush`.
    pub v4: String,
    /// For `ip6tables-restore --noflush`.
    pub v6: String,
}

/// Compiles the firewall of a node. The caller has turned an expired `enable` timestamp of the cluster into 0.
pub fn compile(snapshot: &FirewallSnapshot, taps: &[Tap], node: &NodeNetwork) -> Restore {
    let empty = FirewallScope::default();
    let cluster = Names {
        cluster: snapshot,
        guest: None,
        local_network: node.management.map(|network| network.trunc()),
    };
    let scope_of = |tap: &Tap| snapshot.guests.get(&tap.vmid).unwrap_or(&empty);
    let of_guest = |tap: &Tap| Names {
        cluster: snapshot,
        guest: Some((tap.vmid.number(), scope_of(tap))),
        local_network: cluster.local_network,
    };
    let on = is_on(&snapshot.options, false);
    let host = snapshot.nodes.get(&node.name).unwrap_or(&empty);

    let mut ipsets = String::new();
    if on {
        cluster_sets(&mut ipsets, snapshot, &cluster);
        let mut seen = std::collections::BTreeSet::new();
        for tap in taps {
            if seen.insert(tap.vmid) {
                let cards = taps.iter().filter(|other| other.vmid == tap.vmid);
                guest_sets(&mut ipsets, scope_of(tap), &of_guest(tap), tap.vmid, cards);
            }
        }
    }

    let table = |family: Family| {
        let mut chains = Chains::default();
        for chain in ["PVEFW-INPUT", "PVEFW-OUTPUT", "PVEFW-FORWARD"] {
            chains.declare(chain);
        }
        if !on {
            return chains.text();
        }
        chains.add_shared(family);
        let forward = "PVEFW-FORWARD";
        chains.add(forward, "-m conntrack --ctstate INVALID -j DROP");
        let known = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
        chains.add(forward, known);
        let bridged = "-m physdev --physdev-is-bridged";
        chains.add(
            forward,
            format!("{bridged} --physdev-in fwln+ -j PVEFW-FWBR-IN"),
        );
        chains.add(
            forward,
            format!("{bridged} --physdev-out fwln+ -j PVEFW-FWBR-OUT"),
        );
        chains.declare("PVEFW-FWBR-IN");
        chains.declare("PVEFW-FWBR-OUT");
        add_groups(&mut chains, family, &cluster);
        for tap in taps {
            let scope = scope_of(tap);
            if is_on(&scope.options, false) {
                add_card(&mut chains, family, &of_guest(tap), scope, tap);
            }
        }
        if is_on(&host.options, true) {
            add_node(&mut chains, family, &cluster, host);
        }
        chains.text()
    };
    Restore {
        ipsets,
        v4: table(Family::V4),
        v6: table(Family::V6),
    }
}

/// `enable` of a scope. A timestamp (the cluster's dead-man switch, still running) counts as on.
fn is_on(options: &BTreeMap<String, String>, default: bool) -> bool {
    options
        .get("enable")
        .map_or(default, |value| !matches!(value.trim(), "0" | ""))
}

fn cluster_sets(out: &mut String, snapshot: &FirewallSnapshot, names: &Names<'_>) {
    let mut management = snapshot
        .ipsets
        .get("management")
        .cloned()
        .unwrap_or_default();
    // The node's own subnet is always let in, unless the alias says that it is something smaller.
    if names.network("local_network").is_some() {
        management.push(("local_network".to_owned(), false));
    }
    ipset::restore(out, names, Owner::Cluster, "management", &management);
    for (name, members) in snapshot
        .ipsets
        .iter()
        .filter(|(name, _)| *name != "management")
    {
        ipset::restore(out, names, Owner::Cluster, name, members);
    }
}

/// A guest's own sets, and for each card that is filtered by address the set it is held to: with the card's own
/// link-local address, and, when nobody stored one, with nothing else.
fn guest_sets<'a>(
    out: &mut String,
    scope: &FirewallScope,
    names: &Names<'_>,
    vmid: Vmid,
    cards: impl Iterator<Item = &'a Tap>,
) {
    let owner = Owner::Guest(vmid.number());
    let mut sets = scope.ipsets.clone();
    if scope.options.get("ipfilter").map(|value| value.trim()) == Some("1") {
        for card in cards {
            let set = sets.entry(filter_name(card)).or_default();
            set.extend(link_local(&card.mac).map(|address| (address.to_string(), false)));
        }
    }
    for (name, members) in &sets {
        ipset::restore(out, names, owner, name, members);
    }
}

fn link_local(mac: &str) -> Option<Ipv6Addr> {
    let bytes: Vec<u8> = mac
        .split(':')
        .map(|part| u8::from_str_radix(part, 16))
        .collect::<Result<_, _>>()
        .ok()?;
    let [a, rest @ ..] = <[u8; 6]>::try_from(bytes).ok()?;
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8] = a ^ 2;
    octets[9..11].copy_from_slice(&rest[..2]);
    octets[11..13].copy_from_slice(&[0xff, 0xfe]);
    octets[13..].copy_from_slice(&rest[2..]);
    Some(Ipv6Addr::from(octets))
}
