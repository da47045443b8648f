//! Where guests live, what the HA manager does with them, and where their copies are.

use super::{
    Noun, Scope,
    names::{entries, items},
    scope::or,
};
use crate::inventory::{
    codes,
    document::{self, Document, HaState, Keep, Via},
    written::At,
};
use crate::model::{
    cluster::{HaRule, HaWish, HighAvailability, Replica},
    guest::Guest,
    ids::{HaRuleName, HostName},
};
use std::collections::{BTreeMap, BTreeSet};

/// Most copies are a quarter of an hour old: Proxmox's own default.
const EVERY: &str = "*/15";

/// The node where a guest is created, and the others where it may live.
pub(super) fn homes(
    document: &Document,
    key: &At<String>,
    raw: &document::Guest,
    scope: &mut Scope<'_>,
) -> (Option<HostName>, Vec<HostName>) {
    let Some(at) = &raw.node else {
        let name = key.value.as_deref().unwrap_or_default();
        let home = by_rule(document, name).or_else(|| scope.only(Noun::Node, key.span, "node"));
        return (home, Vec::new());
    };
    let mut all: Vec<HostName> = Vec::new();
    for one in at.value.iter().flat_map(|many| &many.0) {
        let Some(node) = scope.refer::<HostName>(Noun::Node, one) else {
            continue;
        };
        if all.contains(&node) {
            scope
                .error(codes::PLACEMENT, format!("`{node}` is named twice"))
                .at(one.span, "again")
                .help("name each node once, the one where the guest is created first");
        } else {
            all.push(node);
        }
    }
    if at.value.as_ref().is_some_and(|many| many.0.is_empty()) {
        scope
            .error(codes::EMPTY, "a guest needs a node")
            .at(at.span, "no node");
    }
    let mut all = all.into_iter();
    (all.next(), all.collect())
}

/// The node that an HA rule prefers for a guest. Guests of one rule are dealt out to the nodes that it likes best.
fn by_rule(document: &Document, guest: &str) -> Option<HostName> {
    entries(&document.ha_rules).iter().find_map(|(_, rule)| {
        let rule = rule.value.as_ref()?;
        let guests = &rule.guests.value.as_ref()?.0;
        let place = guests
            .iter()
            .position(|one| one.value.as_deref() == Some(guest))?;
        let nodes: Vec<(u32, &str)> = entries(&rule.on)
            .iter()
            .filter_map(|(node, priority)| Some((priority.value?, node.value.as_deref()?)))
            .collect();
        let best = nodes.iter().map(|(priority, _)| *priority).max()?;
        let best: Vec<&str> = nodes
            .into_iter()
            .filter(|(priority, _)| *priority == best)
            .map(|(_, node)| node)
            .collect();
        HostName::new(best[place % best.len()]).ok()
    })
}

/// High availability with Proxmox's own defaults.
pub(super) fn high(raw: &document::Guest) -> Option<HighAvailability> {
    let ha = raw.ha.as_ref()?.value.as_ref()?;
    let state = match or(&ha.state, HaState::Started) {
        HaState::Started => "started",
        HaState::Ignored => "ignored",
    };
    Some(HighAvailability {
        state: state.to_owned(),
        max_restart: or(&ha.max_restart, 1),
        max_relocate: or(&ha.max_relocate, 1),
        failback: or(&ha.failback, true),
    })
}

/// Copies on other nodes.
pub(super) fn replicas(
    guest: &str,
    home: Option<&HostName>,
    raw: &document::Guest,
    scope: &mut Scope<'_>,
) -> Vec<Replica> {
    let mut out = Vec::new();
    for at in items(&raw.replicate) {
        let Some(copy) = &at.value else { continue };
        let Some(target) = scope.refer::<HostName>(Noun::Node, &copy.to) else {
            continue;
        };
        if Some(&target) == home {
            scope
                .error(
                    codes::PLACEMENT,
                    format!("`{guest}` lives on `{target}` already"),
                )
                .at(copy.to.span, "its own node")
                .help("name another node: a copy beside the disk is lost with the disk");
        }
        scope.unique(
            codes::PLACEMENT,
            &format!("the copy of `{guest}` on `{target}`"),
            "the same node",
            copy.to.span,
            "Proxmox keeps one copy on a node",
        );
        let schedule = or(&copy.every, EVERY.to_owned());
        if let Some(every) = &copy.every
            && !is_calendar_event(&schedule)
        {
            scope
                .error(
                    codes::INVALID_DURATION,
                    format!("`{schedule}` is not a calendar event"),
                )
                .at(every.span, "expected: `*/15`, `2:00`, `mon..fri 22:00`")
                .help("`*/15` is every quarter of an hour, `2,14:00` twice a day");
        }
        let rate = copy.rate.as_ref().and_then(|at| at.value.clone());
        if let (Some(text), Some(at)) = (&rate, &copy.rate)
            && !text.parse::<f64>().is_ok_and(|rate| rate >= 1.0)
        {
            scope
                .error(codes::OUT_OF_RANGE, format!("`{text}` is not a rate"))
                .at(at.span, "megabytes a second, at least 1");
        }
        out.push(Replica {
            target,
            schedule,
            rate,
        });
    }
    out
}

/// The characters and words of Proxmox's calendar events (`pve-calendar-event`); what they mean is its own business.
fn is_calendar_event(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "yearly",
        "quarterly",
        "semiannually",
    ];
    let words = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    !text.trim().is_empty()
        && text.len() <= 128
        && words.into_iter().all(|word| WORDS.contains(&word))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "*/,.:- ~".contains(c))
}

/// A guest that is tied to its node can neither be restarted elsewhere nor moved.
pub(super) fn check_ties(key: &At<String>, raw: &document::Guest, scope: &mut Scope<'_>) {
    let several = raw
        .node
        .as_ref()
        .filter(|at| at.value.as_ref().is_some_and(|many| many.0.len() > 1))
        .map(|at| at.span);
    let Some(span) = raw.ha.as_ref().map(|at| at.span).or(several) else {
        return;
    };
    let shared = items(&raw.mounts).iter().find_map(|at| {
        let mount = at.value.as_ref()?;
        matches!(or(&mount.via, Via::Virtiofs), Via::Virtiofs).then_some(at.span)
    });
    let pci = items(&raw.pci).first().map(|at| at.span);
    let usb = items(&raw.usb).first().map(|at| at.span);
    let Some((tie, what)) = shared
        .map(|span| (span, "a directory of one node"))
        .or(pci.or(usb).map(|span| (span, "a device of one node")))
    else {
        return;
    };
    let name = key.value.as_deref().unwrap_or_default();
    scope
        .error(
            codes::PLACEMENT,
            format!("`{name}` cannot live on another node"),
        )
        .at(span, "would start it elsewhere")
        .at(tie, what)
        .help("mount by `via: nfs` and pass no device through, or let it stay where it is");
}

/// All HA rules by name.
pub(super) fn rules(
    document: &Document,
    guests: &BTreeMap<HostName, Guest>,
    scope: &mut Scope<'_>,
) -> BTreeMap<HaRuleName, HaRule> {
    let mut out = BTreeMap::new();
    for (key, at) in entries(&document.ha_rules) {
        let name = scope.own_name::<HaRuleName>(key);
        let Some(raw) = &at.value else { continue };
        let members = members(raw, guests, scope);
        let wish = wish(document, key, at, raw, &members, scope);
        if let (Some(name), Some(wish)) = (name, wish) {
            let rule = HaRule {
                name: name.clone(),
                guests: members,
                wish,
            };
            out.insert(name, rule);
        }
    }
    out
}

fn members(
    raw: &document::HaRule,
    guests: &BTreeMap<HostName, Guest>,
    scope: &mut Scope<'_>,
) -> BTreeSet<HostName> {
    let mut out = BTreeSet::new();
    for at in raw.guests.value.iter().flat_map(|many| &many.0) {
        let Some(guest) = scope.refer::<HostName>(Noun::Guest, at) else {
            continue;
        };
        if guests.get(&guest).is_some_and(|guest| guest.ha.is_none()) {
            scope
                .error(
                    codes::HA_RULE,
                    format!("`{guest}` is not under high availability"),
                )
                .at(at.span, "the HA manager does not know it")
                .help(format!(
                    "write `ha: {{}}` at `guests.{guest}`, or leave it out here"
                ));
        }
        if raw.on.is_some() {
            scope.unique(
                codes::HA_RULE,
                &format!("the place of `{guest}`"),
                "another rule with `on`",
                at.span,
                "Proxmox takes one rule with nodes for a guest",
            );
        }
        out.insert(guest);
    }
    out
}

fn wish(
    document: &Document,
    key: &At<String>,
    at: &At<document::HaRule>,
    raw: &document::HaRule,
    members: &BTreeSet<HostName>,
    scope: &mut Scope<'_>,
) -> Option<HaWish> {
    let keep = raw.keep.as_ref().and_then(|at| at.value);
    if raw.on.is_some() == raw.keep.is_some() {
        scope
            .error(
                codes::ONE_OF,
                "an HA rule says either `on` which nodes, or what to `keep`",
            )
            .at(key.span, "one of the two")
            .help("`on: {pve1: 2, pve2: 1}`, or `keep: together`, or `keep: apart`");
        return None;
    }
    let Some(keep) = keep else {
        let mut nodes = BTreeMap::new();
        for (node, priority) in entries(&raw.on) {
            if let Some(name) = scope.refer::<HostName>(Noun::Node, node)
                && let Some(priority) = priority.value
            {
                nodes.insert(name, priority);
            }
        }
        if entries(&raw.on).is_empty() {
            let span = raw.on.as_ref().map_or(at.span, |on| on.span);
            scope
                .error(codes::EMPTY, "a rule without nodes says nothing")
                .at(span, "no node");
        }
        return Some(HaWish::On {
            nodes,
            strict: or(&raw.strict, false),
        });
    };
    if let Some(strict) = &raw.strict {
        scope.error(codes::HA_RULE, "`strict` belongs to `on`").at(
            strict.span,
            "Proxmox has no such option for guests among themselves",
        );
    }
    if members.len() < 2 {
        scope
            .error(codes::HA_RULE, "one guest alone is always so")
            .at(raw.guests.span, "at least two guests");
    }
    let nodes = entries(&document.nodes).len();
    if matches!(keep, Keep::Apart) && members.len() > nodes {
        scope
            .error(
                codes::HA_RULE,
                format!(
                    "{} guests cannot run on {nodes} nodes with none beside another",
                    members.len()
                ),
            )
            .at(raw.guests.span, "more guests than nodes")
            .help("Proxmox would refuse the rule; leave some of them out");
    }
    Some(match keep {
        Keep::Together => HaWish::Together,
        Keep::Apart => HaWish::Apart,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_events_are_known_by_their_words() {
        for fine in ["*/15", "2:00", "mon..fri 22:30", "daily", "sat,sun *:0/30"] {
            assert!(is_calendar_event(fine), "{fine}");
        }
        for bad in ["", "every 15 minutes", "15min", "noon", "2:00; rm"] {
            assert!(!is_calendar_event(bad), "{bad}");
        }
    }
}
