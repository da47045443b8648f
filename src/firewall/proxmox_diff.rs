//! From the Proxmox firewall as it is to the one that is wanted.

use super::{Strangers, rules_diff::diff_rules};
use crate::model::{
    firewall::{PveAlias, PveFirewall, PveGroup, PveIpset, PveRule, PveRules, PveScope},
    firewall_step::{PveLevel, PveStep},
    pve_normal::{normal_alias, normal_member},
};
use std::collections::{BTreeMap, BTreeSet};

/// A rule in a list of ours that infra did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignPveRule {
    /// Whose list.
    pub level: PveLevel,
    /// Position as seen.
    pub position: usize,
    /// The rule.
    pub rule: PveRule,
}

/// What separates two firewalls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PveDiff {
    /// Writes in a safe order; none when the two mean the same.
    pub steps: Vec<PveStep>,
    /// Rules that infra did not make, kept or removed as told.
    pub foreign: Vec<ForeignPveRule>,
}

/// The phases of a change, in their order: what opens, then what closes, and the main switch at the very end.
#[derive(Default)]
struct Phases {
    names: Vec<PveStep>,
    members: Vec<PveStep>,
    groups: Vec<PveStep>,
    rules: Vec<PveStep>,
    options: Vec<PveStep>,
    closing: Vec<PveStep>,
    deleted: Vec<PveStep>,
    switch: Vec<PveStep>,
    foreign: Vec<ForeignPveRule>,
    /// Members of the datacenter's sets, as rules would list them.
    sets: BTreeMap<String, String>,
}

/// Compares two firewalls by meaning. Only the nodes and guests that `desired` names are looked at; `strangers` says
/// what becomes of foreign rules on a level (a guest of infra's own, a node, the datacenter).
pub fn diff_pve(
    observed: &PveFirewall,
    desired: &PveFirewall,
    strangers: impl Fn(&PveLevel) -> Strangers,
) -> PveDiff {
    let mut phases = Phases {
        sets: listed([&observed.cluster, &desired.cluster]),
        ..Phases::default()
    };
    if *desired == PveFirewall::default() {
        return PveDiff::default();
    }
    let empty = PveScope::default();
    phases.names(&PveLevel::Cluster, &observed.cluster, &desired.cluster);
    phases.group_names(&observed.groups, &desired.groups);
    for (vmid, wanted) in &desired.guests {
        let seen = observed.guests.get(vmid).unwrap_or(&empty);
        phases.names(&PveLevel::Guest(*vmid), seen, wanted);
    }
    phases.groups(&observed.groups, &desired.groups);
    for (node, wanted) in &desired.nodes {
        let seen = observed.nodes.get(node).unwrap_or(&empty);
        let level = PveLevel::Node(node.clone());
        phases.scope(&level, seen, wanted, strangers(&level));
    }
    for (vmid, wanted) in &desired.guests {
        let seen = observed.guests.get(vmid).unwrap_or(&empty);
        let level = PveLevel::Guest(*vmid);
        phases.scope(&level, seen, wanted, strangers(&level));
    }
    let level = PveLevel::Cluster;
    let keep = strangers(&level);
    phases.scope(&level, &observed.cluster, &desired.cluster, keep);
    phases.finish()
}

/// Sets without exceptions, each as the list that a rule could have in its place; ours win.
fn listed(scopes: [&PveScope; 2]) -> BTreeMap<String, String> {
    let sets = scopes.into_iter().flat_map(|scope| &scope.ipsets);
    let plain = sets.filter(|(_, set)| !set.members.values().any(|nomatch| *nomatch));
    plain
        .map(|(name, set)| {
            let members: Vec<&str> = set.members.keys().map(String::as_str).collect();
            (name.clone(), members.join(","))
        })
        .collect()
}

/// The value an option has when it is not set (PVE 9.2.11). `dhcp` is left out on purpose: unset, the iptables
/// generator allows DHCP although the schema says 0.
fn default_option(level: &PveLevel, key: &str) -> Option<&'static str> {
    match (level, key) {
        (PveLevel::Cluster | PveLevel::Guest(_), "enable") | (PveLevel::Guest(_), "ipfilter") => {
            Some("0")
        }
        (PveLevel::Node(_), "enable") | (PveLevel::Guest(_), "macfilter" | "ndp") => Some("1"),
        (PveLevel::Cluster | PveLevel::Guest(_), "policy_in") => Some("DROP"),
        (PveLevel::Cluster | PveLevel::Guest(_), "policy_out") => Some("ACCEPT"),
        _ => None,
    }
}

impl Phases {
    fn names(&mut self, level: &PveLevel, seen: &PveScope, wanted: &PveScope) {
        self.aliases(level, &seen.aliases, &wanted.aliases);
        for (name, set) in &wanted.ipsets {
            self.ipset(level, name, seen.ipsets.get(name), set);
        }
        for (name, set) in &seen.ipsets {
            let ours = name.starts_with("infra-") || is_marked(set.comment.as_deref());
            if ours && !wanted.ipsets.contains_key(name) {
                self.deleted.push(PveStep::IpsetDelete {
                    level: level.clone(),
                    name: name.clone(),
                });
            }
        }
    }

    fn aliases(
        &mut self,
        level: &PveLevel,
        seen: &BTreeMap<String, PveAlias>,
        wanted: &BTreeMap<String, PveAlias>,
    ) {
        for (name, alias) in wanted {
            let (level, name, alias) = (level.clone(), name.clone(), alias.clone());
            let step = match seen.get(&name) {
                Some(old) if same_alias(old, &alias) => continue,
                Some(_) => PveStep::AliasUpdate { level, name, alias },
                None => PveStep::AliasCreate { level, name, alias },
            };
            // `local_network` replaces a whole subnet that reaches the nodes: the operators come first.
            if step.only_opens() {
                self.names.push(step);
            } else {
                self.closing.push(step);
            }
        }
        for (name, alias) in seen {
            let ours = name.starts_with("infra-") || is_marked(alias.comment.as_deref());
            if ours && !wanted.contains_key(name) {
                self.deleted.push(PveStep::AliasDelete {
                    level: level.clone(),
                    name: name.clone(),
                });
            }
        }
    }

    fn ipset(&mut self, level: &PveLevel, name: &str, seen: Option<&PveIpset>, wanted: &PveIpset) {
        let (level, name) = (level.clone(), name.to_owned());
        let comment = || wanted.comment.clone();
        match seen {
            None => self.names.push(PveStep::IpsetCreate {
                level: level.clone(),
                name: name.clone(),
                comment: comment(),
            }),
            Some(set) if trimmed(set.comment.as_ref()) != trimmed(wanted.comment.as_ref()) => {
                self.names.push(PveStep::IpsetComment {
                    level: level.clone(),
                    name: name.clone(),
                    comment: comment(),
                });
            }
            Some(_) => {}
        }
        let normal = |set: &PveIpset| -> BTreeMap<String, bool> {
            let members = set.members.iter();
            members
                .map(|(cidr, no)| (normal_member(cidr), *no))
                .collect()
        };
        let (old, new) = (seen.map(normal).unwrap_or_default(), normal(wanted));
        for (cidr, nomatch) in &new {
            // A member cannot be flipped: the API has no such call, so it goes and comes back.
            if old.get(cidr).is_some_and(|was| was != nomatch) {
                self.members.push(PveStep::MemberRemove {
                    level: level.clone(),
                    name: name.clone(),
                    cidr: cidr.clone(),
                });
            }
            if old.get(cidr) != Some(nomatch) {
                self.members.push(PveStep::MemberAdd {
                    level: level.clone(),
                    name: name.clone(),
                    cidr: cidr.clone(),
                    nomatch: *nomatch,
                });
            }
        }
        for cidr in old.keys().filter(|cidr| !new.contains_key(*cidr)) {
            self.closing.push(PveStep::MemberRemove {
                level: level.clone(),
                name: name.clone(),
                cidr: cidr.clone(),
            });
        }
    }

    fn group_names(
        &mut self,
        seen: &BTreeMap<String, PveGroup>,
        wanted: &BTreeMap<String, PveGroup>,
    ) {
        let missing = wanted.iter().filter(|(name, _)| !seen.contains_key(*name));
        let creations = missing.map(|(name, group)| PveStep::GroupCreate {
            name: name.clone(),
            comment: group.comment.clone(),
        });
        self.names.extend(creations);
    }

    fn groups(&mut self, seen: &BTreeMap<String, PveGroup>, wanted: &BTreeMap<String, PveGroup>) {
        let empty = PveRules::default();
        for (name, group) in wanted {
            let rules = seen.get(name).map_or(&empty, |old| &old.rules);
            let level = PveLevel::Group(name.clone());
            // A group is named by its content: a rule more in it would be a lie.
            let (steps, _) = diff_rules(&level, rules, &group.rules, Strangers::Remove, &self.sets);
            self.groups.extend(steps);
        }
        for (name, group) in seen {
            if name.starts_with("infra-") && !wanted.contains_key(name) {
                let level = PveLevel::Group(name.clone());
                let (steps, _) =
                    diff_rules(&level, &group.rules, &empty, Strangers::Remove, &self.sets);
                self.deleted.extend(steps);
                self.deleted
                    .push(PveStep::GroupDelete { name: name.clone() });
            }
        }
    }

    fn scope(
        &mut self,
        level: &PveLevel,
        seen: &PveScope,
        wanted: &PveScope,
        strangers: Strangers,
    ) {
        let (steps, foreign) = diff_rules(level, &seen.rules, &wanted.rules, strangers, &self.sets);
        self.rules.extend(steps);
        self.note(level, foreign);
        let mut set = BTreeMap::new();
        for (key, value) in &wanted.options {
            let live = seen.options.get(key).map(String::as_str);
            if live.or_else(|| default_option(level, key)) != Some(value) {
                set.insert(key.clone(), value.clone());
            }
        }
        let switch = (*level == PveLevel::Cluster)
            .then(|| set.remove_entry("enable"))
            .flatten();
        let options = |set| PveStep::Options {
            level: level.clone(),
            set,
        };
        if !set.is_empty() {
            self.options.push(options(set));
        }
        self.switch
            .extend(switch.map(|entry| options(BTreeMap::from([entry]))));
    }

    fn note(&mut self, level: &PveLevel, foreign: Vec<(usize, PveRule)>) {
        let foreign = foreign.into_iter().map(|(position, rule)| ForeignPveRule {
            level: level.clone(),
            position,
            rule,
        });
        self.foreign.extend(foreign);
    }

    fn finish(mut self) -> PveDiff {
        // Proxmox deletes a set or alias without asking who uses it, and then skips the rules that did.
        let used: BTreeSet<String> = self
            .foreign
            .iter()
            .flat_map(|f| [&f.rule.source, &f.rule.dest])
            .flatten()
            .flat_map(|list| list.split(','))
            .map(|name| {
                let name = name.trim_start_matches('+');
                name.rsplit('/').next().unwrap_or(name).to_owned()
            })
            .collect();
        self.deleted.retain(|step| {
            let name = match step {
                PveStep::IpsetDelete { name, .. } | PveStep::AliasDelete { name, .. } => Some(name),
                PveStep::AliasCreate { .. }
                | PveStep::AliasUpdate { .. }
                | PveStep::IpsetCreate { .. }
                | PveStep::IpsetComment { .. }
                | PveStep::MemberAdd { .. }
                | PveStep::MemberRemove { .. }
                | PveStep::GroupCreate { .. }
                | PveStep::GroupDelete { .. }
                | PveStep::RuleAdd { .. }
                | PveStep::RuleDelete { .. }
                | PveStep::RuleReplace { .. }
                | PveStep::RuleMove { .. }
                | PveStep::Options { .. } => None,
            };
            name.is_none_or(|name| !used.contains(name))
        });
        let steps = [
            self.names,
            self.members,
            self.groups,
            self.rules,
            self.closing,
            self.options,
            self.deleted,
            self.switch,
        ];
        PveDiff {
            steps: steps.concat(),
            foreign: self.foreign,
        }
    }
}

fn is_marked(comment: Option<&str>) -> bool {
    comment.is_some_and(|comment| comment.starts_with("infra:"))
}

fn trimmed(comment: Option<&String>) -> Option<&str> {
    comment.map(|c| c.trim()).filter(|c| !c.is_empty())
}

fn same_alias(a: &PveAlias, b: &PveAlias) -> bool {
    normal_alias(&a.cidr) == normal_alias(&b.cidr)
        && trimmed(a.comment.as_ref()) == trimmed(b.comment.as_ref())
}
