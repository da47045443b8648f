//! Judging what was seen.

use super::{
    finding::{Finding, Verdict},
    guests,
    rights::{self, Need},
};
use crate::model::{
    desired::{ApiAuth, Desired},
    health::{NodeHealth, Rights},
    host::Node,
    ids::HostName,
    observed::{ObservedProxmox, Question},
    size::Bytes,
};
use std::collections::{BTreeMap, BTreeSet};

/// Clocks further apart than this make logs hard to read; further than [`CLOCK_BAD`] tickets and certificates fail.
const CLOCK_WARNING: i64 = 5;
const CLOCK_BAD: i64 = 60;
/// Less than this and a node can neither log nor store what a task writes.
const ROOT_BAD: u64 = 1 << 30;

/// What came of asking a guest's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentAnswer {
    /// It is there.
    Answers,
    /// Nobody answers.
    Silent,
    /// Our rights do not let us ask.
    MayNotBeAsked,
}

/// Everything that was asked.
pub struct Seen<'a> {
    /// What plans are made of.
    pub proxmox: &'a ObservedProxmox,
    /// The rights of our user or token, or why they are unknown.
    pub rights: Result<Rights, String>,
    /// Nodes, or why they are unknown.
    pub nodes: BTreeMap<HostName, Result<NodeHealth, String>>,
    /// What came of asking the agents of running guests.
    pub agents: BTreeMap<HostName, AgentAnswer>,
    /// Seconds since the epoch, here.
    pub now: i64,
}

/// Every finding, in the order in which one would look.
pub fn examine(desired: &Desired, seen: &Seen<'_>) -> Vec<Finding> {
    let mut out = vec![version(&seen.proxmox.version)];
    out.extend(rights(desired, &seen.proxmox.version, &seen.rights));
    for node in desired.nodes.values() {
        out.extend(on_node(desired, node, seen));
    }
    out.extend(guests::named(desired, seen.proxmox));
    out.extend(guests::security_groups(seen.proxmox));
    for (guest, answer) in &seen.agents {
        let found = |text| Finding::well("agent", guest.as_str(), text);
        out.push(match answer {
            AgentAnswer::Answers => found("answers"),
            AgentAnswer::Silent => found("does not answer").worse(
                Verdict::Warning,
                format!("On {guest}: `systemctl status qemu-guest-agent`."),
            ),
            AgentAnswer::MayNotBeAsked => found("may not be asked").worse(
                Verdict::Warning,
                "The rights above say which privilege asking takes, and how to give it.",
            ),
        });
    }
    for unanswered in &seen.proxmox.unanswered {
        let hint = unanswered.hint.clone();
        out.push(
            Finding::well("api", unanswered.question.to_string(), &unanswered.why).worse(
                Verdict::Unknown,
                hint.unwrap_or_else(|| "Run the command again.".to_owned()),
            ),
        );
    }
    for complaint in &seen.proxmox.complaints {
        out.push(Finding::well("firewall", "rules", complaint).worse(
            Verdict::Warning,
            "See what is gone under Datacenter > Firewall; Proxmox skips such a rule silently.",
        ));
    }
    out
}

fn version(text: &str) -> Finding {
    let mut parts = text.split('.').map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let found = Finding::well("version", "Proxmox VE", text);
    if (major, minor) >= (8, 4) {
        found
    } else if major == 0 {
        let found = Finding::well("version", "Proxmox VE", "is unknown");
        found.worse(Verdict::Unknown, "Run the command again.")
    } else {
        found.worse(
            Verdict::Bad,
            "infra supports 8.4 and 9: upgrade the node first.",
        )
    }
}

fn rights(desired: &Desired, version: &str, rights: &Result<Rights, String>) -> Vec<Finding> {
    let rights = match rights {
        Ok(rights) => rights,
        Err(why) => {
            let found = Finding::well("rights", "token", why);
            return vec![found.worse(Verdict::Unknown, "Run the command again.")];
        }
    };
    let all = rights::needs(desired, version);
    let count = all.len();
    let missing = rights::missing(all, rights);
    let mut out = if missing.is_empty() {
        let text = format!("all {count} privileges that this inventory takes");
        vec![Finding::well("rights", "token", text)]
    } else {
        lacking(desired, rights, &missing, Verdict::Bad)
    };
    let unasked = rights::missing(rights::agent_needs(desired, version), rights);
    out.extend(lacking(desired, rights, &unasked, Verdict::Warning));
    out
}

/// One finding for each privilege that is missing somewhere.
fn lacking(desired: &Desired, rights: &Rights, missing: &[Need], verdict: Verdict) -> Vec<Finding> {
    let mut by_privilege: BTreeMap<&str, Vec<&Need>> = BTreeMap::new();
    for need in missing {
        by_privilege.entry(need.privilege).or_default().push(need);
    }
    by_privilege
        .into_iter()
        .map(|(privilege, needs)| {
            let paths: Vec<&str> = needs.iter().map(|need| need.path.as_str()).collect();
            let text = format!(
                "is missing on {}: it takes that to {}",
                paths.join(", "),
                needs[0].purpose
            );
            Finding::well("rights", privilege, text)
                .worse(verdict, grant(desired, rights, privilege, &paths))
        })
        .collect()
}

/// The commands that give a privilege where it is missing: on the paths whose own entries hide what is given above them,
/// and otherwise on `/`.
pub fn grant(desired: &Desired, rights: &Rights, privilege: &str, paths: &[&str]) -> String {
    let who = match desired.proxmox.as_ref().map(|api| &api.auth) {
        Some(ApiAuth::Token { id, .. }) if rights.0.is_empty() => {
            return format!(
                "The token has no rights at all: with privilege separation it needs its own entry: \
                 `pveum acl modify / --tokens '{id}' --roles Infra`."
            );
        }
        // With privilege separation both need it.
        Some(ApiAuth::Token { id, .. }) => {
            let user = id.split_once('!').map_or(id.as_str(), |(user, _)| user);
            format!("--users {user} --tokens '{id}'")
        }
        Some(ApiAuth::Password { user, .. }) => format!("--users {user}"),
        None => String::new(),
    };
    // Where `/` has no entry, somebody gives rights path by path.
    let places: BTreeSet<&str> = paths
        .iter()
        .map(|path| rights.deciding(path).unwrap_or(path))
        .collect();
    let commands: Vec<String> = places
        .into_iter()
        .map(|path| format!("`pveum acl modify {path} {who} --roles Infra`"))
        .collect();
    format!(
        "`pveum role modify Infra --append 1 --privs {privilege}`, and where the role is not given yet: {}.",
        commands.join(", ")
    )
}

fn on_node(desired: &Desired, node: &Node, seen: &Seen<'_>) -> Vec<Finding> {
    let name = node.name.as_str();
    let Some(live) = seen.proxmox.nodes.get(&node.name) else {
        let found = Finding::well("node", name, "is not in the cluster, or may not be seen");
        return vec![found.worse(
            Verdict::Bad,
            "Write its name as `pvesh get /nodes` prints it; seeing it takes Sys.Audit.",
        )];
    };
    if live.status == "offline" {
        let found = Finding::well("node", name, "is off");
        return vec![found.worse(Verdict::Bad, format!("Switch {name} on."))];
    }
    let mut out = Vec::new();
    let asked = Question::Node(node.name.clone());
    if seen.proxmox.unanswered(&asked).is_none() {
        out.extend(storages(desired, node, seen));
        out.extend(bridges(desired, node, seen));
    }
    match seen.nodes.get(&node.name) {
        Some(Ok(health)) => out.extend(health_of(name, health, seen.now)),
        Some(Err(why)) => out.push(
            Finding::well("node", name, why).worse(Verdict::Unknown, "Run the command again."),
        ),
        None => {}
    }
    out
}

fn storages(desired: &Desired, node: &Node, seen: &Seen<'_>) -> Vec<Finding> {
    let Some(live) = seen.proxmox.nodes.get(&node.name) else {
        return Vec::new();
    };
    let mut wanted: Vec<(&str, &str)> = guests::here(desired, node)
        .flat_map(guests::storages)
        .chain(guests::of_templates(desired, node))
        .map(|storage| (storage, "images"))
        .chain([
            (node.iso_storage.as_str(), "iso"),
            (node.import_storage.as_str(), "import"),
        ])
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let judge = |(id, content): (&str, &str)| {
        let subject = format!("{id} on {}", node.name);
        let edit = format!("Datacenter > Storage > {id} > Content: allow `{content}`.");
        let Some(found) = live.storages.get(id) else {
            return Finding::well("storage", subject, "does not exist, or may not be seen").worse(
                Verdict::Bad,
                "Name a storage that `pvesm status` lists; seeing it takes Datastore.Audit.",
            );
        };
        let free = Bytes::mib(found.available >> 20);
        let text = format!("{}, holds {content}, {free} free", found.kind);
        let well = Finding::well("storage", subject.clone(), text.clone());
        if !found.content.iter().any(|kind| kind == content) {
            let text = format!("does not hold `{content}`");
            Finding::well("storage", subject, text).worse(Verdict::Bad, edit)
        } else if !found.active {
            Finding::well("storage", subject, "is not active").worse(
                Verdict::Bad,
                format!(
                    "`pvesm status --storage {id}` on {} says what it lacks.",
                    node.name
                ),
            )
        } else if found.available < ROOT_BAD {
            well.worse(Verdict::Bad, "Free some space.")
        } else {
            well
        }
    };
    wanted.into_iter().map(judge).collect()
}

fn bridges(desired: &Desired, node: &Node, seen: &Seen<'_>) -> Vec<Finding> {
    let Some(live) = seen.proxmox.nodes.get(&node.name) else {
        return Vec::new();
    };
    let mut wanted: Vec<&str> = guests::here(desired, node)
        .flat_map(|guest| &guest.nics)
        .map(|card| card.bridge.as_str())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let judge = |bridge: &str| {
        let subject = format!("{bridge} on {}", node.name);
        if live.bridges.contains_key(bridge) {
            Finding::well("bridge", subject, "is there")
        } else if node.made.keys().any(|made| made.as_str() == bridge)
            || desired.sdn.values().any(|zone| {
                zone.covers(&node.name) && zone.vnets.keys().any(|net| net.as_str() == bridge)
            })
        {
            Finding::well("bridge", subject, "is made by `infra up`")
        } else {
            Finding::well(
                "bridge",
                subject,
                "does not exist: guests on it would not start",
            )
            .worse(
                Verdict::Bad,
                format!("Create it under {} > System > Network.", node.name),
            )
        }
    };
    wanted.into_iter().map(judge).collect()
}

fn health_of(name: &str, health: &NodeHealth, now: i64) -> Vec<Finding> {
    let apart = (health.time - now).abs();
    let clock = Finding::well(
        "time",
        name,
        format!("{apart} s from ours, {}", health.timezone),
    );
    let clock = if apart > CLOCK_BAD {
        clock.worse(
            Verdict::Bad,
            format!("On {name}: `chronyc tracking`, then `chronyc makestep`."),
        )
    } else if apart > CLOCK_WARNING {
        clock.worse(Verdict::Warning, format!("On {name}: `chronyc tracking`."))
    } else {
        clock
    };
    let dns = if health.name_servers.is_empty() {
        Finding::well(
            "dns",
            name,
            "has no name server: it could not download images",
        )
        .worse(
            Verdict::Bad,
            format!("Set one under {name} > System > DNS."),
        )
    } else {
        Finding::well("dns", name, health.name_servers.join(", "))
    };
    let (free, total) = (health.root_free, health.root_total);
    let text = format!(
        "{} of {} free on /",
        Bytes::mib(free >> 20),
        Bytes::mib(total >> 20)
    );
    let space = Finding::well("space", name, text);
    let space = if free < ROOT_BAD {
        space.worse(
            Verdict::Bad,
            format!("Free some space on {name}: `du -xh / | sort -h | tail`."),
        )
    } else if free < total / 10 {
        space.worse(Verdict::Warning, format!("Free some space on {name}."))
    } else {
        space
    };
    vec![clock, dns, space]
}
