//! Bridges of nodes. They are made and changed, never removed: what hangs on one may be somebody else's.

use crate::model::{
    desired::Desired,
    host::Node,
    network::{Bridge, Interface, InterfaceWrite, NodeNetwork},
    observed::{ObservedProxmox, Question},
};
use crate::plan::{
    change::{Impact, Operation},
    draft::{Draft, Proposal},
};
use std::{collections::BTreeSet, net::IpAddr};

/// What a change of a bridge keeps as it is.
const KEPT: &[&str] = &[
    "cidr",
    "cidr6",
    "gateway",
    "gateway6",
    "comments",
    "bridge_ports",
    "bridge_vids",
    "bridge_vlan_aware",
    "mtu",
];

/// Compares the bridges of every node.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    for node in desired.nodes.values().filter(|node| !node.made.is_empty()) {
        let subject = format!("network of {}", node.name);
        if let Some(unanswered) = seen.unanswered(&Question::Node(node.name.clone())) {
            draft.unknown(subject, unanswered);
            continue;
        }
        let Some(live) = seen.nodes.get(&node.name) else {
            continue;
        };
        if live.status == "offline" {
            continue;
        }
        draft.saw(&node.name);
        on_node(draft, node, &live.network, &subject);
    }
}

fn on_node(draft: &mut Draft, node: &Node, live: &NodeNetwork, subject: &str) {
    if let Some(staged) = &live.staged
        && !is_ours(staged, node)
    {
        draft.block(
            subject,
            format!(
                "changes that infra did not make wait to be applied:\n{}",
                staged.trim_end()
            ),
            format!(
                "Apply or revert them under {} > System > Network, then run the command again.",
                node.name
            ),
        );
        return;
    }
    let mut writes = Vec::new();
    let mut expects = Vec::new();
    let mut proposal = Proposal::update("guests hang on it");
    let mut may_cut = false;
    for bridge in node.made.values() {
        let found = live.interfaces.get(bridge.name.as_str());
        if !can_take_ports(draft, node, bridge, live, subject) {
            return;
        }
        let is_active = found.is_some_and(|found| found.contains_key("active"));
        let Some((write, told)) = wanted(node, bridge, found) else {
            if !is_active {
                // Staged by a run that ended before it was applied.
                expects.push(bridge.name.to_string());
                proposal = proposal.field(bridge.name.as_str(), Some("staged"), Some("applied"));
            }
            continue;
        };
        may_cut |= is_managed_by(node, bridge, found, live);
        for (name, before, after) in told {
            let name = format!("{} {name}", bridge.name);
            proposal = proposal.field(&name, before.as_deref(), after.as_deref());
        }
        expects.push(bridge.name.to_string());
        writes.push(write);
    }
    if expects.is_empty() {
        return;
    }
    let impact = if may_cut {
        Impact::MayCutAccess
    } else {
        Impact::Hot
    };
    draft.propose(
        &node.name,
        subject,
        proposal.impact(impact),
        Operation::ApplyNetwork {
            node: node.name.clone(),
            writes,
            expects,
        },
    );
}

/// Whether everything that is staged are new stanzas of bridges that infra makes: a run of ours ended early.
fn is_ours(staged: &str, node: &Node) -> bool {
    let lines = || {
        staged
            .lines()
            .filter(|line| !line.starts_with("---") && !line.starts_with("+++"))
    };
    let adds = |line: &str| {
        let text = line.strip_prefix('+')?.trim();
        text.strip_prefix("iface ")
            .and_then(|rest| rest.split(' ').next())
            .map(str::to_owned)
    };
    let names: Vec<String> = lines().filter_map(adds).collect();
    lines().all(|line| !line.starts_with('-'))
        && !names.is_empty()
        && names
            .iter()
            .all(|name| node.made.keys().any(|made| made.as_str() == name))
}

/// Field, value of before, value of after.
type Told = Vec<(String, Option<String>, Option<String>)>;

/// What has to be staged for a bridge; none when it is as it should be.
fn wanted(
    node: &Node,
    bridge: &Bridge,
    found: Option<&Interface>,
) -> Option<(InterfaceWrite, Told)> {
    let mut wish: Vec<(&str, &str, Option<String>)> = vec![
        ("bridge_ports", "ports", Some(bridge.ports.join(" "))),
        ("autostart", "at boot", Some("1".to_owned())),
        (
            "bridge_vlan_aware",
            "VLAN-aware",
            bridge.vlan_aware.then(|| "1".to_owned()),
        ),
    ];
    if let Some(vids) = &bridge.vids {
        wish.push(("bridge_vids", "VLANs", Some(vids.clone())));
    }
    if let Some(mtu) = bridge.mtu {
        wish.push(("mtu", "MTU", Some(mtu.to_string())));
    }
    let own = node.bridges.get(&bridge.name).into_iter().flatten();
    for (key, is_v4) in [("cidr", true), ("cidr6", false)] {
        let mut own = own.clone();
        if let Some(net) = own.find(|net| net.addr().is_ipv4() == is_v4) {
            wish.push((key, "address", Some(net.to_string())));
        }
    }
    let mut told = Told::new();
    let mut delete = Vec::new();
    let mut set: Interface = found
        .into_iter()
        .flatten()
        .filter(|(key, value)| KEPT.contains(&key.as_str()) && !value.is_empty())
        .map(|(key, value)| (key.clone(), value.trim_end().to_owned()))
        .collect();
    for (key, word, value) in wish {
        let before = found
            .and_then(|found| found.get(key))
            .filter(|value| !value.is_empty())
            .cloned();
        let value = value.filter(|value| !value.is_empty());
        if same(before.as_deref(), value.as_deref()) {
            continue;
        }
        if let Some(value) = &value {
            set.insert(key.to_owned(), value.clone());
        } else {
            set.remove(key);
            delete.push(key.to_owned());
        }
        told.push((word.to_owned(), before, value));
    }
    set.insert("autostart".to_owned(), "1".to_owned());
    set.insert("type".to_owned(), "bridge".to_owned());
    if found.is_none() {
        delete.clear();
        set.insert("comments".to_owned(), "Made by infra.".to_owned());
    }
    let write = InterfaceWrite {
        iface: bridge.name.to_string(),
        exists: found.is_some(),
        set,
        delete,
    };
    (found.is_none() || !told.is_empty()).then_some((write, told))
}

/// Lists of ports and VLANs are the same in every order.
fn same(before: Option<&str>, after: Option<&str>) -> bool {
    let parts = |text: Option<&str>| -> BTreeSet<String> {
        text.unwrap_or_default()
            .split([' ', ',', ';'])
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    parts(before) == parts(after)
}

/// Whether the node is reached through this bridge, or through a card that it takes or gives away.
fn is_managed_by(
    node: &Node,
    bridge: &Bridge,
    found: Option<&Interface>,
    live: &NodeNetwork,
) -> bool {
    let carries = |interface: &Interface| {
        ["cidr", "cidr6"].iter().any(|key| {
            let address = interface.get(*key).and_then(|cidr| cidr.split('/').next());
            address.and_then(|text| text.parse::<IpAddr>().ok()) == Some(node.address)
        })
    };
    let own = node.bridges.get(&bridge.name).into_iter().flatten();
    let is_own = own.into_iter().any(|net| net.addr() == node.address);
    let is_managing = |port: &String| {
        live.interfaces.iter().any(|(name, interface)| {
            carries(interface) && (name == port || ports(interface).contains(port.as_str()))
        })
    };
    is_own || found.is_some_and(carries) || bridge.ports.iter().any(is_managing)
}

fn ports(interface: &Interface) -> BTreeSet<&str> {
    interface
        .get("bridge_ports")
        .into_iter()
        .flat_map(|ports| ports.split_whitespace())
        .collect()
}

/// Proxmox stages a bridge over a card that does not exist, or that another bridge holds, without a word.
fn can_take_ports(
    draft: &mut Draft,
    node: &Node,
    bridge: &Bridge,
    live: &NodeNetwork,
    subject: &str,
) -> bool {
    let before = draft.blocked.len();
    for port in &bridge.ports {
        let Some(card) = live.interfaces.get(port) else {
            let cards: Vec<&str> = live
                .interfaces
                .iter()
                .filter(|(_, one)| one.get("type").is_some_and(|kind| kind == "eth"))
                .map(|(name, _)| name.as_str())
                .collect();
            draft.block(
                subject,
                format!("{} has no card `{port}`", node.name),
                format!("It has {}.", cards.join(", ")),
            );
            continue;
        };
        if let Some(address) = card.get("cidr").or_else(|| card.get("cidr6")) {
            draft.block(
                subject,
                format!("`{port}` has the address {address} of its own"),
                format!(
                    "Give that address to the bridge under {} > System > Network first: infra does not take an \
                     address from a card that may carry this very connection.",
                    node.name
                ),
            );
        }
        let holder = live.interfaces.iter().find(|(name, other)| {
            name.as_str() != bridge.name.as_str() && ports(other).contains(port.as_str())
        });
        if let Some((holder, _)) = holder {
            draft.block(
                subject,
                format!("`{port}` is a port of {holder} already"),
                format!("Take it out of {holder} first, or name another card."),
            );
        }
    }
    draft.blocked.len() == before
}
