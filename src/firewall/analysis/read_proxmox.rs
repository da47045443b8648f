//! Proxmox's rules, as its documentation says they act, into chains.

use super::chain::Reading;
use crate::firewall::{addresses::Addresses, port_set::PortSet};
use crate::model::{
    address::{Port, PortRange, Proto},
    firewall::{PveAlias, PveFirewall, PveIpset, PveRule, PveRuleKind, PveScope},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, sync::Arc};

/// Ports that `management` reaches on a node whatever the rules say.
const MANAGEMENT: [&str; 5] = [
    "8006/tcp",
    "5900-5999/tcp",
    "3128/tcp",
    "22/tcp",
    "60000-60050/tcp",
];

/// Macros whose ports are known here; a rule with another one is reported as unread.
const MACROS: [(&str, &[&str]); 12] = [
    ("ssh", &["22/tcp"]),
    ("http", &["80/tcp"]),
    ("https", &["443/tcp"]),
    ("web", &["80/tcp", "443/tcp"]),
    ("dns", &["53/tcp", "53/udp"]),
    ("ntp", &["123/udp"]),
    ("ping", &["icmp"]),
    ("smtp", &["25/tcp"]),
    ("postgresql", &["5432/tcp"]),
    ("mysql", &["3306/tcp"]),
    ("rdp", &["3389/tcp"]),
    ("smb", &["445/tcp", "137-139/tcp", "137-138/udp"]),
];

/// The names of the datacenter and of one guest, resolved once.
pub(crate) struct Names<'a> {
    pve: &'a PveFirewall,
    sets: BTreeMap<String, Arc<Addresses>>,
    everything: Arc<Addresses>,
}

/// What was understood of a list, and what was not.
#[derive(Default)]
pub(crate) struct List {
    pub(crate) readings: Vec<Reading>,
    pub(crate) unread: Vec<String>,
}

/// Which cards a rule with `iface` is about: the addresses of each.
pub(crate) type Cards = BTreeMap<String, Addresses>;

impl<'a> Names<'a> {
    pub(crate) fn new(pve: &'a PveFirewall) -> Self {
        let sets = pve
            .cluster
            .ipsets
            .iter()
            .map(|(name, set)| {
                (
                    name.clone(),
                    Arc::new(set_members(set, &pve.cluster.aliases)),
                )
            })
            .collect();
        Self {
            pve,
            sets,
            everything: Arc::new(Addresses::everything()),
        }
    }

    pub(crate) fn everything(&self) -> Arc<Addresses> {
        Arc::clone(&self.everything)
    }

    /// Who reaches a node's management ports: the set, and the alias that Proxmox adds to it.
    pub(crate) fn management(&self) -> (Addresses, Vec<Port>) {
        let mut allowed = self
            .sets
            .get("management")
            .map(|set| Addresses::clone(set))
            .unwrap_or_default();
        if let Some(alias) = self.pve.cluster.aliases.get("local_network") {
            allowed = allowed.union(&network(&alias.cidr).unwrap_or_default());
        }
        let ports = MANAGEMENT.iter().filter_map(|text| text.parse().ok());
        (allowed, ports.collect())
    }

    /// The rules of one direction in a scope, groups included.
    pub(crate) fn list(&self, scope: &PveScope, kind: PveRuleKind, cards: &Cards) -> List {
        let mut out = List::default();
        for rule in &scope.rules.rules {
            if rule.kind == PveRuleKind::Group && rule.enable {
                if let Some(group) = self.pve.groups.get(&rule.action) {
                    for inner in &group.rules.rules {
                        self.rule(inner, scope, kind, cards, &mut out);
                    }
                }
            } else {
                self.rule(rule, scope, kind, cards, &mut out);
            }
        }
        out
    }

    fn rule(
        &self,
        rule: &PveRule,
        scope: &PveScope,
        kind: PveRuleKind,
        cards: &Cards,
        out: &mut List,
    ) {
        if !rule.enable || rule.kind != kind {
            return;
        }
        let sides = (
            self.side(rule.source.as_deref(), scope),
            self.side(rule.dest.as_deref(), scope),
        );
        // Proxmox skips a rule whose set or alias is gone.
        let (Some(mut from), Some(mut to)) = sides else {
            return;
        };
        if let Some(iface) = &rule.iface {
            let Some(own) = cards.get(iface) else {
                out.unread.push(format!("{} (on {iface})", words(rule)));
                return;
            };
            match kind {
                PveRuleKind::Out => from = Arc::new(from.intersection(own)),
                PveRuleKind::In | PveRuleKind::Forward | PveRuleKind::Group => {
                    to = Arc::new(to.intersection(own));
                }
            }
        }
        let Some((ports, family)) = services(rule) else {
            out.unread.push(words(rule));
            return;
        };
        if let Some(v6) = family {
            from = Arc::new(from.of_family(v6));
        }
        out.readings.push(Reading {
            from,
            to,
            ports,
            passes: rule.action.eq_ignore_ascii_case("ACCEPT"),
            words: words(rule),
        });
    }

    /// What a source or destination means; none when a name in it is gone.
    fn side(&self, text: Option<&str>, scope: &PveScope) -> Option<Arc<Addresses>> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Some(self.everything());
        };
        if let Some(name) = text.strip_prefix('+') {
            let bare = name.rsplit('/').next().unwrap_or(name);
            let own = || {
                let set = scope.ipsets.get(bare)?;
                let mut aliases = self.pve.cluster.aliases.clone();
                aliases.extend(scope.aliases.clone());
                Some(Arc::new(set_members(set, &aliases)))
            };
            let datacenter = || self.sets.get(bare).cloned();
            return match name.split_once('/') {
                Some(("dc", _)) => datacenter(),
                Some(_) => own(),
                None => own().or_else(datacenter),
            };
        }
        let mut all = Addresses::default();
        for part in text.split(',').map(str::trim) {
            let known = network(part).or_else(|| {
                let bare = part.rsplit('/').next().unwrap_or(part);
                let alias = scope.aliases.get(bare);
                let alias = alias.or_else(|| self.pve.cluster.aliases.get(bare))?;
                network(&alias.cidr)
            })?;
            all = all.union(&known);
        }
        Some(Arc::new(all))
    }
}

/// The kernel's rule for sets: the longest prefix that holds an address decides.
fn set_members(set: &PveIpset, aliases: &BTreeMap<String, PveAlias>) -> Addresses {
    let mut members: Vec<(u8, Addresses, bool)> = set
        .members
        .iter()
        .filter_map(|(text, nomatch)| {
            let bare = text.rsplit('/').next().unwrap_or(text);
            let named = || aliases.get(bare).or_else(|| aliases.get(text.as_str()));
            let cidr = network(text)
                .is_some()
                .then_some(text.as_str())
                .or_else(|| named().map(|alias| alias.cidr.as_str()))?;
            Some((prefix(cidr), network(cidr)?, *nomatch))
        })
        .collect();
    members.sort_by_key(|(prefix, _, nomatch)| (*prefix, *nomatch));
    members
        .into_iter()
        .fold(Addresses::default(), |all, (_, network, nomatch)| {
            if nomatch {
                all.without(&network)
            } else {
                all.union(&network)
            }
        })
}

fn prefix(text: &str) -> u8 {
    text.parse::<IpNet>()
        .map_or(128, |network| network.prefix_len())
}

/// `10.0.0.0/8`, `10.0.0.1` or `10.0.0.1-10.0.0.9`.
fn network(text: &str) -> Option<Addresses> {
    let text = text.trim();
    if let Some((first, last)) = text.split_once('-') {
        return Addresses::of_range(first.parse().ok()?, last.parse().ok()?);
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(Addresses::of_networks([&network]));
    }
    let address: IpAddr = text.parse().ok()?;
    Some(Addresses::of_hosts([address]))
}

/// The ports that a rule is about, and the family when it can be of one only; none when that is not known here.
fn services(rule: &PveRule) -> Option<(PortSet, Option<bool>)> {
    if rule.sport.as_deref().is_some_and(|ports| !ports.is_empty()) {
        return None;
    }
    if let Some(name) = rule.r#macro.as_deref().filter(|name| !name.is_empty()) {
        let name = name.to_lowercase();
        let (_, ports) = MACROS.iter().find(|(known, _)| *known == name)?;
        let ports: Vec<Port> = ports.iter().filter_map(|p| p.parse().ok()).collect();
        return Some((PortSet::of(&ports), None));
    }
    let ranges = ranges(rule.dport.as_deref())?;
    let proto = rule.proto.as_deref().unwrap_or("").to_lowercase();
    let is_echo = rule
        .icmp_type
        .as_deref()
        .or(rule.dport.as_deref())
        .is_none_or(|kind| ["echo-request", "8", "128", "any", ""].contains(&kind));
    match proto.as_str() {
        "" => Some((PortSet::matched(None, &ranges), None)),
        "tcp" | "6" => Some((PortSet::matched(Some(Proto::Tcp), &ranges), None)),
        "udp" | "17" => Some((PortSet::matched(Some(Proto::Udp), &ranges), None)),
        "icmp" | "1" => Some((echo(is_echo), Some(false))),
        "icmpv6" | "ipv6-icmp" | "58" => Some((echo(is_echo), Some(true))),
        _ => None,
    }
}

fn echo(is_echo: bool) -> PortSet {
    if is_echo {
        PortSet::echo()
    } else {
        PortSet::default()
    }
}

fn ranges(list: Option<&str>) -> Option<Vec<PortRange>> {
    let Some(list) = list.map(str::trim).filter(|list| !list.is_empty()) else {
        return Some(vec![]);
    };
    if list.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // An ICMP type, or a service by name.
        return Some(vec![]).filter(|_| list == "echo-request");
    }
    list.split(',')
        .map(|part| {
            let (first, last) = part.trim().split_once(':').unwrap_or((part, part));
            Some(PortRange {
                first: first.trim().parse().ok()?,
                last: last.trim().parse().ok()?,
            })
        })
        .collect()
}

/// A rule as Proxmox's own files write it.
pub(crate) fn words(rule: &PveRule) -> String {
    let kind = match rule.kind {
        PveRuleKind::In => "IN",
        PveRuleKind::Out => "OUT",
        PveRuleKind::Forward => "FORWARD",
        PveRuleKind::Group => "GROUP",
    };
    let mut out = match &rule.r#macro {
        Some(name) => format!("{kind} {name}({})", rule.action),
        None => format!("{kind} {}", rule.action),
    };
    for (flag, value) in [
        ("-i", &rule.iface),
        ("-source", &rule.source),
        ("-dest", &rule.dest),
        ("-p", &rule.proto),
        ("-dport", &rule.dport),
        ("-sport", &rule.sport),
        ("-icmp-type", &rule.icmp_type),
        ("#", &rule.comment),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            let _ = write!(out, " {flag} {value}");
        }
    }
    out
}
