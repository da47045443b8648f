//! What the cluster does for guests: HA resources, HA rules, replication jobs.

use super::guest::{running, subject};
use crate::model::{
    cluster::{Entry, EntryKind, EntryWrite, HaWish, Replica},
    desired::Desired,
    guest::Guest,
    ids::{HostName, Vmid},
    observed::{ObservedProxmox, Question},
};
use crate::plan::{
    change::Operation,
    draft::{Draft, Proposal, id},
};
use std::collections::{BTreeMap, BTreeSet};

/// The mark by which infra knows its entries.
fn mark(desired: &Desired) -> String {
    format!("infra {}", desired.system)
}

/// The guest that an entry is about; none for one that is about several.
pub fn guest<'d>(desired: &'d Desired, kind: EntryKind, id: &str) -> Option<&'d HostName> {
    let number = match kind {
        EntryKind::HaResource => id.strip_prefix("vm:")?,
        EntryKind::Replication => id.split('-').next()?,
        EntryKind::HaRule | EntryKind::SdnZone | EntryKind::SdnVnet => return None,
    };
    let number: u32 = number.parse().ok()?;
    let mut guests = desired.guests.values();
    let guest = guests.find(|guest| guest.vmid.number() == number)?;
    Some(&guest.name)
}

/// What Proxmox means by a key that is not there.
fn default(kind: EntryKind, key: &str) -> Option<&'static str> {
    match (kind, key) {
        (EntryKind::HaResource, "state") => Some("started"),
        (EntryKind::HaResource, "max_restart" | "max_relocate" | "failback") => Some("1"),
        (EntryKind::HaRule, "strict" | "disable") | (EntryKind::Replication, "disable") => {
            Some("0")
        }
        (EntryKind::Replication, "schedule") => Some("*/15"),
        (
            EntryKind::HaResource
            | EntryKind::HaRule
            | EntryKind::Replication
            | EntryKind::SdnZone
            | EntryKind::SdnVnet,
            _,
        ) => None,
    }
}

/// One entry as it shall be.
struct Wanted {
    kind: EntryKind,
    id: String,
    host: HostName,
    subject: String,
    reason: &'static str,
    entry: Entry,
    /// Keys that must not be there.
    absent: Vec<&'static str>,
    needs: Vec<String>,
}

fn entry(pairs: &[(&str, &str)]) -> Entry {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Compares everything that was asked for.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    let mut wanted = Vec::new();
    for guest in desired.guests.values() {
        wanted.extend(resource(desired, guest));
        wanted.extend(copies(draft, desired, guest, seen));
    }
    wanted.extend(rules(draft, desired, seen));
    for kind in [
        EntryKind::HaResource,
        EntryKind::HaRule,
        EntryKind::Replication,
    ] {
        let mine = || wanted.iter().filter(|wanted| wanted.kind == kind);
        let Some(found) = seen.entries.get(&kind) else {
            if let Some(unanswered) = seen.unanswered(&Question::Entries(kind)) {
                for wanted in mine() {
                    draft.unknown(&wanted.subject, unanswered);
                }
            }
            continue;
        };
        for wanted in mine() {
            draft.saw(&wanted.host);
            compare(draft, wanted, found.get(&wanted.id));
        }
        let ids: BTreeSet<&str> = mine().map(|wanted| wanted.id.as_str()).collect();
        let others = found.iter().filter(|(id, _)| !ids.contains(id.as_str()));
        for (id, entry) in others {
            leftover(draft, desired, seen, kind, id, entry);
        }
    }
}

fn compare(draft: &mut Draft, wanted: &Wanted, found: Option<&Entry>) {
    let write = |write| Operation::WriteEntry {
        kind: wanted.kind,
        id: wanted.id.clone(),
        write,
    };
    let visible = |key: &str| !matches!(key, "type" | "comment");
    let Some(found) = found else {
        let mut proposal = Proposal::create(wanted.reason).after(wanted.needs.clone());
        for (key, value) in wanted.entry.iter().filter(|(key, _)| visible(key)) {
            proposal = proposal.field(key, None, Some(value));
        }
        let operation = write(EntryWrite::Create(wanted.entry.clone()));
        draft.propose(&wanted.host, &wanted.subject, proposal, operation);
        return;
    };
    let live = |key: &str| {
        found
            .get(key)
            .map(String::as_str)
            .or_else(|| default(wanted.kind, key))
    };
    if live("type") != wanted.entry.get("type").map(String::as_str)
        && wanted.kind == EntryKind::HaRule
    {
        // Proxmox does not turn one kind of rule into another.
        let gone = draft.propose(
            &wanted.host,
            &format!("{} of before", wanted.subject),
            Proposal::delete("a rule keeps its kind").field("type", live("type"), None),
            write(EntryWrite::Delete),
        );
        let operation = write(EntryWrite::Create(wanted.entry.clone()));
        let needs = wanted.needs.iter().cloned().chain([gone]);
        let proposal = Proposal::create(wanted.reason).after(needs);
        draft.propose(&wanted.host, &wanted.subject, proposal, operation);
        return;
    }
    let mut set = Entry::new();
    let mut proposal = Proposal::update("differs from the inventory").after(wanted.needs.clone());
    for (key, value) in &wanted.entry {
        if normal(live(key).unwrap_or_default()) != normal(value) {
            proposal = proposal.field(key, live(key), Some(value));
            set.insert(key.clone(), value.clone());
        }
    }
    let mut delete = Vec::new();
    for key in &wanted.absent {
        let was = found.get(*key);
        if let Some(was) = was.filter(|was| Some(was.as_str()) != default(wanted.kind, key)) {
            proposal = proposal.field(key, Some(was), None);
            delete.push((*key).to_owned());
        }
    }
    // A job names its target for good.
    set.remove("target");
    if set.is_empty() && delete.is_empty() {
        return;
    }
    if wanted.kind == EntryKind::HaRule
        && let Some(kind) = wanted.entry.get("type")
    {
        set.insert("type".to_owned(), kind.clone());
    }
    let operation = write(EntryWrite::Update { set, delete });
    draft.propose(&wanted.host, &wanted.subject, proposal, operation);
}

/// Lists (`vm:1,vm:2`) are the same in every order.
fn normal(text: &str) -> BTreeSet<&str> {
    text.split([',', ' '])
        .map(|part| part.strip_suffix(":0").unwrap_or(part))
        .collect()
}

/// What is there and not wanted: ours goes, what belongs to others is named where it touches a guest of ours.
fn leftover(
    draft: &mut Draft,
    desired: &Desired,
    seen: &ObservedProxmox,
    kind: EntryKind,
    id: &str,
    entry: &Entry,
) {
    // Proxmox is removing it already.
    if entry.contains_key("remove_job") {
        return;
    }
    let about = guest(desired, kind, id);
    if entry.get("comment").map(|text| text.trim_end()) != Some(mark(desired).as_str()) {
        if about.is_some() {
            draft.leave_alone(format!("{kind} {id}, which infra did not make"));
        }
        return;
    }
    let host = about
        .and_then(|guest| desired.guests.get(guest))
        .map(|guest| guest.node.clone())
        .or_else(|| seen.nodes.keys().next().cloned());
    let Some(host) = host else { return };
    let reason = match kind {
        EntryKind::Replication => {
            "no longer in the inventory; the copy that it made stays where it is"
        }
        EntryKind::HaResource | EntryKind::HaRule | EntryKind::SdnZone | EntryKind::SdnVnet => {
            "no longer in the inventory"
        }
    };
    draft.saw(&host);
    draft.propose(
        &host,
        &format!("{kind} {id}"),
        Proposal::delete(reason),
        Operation::WriteEntry {
            kind,
            id: id.to_owned(),
            write: EntryWrite::Delete,
        },
    );
}

/// The changes after which a guest is there and runs.
fn made(guest: &Guest) -> Vec<String> {
    let own = [
        subject(guest),
        format!("{} seed", subject(guest)),
        format!("{} move", subject(guest)),
    ];
    let own = own.iter().map(|subject| id(&guest.node, subject));
    running(guest).into_iter().chain(own).collect()
}

fn resource_subject(guest: &Guest) -> String {
    format!("{} availability", subject(guest))
}

fn resource(desired: &Desired, guest: &Guest) -> Option<Wanted> {
    let ha = guest.ha.as_ref()?;
    Some(Wanted {
        kind: EntryKind::HaResource,
        id: format!("vm:{}", guest.vmid),
        host: guest.node.clone(),
        subject: resource_subject(guest),
        reason: "Proxmox starts it again, on another node if need be",
        entry: entry(&[
            ("state", &ha.state),
            ("max_restart", &ha.max_restart.to_string()),
            ("max_relocate", &ha.max_relocate.to_string()),
            ("failback", if ha.failback { "1" } else { "0" }),
            ("comment", &mark(desired)),
        ]),
        absent: Vec::new(),
        needs: made(guest),
    })
}

fn rules(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) -> Vec<Wanted> {
    if desired.ha_rules.is_empty() {
        return Vec::new();
    }
    if seen.version.starts_with("8.") {
        draft.block(
            "HA rules",
            format!("Proxmox VE {} has no HA rules yet", seen.version),
            "Upgrade to 9, or leave `ha_rules` out.",
        );
        return Vec::new();
    }
    let rule = |rule: &crate::model::cluster::HaRule| {
        let guests: Vec<&Guest> = rule
            .guests
            .iter()
            .filter_map(|name| desired.guests.get(name))
            .collect();
        let host = guests.first()?.node.clone();
        let sids: Vec<String> = guests
            .iter()
            .map(|guest| format!("vm:{}", guest.vmid))
            .collect();
        let mut wanted = entry(&[("resources", &sids.join(",")), ("comment", &mark(desired))]);
        let reason = match &rule.wish {
            HaWish::On { nodes, strict } => {
                let nodes: Vec<String> = nodes
                    .iter()
                    .map(|(node, priority)| format!("{node}:{priority}"))
                    .collect();
                let strict = if *strict { "1" } else { "0" };
                wanted.extend(entry(&[
                    ("type", "node-affinity"),
                    ("nodes", &nodes.join(",")),
                    ("strict", strict),
                ]));
                "says on which nodes these guests run"
            }
            HaWish::Together | HaWish::Apart => {
                let affinity = if rule.wish == HaWish::Together {
                    "positive"
                } else {
                    "negative"
                };
                wanted.extend(entry(&[
                    ("type", "resource-affinity"),
                    ("affinity", affinity),
                ]));
                "says how these guests stand to each other"
            }
        };
        let needs = guests
            .iter()
            .map(|guest| id(&guest.node, &resource_subject(guest)))
            .collect();
        Some(Wanted {
            kind: EntryKind::HaRule,
            id: rule.name.to_string(),
            host,
            subject: format!("HA rule {}", rule.name),
            reason,
            entry: wanted,
            absent: vec!["disable"],
            needs,
        })
    };
    desired.ha_rules.values().filter_map(rule).collect()
}

/// The jobs of a guest. One that was moved to the node of its copy is copied back: Proxmox turns the job round.
fn copies(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    seen: &ObservedProxmox,
) -> Vec<Wanted> {
    let none = BTreeMap::new();
    let jobs = seen
        .entries
        .get(&EntryKind::Replication)
        .unwrap_or(&none)
        .iter()
        .filter(|(id, job)| is_of(id, guest.vmid) && !job.contains_key("remove_job"));
    let jobs: BTreeMap<&String, &Entry> = jobs.collect();
    let every: BTreeSet<&String> = seen
        .entries
        .get(&EntryKind::Replication)
        .into_iter()
        .flat_map(BTreeMap::keys)
        .collect();
    let lives_on = seen
        .guests
        .get(&guest.vmid)
        .map_or(guest.node.as_str(), |found| found.node.as_str());
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    for replica in &guest.replicas {
        let target = if replica.target.as_str() == lives_on {
            &guest.node
        } else {
            &replica.target
        };
        if !can_be_copied(draft, guest, replica, seen) {
            continue;
        }
        let job = jobs
            .iter()
            .find(|(_, job)| job.get("target").map(String::as_str) == Some(target.as_str()))
            .map(|(id, _)| (*id).clone());
        let free = || {
            (0..=u32::from(u16::MAX))
                .map(|number| format!("{}-{number}", guest.vmid))
                .find(|id| !every.contains(id) && !taken.contains(id))
                .expect("no guest has that many copies")
        };
        let job = job.unwrap_or_else(free);
        taken.insert(job.clone());
        let mut wanted = entry(&[
            ("type", "local"),
            ("target", target.as_str()),
            ("schedule", &replica.schedule),
            ("comment", &mark(desired)),
        ]);
        let mut absent = vec!["disable"];
        match &replica.rate {
            Some(rate) => {
                wanted.insert("rate".to_owned(), rate.clone());
            }
            None => absent.push("rate"),
        }
        out.push(Wanted {
            kind: EntryKind::Replication,
            id: job,
            host: guest.node.clone(),
            subject: format!("{} copy on {}", subject(guest), replica.target),
            reason: "Proxmox keeps a copy of its disks there",
            entry: wanted,
            absent,
            needs: made(guest),
        });
    }
    out
}

fn is_of(id: &str, vmid: Vmid) -> bool {
    id.split_once('-')
        .is_some_and(|(guest, _)| guest == vmid.to_string())
}

/// Proxmox replicates ZFS volumes between storages of one name.
fn can_be_copied(
    draft: &mut Draft,
    guest: &Guest,
    replica: &Replica,
    seen: &ObservedProxmox,
) -> bool {
    let disks = guest.disks.iter().map(|disk| disk.storage.as_str());
    let storages: BTreeSet<&str> = disks.chain([guest.disk.storage.as_str()]).collect();
    let mut fine = true;
    for (storage, node) in storages
        .into_iter()
        .flat_map(|storage| [&guest.node, &replica.target].map(|node| (storage, node)))
    {
        let Some(live) = seen.nodes.get(node) else {
            continue;
        };
        if seen.unanswered(&Question::Node(node.clone())).is_some() || live.status == "offline" {
            continue;
        }
        let why = match live.storages.get(storage) {
            None => format!("node {node} has no storage `{storage}`"),
            Some(found) if found.kind != "zfspool" => format!(
                "storage `{storage}` on {node} is of type {}, and Proxmox replicates ZFS only",
                found.kind
            ),
            Some(_) => continue,
        };
        draft.block(
            format!("{} copy on {}", subject(guest), replica.target),
            why,
            format!("Give both nodes a ZFS pool under the same storage name `{storage}`, or leave `replicate` out."),
        );
        fine = false;
    }
    fine
}
