//! Zones behind interfaces, as networks of their own: a bridge that only their machines and their people are on.

use super::layout::Space;
use crate::model::{desired::Desired, ids::HostName};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// The table in which a machine with tunnels looks for the way to what is behind the first one.
const TABLE: usize = 200;

/// One zone behind interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// Namespace of everybody in the zone who is no machine.
    pub(super) space: String,
    /// What stands there.
    pub(super) cidrs: Vec<IpNet>,
    /// Its machines, each with the card in it and that card's address.
    pub(super) members: BTreeMap<HostName, Member>,
}

/// A machine at a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) card: String,
    pub(super) mac: String,
}

impl Tunnel {
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|net| net.contains(&address))
    }
}

/// The tunnels of a system. Zones behind the same interface of a machine are one network.
pub(super) fn tunnels(desired: &Desired, mut name: impl FnMut(&str) -> String) -> Vec<Tunnel> {
    let mut out: Vec<Tunnel> = Vec::new();
    for zone in desired.zones.values().filter(|z| !z.interfaces.is_empty()) {
        let shares = |tunnel: &Tunnel| {
            zone.interfaces.iter().any(|(host, card)| {
                tunnel
                    .members
                    .get(host)
                    .is_some_and(|member| member.card == *card)
            })
        };
        let at = out.iter().position(shares).unwrap_or_else(|| {
            out.push(Tunnel {
                space: name(zone.name.as_str()),
                cidrs: Vec::new(),
                members: BTreeMap::new(),
            });
            out.len() - 1
        });
        let tunnel = &mut out[at];
        tunnel.cidrs.extend(&zone.cidrs);
        for (host, card) in &zone.interfaces {
            let mac = format!("02:1f:00:00:{at:02x}:{:02x}", tunnel.members.len());
            let member = || Member {
                card: card.clone(),
                mac,
            };
            tunnel.members.entry(host.clone()).or_insert_with(member);
        }
    }
    out
}

/// What a member's namespace needs beside its cards: the way to everybody behind the tunnel, and where the others' cards
/// are, which their addresses outside of the zone do not answer for here.
pub(super) fn wire_member(
    space: &mut Space,
    tunnels: &[Tunnel],
    desired: &Desired,
    host: &HostName,
) {
    for (number, tunnel) in tunnels.iter().enumerate() {
        let Some(own) = tunnel.members.get(host) else {
            continue;
        };
        let (card, mac, table) = (&own.card, &own.mac, TABLE + number);
        let commands = &mut space.commands;
        commands.push(format!("link set {card} address {mac} up"));
        for everybody in ["0.0.0.0/0", "::/0"] {
            commands.push(format!("route add {everybody} dev {card} table {table}"));
        }
        for net in &tunnel.cidrs {
            let rule = format!("rule add pref {} to {net} lookup {table}", 100 + number);
            if net.addr().is_ipv4() {
                commands.push(rule);
            } else {
                space.rules_v6.push(rule);
            }
        }
        commands.extend(neighbours(tunnel, desired, card, Some(host)));
    }
}

/// What the namespace of a zone's other people needs.
pub(super) fn wire_people(tunnel: &Tunnel, desired: &Desired) -> Vec<String> {
    neighbours(tunnel, desired, "eth0", None)
}

fn neighbours(
    tunnel: &Tunnel,
    desired: &Desired,
    card: &str,
    but: Option<&HostName>,
) -> Vec<String> {
    let others = tunnel.members.iter().filter(|(host, _)| Some(*host) != but);
    others
        .flat_map(|(host, member)| {
            let all = desired.addresses(host).into_iter();
            all.map(move |address| format!("neigh add {address} lladdr {} dev {card}", member.mac))
        })
        .collect()
}
