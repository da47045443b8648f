//! What the API said of a cluster -> files.

use super::{
    config,
    network::networks,
    sheet::{Sheet, quoted},
};
use crate::model::{
    adopted::is_dns_name,
    firewall::{PveRule, PveScope},
    ids::{HostName, SystemName, Vmid},
    observed::{ObservedGuest, ObservedNode, ObservedProxmox},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// How the cluster was reached; it becomes part of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the inventory.
    pub system: SystemName,
    /// `https://192.168.1.10:8006`.
    pub endpoint: String,
    /// The address in it, where it is one.
    pub address: Option<std::net::IpAddr>,
    /// `user@realm!tokenid`.
    pub token: String,
    /// The environment variable that holds the token's value.
    pub variable: String,
    /// SHA-256 of the server's certificate, as `pvenode cert info` prints it.
    pub fingerprint: String,
}

/// An inventory, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// File name -> text.
    pub files: BTreeMap<String, String>,
    /// What was seen and is not in them, one sentence each.
    pub unsaid: Vec<String>,
    /// How many guests are in them.
    pub guests: usize,
    /// How many templates are in them.
    pub templates: usize,
}

/// Writes what the API said.
pub fn proxmox(origin: &Origin, seen: &ObservedProxmox) -> Imported {
    let mut out = Imported::default();
    let networks = networks(seen, origin.address, &mut out.unsaid);
    let mut nodes = Vec::new();
    for (node, live) in &seen.nodes {
        match networks.addresses.get(node).map(Vec::as_slice) {
            Some([]) | None => out.unsaid.push(format!(
                "node {node}: no interface of it has an address that was seen; write its `address` by hand"
            )),
            Some(addresses) => nodes.push((node, live, addresses)),
        }
    }
    let system = system(origin, &nodes, &mut out.unsaid);
    out.files.insert("system.yaml".to_owned(), system);
    out.files
        .insert("network.yaml".to_owned(), networks.print());
    let written: BTreeSet<&str> = nodes.iter().map(|(node, ..)| node.as_str()).collect();
    let guests = guests(&origin.system, seen, &written, &mut out);
    out.files.insert("guests.yaml".to_owned(), guests);
    firewall(seen, &mut out.unsaid);
    mappings(seen, &mut out.unsaid);
    for unanswered in &seen.unanswered {
        out.unsaid.push(format!(
            "{} could not be read: {}",
            unanswered.question, unanswered.why
        ));
    }
    out
}

fn system(
    origin: &Origin,
    nodes: &[(&HostName, &ObservedNode, &[std::net::IpAddr])],
    unsaid: &mut Vec<String>,
) -> String {
    let mut out = Sheet::begin(&[
        "Written by `infra import` from a running Proxmox. docs/inventory.md explains every key.",
    ]);
    out.line(0, "version: 1");
    out.entry(0, "name", origin.system.as_str());
    out.open(0, "proxmox");
    out.entry(1, "endpoint", &origin.endpoint);
    let id = quoted(&origin.token);
    out.line(1, &format!("token: {{id: {id}, secret: proxmox_token}}"));
    let print = quoted(&origin.fingerprint);
    out.line(1, &format!("tls: {{fingerprint: {print}}}"));
    out.open(0, "secrets");
    let variable = quoted(&origin.variable);
    out.line(1, &format!("proxmox_token: {{env: {variable}}}"));
    if nodes.is_empty() {
        return out.text();
    }
    out.open(0, "nodes");
    for (node, live, addresses) in nodes {
        let texts: Vec<String> = addresses
            .iter()
            .map(|address| quoted(&address.to_string()))
            .collect();
        out.open(1, node.as_str());
        out.line(2, &format!("address: [{}]", texts.join(", ")));
        for (key, kind) in [("iso_storage", "iso"), ("import_storage", "import")] {
            let holds = |storage: &&String| {
                let found = live.storages.get(*storage);
                found.is_some_and(|found| found.active && found.content.iter().any(|c| c == kind))
            };
            let local = "local".to_owned();
            let chosen = std::iter::once(&local).chain(live.storages.keys());
            match chosen.into_iter().find(holds) {
                Some(storage) => out.entry(2, key, storage),
                None => unsaid.push(format!(
                    "node {node}: no storage of it holds `{kind}`, which new guests would need"
                )),
            }
        }
        for (name, storage) in &live.storages {
            let used = if storage.active { "" } else { ", not active" };
            unsaid.push(format!(
                "storage {name} of node {node} ({}, {}{used}): an inventory names storages only where something uses them",
                storage.kind,
                storage.content.join(" ")
            ));
        }
    }
    out.text()
}

/// Why a guest cannot be written: an inventory knows guests by DNS names, each once, on nodes that it has.
fn unwritable(
    found: &ObservedGuest,
    taken: &BTreeSet<&str>,
    nodes: &BTreeSet<&str>,
) -> Option<String> {
    if !nodes.contains(found.node.as_str()) {
        Some("its node could not be written".to_owned())
    } else if !is_dns_name(&found.name) {
        Some("its name is no DNS name; give it one in Proxmox and import again".to_owned())
    } else if taken.contains(found.name.as_str()) {
        Some("another guest has its name; give it its own in Proxmox and import again".to_owned())
    } else {
        None
    }
}

fn guests(
    system: &SystemName,
    seen: &ObservedProxmox,
    nodes: &BTreeSet<&str>,
    out: &mut Imported,
) -> String {
    let mark = format!("infra-{system}");
    let mut sheet = Sheet::begin(&[
        "Guests that were there before infra. They are compared with what is written here, option by option in Proxmox's",
        "own words, and put right when they differ; they are never made, started, stopped or destroyed, and nothing",
        "inside them is touched. What you do not write is not compared.",
    ]);
    let (mut adopted, mut templates) = (Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for (vmid, found) in &seen.guests {
        if found.kind != "qemu" {
            out.unsaid.push(format!(
                "container {vmid} {} on {}: infra knows virtual machines only",
                found.name, found.node
            ));
        } else if found.tags.contains(&mark) {
            out.unsaid.push(format!(
                "guest {vmid} {} on {}: infra made it for `{system}`, and its inventory is where it was made from",
                found.name, found.node
            ));
        } else if found.template && nodes.contains(found.node.as_str()) {
            templates.push((vmid, found));
        } else if found.config.is_none() {
            out.unsaid.push(format!(
                "guest {vmid} {} on {}: its configuration was not read",
                found.name, found.node
            ));
        } else if let Some(why) = unwritable(found, &taken, nodes) {
            out.unsaid.push(format!(
                "guest {vmid} {} on {}: {why}",
                found.name, found.node
            ));
        } else {
            taken.insert(found.name.as_str());
            adopted.push((vmid, found));
        }
    }
    if adopted.is_empty() {
        sheet.line(0, "adopted: {}");
    } else {
        sheet.open(0, "adopted");
    }
    for (vmid, found) in &adopted {
        guest(&mut sheet, **vmid, found, &mut out.unsaid);
    }
    if !templates.is_empty() {
        sheet.line(0, "# Templates that guests can be cloned from.");
        sheet.open(0, "images");
    }
    for (vmid, found) in &templates {
        let name = image_name(&found.name, **vmid);
        let node = quoted(&found.node);
        sheet.line(
            1,
            &format!("{name}: {{template: {{vmid: {vmid}, node: {node}}}}}"),
        );
        out.unsaid.push(format!(
            "template {vmid} {}: its own configuration is not compared, only cloned",
            found.name
        ));
    }
    out.guests = adopted.len();
    out.templates = templates.len();
    sheet.text()
}

fn guest(sheet: &mut Sheet, vmid: Vmid, found: &ObservedGuest, unsaid: &mut Vec<String>) {
    let empty = BTreeMap::new();
    let config = found.config.as_ref().unwrap_or(&empty);
    let (said, rest) = config::sorted(config);
    sheet.line(1, &format!("{}:", quoted(&found.name)));
    sheet.line(2, &format!("vmid: {vmid}"));
    sheet.entry(2, "node", &found.node);
    if said.is_empty() {
        sheet.line(2, "config: {}");
    } else {
        sheet.open(2, "config");
    }
    for (key, value) in &said {
        sheet.entry(3, key, value);
    }
    let who = format!("guest {vmid} {}", found.name);
    for (key, why) in rest {
        unsaid.push(format!("{who}: `{key}` is set: {why}"));
    }
    for (key, staged) in &found.pending {
        let next = staged.as_deref().unwrap_or("nothing");
        let shown = if config::place(key, next) == config::Place::Said {
            next
        } else {
            "another value"
        };
        unsaid.push(format!(
            "{who}: `{key}` becomes {shown} at its next start; what is written is what it runs with"
        ));
    }
    if let Some(pool) = &found.pool {
        unsaid.push(format!("{who}: it belongs to pool {pool}"));
    }
    if let Some(lock) = &found.lock {
        unsaid.push(format!("{who}: it was locked ({lock}) while it was read"));
    }
}

/// An image's name has fewer characters than a guest's.
fn image_name(name: &str, vmid: Vmid) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect();
    let plain = plain.trim_matches('-');
    format!("{plain}-{vmid}").trim_start_matches('-').to_owned()
}

fn firewall(seen: &ObservedProxmox, unsaid: &mut Vec<String>) {
    let why = "infra compiles firewalls from `flows:` and cannot say single rules";
    let mut scope = |name: String, scope: &PveScope| {
        for rule in &scope.rules.rules {
            unsaid.push(format!(
                "firewall of {name}: rule {}: {why}",
                rule_words(rule)
            ));
        }
        for (alias, value) in &scope.aliases {
            unsaid.push(format!(
                "firewall of {name}: alias {alias} = {}: {why}",
                value.cidr
            ));
        }
        for (set, value) in &scope.ipsets {
            let members: Vec<&str> = value.members.keys().map(String::as_str).collect();
            let members = members.join(" ");
            unsaid.push(format!(
                "firewall of {name}: IP set {set} = {members}: {why}"
            ));
        }
        if !scope.options.is_empty() {
            let options: Vec<String> = scope
                .options
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            unsaid.push(format!(
                "firewall of {name}: options {}: {why}",
                options.join(" ")
            ));
        }
    };
    scope("the datacenter".to_owned(), &seen.firewall.cluster);
    for (node, live) in &seen.firewall.nodes {
        scope(format!("node {node}"), live);
    }
    for (vmid, live) in &seen.firewall.guests {
        scope(format!("guest {vmid}"), live);
    }
    for (name, group) in &seen.firewall.groups {
        for rule in &group.rules.rules {
            unsaid.push(format!(
                "security group {name}: rule {}: {why}",
                rule_words(rule)
            ));
        }
        if group.rules.rules.is_empty() {
            unsaid.push(format!("security group {name} without rules: {why}"));
        }
    }
}

fn rule_words(rule: &PveRule) -> String {
    let mut out = format!("{:?} {}", rule.kind, rule.action).to_lowercase();
    let mut put = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " {name} {value}");
        }
    };
    put("proto", &rule.proto);
    put("macro", &rule.r#macro);
    put("from", &rule.source);
    put("to", &rule.dest);
    put("sport", &rule.sport);
    put("dport", &rule.dport);
    put("iface", &rule.iface);
    put("#", &rule.comment);
    if !rule.enable {
        out.push_str(" (switched off)");
    }
    out
}

fn mappings(seen: &ObservedProxmox, unsaid: &mut Vec<String>) {
    for (kind, all) in [
        ("directory", &seen.dir_mappings),
        ("PCI", &seen.pci_mappings),
        ("USB", &seen.usb_mappings),
    ] {
        for (id, entries) in all {
            unsaid.push(format!(
                "{kind} mapping {id} ({}): guests name it, an inventory does not make it",
                entries.join("; ")
            ));
        }
    }
    for pool in seen.pools.iter().flatten() {
        unsaid.push(format!(
            "pool {pool}: only guests of your own can be put into pools"
        ));
    }
    unsaid.extend(seen.complaints.iter().cloned());
}
