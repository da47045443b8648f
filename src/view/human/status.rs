//! What was seen, by host: guests, pools, datasets, containers, firewalls.

use crate::model::{
    desired::Desired,
    facts::{ContainerFact, HostFacts},
    ids::HostName,
    observed::{Observed, Reading},
};
use crate::view::{palette, words::about};
use serde::Serialize;
use std::fmt::Write as _;

/// One thing and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusLine {
    /// Host under which it is shown.
    pub host: String,
    /// What.
    pub what: String,
    /// How it is, in its own system's words.
    pub state: String,
    /// Whether that is how it should be.
    pub well: bool,
}

impl StatusLine {
    /// Whether it is as it should be.
    pub fn is_well(&self) -> bool {
        self.well
    }
}

/// Everything that was seen, as lines.
pub fn status_lines(desired: &Desired, observed: &Observed) -> Vec<StatusLine> {
    let mut out = Vec::new();
    let mut put = |host: &str, what: String, state: String, well: bool| {
        out.push(StatusLine {
            host: host.to_owned(),
            what,
            state,
            well,
        });
    };
    for node in desired.nodes.keys() {
        match &observed.proxmox {
            Some(Reading::Seen(seen)) => {
                let live = seen.nodes.get(node);
                let state =
                    live.map_or_else(|| "not in the cluster".to_owned(), |n| n.status.clone());
                let what = if seen.version.is_empty() {
                    "Proxmox VE".to_owned()
                } else {
                    format!("Proxmox VE {}", seen.version)
                };
                put(node.as_str(), what, state.clone(), state == "online");
            }
            Some(Reading::Failed { why, .. }) => {
                put(node.as_str(), "Proxmox API".to_owned(), why.clone(), false);
            }
            Some(Reading::Absent) | None => {}
        }
    }
    let first = desired.nodes.keys().next().map_or("", HostName::as_str);
    if let Some(seen) = observed.proxmox.as_ref().and_then(Reading::seen) {
        for unanswered in &seen.unanswered {
            let state = format!("unknown: {}", unanswered.why);
            put(first, unanswered.question.to_string(), state, false);
        }
        for complaint in &seen.complaints {
            put(first, "firewall".to_owned(), complaint.clone(), false);
        }
    }
    for guest in desired.guests.values() {
        let seen = observed.proxmox.as_ref().and_then(Reading::seen);
        let found = seen.and_then(|seen| seen.guests.get(&guest.vmid));
        let state = found.map_or_else(|| "does not exist".to_owned(), |found| found.status.clone());
        let at = guest
            .address()
            .map(|address| format!(" {address}"))
            .unwrap_or_default();
        put(
            guest.name.as_str(),
            format!("guest {}{at}", guest.vmid),
            state.clone(),
            state == "running",
        );
    }
    for (host, reading) in &observed.hosts {
        match reading {
            Reading::Seen(facts) => host_lines(desired, host.as_str(), facts, &mut put),
            Reading::Failed { why, .. } => {
                put(host.as_str(), "shell".to_owned(), why.clone(), false);
            }
            Reading::Absent => {}
        }
    }
    out.sort_by_key(|line| {
        desired
            .all_hosts()
            .position(|host| host.as_str() == line.host)
    });
    out
}

fn host_lines(
    desired: &Desired,
    host: &str,
    facts: &HostFacts,
    put: &mut impl FnMut(&str, String, String, bool),
) {
    for (name, pool) in &facts.zpools {
        let free = about(pool.free);
        put(
            host,
            format!("zpool {name}"),
            format!("{}, {free} free", pool.health),
            pool.health == "ONLINE",
        );
    }
    for dataset in desired
        .datasets
        .values()
        .filter(|dataset| dataset.host.as_str() == host)
    {
        let found = facts.datasets.get(&dataset.name);
        let mounted = found
            .and_then(|found| found.properties.get("mounted"))
            .is_some_and(|fact| fact.value == "yes");
        let state = match (found, mounted) {
            (None, _) => "does not exist",
            (Some(_), true) => "mounted",
            (Some(_), false) => "not mounted",
        };
        put(
            host,
            format!("dataset {}", dataset.name),
            state.to_owned(),
            mounted,
        );
    }
    for mount in desired
        .guests
        .values()
        .filter(|g| g.name.as_str() == host)
        .flat_map(|g| &g.mounts)
    {
        let found = facts.mounts.get(&mount.at);
        let state = found.map_or_else(
            || "not mounted".to_owned(),
            |found| format!("mounted ({})", found.fstype),
        );
        put(host, format!("mount {}", mount.at), state, found.is_some());
    }
    if let Some(ufw) = &facts.ufw {
        let state = if ufw.enabled {
            format!("active, {} rules", ufw.rules.len())
        } else {
            "inactive".to_owned()
        };
        put(host, "UFW".to_owned(), state, ufw.enabled);
    }
    for stack in desired
        .stacks
        .values()
        .filter(|stack| stack.on.as_str() == host)
    {
        let containers: Vec<&ContainerFact> = facts
            .docker
            .iter()
            .flat_map(|docker| &docker.containers)
            .filter(|container| container.project == stack.name.as_str())
            .collect();
        if containers.is_empty() {
            put(
                host,
                format!("stack {}", stack.name),
                "no containers".to_owned(),
                false,
            );
        }
        for container in containers {
            let well = container.state == "running" && container.health != "unhealthy"
                || container.state == "exited" && container.exit_code == 0;
            let health = if container.health.is_empty() {
                String::new()
            } else {
                format!(", {}", container.health)
            };
            put(
                host,
                format!("stack {} / {}", stack.name, container.service),
                format!("{}{health}", container.state),
                well,
            );
        }
    }
}

/// The lines, by host, with how many are not well.
pub fn status(lines: &[StatusLine]) -> String {
    let mut out = String::new();
    let width = lines
        .iter()
        .map(|line| line.what.chars().count())
        .max()
        .unwrap_or(0);
    let mut host = "";
    for line in lines {
        if line.host != host {
            host = &line.host;
            let _ = writeln!(out, "  {}", palette::name(host));
        }
        let mark = if line.well {
            palette::good("ok  ")
        } else {
            palette::bad("FAIL")
        };
        let _ = writeln!(out, "    {mark}  {:width$}  {}", line.what, line.state);
    }
    let ill = lines.iter().filter(|line| !line.well).count();
    let _ = match ill {
        0 => writeln!(out, "\n  All {} are well.", lines.len()),
        _ => writeln!(out, "\n  {ill} of {} need attention.", lines.len()),
    };
    out
}
