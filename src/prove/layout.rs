//! The namespaces of a room and how they are wired, as commands for `ip -batch`.

use super::tunnel::{Tunnel, tunnels, wire_member, wire_people};
use crate::model::{
    desired::Desired,
    guest::Nic,
    ids::{HostName, Vmid},
};
use std::{collections::BTreeMap, net::IpAddr};

/// A published port leads here: the network between a host and what stands for its containers.
pub(super) const CONTAINER: [&str; 2] = ["172.31.255.2", "fd00:1:f2a:ffff::2"];
/// That network.
pub(super) const CONTAINER_NETWORK: [&str; 2] = ["172.31.255.0/30", "fd00:1:f2a:ffff::/126"];
const HOST_SIDE: [&str; 2] = ["172.31.255.1/30", "fd00:1:f2a:ffff::1/126"];
/// The bridge of that network, named as Docker names its own.
pub(super) const CONTAINER_BRIDGE: &str = "br-prove";

/// The card of an external host: no rule names it, and an interface of the owner's may be called `eth0`.
const HOST_CARD: &str = "wire0";

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Space {
    /// Name in `ip netns`.
    pub(super) name: String,
    /// For `ip -batch`, in order.
    pub(super) commands: Vec<String>,
    /// Routing rules of IPv6, after the commands.
    pub(super) rules_v6: Vec<String>,
    /// Settings below `/proc/sys/net`, before the commands.
    pub(super) settings: Vec<String>,
}

/// All namespaces: the order is the one in which they are wired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Layout {
    pub(super) spaces: Vec<Space>,
    /// Namespace of each machine.
    pub(super) machines: BTreeMap<HostName, String>,
    /// Namespace behind each machine that publishes ports.
    pub(super) containers: BTreeMap<HostName, String>,
    /// Namespace of everybody else.
    pub(super) outside: String,
    /// The cards of each node's guests.
    pub(super) taps: BTreeMap<HostName, Vec<(Vmid, u32, Nic)>>,
    /// Zones behind interfaces.
    pub(super) tunnels: Vec<Tunnel>,
}

/// Lays a room out. Whoever stands outside gets addresses when they are asked for.
pub(super) fn layout(desired: &Desired, prefix: &str) -> Layout {
    let mut out = Layout::default();
    let mut number = 0;
    let mut name = |role: &str| {
        number += 1;
        format!(
            "{prefix}{number}-{}",
            role.chars().take(20).collect::<String>()
        )
    };
    let wire_name = name("wire");
    let mut wire = Space {
        name: wire_name.clone(),
        commands: vec![
            "link add w type bridge".to_owned(),
            "link set w up".to_owned(),
        ],
        ..Space::default()
    };
    let mut uplinks = 0;
    let mut plug = |wire: &mut Space, into: &str, card: &str| {
        uplinks += 1;
        wire.commands.push(format!(
            "link add p{uplinks} type veth peer name {card} netns {into}"
        ));
        wire.commands
            .push(format!("link set p{uplinks} master w up"));
    };
    out.outside = name("outside");
    plug(&mut wire, &out.outside, "eth0");
    let mut machines = vec![end(&out.outside, &[("eth0", vec![])])];
    out.tunnels = tunnels(desired, &mut name);
    for tunnel in &out.tunnels {
        let mut people = end(&tunnel.space, &[("eth0", vec![])]);
        people.commands.extend(wire_people(tunnel, desired));
        machines.push(people);
    }
    let mut nodes = Vec::new();
    for node in desired.nodes.keys() {
        let space = name(node.as_str());
        plug(&mut wire, &space, "up0");
        out.machines.insert(node.clone(), space.clone());
        let mut this = end(&space, &[("vmbr0", desired.addresses(node))]);
        let bridge = ["link add vmbr0 type bridge", "link set up0 master vmbr0 up"];
        this.commands.splice(0..0, bridge.map(str::to_owned));
        nodes.push((node.clone(), this));
    }
    for host in desired.hosts.keys() {
        let space = name(host.as_str());
        plug(&mut wire, &space, HOST_CARD);
        out.machines.insert(host.clone(), space.clone());
        machines.push(end(&space, &[(HOST_CARD, desired.addresses(host))]));
    }
    for guest in desired.guests.values() {
        let space = name(guest.name.as_str());
        out.machines.insert(guest.name.clone(), space.clone());
        let mut cards = Vec::new();
        let node = nodes.iter_mut().find(|(node, _)| *node == guest.node);
        let Some((node, on_node)) = node else {
            continue;
        };
        for (index, nic) in guest.nics.iter().enumerate() {
            let id = format!("{}i{index}", guest.vmid);
            let (tap, bridge, inner) = (
                format!("tap{id}"),
                format!("fwbr{id}"),
                format!("eth{index}"),
            );
            let (near, far) = (format!("fwln{id}"), format!("fwpr{}p{index}", guest.vmid));
            on_node.commands.extend([
                format!("link add {bridge} type bridge"),
                format!("link set {bridge} up"),
                format!("link add {near} type veth peer name {far}"),
                format!("link set {near} master {bridge} up"),
                format!("link set {far} master vmbr0 up"),
                format!("link add {tap} type veth peer name {inner} netns {space}"),
                format!("link set {tap} master {bridge} up"),
            ]);
            let own = nic.addresses.iter().map(ipnet::IpNet::addr).collect();
            cards.push((inner, own, nic.mac.to_string()));
            let taps = out.taps.entry(node.clone()).or_default();
            taps.push((guest.vmid, u32::try_from(index).unwrap_or(0), nic.clone()));
        }
        let named: Vec<(&str, Vec<IpAddr>)> = cards
            .iter()
            .map(|(card, own, _): &(String, Vec<IpAddr>, String)| (card.as_str(), own.clone()))
            .collect();
        let mut this = end(&space, &named);
        let macs = cards
            .iter()
            .map(|(card, _, mac)| format!("link set {card} address {mac}"));
        this.commands.splice(0..0, macs.collect::<Vec<_>>());
        machines.push(this);
    }
    for host in desired.stacks.values().map(|stack| &stack.on) {
        if out.containers.contains_key(host) {
            continue;
        }
        let Some(space) = out.machines.get(host).cloned() else {
            continue;
        };
        let behind = name("containers");
        out.containers.insert(host.clone(), behind.clone());
        if let Some(owner) = machines.iter_mut().find(|m| m.name == space) {
            owner
                .settings
                .extend(["ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1"].map(str::to_owned));
            let [v4, v6] = HOST_SIDE;
            owner.commands.extend([
                format!("link add {CONTAINER_BRIDGE} type bridge"),
                format!("link set {CONTAINER_BRIDGE} up"),
                format!("addr add {v4} dev {CONTAINER_BRIDGE}"),
                format!("addr add {v6} dev {CONTAINER_BRIDGE} nodad"),
                format!("link add veth0 type veth peer name eth0 netns {behind}"),
                format!("link set veth0 master {CONTAINER_BRIDGE} up"),
            ]);
        }
        let strip = |text: &str| text.split('/').next().unwrap_or(text).to_owned();
        machines.push(Space {
            name: behind,
            settings: quiet(),
            rules_v6: vec![],
            commands: vec![
                "link set lo up".to_owned(),
                "link set eth0 up".to_owned(),
                format!("addr add {}/30 dev eth0", CONTAINER[0]),
                format!("addr add {}/126 dev eth0 nodad", CONTAINER[1]),
                format!("route add default via {}", strip(HOST_SIDE[0])),
                format!("route add ::/0 via {}", strip(HOST_SIDE[1])),
            ],
        });
    }
    dig(&mut wire, &mut machines, &out, desired);
    out.spaces.push(wire);
    out.spaces.extend(nodes.into_iter().map(|(_, space)| space));
    out.spaces.extend(machines);
    out
}

/// A bridge for every tunnel, and a card in it for each of its machines and for everybody else there.
fn dig(wire: &mut Space, machines: &mut [Space], out: &Layout, desired: &Desired) {
    for (number, tunnel) in out.tunnels.iter().enumerate() {
        wire.commands
            .push(format!("link add t{number} type bridge"));
        wire.commands.push(format!("link set t{number} up"));
        let members = tunnel.members.iter().filter_map(|(host, member)| {
            Some((out.machines.get(host)?.as_str(), member.card.as_str()))
        });
        let ends = members.chain([(tunnel.space.as_str(), "eth0")]);
        for (at, (space, card)) in ends.enumerate() {
            let port = format!("t{number}p{at}");
            wire.commands.extend([
                format!("link add {port} type veth peer name {card} netns {space}"),
                format!("link set {port} master t{number} up"),
            ]);
        }
    }
    for (host, space) in &out.machines {
        if let Some(machine) = machines.iter_mut().find(|machine| machine.name == *space) {
            wire_member(machine, &out.tunnels, desired, host);
        }
    }
}

/// Settings of every namespace: no waiting for duplicate addresses, answers on the card that was asked.
fn quiet() -> Vec<String> {
    [
        "ipv6/conf/default/accept_dad=0",
        "ipv6/conf/all/accept_dad=0",
        "ipv4/conf/all/rp_filter=0",
        "ipv4/conf/default/rp_filter=0",
        "ipv4/conf/all/arp_ignore=1",
        "ipv4/conf/all/arp_announce=2",
    ]
    .map(str::to_owned)
    .into()
}

/// A machine at the end of the wire: all addresses on its cards, everybody else on the link.
fn end(name: &str, cards: &[(&str, Vec<IpAddr>)]) -> Space {
    let mut commands = vec!["link set lo up".to_owned()];
    let mut rules_v6 = Vec::new();
    for (number, (card, addresses)) in cards.iter().enumerate() {
        commands.push(format!("link set {card} up"));
        for address in addresses {
            let (length, nodad) = if address.is_ipv4() {
                (32, "")
            } else {
                (128, " nodad")
            };
            commands.push(format!("addr add {address}/{length} dev {card}{nodad}"));
            // With several cards, who speaks by an address uses its card.
            if cards.len() > 1 {
                let rule = format!("rule add from {address} lookup {}", 100 + number);
                if address.is_ipv4() {
                    commands.push(rule);
                } else {
                    rules_v6.push(rule);
                }
            }
        }
        // In a batch the destination says which family is meant.
        for everybody in ["0.0.0.0/0", "::/0"] {
            let table = if cards.len() > 1 {
                commands.push(format!(
                    "route add {everybody} dev {card} table {}",
                    100 + number
                ));
                format!(" metric {}", 10 + number)
            } else {
                String::new()
            };
            commands.push(format!("route add {everybody} dev {card}{table}"));
        }
    }
    Space {
        name: name.to_owned(),
        commands,
        rules_v6,
        settings: quiet(),
    }
}
