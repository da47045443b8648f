//! Simple zones and vnets of Proxmox's software-defined network. They are made and changed, never removed: what hangs on
//! one may be somebody else's.

use crate::model::{
    cluster::{Entry, EntryKind, EntryWrite},
    desired::Desired,
    ids::HostName,
    network::{SdnWrite, SdnZone, Vnet},
    observed::{ObservedProxmox, Question},
};
use crate::plan::{
    change::{Impact, Operation},
    draft::{Draft, Proposal, id},
};
use std::collections::BTreeMap;

const SUBJECT: &str = "SDN";

/// One entry as it shall be.
struct Wanted {
    kind: EntryKind,
    id: String,
    entry: Entry,
    /// Keys that must not be there.
    absent: Vec<&'static str>,
}

/// Compares everything that is declared.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    let Some(host) = desired.nodes.keys().next() else {
        return;
    };
    if desired.sdn.is_empty() {
        return;
    }
    for kind in [EntryKind::SdnZone, EntryKind::SdnVnet] {
        if let Some(unanswered) = seen.unanswered(&Question::Entries(kind)) {
            draft.unknown(SUBJECT, unanswered);
            return;
        }
    }
    draft.saw(host);
    let zones = desired.sdn.values();
    let mut wanted: Vec<Wanted> = zones.clone().map(zone).collect();
    wanted.extend(zones.flat_map(|zone| zone.vnets.values().map(|net| vnet(zone, net))));
    let before = draft.blocked.len();
    others_stage_nothing(draft, &wanted, seen);
    let none = BTreeMap::new();
    let mut proposal = Proposal::update("guests hang on it");
    let (mut writes, mut waits) = (Vec::new(), false);
    for wanted in &wanted {
        let found = seen
            .entries
            .get(&wanted.kind)
            .unwrap_or(&none)
            .get(&wanted.id);
        let word = format!("{} {}", wanted.kind, wanted.id);
        if let Some(kind) = found.and_then(|found| found.get("type"))
            && wanted.kind == EntryKind::SdnZone
            && kind != "simple"
        {
            draft.block(
                SUBJECT,
                format!("the zone `{}` is there and of type `{kind}`", wanted.id),
                "infra declares simple zones only: give yours another name, or leave that zone to its owner.",
            );
            continue;
        }
        let Some((write, told)) = compare(wanted, found) else {
            if found.is_some_and(|found| found.contains_key("state")) {
                waits = true;
                proposal = proposal.field(&word, Some("staged"), Some("applied"));
            }
            continue;
        };
        for (key, before, after) in told {
            proposal = proposal.field(
                &format!("{word} {key}"),
                before.as_deref(),
                after.as_deref(),
            );
        }
        writes.push(write);
    }
    let lagging = lagging(desired, seen);
    for (zone, node, state) in &lagging {
        proposal = proposal.field(
            &format!("SDN zone {zone} on {node}"),
            Some(state),
            Some("available"),
        );
    }
    if draft.blocked.len() > before || (writes.is_empty() && !waits && lagging.is_empty()) {
        return;
    }
    // Applying it loads what is staged for the nodes' own interfaces too, so that comes first.
    let networks = desired
        .nodes
        .keys()
        .map(|node| id(node, &format!("network of {node}")));
    let nodes: Vec<HostName> = desired
        .nodes
        .keys()
        .filter(|node| is_on(node, seen))
        .cloned()
        .collect();
    draft.propose(
        host,
        SUBJECT,
        proposal.impact(Impact::Hot).after(networks),
        Operation::ApplySdn {
            writes,
            zones: desired.sdn.keys().cloned().collect(),
            nodes,
        },
    );
}

fn is_on(node: &HostName, seen: &ObservedProxmox) -> bool {
    let live = seen.nodes.get(node);
    live.is_some_and(|live| live.status != "offline")
}

/// Proxmox applies everything that is staged at once, whoever staged it, on every node.
fn others_stage_nothing(draft: &mut Draft, wanted: &[Wanted], seen: &ObservedProxmox) {
    for kind in [EntryKind::SdnZone, EntryKind::SdnVnet] {
        for (id, entry) in seen.entries.get(&kind).into_iter().flatten() {
            let ours = wanted.iter().any(|one| one.kind == kind && one.id == *id);
            match entry.get("state").map(String::as_str) {
                Some(state) if !ours || state == "deleted" => draft.block(
                    SUBJECT,
                    format!("a change that infra did not make waits to be applied: {kind} {id} ({state})"),
                    "Apply or revert it under Datacenter > SDN, then run the command again.",
                ),
                Some(_) | None => {}
            }
        }
    }
    for (node, live) in &seen.nodes {
        let is_ours = draft
            .changes
            .iter()
            .any(|change| matches!(&change.operation, Operation::ApplyNetwork { node: of, .. } if of == node));
        if let Some(staged) = live.network.staged.as_ref().filter(|_| !is_ours) {
            draft.block(
                SUBJECT,
                format!(
                    "applying it would apply what somebody staged for the interfaces of {node}:\n{}",
                    staged.trim_end()
                ),
                format!("Apply or revert that under {node} > System > Network, then run the command again."),
            );
        }
    }
}

/// Zones that are applied, and not in force on a node that is on.
fn lagging(desired: &Desired, seen: &ObservedProxmox) -> Vec<(String, HostName, String)> {
    let mut out = Vec::new();
    let applied = |zone: &SdnZone| {
        let entry = seen.entries.get(&EntryKind::SdnZone);
        let entry = entry.and_then(|zones| zones.get(&zone.name));
        entry.is_some_and(|entry| !entry.contains_key("state"))
    };
    let is_known = |node: &HostName| {
        let asked = Question::Node(node.clone());
        is_on(node, seen) && seen.unanswered(&asked).is_none()
    };
    for zone in desired.sdn.values().filter(|zone| applied(zone)) {
        for node in desired
            .nodes
            .keys()
            .filter(|node| zone.covers(node) && is_known(node))
        {
            let live = seen.nodes.get(node);
            let state = live.and_then(|live| live.sdn.get(&zone.name));
            let state = state.map_or("not listed", String::as_str);
            if state != "available" {
                out.push((zone.name.clone(), node.clone(), state.to_owned()));
            }
        }
    }
    out
}

fn entry(pairs: &[(&str, Option<String>)]) -> Entry {
    let given = pairs
        .iter()
        .filter_map(|(key, value)| Some((*key, value.clone()?)));
    given.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn zone(zone: &SdnZone) -> Wanted {
    let nodes: Vec<&str> = zone.nodes.iter().map(HostName::as_str).collect();
    let nodes = (!nodes.is_empty()).then(|| nodes.join(","));
    let absent = match &nodes {
        Some(_) => vec![],
        None => vec!["nodes"],
    };
    Wanted {
        kind: EntryKind::SdnZone,
        id: zone.name.clone(),
        entry: entry(&[
            ("type", Some("simple".to_owned())),
            ("nodes", nodes),
            ("mtu", zone.mtu.map(|mtu| mtu.to_string())),
        ]),
        absent,
    }
}

fn vnet(zone: &SdnZone, net: &Vnet) -> Wanted {
    let mut absent = Vec::new();
    let mut on = |key: &'static str, is_on: bool| {
        if !is_on {
            absent.push(key);
        }
        is_on.then(|| "1".to_owned())
    };
    let isolated = on("isolate-ports", net.isolate_ports);
    let aware = on("vlanaware", net.vlan_aware);
    Wanted {
        kind: EntryKind::SdnVnet,
        id: net.name.to_string(),
        entry: entry(&[
            ("zone", Some(zone.name.clone())),
            ("alias", net.alias.clone()),
            ("isolate-ports", isolated),
            ("vlanaware", aware),
        ]),
        absent,
    }
}

/// Key, value of before, value of after.
type Told = Vec<(String, Option<String>, Option<String>)>;

/// What has to be staged for an entry; none when it is, or is staged, as it should be.
fn compare(wanted: &Wanted, found: Option<&Entry>) -> Option<(SdnWrite, Told)> {
    let write = |write| SdnWrite {
        kind: wanted.kind,
        id: wanted.id.clone(),
        write,
    };
    let Some(found) = found else {
        let told = wanted.entry.iter();
        let told = told.map(|(key, value)| (key.clone(), None, Some(value.clone())));
        return Some((
            write(EntryWrite::Create(wanted.entry.clone())),
            told.collect(),
        ));
    };
    let mut told = Told::new();
    let mut set = Entry::new();
    for (key, value) in &wanted.entry {
        let live = found.get(key);
        if !same(live.map(String::as_str), value) {
            told.push((key.clone(), live.cloned(), Some(value.clone())));
            set.insert(key.clone(), value.clone());
        }
    }
    let mut delete = Vec::new();
    for key in &wanted.absent {
        if let Some(live) = found.get(*key).filter(|live| *live != "0") {
            told.push(((*key).to_owned(), Some(live.clone()), None));
            delete.push((*key).to_owned());
        }
    }
    (!told.is_empty()).then(|| (write(EntryWrite::Update { set, delete }), told))
}

/// Lists of nodes are the same in every order.
fn same(before: Option<&str>, after: &str) -> bool {
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
        parts.sort();
        parts
    };
    before.is_some_and(|before| parts(before) == parts(after))
}
