//! One stored rule as iptables rules.

use super::{
    address::Names,
    chain::{ACCEPT_MARK, Chains, Family, INFALLIBLE},
    macros,
};
use crate::lab::backend::FirewallRule;
use std::{collections::BTreeSet, fmt::Write as _};

/// Where rules are written, and what accepting means there.
pub(super) struct Target<'a> {
    pub(super) chain: &'a str,
    /// `in` or `out`.
    pub(super) direction: &'a str,
    /// `-j ACCEPT`, `-j RETURN` or `-g PVEFW-SET-ACCEPT-MARK`.
    pub(super) accept: &'a str,
    /// What to do when a group accepted.
    pub(super) accepted_by_group: &'a str,
    /// How a rule's `iface` narrows it.
    pub(super) interface: Interface<'a>,
}

/// What a rule's `iface` means.
pub(super) enum Interface<'a> {
    /// A guest's card: rules for another card are left out.
    Card(&'a str),
    /// The node: matched as an interface of its own.
    Node,
}

/// Appends the rules of a list that are on and make sense.
pub(super) fn add_rules(
    chains: &mut Chains,
    family: Family,
    names: &Names<'_>,
    rules: &[FirewallRule],
    target: &Target<'_>,
) {
    for rule in rules {
        if !is_on(rule) {
            continue;
        }
        let field = |key: &str| rule.get(key).map_or("", |value| value.trim());
        let Some(interface) = interface(field("iface"), target) else {
            continue;
        };
        let kind = field("type");
        if kind == "group" {
            let group = field("action").to_lowercase();
            // A reference to an unknown group leads to an empty chain.
            let chain = group_chain(&group, target.direction);
            chains.declare(&chain);
            chains.add(target.chain, format!("{interface}-j {chain}"));
            let accepted = target.accepted_by_group;
            chains.add(
                target.chain,
                format!("-m mark --mark {ACCEPT_MARK} {accepted}"),
            );
            continue;
        }
        if kind != target.direction {
            continue;
        }
        let sides = (
            names.side(field("source"), true),
            names.side(field("dest"), false),
        );
        let (Some(source), Some(dest)) = sides else {
            continue;
        };
        let (Some(source), Some(dest)) = (source.get(&family), dest.get(&family)) else {
            continue;
        };
        let verdict = match field("action") {
            "ACCEPT" => target.accept,
            "REJECT" => "-j PVEFW-reject",
            "DROP" => "-j DROP",
            _ => continue,
        };
        for services in services(rule, family) {
            let line = format!("{interface}{source}{dest}{services}{verdict}");
            chains.add(target.chain, line);
        }
    }
}

/// The chains of the groups, for every group that exists.
pub(super) fn add_groups(chains: &mut Chains, family: Family, names: &Names<'_>) {
    for (name, rules) in &names.cluster.groups {
        for direction in ["in", "out"] {
            let chain = group_chain(&name.to_lowercase(), direction);
            chains.clear_mark(&chain);
            let target = Target {
                chain: &chain,
                direction,
                accept: "-g PVEFW-SET-ACCEPT-MARK",
                accepted_by_group: "-j RETURN",
                interface: Interface::Node,
            };
            add_rules(chains, family, names, rules, &target);
        }
    }
}

/// `enable` as stored: a rule without it is off.
pub(super) fn is_on(rule: &FirewallRule) -> bool {
    rule.get("enable")
        .is_some_and(|value| value.trim() != "0" && !value.trim().is_empty())
}

fn group_chain(name: &str, direction: &str) -> String {
    format!("GROUP-{name}-{}", direction.to_uppercase())
}

fn interface(wanted: &str, target: &Target<'_>) -> Option<String> {
    match (&target.interface, wanted) {
        (_, "") => Some(String::new()),
        (Interface::Card(card), _) => (*card == wanted).then(String::new),
        (Interface::Node, _) if target.direction == "in" => Some(format!("-i {wanted} ")),
        (Interface::Node, _) => Some(format!("-o {wanted} ")),
    }
}

/// The protocol matches of a rule: one for each part of its macro, else one; none when the family cannot have it.
fn services(rule: &FirewallRule, family: Family) -> Vec<String> {
    let field = |key: &str| rule.get(key).map_or("", |value| value.trim());
    let name = field("macro");
    if name.is_empty() {
        let icmp = Some(field("icmp-type")).filter(|kind| !kind.is_empty());
        let ports = icmp.unwrap_or(field("dport"));
        let service = service(field("proto"), ports, field("sport"), family);
        return service.into_iter().collect();
    }
    let parts = macros::parts(name).unwrap_or_default();
    let lines: BTreeSet<String> = parts
        .iter()
        .filter_map(|(proto, ports)| {
            service(proto, ports, "", family).or_else(|| {
                // `Ping` means both families.
                (*proto == "icmp")
                    .then(|| service("ipv6-icmp", ports, "", family))
                    .flatten()
            })
        })
        .collect();
    lines.into_iter().collect()
}

fn service(proto: &str, ports: &str, sport: &str, family: Family) -> Option<String> {
    let kind = |module: &str, flag: &str, proto: &str| {
        if ports.is_empty() {
            format!("-p {proto} ")
        } else {
            format!("-p {proto} -m {module} --{flag} {ports} ")
        }
    };
    match (proto.to_lowercase().as_str(), family) {
        ("", _) => Some(String::new()),
        ("icmp" | "1", Family::V4) => Some(kind("icmp", "icmp-type", "icmp")),
        ("icmpv6" | "ipv6-icmp" | "58", Family::V6) => Some(kind("icmp6", "icmpv6-type", "icmpv6")),
        ("icmp" | "1" | "icmpv6" | "ipv6-icmp" | "58", _) => None,
        (proto, _) => {
            let mut out = format!("-p {proto} ");
            for (list, one, many) in [
                (ports, "--dport", "--dports"),
                (sport, "--sport", "--sports"),
            ] {
                if list.contains(',') {
                    write!(out, "-m multiport {many} {list} ").expect(INFALLIBLE);
                } else if !list.is_empty() {
                    write!(out, "{one} {list} ").expect(INFALLIBLE);
                }
            }
            Some(out)
        }
    }
}
