//! What the emitted rules do to a packet, worked out from the rules alone and by other means than the compiler's.

use infra::{
    firewall::CompiledFirewall,
    model::{
        address::{Port, Proto},
        firewall::{PveFirewall, PveIpset, PveRule, PveRuleKind, PveScope},
        ids::{HostName, Vmid},
        ufw::{Ufw, UfwAction, UfwDirection},
    },
};
use ipnet::IpNet;
use std::net::IpAddr;

/// A new connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) port: Port,
}

/// Whether Proxmox lets the packet into (or out of) a guest.
pub(crate) fn guest_passes(
    pve: &PveFirewall,
    vmid: Vmid,
    kind: PveRuleKind,
    packet: Packet,
) -> bool {
    let scope = &pve.guests[&vmid];
    let policy = match kind {
        PveRuleKind::Out => "policy_out",
        PveRuleKind::In | PveRuleKind::Forward | PveRuleKind::Group => "policy_in",
    };
    assert_eq!(pve.cluster.options["enable"], "1");
    assert_eq!(scope.options["enable"], "1");
    verdict(pve, scope, kind, packet).unwrap_or(scope.options[policy] == "ACCEPT")
}

/// Whether Proxmox lets the packet into a node, its built-in management ports aside.
pub(crate) fn node_passes(pve: &PveFirewall, node: &HostName, packet: Packet) -> bool {
    let policy = pve.cluster.options["policy_in"] == "ACCEPT";
    verdict(pve, &pve.nodes[node], PveRuleKind::In, packet).unwrap_or(policy)
}

fn verdict(pve: &PveFirewall, scope: &PveScope, kind: PveRuleKind, p: Packet) -> Option<bool> {
    let rules = scope.rules.rules.iter().flat_map(|rule| match rule.kind {
        PveRuleKind::Group => pve.groups[&rule.action].rules.rules.iter().collect(),
        PveRuleKind::In | PveRuleKind::Out | PveRuleKind::Forward => vec![rule],
    });
    let hit = rules
        .filter(|rule| rule.enable && rule.kind == kind)
        .find(|rule| {
            side(pve, rule.source.as_deref(), p.from)
                && side(pve, rule.dest.as_deref(), p.to)
                && service(rule, p)
        })?;
    Some(hit.action == "ACCEPT")
}

fn side(pve: &PveFirewall, text: Option<&str>, address: IpAddr) -> bool {
    let Some(text) = text else { return true };
    match text.strip_prefix("+dc/") {
        Some(name) => in_set(&pve.cluster.ipsets[name], address),
        None => text.split(',').any(|part| network(part).contains(&address)),
    }
}

/// The kernel's rule: the longest prefix that holds the address decides.
pub(crate) fn in_set(set: &PveIpset, address: IpAddr) -> bool {
    set.members
        .iter()
        .map(|(member, nomatch)| (network(member), *nomatch))
        .filter(|(network, _)| network.contains(&address))
        .max_by_key(|(network, _)| network.prefix_len())
        .is_some_and(|(_, nomatch)| !nomatch)
}

fn network(text: &str) -> IpNet {
    let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(host).expect("a network")
}

fn service(rule: &PveRule, packet: Packet) -> bool {
    let wanted = match (packet.port.proto, packet.to) {
        (Proto::Tcp, _) => "tcp",
        (Proto::Udp, _) => "udp",
        (Proto::Icmp, IpAddr::V4(_)) => "icmp",
        (Proto::Icmp, IpAddr::V6(_)) => "ipv6-icmp",
    };
    rule.proto.as_deref() == Some(wanted)
        && rule.dport.as_deref().is_none_or(|list| {
            let parts: Vec<&str> = list.split(',').collect();
            assert!(parts.len() <= 15, "Proxmox refuses {list}");
            parts.iter().any(|part| {
                let (first, last) = part.split_once(':').unwrap_or((part, part));
                let number = |text: &str| text.parse::<u16>().expect("a port");
                (number(first)..=number(last)).contains(&packet.port.range.first)
            })
        })
}

/// Whether UFW lets the packet through.
pub(crate) fn ufw_passes(ufw: &Ufw, direction: UfwDirection, packet: Packet) -> bool {
    let hit = ufw.rules.iter().find(|rule| {
        rule.direction == direction
            && rule.from.is_none_or(|net| net.contains(&packet.from))
            && rule.to.is_none_or(|net| net.contains(&packet.to))
            && rule.proto.is_none_or(|proto| proto == packet.port.proto)
            && (rule.ports.is_empty()
                || rule
                    .ports
                    .iter()
                    .any(|r| r.contains(packet.port.range.first)))
    });
    let policy = match direction {
        UfwDirection::In => ufw.incoming,
        UfwDirection::Out => ufw.outgoing,
        UfwDirection::Route => ufw.routed,
    };
    let action = hit.map_or(policy, |rule| rule.action);
    matches!(action, UfwAction::Allow | UfwAction::Limit)
}

/// Whether the chain for what containers of a host begin lets a packet leave; none where it holds nothing.
pub(crate) fn container_may_send(
    compiled: &CompiledFirewall,
    host: &HostName,
    packet: Packet,
) -> Option<bool> {
    let egress = &compiled.docker.get(host)?.egress;
    let (rules, echo) = if packet.to.is_ipv4() {
        (&egress.v4, "icmp")
    } else {
        (&egress.v6, "ipv6-icmp")
    };
    let proto = match packet.port.proto {
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
        Proto::Icmp => echo,
    };
    let last = rules.last()?;
    assert_eq!(last, "-A INFRA-DOCKER-OUT -j DROP");
    let hit = rules.iter().find(|rule| {
        let words: Vec<&str> = rule.split_whitespace().collect();
        let value = |flag: &str| {
            let at = words.iter().position(|word| *word == flag)?;
            words.get(at + 1).copied()
        };
        // To nobody on a bridge of Docker's. Whoever stands behind a tunnel is reached by it.
        !matches!(value("-o"), Some("docker0" | "br-+"))
            && value("-j") != Some("LOG")
            && value("-d").is_none_or(|net| network(net).contains(&packet.to))
            && value("-p").is_none_or(|name| name == proto)
            && value("--dport").is_none_or(|ports| {
                let (first, last) = ports.split_once(':').unwrap_or((ports, ports));
                let number = |text: &str| text.parse::<u16>().expect("a port");
                (number(first)..=number(last)).contains(&packet.port.range.first)
            })
    });
    Some(hit?.ends_with("-j RETURN"))
}

/// Whether Docker's chain lets a packet from outside reach a published port.
pub(crate) fn docker_passes(compiled: &CompiledFirewall, host: &HostName, packet: Packet) -> bool {
    let chain = &compiled.docker[host];
    let rules = if packet.to.is_ipv4() {
        &chain.v4
    } else {
        &chain.v6
    };
    for rule in rules {
        let words: Vec<&str> = rule.split_whitespace().collect();
        let value = |flag: &str| {
            let at = words.iter().position(|word| *word == flag)?;
            words.get(at + 1).copied()
        };
        // From a network card or a tunnel, new, and rewritten by Docker. Who stands behind a tunnel comes in by it.
        let applies = !matches!(value("-i"), Some("docker0" | "br-+"))
            && value("--ctstate").is_none_or(|state| state == "DNAT")
            && value("-s").is_none_or(|net| network(net).contains(&packet.from))
            && value("--ctorigdst").is_none_or(|net| network(net).contains(&packet.to))
            && value("-p").is_none_or(|proto| proto == packet.port.proto.to_string())
            && value("--ctorigdstport").is_none_or(|ports| {
                let (first, last) = ports.split_once(':').unwrap_or((ports, ports));
                let number = |text: &str| text.parse::<u16>().expect("a port");
                (number(first)..=number(last)).contains(&packet.port.range.first)
            });
        if applies {
            return value("-j") == Some("RETURN");
        }
    }
    true
}
