//! Rules that infra did not make, as rows of the matrix: what an owner would write to keep what they open.

use super::{
    chain::Reading,
    read_proxmox::{self, Cards, Names},
    read_ufw,
};
use crate::firewall::{
    addresses::{Addresses, written},
    interfaces::Interfaces,
    matrix::resolve,
    port_set::PortSet,
};
use crate::model::{
    desired::Desired,
    firewall::{PveRule, PveRuleKind, PveRules, PveScope},
    flow::Endpoint,
    ids::HostName,
    observed::{Observed, Reading as Look},
    ufw::{Ufw, UfwDirection, UfwRule},
};
use serde::Serialize;
use std::sync::Arc;

/// A row that opens what foreign rules open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedFlow {
    /// Names of zones, hosts and sets; those of [`Adoption::sets`] among them.
    pub from: Vec<String>,
    /// Likewise.
    pub to: Vec<String>,
    /// `443/tcp`.
    pub allow: Vec<String>,
    /// The rule's own comment, or where it was found.
    pub reason: String,
    /// The rules, in their layers' own words.
    pub rules: Vec<String>,
}

/// A foreign rule that is no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftRule {
    /// Where it stands.
    pub on: String,
    /// In its layer's own words.
    pub rule: String,
    /// Why.
    pub why: String,
}

/// Foreign rules in the inventory's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Adoption {
    /// Sets for addresses that have no name yet, by name.
    pub sets: Vec<(String, Vec<String>)>,
    /// Rows.
    pub flows: Vec<AdoptedFlow>,
    /// What cannot be a row.
    pub left: Vec<LeftRule>,
}

/// A foreign rule, read.
struct Found {
    on: String,
    words: String,
    comment: Option<String>,
    is_out: bool,
    /// The machines that enforce it.
    machines: Vec<HostName>,
    reading: Option<Reading>,
}

/// Every foreign rule that is enforced now: on nodes, at the datacenter, on guests and external hosts.
pub fn adopt(desired: &Desired, observed: &Observed) -> Adoption {
    let mut out = Adoption::default();
    let everything = Arc::new(Addresses::everything());
    for found in of_proxmox(desired, observed) {
        out.take(desired, found);
    }
    for host in desired.all_hosts() {
        if let Some(Look::Seen(facts)) = observed.hosts.get(host)
            && let Some(ufw) = &facts.ufw
        {
            let interfaces = Interfaces::of(desired, host);
            for rule in ufw.rules.iter().filter(|rule| !rule.is_ours()) {
                let found = of_ufw(host, ufw, rule, &everything, &interfaces);
                out.take(desired, found);
            }
        }
    }
    out
}

fn of_proxmox(desired: &Desired, observed: &Observed) -> Vec<Found> {
    let Some(Look::Seen(seen)) = &observed.proxmox else {
        return vec![];
    };
    let pve = &seen.firewall;
    let names = Names::new(pve);
    let nodes: Vec<HostName> = desired.nodes.keys().cloned().collect();
    let cluster = ("the datacenter".to_owned(), nodes, &pve.cluster);
    let of_nodes = desired.nodes.keys().filter_map(|node| {
        let scope = pve.nodes.get(node)?;
        Some((format!("node {node}"), vec![node.clone()], scope))
    });
    let of_guests = desired.guests.values().filter_map(|guest| {
        let scope = pve.guests.get(&guest.vmid)?;
        let words = format!("guest {} {}", guest.vmid, guest.name);
        Some((words, vec![guest.name.clone()], scope))
    });
    let mut out = Vec::new();
    for (on, machines, scope) in std::iter::once(cluster).chain(of_nodes).chain(of_guests) {
        for rule in scope
            .rules
            .rules
            .iter()
            .filter(|r| r.enable && !r.is_ours())
        {
            let kinds: &[PveRuleKind] = match rule.kind {
                PveRuleKind::Group => &[PveRuleKind::In, PveRuleKind::Out],
                PveRuleKind::In => &[PveRuleKind::In],
                PveRuleKind::Out => &[PveRuleKind::Out],
                PveRuleKind::Forward => &[],
            };
            let before = out.len();
            for kind in kinds {
                for reading in readings(&names, scope, rule, *kind) {
                    out.push(found(&on, rule, *kind, &machines, Some(reading)));
                }
            }
            if out.len() == before {
                out.push(found(&on, rule, rule.kind, &machines, None));
            }
        }
    }
    out
}

fn readings(
    names: &Names<'_>,
    scope: &PveScope,
    rule: &PveRule,
    kind: PveRuleKind,
) -> Vec<Reading> {
    let alone = PveScope {
        rules: PveRules {
            rules: vec![rule.clone()],
            digest: None,
        },
        ..scope.clone()
    };
    let list = names.list(&alone, kind, &Cards::new());
    if list.unread.is_empty() {
        list.readings
    } else {
        vec![]
    }
}

fn found(
    on: &str,
    rule: &PveRule,
    kind: PveRuleKind,
    machines: &[HostName],
    reading: Option<Reading>,
) -> Found {
    Found {
        on: on.to_owned(),
        words: read_proxmox::words(rule),
        comment: rule.comment.clone(),
        is_out: kind == PveRuleKind::Out,
        machines: machines.to_vec(),
        reading,
    }
}

fn of_ufw(
    host: &HostName,
    ufw: &Ufw,
    rule: &UfwRule,
    everything: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> Found {
    let alone = Ufw {
        rules: vec![rule.clone()],
        ..ufw.clone()
    };
    let (readings, _) = read_ufw::list(&alone, rule.direction, everything, interfaces);
    // The first is UFW's own, for echo requests.
    let reading = readings.into_iter().nth(1);
    Found {
        on: format!("UFW of {host}"),
        words: read_ufw::words(rule),
        comment: rule.comment.clone(),
        is_out: rule.direction == UfwDirection::Out,
        machines: vec![host.clone()],
        reading: reading.filter(|_| rule.direction != UfwDirection::Route),
    }
}

impl Adoption {
    fn take(&mut self, desired: &Desired, found: Found) {
        let is_node = |machine: &HostName| desired.nodes.contains_key(machine);
        let why = match &found.reading {
            None => Some("it says something that no row can say: write what is meant as a flow"),
            Some(reading) if !reading.passes => {
                Some("it closes something: what no flow opens is closed anyway")
            }
            Some(_) if found.is_out && found.machines.iter().any(is_node) => {
                Some("a node may send everything")
            }
            Some(_) => None,
        };
        let (None, Some(reading)) = (why, &found.reading) else {
            self.left.push(LeftRule {
                on: found.on,
                rule: found.words,
                why: why.unwrap_or_default().to_owned(),
            });
            return;
        };
        let machines: Vec<String> = found.machines.iter().map(ToString::to_string).collect();
        let (from, to) = if found.is_out {
            (machines, vec![self.name(desired, &reading.to)])
        } else {
            (vec![self.name(desired, &reading.from)], machines)
        };
        let rule = format!("{}: {}", found.on, found.words);
        let allow = written_ports(&reading.ports);
        let same =
            |flow: &&mut AdoptedFlow| flow.from == from && flow.to == to && flow.allow == allow;
        if let Some(flow) = self.flows.iter_mut().find(same) {
            flow.rules.push(rule);
            return;
        }
        let comment = found.comment.map(|text| text.trim().to_owned());
        let comment = comment.filter(|text| !text.is_empty());
        self.flows.push(AdoptedFlow {
            from,
            to,
            allow,
            reason: comment.unwrap_or_else(|| format!("adopted from {}", found.on)),
            rules: vec![rule],
        });
    }

    /// What the inventory calls these addresses; a new set where it has no name for them.
    fn name(&mut self, desired: &Desired, addresses: &Addresses) -> String {
        let everything = Addresses::everything();
        let is_all = |v6| *addresses == everything.of_family(v6);
        if *addresses == everything || is_all(false) || is_all(true) {
            return Endpoint::Any.to_string();
        }
        let zones = desired.zones.keys().cloned().map(Endpoint::Zone);
        let hosts = desired.all_hosts().cloned().map(Endpoint::Host);
        let sets = desired.sets.keys().cloned().map(Endpoint::Set);
        let all = sets.chain(hosts).chain(zones).chain([Endpoint::Internet]);
        let mut known = all.filter(|endpoint| resolve(desired, endpoint) == *addresses);
        if let Some(endpoint) = known.next() {
            return endpoint.to_string();
        }
        let members: Vec<String> = addresses.networks().iter().map(written).collect();
        if let Some((name, _)) = self.sets.iter().find(|(_, own)| *own == members) {
            return name.clone();
        }
        let is_free = |name: &String| !desired.sets.keys().any(|set| set.as_str() == name);
        let numbered = (self.sets.len() + 1..).map(|number| format!("adopted-{number}"));
        let name = numbered.into_iter().find(is_free).unwrap_or_default();
        self.sets.push((name.clone(), members));
        name
    }
}

fn written_ports(ports: &PortSet) -> Vec<String> {
    ports.ports().iter().map(ToString::to_string).collect()
}
