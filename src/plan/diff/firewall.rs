//! The flow matrix against what is enforced: Proxmox, UFW and Docker.

use super::firewall_reason;
use crate::firewall::{DOCKER_UNIT, Strangers, diff_pve, diff_ufw as compare_ufw};
use crate::model::{
    desired::Desired,
    facts::HostFacts,
    firewall::{PveRule, PveRuleKind, PveScope},
    firewall_step::{PveLevel, PveStep},
    ids::{HostName, Vmid},
    observed::{ObservedProxmox, Question},
    ufw::{Ufw, UfwAction, UfwDirection, UfwRule, UfwStep},
};
use crate::plan::{
    change::{Action, Field, Impact, Operation},
    draft::{Draft, Proposal, id},
    inputs::Inputs,
};
use std::collections::BTreeMap;

/// Compares the Proxmox firewall. Steps keep their order; consecutive ones of one level are one change.
pub(super) fn diff(draft: &mut Draft, inputs: &Inputs<'_>, seen: &ObservedProxmox) {
    let desired = inputs.desired;
    if !desired.speaks_of_firewalls() {
        return;
    }
    let Some(first) = desired.nodes.keys().next() else {
        return;
    };
    let ours = |level: &PveLevel| match level {
        // Our own guests' lists are ours alone: an extra rule there is a hole in the matrix.
        PveLevel::Guest(_) => Strangers::Remove,
        PveLevel::Cluster | PveLevel::Group(_) | PveLevel::Node(_) => Strangers::Keep,
    };
    let unknown = |level: &PveLevel| {
        seen.unanswered(&Question::Firewall(level.clone()))
            .is_some()
    };
    // Groups, sets and the main switch are the cluster's: without them no list can be judged.
    if unknown(&PveLevel::Cluster) {
        return;
    }
    let cloned = after_clones(draft, seen);
    let seen = cloned.as_ref().unwrap_or(seen);
    draft.compared += inputs.firewall.pve.guests.len() + inputs.firewall.pve.nodes.len() + 1;
    let mut found = diff_pve(&seen.firewall, &inputs.firewall.pve, ours);
    let in_part = seen
        .unanswered
        .iter()
        .any(|unanswered| matches!(unanswered.question, Question::Firewall(_)));
    found
        .steps
        .retain(|step| !(unknown(step.level()) || in_part && switches_on(step, seen)));
    for stranger in &found.foreign {
        if matches!(ours(&stranger.level), Strangers::Keep) {
            let rule = rule_words(&stranger.rule);
            draft.leave_alone(format!("firewall of {}: {rule}", stranger.level));
        }
    }
    let nodes: BTreeMap<Vmid, HostName> = desired
        .guests
        .values()
        .map(|guest| (guest.vmid, lives_on(seen, guest)))
        .collect();
    let mut groups: Vec<(PveLevel, Vec<PveStep>)> = Vec::new();
    for step in found.steps {
        match groups.last_mut() {
            Some((level, steps)) if level == step.level() && !switches_on(&step, seen) => {
                steps.push(step);
            }
            Some(_) | None => groups.push((step.level().clone(), vec![step])),
        }
    }
    let mut previous: Option<String> = None;
    for (number, (level, steps)) in groups.into_iter().enumerate() {
        let host = match &level {
            PveLevel::Node(node) => node.clone(),
            PveLevel::Guest(vmid) => nodes.get(vmid).unwrap_or(first).clone(),
            PveLevel::Cluster | PveLevel::Group(_) => first.clone(),
        };
        let enables = steps.iter().any(|step| switches_on(step, seen));
        let impact = if steps.iter().all(PveStep::only_opens) {
            Impact::Hot
        } else {
            Impact::MayCutAccess
        };
        let action = action(&steps);
        let reason = firewall_reason::of_pve(&level, &steps, seen);
        let mut proposal = match action {
            Action::Create => Proposal::create(reason),
            Action::Update => Proposal::update(reason),
            Action::Delete => Proposal::delete(reason),
        };
        proposal = proposal
            .fields(steps.iter().map(|step| words(step, seen)).collect())
            .impact(impact)
            .after(previous.take());
        let operation = if enables {
            Operation::EnableFirewall {
                steps,
                nodes: nodes.clone(),
                nftables: seen.firewall.nodes.values().any(with_nftables),
            }
        } else {
            Operation::Firewall {
                steps,
                nodes: nodes.clone(),
            }
        };
        let part = if number == 0 {
            String::new()
        } else {
            format!(" ({})", number + 1)
        };
        previous = Some(draft.propose(
            &host,
            &format!("firewall of {level}{part}"),
            proposal,
            operation,
        ));
    }
}

/// What is seen once the plan's clones are made: each has the firewall of its template, or none. None without clones.
fn after_clones(draft: &Draft, seen: &ObservedProxmox) -> Option<ObservedProxmox> {
    let mut after: Option<ObservedProxmox> = None;
    for change in &draft.changes {
        if let Operation::CloneGuest { from, vmid, .. } = &change.operation {
            let guests = &mut after.get_or_insert_with(|| seen.clone()).firewall.guests;
            match seen.firewall.guests.get(from) {
                Some(scope) => guests.insert(*vmid, scope.clone()),
                None => guests.remove(vmid),
            };
        }
    }
    after
}

/// Whether a node enforces with nftables instead of iptables.
fn with_nftables(node: &PveScope) -> bool {
    node.options
        .get("nftables")
        .is_some_and(|value| value == "1")
}

fn lives_on(seen: &ObservedProxmox, guest: &crate::model::guest::Guest) -> HostName {
    seen.guests
        .get(&guest.vmid)
        .and_then(|found| HostName::new(found.node.clone()).ok())
        .unwrap_or_else(|| guest.node.clone())
}

/// Whether the step switches the cluster's firewall on while it is off.
fn switches_on(step: &PveStep, seen: &ObservedProxmox) -> bool {
    let PveStep::Options {
        level: PveLevel::Cluster,
        set,
    } = step
    else {
        return false;
    };
    let off = seen
        .firewall
        .cluster
        .options
        .get("enable")
        .is_none_or(|value| value == "0");
    off && set.get("enable").is_some_and(|value| value == "1")
}

fn action(steps: &[PveStep]) -> Action {
    let creates = steps.iter().all(|step| {
        matches!(
            step,
            PveStep::AliasCreate { .. }
                | PveStep::IpsetCreate { .. }
                | PveStep::MemberAdd { .. }
                | PveStep::GroupCreate { .. }
                | PveStep::RuleAdd { .. }
        )
    });
    let deletes = steps.iter().all(|step| {
        matches!(
            step,
            PveStep::AliasDelete { .. }
                | PveStep::IpsetDelete { .. }
                | PveStep::MemberRemove { .. }
                | PveStep::GroupDelete { .. }
                | PveStep::RuleDelete { .. }
        )
    });
    match (creates, deletes) {
        (true, _) => Action::Create,
        (_, true) => Action::Delete,
        (false, false) => Action::Update,
    }
}

fn scope<'a>(level: &PveLevel, seen: &'a ObservedProxmox) -> Option<&'a PveScope> {
    match level {
        PveLevel::Cluster => Some(&seen.firewall.cluster),
        PveLevel::Node(node) => seen.firewall.nodes.get(node),
        PveLevel::Guest(vmid) => seen.firewall.guests.get(vmid),
        PveLevel::Group(_) => None,
    }
}

fn words(step: &PveStep, seen: &ObservedProxmox) -> Field {
    match step {
        PveStep::AliasCreate { name, alias, .. } => {
            Field::new(&format!("alias {name}"), None, Some(&alias.cidr))
        }
        PveStep::AliasUpdate { level, name, alias } => {
            let live = scope(level, seen).and_then(|scope| scope.aliases.get(name));
            let live = live.map(|alias| alias.cidr.as_str());
            Field::new(&format!("alias {name}"), live, Some(&alias.cidr))
        }
        PveStep::AliasDelete { name, .. } => {
            Field::new(&format!("alias {name}"), Some("present"), None)
        }
        PveStep::IpsetCreate { name, .. } => {
            Field::new(&format!("IP set {name}"), None, Some("present"))
        }
        PveStep::IpsetComment { name, comment, .. } => Field::new(
            &format!("IP set {name} comment"),
            Some("other"),
            comment.as_deref(),
        ),
        PveStep::MemberAdd {
            name,
            cidr,
            nomatch,
            ..
        } => {
            let member = if *nomatch {
                format!("!{cidr}")
            } else {
                cidr.clone()
            };
            Field::new(&format!("IP set {name}"), None, Some(&member))
        }
        PveStep::MemberRemove { name, cidr, .. } => {
            Field::new(&format!("IP set {name}"), Some(cidr), None)
        }
        PveStep::IpsetDelete { name, .. } => {
            Field::new(&format!("IP set {name}"), Some("present"), None)
        }
        PveStep::GroupCreate { name, .. } => {
            Field::new(&format!("group {name}"), None, Some("present"))
        }
        PveStep::GroupDelete { name } => {
            Field::new(&format!("group {name}"), Some("present"), None)
        }
        PveStep::RuleAdd { rule, .. } => Field::new("rule", None, Some(&rule_words(rule))),
        PveStep::RuleDelete { rule, .. } => Field::new("rule", Some(&rule_words(rule)), None),
        PveStep::RuleReplace { was, rule, .. } => {
            Field::new("rule", Some(&rule_words(was)), Some(&rule_words(rule)))
        }
        PveStep::RuleMove { rule, from, to, .. } => Field::new(
            &format!("rule {}", rule_words(rule)),
            Some(&format!("position {from}")),
            Some(&format!("position {to}")),
        ),
        PveStep::Options { level, set } => {
            let scope = scope(level, seen);
            let show = |key: &String, value: &str| format!("{key}={value}");
            let before: Vec<String> = set
                .keys()
                .filter_map(|key| Some(show(key, scope?.options.get(key)?)))
                .collect();
            let after: Vec<String> = set.iter().map(|(key, value)| show(key, value)).collect();
            let before = if before.is_empty() {
                None
            } else {
                Some(before.join(" "))
            };
            Field::new("options", before.as_deref(), Some(&after.join(" ")))
        }
    }
}

/// A rule on one line, as `pve-firewall` users read it.
fn rule_words(rule: &PveRule) -> String {
    let kind = match rule.kind {
        PveRuleKind::In => "in",
        PveRuleKind::Out => "out",
        PveRuleKind::Forward => "forward",
        PveRuleKind::Group => "group",
    };
    let mut words = vec![kind.to_owned(), rule.action.clone()];
    for (name, value) in [
        ("", &rule.proto),
        ("port ", &rule.dport),
        ("from ", &rule.source),
        ("to ", &rule.dest),
        ("macro ", &rule.r#macro),
    ] {
        if let Some(value) = value {
            words.push(format!("{name}{value}"));
        }
    }
    if !rule.enable {
        words.push("(disabled)".to_owned());
    }
    words.join(" ")
}

/// Compares a host's UFW and Docker's chain.
pub(super) fn diff_ufw(
    draft: &mut Draft,
    inputs: &Inputs<'_>,
    host: &HostName,
    facts: &HostFacts,
    needs: &[String],
) {
    let desired: &Desired = inputs.desired;
    if let Some(wanted) = inputs.firewall.ufw.get(host) {
        draft.saw(host);
        if facts.ufw.as_ref().is_some_and(|ufw| ufw.flushes_all) {
            draft.block(
                format!("{host}: ufw"),
                "MANAGE_BUILTINS=yes in /etc/default/ufw makes UFW flush every chain whenever it loads its rules, Docker's too",
                "set MANAGE_BUILTINS=no there, `ufw reload`, restart Docker, and run the command again",
            );
            return;
        }
        let strangers = if desired.guests.contains_key(host) {
            Strangers::Remove
        } else {
            Strangers::Keep
        };
        let found = compare_ufw(facts.ufw.as_ref(), wanted, strangers);
        if matches!(strangers, Strangers::Keep) {
            for rule in &found.foreign {
                draft.leave_alone(format!("{host}: ufw {}", ufw_words(rule)));
            }
        }
        for rule in &facts.beside_ufw {
            draft.leave_alone(format!(
                "{host}: kernel rule `{rule}`, which may let pass what UFW closes"
            ));
        }
        if !found.steps.is_empty() {
            let reason = firewall_reason::of_ufw(&found.steps.0, facts.ufw.as_ref());
            let proposal = if facts.ufw.is_some() {
                Proposal::update(reason)
            } else {
                Proposal::create(reason)
            };
            draft.propose(
                host,
                "ufw",
                proposal
                    .fields(
                        found
                            .steps
                            .0
                            .iter()
                            .map(|step| ufw_field(step, facts.ufw.as_ref()))
                            .collect(),
                    )
                    .impact(Impact::MayCutAccess)
                    .after(needs.iter().cloned().chain([id(host, "packages")])),
                Operation::Ufw(found.steps),
            );
        }
    }
    if let Some(wanted) = inputs.firewall.docker.get(host) {
        draft.saw(host);
        let docker = facts.docker.as_ref();
        let backend = docker.map_or("iptables", |docker| docker.firewall_backend.as_str());
        if let Some(help) = without_rules(backend) {
            draft.block(
                format!("{host}: published container ports"),
                format!("Docker there uses the firewall backend `{backend}`, for which infra has no rules"),
                help,
            );
            return;
        }
        let live = docker.and_then(|docker| docker.docker_user.as_deref());
        let unit = format!("unit {DOCKER_UNIT}");
        let starts_anyway = draft.changes.iter().any(|change| {
            change.host == *host
                && (change.subject == unit || change.subject.contains("docker-firewall"))
        });
        if !wanted.is_live(backend, live) && !starts_anyway {
            draft.propose(
                host,
                "docker firewall chain",
                Proposal::update(wanted.purpose())
                    .field(
                        "live rules",
                        live.map(|_| "other"),
                        Some("as in the inventory"),
                    )
                    .impact(Impact::Hot),
                Operation::RestartUnit {
                    unit: DOCKER_UNIT.to_owned(),
                },
            );
        }
    }
}

/// What to do about a backend of Docker behind which nothing of ours would stand.
fn without_rules(backend: &str) -> Option<&'static str> {
    match backend {
        "iptables" | "nftables" => None,
        _ if backend.contains("firewalld") => Some(
            "firewalld lets published ports pass before UFW's and infra's rules are asked: `systemctl disable --now firewalld`, restart Docker, and run the command again",
        ),
        _ => Some(
            "name `iptables` or `nftables` as `firewall-backend` in /etc/docker/daemon.json, restart Docker, and run the command again",
        ),
    }
}

fn ufw_field(step: &UfwStep, seen: Option<&Ufw>) -> Field {
    let yes = |on: bool| if on { "yes" } else { "no" };
    match step {
        UfwStep::Ipv6(on) => Field::new("IPv6", seen.map(|ufw| yes(ufw.ipv6)), Some(yes(*on))),
        UfwStep::Prepend(rule) | UfwStep::Append(rule) => {
            Field::new("rule", None, Some(&ufw_words(rule)))
        }
        UfwStep::Delete(rule) => Field::new("rule", Some(&ufw_words(rule)), None),
        UfwStep::Default(direction, action) => {
            let word = |action: UfwAction| format!("{action:?}").to_lowercase();
            let (name, live) = match direction {
                UfwDirection::In => ("default incoming", seen.map(|ufw| ufw.incoming)),
                UfwDirection::Out => ("default outgoing", seen.map(|ufw| ufw.outgoing)),
                UfwDirection::Route => ("default routed", seen.map(|ufw| ufw.routed)),
            };
            Field::new(name, live.map(word).as_deref(), Some(&word(*action)))
        }
        UfwStep::Enable => {
            let live = if seen.is_some_and(|ufw| ufw.enabled) {
                "active, without what differs"
            } else {
                "inactive"
            };
            Field::new("state", Some(live), Some("active"))
        }
    }
}

fn ufw_words(rule: &UfwRule) -> String {
    let mut words = vec![format!("{:?}", rule.action).to_lowercase()];
    words.push(format!("{:?}", rule.direction).to_lowercase());
    if !rule.ports.is_empty() {
        let ports: Vec<String> = rule.ports.iter().map(ToString::to_string).collect();
        words.push(ports.join(","));
    }
    words.extend(rule.proto.map(|proto| proto.to_string()));
    words.extend(rule.from.map(|from| format!("from {from}")));
    words.extend(rule.to.map(|to| format!("to {to}")));
    words.join(" ")
}
