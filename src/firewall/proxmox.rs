//! The matrix in Proxmox's words.
//!
//! Names become datacenter IP sets (`infra-zone-lan`), scoped `+dc/` in rules; the rows of a guest become a security group
//! named by its content, and the guest's only rule refers to it. A change makes a new group beside the old one, so that a
//! guest goes from one whole set of rules to the other; a group is never edited while somebody uses it. Nodes have plain
//! rules. Guests drop and never reject: the nftables backend cannot.

use super::{
    addresses::{Addresses, written},
    comment::mark,
    matrix::{End, Machine, MachineKind, Matrix, resolve},
    opening::{Opening, inbound, outbound, port_lists},
};
use crate::model::{
    address::{Mac, PortRange, Proto},
    desired::Desired,
    firewall::{
        PveAlias, PveFirewall, PveGroup, PveIpset, PveRule, PveRuleKind, PveRules, PveScope,
    },
    flow::Endpoint,
    guest::{Guest, Nic},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

/// Longest name of an IP set or alias.
const NAME_LENGTH: usize = 64;

/// Compiles the matrix for the datacenter, the nodes and the guests.
pub(crate) fn compile(desired: &Desired, matrix: &Matrix, machines: &[Machine<'_>]) -> PveFirewall {
    let mut out = PveFirewall::default();
    if desired.proxmox.is_none() {
        return out;
    }
    let mut named = BTreeSet::new();
    for machine in machines {
        match machine.kind {
            MachineKind::External => {}
            MachineKind::Node => {
                let rules = rules(matrix, machine, &[PveRuleKind::In], &mut named);
                let scope = PveScope {
                    options: options(&[("enable", "1")]),
                    rules,
                    ..PveScope::default()
                };
                out.nodes.insert(machine.name.clone(), scope);
            }
            MachineKind::Guest(vmid) => {
                let kinds = [PveRuleKind::In, PveRuleKind::Out];
                let rules = rules(matrix, machine, &kinds, &mut named);
                if let Some(guest) = desired.guests.get(machine.name) {
                    let name = group_name(&rules);
                    let refers = reference_to(&name);
                    out.guests.insert(vmid, guest_scope(guest, refers));
                    let comment = "infra: rows of the flow matrix, named by their content";
                    let group = PveGroup {
                        comment: Some(comment.to_owned()),
                        rules,
                    };
                    out.groups.insert(name, group);
                }
            }
        }
    }
    out.cluster = cluster_scope(desired, &named);
    out
}

/// `infra-` and twelve digits of a hash over the rules: the 18 characters that Proxmox allows.
fn group_name(rules: &PveRules) -> String {
    let mut hash = Sha256::new();
    for rule in &rules.rules {
        // `Debug` of plain strings: unambiguous, and the same on every machine.
        hash.update(format!("{:?}\n", rule.canonical()).as_bytes());
    }
    let digits = hash.finalize();
    let digits = digits.iter().take(6).map(|byte| format!("{byte:02x}"));
    format!("infra-{}", digits.collect::<String>())
}

/// The one rule of a guest.
fn reference_to(group: &str) -> PveRules {
    let rule = PveRule {
        kind: PveRuleKind::Group,
        action: group.to_owned(),
        enable: true,
        proto: None,
        source: None,
        dest: None,
        sport: None,
        dport: None,
        icmp_type: None,
        r#macro: None,
        iface: None,
        log: None,
        comment: Some(mark("matrix", "the rows of this guest")),
    };
    PveRules {
        rules: vec![rule],
        digest: None,
    }
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn cluster_scope(desired: &Desired, named: &BTreeSet<Endpoint>) -> PveScope {
    let mut ipsets: BTreeMap<String, PveIpset> = named
        .iter()
        .map(|endpoint| {
            let set = PveIpset {
                members: members(desired, endpoint),
                comment: Some(format!("infra: {}", described(endpoint))),
            };
            (set_name(endpoint), set)
        })
        .collect();
    ipsets.insert("management".to_owned(), management(desired));
    let mut aliases = BTreeMap::new();
    // Proxmox adds this alias, by default the node's whole subnet, to `management`: left alone, every guest there
    // would reach 8006 and 22.
    if let Some(node) = desired.nodes.values().next() {
        let alias = PveAlias {
            cidr: node.address.to_string(),
            comment: Some("infra: the node itself and not its whole subnet".to_owned()),
        };
        aliases.insert("local_network".to_owned(), alias);
    }
    PveScope {
        options: options(&[
            ("enable", "1"),
            ("policy_in", "DROP"),
            ("policy_out", "ACCEPT"),
        ]),
        rules: PveRules::default(),
        aliases,
        ipsets,
    }
}

/// Who reaches the nodes' management ports: the operators, and in a cluster the other nodes.
fn management(desired: &Desired) -> PveIpset {
    let mut allowed = desired
        .operators
        .as_ref()
        .map_or_else(Addresses::default, |set| {
            resolve(desired, &Endpoint::Set(set.clone()))
        });
    if desired.nodes.len() > 1 {
        let nodes = desired.nodes.values().map(|node| node.address);
        allowed = allowed.union(&Addresses::of_hosts(nodes));
    }
    PveIpset {
        members: plain(&allowed),
        comment: Some("infra: who administers the nodes".to_owned()),
    }
}

fn plain(addresses: &Addresses) -> BTreeMap<String, bool> {
    halved(addresses).into_iter().map(|m| (m, false)).collect()
}

/// Members of a set; a set cannot hold a whole family in one member.
fn halved(addresses: &Addresses) -> Vec<String> {
    let mut out = Vec::new();
    for network in addresses.networks() {
        if network.prefix_len() == 0 {
            let halves = network.subnets(1).into_iter().flatten();
            out.extend(halves.map(|half| written(&half)));
        } else {
            out.push(written(&network));
        }
    }
    out
}

/// The Internet is written as everything with the zones as exceptions: a handful of members that a person can read.
fn members(desired: &Desired, endpoint: &Endpoint) -> BTreeMap<String, bool> {
    let addresses = resolve(desired, endpoint);
    if !matches!(endpoint, Endpoint::Internet) {
        return plain(&addresses);
    }
    let everything = Addresses::everything();
    let mut out = BTreeMap::new();
    for is_v6 in [false, true] {
        let left = if is_v6 {
            addresses.has_v6()
        } else {
            addresses.has_v4()
        };
        if left {
            let of_family = |member: &String| member.contains(':') == is_v6;
            let all = halved(&everything);
            out.extend(all.into_iter().filter(of_family).map(|m| (m, false)));
            let zones = halved(&everything.without(&addresses));
            out.extend(zones.into_iter().filter(of_family).map(|m| (m, true)));
        }
    }
    out
}

fn described(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Any => "everything".to_owned(),
        Endpoint::Internet => "everything in no zone".to_owned(),
        Endpoint::Zone(name) => format!("zone {name}"),
        Endpoint::Host(name) => format!("host {name}"),
        Endpoint::Set(name) => format!("set {name}"),
    }
}

/// `infra-zone-lan`; a name too long for Proxmox keeps its beginning and gets a hash of the whole.
fn set_name(endpoint: &Endpoint) -> String {
    let name = match endpoint {
        Endpoint::Any => "infra-any".to_owned(),
        Endpoint::Internet => "infra-internet".to_owned(),
        Endpoint::Zone(name) => format!("infra-zone-{name}"),
        Endpoint::Host(name) => format!("infra-host-{name}"),
        Endpoint::Set(name) => format!("infra-set-{name}"),
    };
    if name.len() <= NAME_LENGTH {
        return name;
    }
    let hash = Sha256::digest(name.as_bytes());
    let short: String = name.chars().take(NAME_LENGTH - 9).collect();
    let tail = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("{short}-{tail:08x}")
}

fn guest_scope(guest: &Guest, rules: PveRules) -> PveScope {
    // A card without an address of ours gets one by DHCP, and nothing is known that it could be held to.
    let known = guest.nics.iter().all(|nic| !nic.addresses.is_empty());
    let mut ipsets = BTreeMap::new();
    if known {
        for (index, nic) in guest.nics.iter().enumerate() {
            let set = PveIpset {
                members: may_send_from(nic),
                comment: Some("infra: the addresses this card may send from".to_owned()),
            };
            ipsets.insert(format!("ipfilter-net{index}"), set);
        }
    }
    let (ipfilter, dhcp) = if known { ("1", "0") } else { ("0", "1") };
    PveScope {
        options: options(&[
            ("enable", "1"),
            ("policy_in", "DROP"),
            ("policy_out", "DROP"),
            ("macfilter", "1"),
            ("ipfilter", ipfilter),
            ("dhcp", dhcp),
        ]),
        rules,
        aliases: BTreeMap::new(),
        ipsets,
    }
}

fn may_send_from(nic: &Nic) -> BTreeMap<String, bool> {
    let mut out: BTreeMap<String, bool> = nic
        .addresses
        .iter()
        .map(|network| (network.addr().to_string(), false))
        .collect();
    // Neighbour discovery speaks from the link-local address.
    if nic.addresses.iter().any(|network| network.addr().is_ipv6()) {
        out.insert(link_local(nic.mac).to_string(), false);
    }
    out
}

/// The EUI-64 link-local address of a card.
fn link_local(mac: Mac) -> Ipv6Addr {
    let Mac([first, second, third, rest @ ..]) = mac;
    let [fourth, fifth, sixth] = rest;
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..].copy_from_slice(&[first ^ 2, second, third, 0xff, 0xfe, fourth, fifth, sixth]);
    Ipv6Addr::from(octets)
}

fn rules(
    matrix: &Matrix,
    machine: &Machine<'_>,
    kinds: &[PveRuleKind],
    named: &mut BTreeSet<Endpoint>,
) -> PveRules {
    let mut out: Vec<PveRule> = Vec::new();
    for kind in kinds {
        let openings = match kind {
            PveRuleKind::In => inbound(matrix, &machine.addresses),
            PveRuleKind::Out => outbound(matrix, &machine.addresses),
            PveRuleKind::Forward | PveRuleKind::Group => Vec::new(),
        };
        for opening in openings {
            out.extend(opening_rules(*kind, &opening, machine, named));
        }
    }
    let mut known = BTreeSet::new();
    out.retain(|rule| {
        known.insert(PveRule {
            comment: None,
            log: None,
            ..rule.clone()
        })
    });
    PveRules {
        rules: out,
        digest: None,
    }
}

fn opening_rules(
    kind: PveRuleKind,
    opening: &Opening<'_>,
    machine: &Machine<'_>,
    named: &mut BTreeSet<Endpoint>,
) -> Vec<PveRule> {
    let peer = reference(opening.peer, named);
    let mut out = Vec::new();
    for own in own_lists(opening) {
        let (source, dest) = match kind {
            PveRuleKind::Out => (own.clone(), peer.clone()),
            PveRuleKind::In | PveRuleKind::Forward | PveRuleKind::Group => {
                (peer.clone(), own.clone())
            }
        };
        for (proto, ports) in port_lists(&opening.row.ports) {
            let rule = |proto: &str| PveRule {
                kind,
                action: "ACCEPT".to_owned(),
                enable: true,
                proto: Some(proto.to_owned()),
                source: source.clone(),
                dest: dest.clone(),
                sport: None,
                dport: (!ports.is_empty()).then(|| written_ports(&ports)),
                icmp_type: ports.is_empty().then(|| "echo-request".to_owned()),
                r#macro: None,
                iface: None,
                log: opening.row.log.then(|| "info".to_owned()),
                comment: Some(mark(&opening.row.id, &opening.row.reason)),
            };
            match proto {
                Proto::Tcp => out.push(rule("tcp")),
                Proto::Udp => out.push(rule("udp")),
                Proto::Icmp => {
                    let v6 = own.as_deref().is_none_or(|list| list.contains(':'));
                    let v4 = own.as_deref().is_none_or(|list| !list.contains(':'));
                    let peer = &opening.peer.addresses;
                    if v4 && peer.has_v4() && machine.addresses.has_v4() {
                        out.push(rule("icmp"));
                    }
                    if v6 && peer.has_v6() && machine.addresses.has_v6() {
                        out.push(rule("ipv6-icmp"));
                    }
                }
            }
        }
    }
    out
}

/// The machine's own addresses as a rule names them: not at all, or a list for each family (Proxmox refuses mixed ones).
fn own_lists(opening: &Opening<'_>) -> Vec<Option<String>> {
    let Some(own) = &opening.own else {
        return vec![None];
    };
    let networks = own.networks();
    let family = |v6: bool| {
        let list: Vec<String> = networks
            .iter()
            .filter(|network| matches!(network.addr(), IpAddr::V6(_)) == v6)
            .map(written)
            .collect();
        (!list.is_empty()).then(|| Some(list.join(",")))
    };
    [family(false), family(true)]
        .into_iter()
        .flatten()
        .collect()
}

fn reference(peer: &End, named: &mut BTreeSet<Endpoint>) -> Option<String> {
    if peer.endpoint == Endpoint::Any {
        return None;
    }
    named.insert(peer.endpoint.clone());
    Some(format!("+dc/{}", set_name(&peer.endpoint)))
}

fn written_ports(ports: &[PortRange]) -> String {
    let list: Vec<String> = ports.iter().map(PortRange::to_string).collect();
    list.join(",")
}
