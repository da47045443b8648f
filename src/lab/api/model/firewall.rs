//! The firewall's files: cluster, nodes and guests, with the habits of their lists.

use super::digest::digest_of;
use crate::lab::{
    api::table::address,
    backend::{FirewallRule, FirewallScope, FirewallSnapshot},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rule: the fields as stored (`type`, `action`, `enable`, `proto` ...).
pub(crate) type Rule = BTreeMap<String, String>;

/// Seconds for which `enable` > 1 holds.
pub(crate) const DEAD_MAN: i64 = 60;

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// As it was written; the key is lower case.
    pub(crate) name: String,
    pub(crate) cidr: String,
    pub(crate) comment: Option<String>,
}

/// A member of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) cidr: String,
    pub(crate) nomatch: bool,
    pub(crate) comment: Option<String>,
}

/// A set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct IpSet {
    pub(crate) comment: Option<String>,
    pub(crate) members: Vec<Member>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) comment: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// One file: of the cluster, a node or a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) aliases: BTreeMap<String, Alias>,
    pub(crate) ipsets: BTreeMap<String, IpSet>,
}

/// All files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Firewall {
    pub(crate) cluster: Scope,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) nodes: BTreeMap<String, Scope>,
    pub(crate) guests: BTreeMap<u32, Scope>,
}

/// Which file a call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `cluster.fw`.
    Cluster,
    /// A security group in `cluster.fw`.
    Group(String),
    /// `host.fw`.
    Node(String),
    /// `<vmid>.fw`, whether or not the guest exists.
    Guest(u32),
}

impl Firewall {
    /// A file to read; one that was never written is empty.
    pub(crate) fn scope(&self, place: &Place) -> Scope {
        match place {
            Place::Cluster | Place::Group(_) => self.cluster.clone(),
            Place::Node(node) => self.nodes.get(node).cloned().unwrap_or_default(),
            Place::Guest(vmid) => self.guests.get(vmid).cloned().unwrap_or_default(),
        }
    }

    /// A file to change.
    pub(crate) fn scope_mut(&mut self, place: &Place) -> &mut Scope {
        match place {
            Place::Cluster | Place::Group(_) => &mut self.cluster,
            Place::Node(node) => self.nodes.entry(node.clone()).or_default(),
            Place::Guest(vmid) => self.guests.entry(*vmid).or_default(),
        }
    }

    /// The rules of a place.
    ///
    /// # Errors
    /// There is no such group.
    pub(crate) fn rules(&self, place: &Place) -> Result<Vec<Rule>, String> {
        match place {
            Place::Group(name) => Ok(self.group(name)?.rules.clone()),
            Place::Cluster | Place::Node(_) | Place::Guest(_) => Ok(self.scope(place).rules),
        }
    }

    /// The rules of a place, to change.
    ///
    /// # Errors
    /// There is no such group.
    pub(crate) fn rules_mut(&mut self, place: &Place) -> Result<&mut Vec<Rule>, String> {
        match place {
            Place::Group(name) => {
                let group = self.groups.get_mut(name);
                Ok(&mut group
                    .ok_or_else(|| format!("no such security group '{name}'"))?
                    .rules)
            }
            Place::Cluster | Place::Node(_) | Place::Guest(_) => {
                Ok(&mut self.scope_mut(place).rules)
            }
        }
    }

    /// A group.
    ///
    /// # Errors
    /// There is no such group.
    pub(crate) fn group(&self, name: &str) -> Result<&Group, String> {
        self.groups
            .get(name)
            .ok_or_else(|| format!("no such security group '{name}'"))
    }

    /// What is wrong with a rule where it stands: field -> complaint. Such a rule is skipped, not enforced.
    pub(crate) fn complaints(&self, place: &Place, rule: &Rule) -> BTreeMap<String, String> {
        let mut errors = BTreeMap::new();
        let field = |name: &str| {
            rule.get(name)
                .map(String::as_str)
                .filter(|value| !value.is_empty())
        };
        let kind = field("type").unwrap_or("in");
        let action = field("action").unwrap_or_default();
        if kind == "group" {
            if matches!(place, Place::Group(_)) {
                errors.insert("type".to_owned(), "security groups not allowed".to_owned());
            }
            if !is_name(action) {
                errors.insert(
                    "action".to_owned(),
                    "invalid characters in security group name".to_owned(),
                );
            }
        } else if !matches!(action, "ACCEPT" | "DROP" | "REJECT") {
            errors.insert("action".to_owned(), format!("unknown action '{action}'"));
        }
        if let Some(iface) = field("iface") {
            match place {
                Place::Group(_) => {
                    errors.insert(
                        "iface".to_owned(),
                        "parameter not allowed for this rule_type".to_owned(),
                    );
                }
                Place::Guest(_) if !is_card(iface) => {
                    let text = "value does not match the regex pattern 'net\\d+'".to_owned();
                    errors.insert("iface".to_owned(), text);
                }
                Place::Cluster | Place::Node(_) | Place::Guest(_) => {}
            }
        }
        if let Some(name) = field("macro")
            && !super::macros::is_known(name)
        {
            errors.insert("macro".to_owned(), format!("unknown macro '{name}'"));
        }
        for ports in ["dport", "sport"] {
            if field(ports).is_some() && field("proto").is_none() {
                let text = format!("missing property - '{ports}' requires this property");
                errors.insert("proto".to_owned(), text);
            }
        }
        for end in ["source", "dest"] {
            if let Some(complaint) = field(end).and_then(|text| self.missing_reference(place, text))
            {
                errors.insert(end.to_owned(), complaint);
            }
        }
        let families: Vec<u8> = ["source", "dest"]
            .iter()
            .filter_map(|end| field(end).and_then(|text| address::family(text).ok().flatten()))
            .collect();
        if let [source, dest] = families[..]
            && source != dest
        {
            errors.insert(
                "dest".to_owned(),
                "detected mixed ipv4/ipv6 addresses in rule".to_owned(),
            );
        }
        errors
    }

    fn missing_reference(&self, place: &Place, text: &str) -> Option<String> {
        let own = self.scope(place);
        let (is_set, name) = text
            .strip_prefix('+')
            .map_or((false, text), |name| (true, name));
        let (scope, plain) = match name.split_once('/') {
            Some((scope @ ("dc" | "guest"), plain)) => (Some(scope), plain),
            _ => (None, name),
        };
        let knows = |file: &Scope| {
            if is_set {
                file.ipsets.contains_key(plain)
            } else {
                file.aliases.contains_key(&plain.to_lowercase())
            }
        };
        if !is_set && !address::is_alias(name) {
            return None;
        }
        let found = match scope {
            Some("dc") => knows(&self.cluster),
            Some(_) => knows(&own),
            None => knows(&own) || knows(&self.cluster),
        };
        if found {
            return None;
        }
        let kind = if is_set { "ipset" } else { "alias" };
        Some(format!("no such {kind} '{name}'"))
    }

    /// Value of an alias seen from a place.
    pub(crate) fn has_alias(&self, place: &Place, name: &str) -> bool {
        self.missing_reference(place, name).is_none()
    }

    /// Whether the cluster's firewall is on: a dead-man time counts for a minute.
    pub(crate) fn enabled(&self, now: i64, scale: f64) -> i64 {
        let stored = self
            .cluster
            .options
            .get("enable")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        if stored > 1 && is_over(now - stored, scale) {
            0
        } else {
            stored
        }
    }

    /// What is to be enforced now. Rules with complaints are left out, as the real compiler skips them.
    pub(crate) fn snapshot(&self, now: i64, scale: f64) -> FirewallSnapshot {
        let mut options = self.cluster.options.clone();
        let is_on = self.enabled(now, scale) > 0;
        options.insert("enable".to_owned(), i32::from(is_on).to_string());
        FirewallSnapshot {
            options,
            rules: self.valid(&Place::Cluster, &self.cluster.rules),
            aliases: aliases(&self.cluster),
            ipsets: ipsets(&self.cluster),
            groups: self
                .groups
                .iter()
                .map(|(name, group)| {
                    (
                        name.clone(),
                        self.valid(&Place::Group(name.clone()), &group.rules),
                    )
                })
                .collect(),
            nodes: self
                .nodes
                .iter()
                .map(|(node, scope)| {
                    (
                        node.clone(),
                        self.scope_snapshot(&Place::Node(node.clone()), scope),
                    )
                })
                .collect(),
            guests: self
                .guests
                .iter()
                .filter_map(|(vmid, scope)| {
                    let id = crate::model::ids::Vmid::new(*vmid).ok()?;
                    Some((id, self.scope_snapshot(&Place::Guest(*vmid), scope)))
                })
                .collect(),
        }
    }

    fn scope_snapshot(&self, place: &Place, scope: &Scope) -> FirewallScope {
        FirewallScope {
            options: scope.options.clone(),
            rules: self.valid(place, &scope.rules),
            aliases: aliases(scope),
            ipsets: ipsets(scope),
        }
    }

    fn valid(&self, place: &Place, rules: &[Rule]) -> Vec<FirewallRule> {
        rules
            .iter()
            .filter(|rule| self.complaints(place, rule).is_empty())
            .cloned()
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a minute")]
fn is_over(seconds: i64, scale: f64) -> bool {
    seconds as f64 > DEAD_MAN as f64 * scale
}

fn aliases(scope: &Scope) -> BTreeMap<String, String> {
    scope
        .aliases
        .iter()
        .map(|(name, alias)| (name.clone(), alias.cidr.clone()))
        .collect()
}

fn ipsets(scope: &Scope) -> BTreeMap<String, Vec<(String, bool)>> {
    let members = |set: &IpSet| {
        set.members
            .iter()
            .map(|m| (m.cidr.clone(), m.nomatch))
            .collect()
    };
    scope
        .ipsets
        .iter()
        .map(|(name, set)| (name.clone(), members(set)))
        .collect()
}

fn is_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_card(text: &str) -> bool {
    text.strip_prefix("net")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Moves a rule before the one that is now at `to`; the same index or the next one changes nothing.
pub(crate) fn shift(rules: &mut Vec<Rule>, from: usize, to: usize) {
    if from == to {
        return;
    }
    let rule = rules.remove(from);
    let to = if to > from { to - 1 } else { to };
    let to = to.min(rules.len());
    rules.insert(to, rule);
}

/// The digest that every entry of a list of rules carries.
pub(crate) fn rules_digest(rules: &[Rule]) -> String {
    digest_of(rules.iter().map(|rule| {
        let fields: Vec<String> = rule
            .iter()
            .map(|(name, value)| format!("{name}={value}|"))
            .collect();
        format!(
            "{}
",
            fields.concat()
        )
    }))
}

/// The digest of options.
pub(crate) fn options_digest(options: &BTreeMap<String, String>) -> String {
    digest_of(options.iter().map(|(name, value)| {
        format!(
            "{name}: {value}
"
        )
    }))
}

/// Refuses a stale digest. None means that the caller does not care.
///
/// # Errors
/// As the real API words it.
pub(crate) fn assert_unchanged(current: &str, given: Option<&str>) -> Result<(), String> {
    match given {
        Some(given) if given != current => Err(
            "detected modified configuration - file changed by other user? Try again.".to_owned(),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(comment: &str) -> Rule {
        [("type", "in"), ("action", "ACCEPT"), ("comment", comment)]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn order(rules: &[Rule]) -> Vec<&str> {
        rules.iter().map(|rule| rule["comment"].as_str()).collect()
    }

    #[test]
    fn moveto_means_before_the_rule_now_at_that_index() {
        let all = || vec![rule("a"), rule("b"), rule("c")];
        let mut rules = all();
        shift(&mut rules, 0, 1);
        assert_eq!(order(&rules), ["a", "b", "c"], "0 to 1 changes nothing");
        shift(&mut rules, 0, 3);
        assert_eq!(order(&rules), ["b", "c", "a"]);
        let mut rules = all();
        shift(&mut rules, 2, 0);
        assert_eq!(order(&rules), ["c", "a", "b"]);
        let mut rules = all();
        shift(&mut rules, 0, 2);
        assert_eq!(order(&rules), ["b", "a", "c"]);
    }

    #[test]
    fn a_rule_whose_alias_is_gone_is_skipped() {
        let mut firewall = Firewall::default();
        let mut lost = rule("x");
        lost.insert("source".to_owned(), "dc/intranet".to_owned());
        firewall.scope_mut(&Place::Guest(150)).rules = vec![lost.clone(), rule("y")];
        let errors = firewall.complaints(&Place::Guest(150), &lost);
        assert_eq!(errors["source"], "no such alias 'dc/intranet'");
        let snapshot = firewall.snapshot(0, 1.0);
        let guest = crate::model::ids::Vmid::new(150).expect("valid");
        assert_eq!(snapshot.guests[&guest].rules.len(), 1);
    }

    #[test]
    fn the_dead_man_time_counts_for_a_minute() {
        let mut firewall = Firewall::default();
        firewall
            .cluster
            .options
            .insert("enable".to_owned(), "1000".to_owned());
        assert_eq!(firewall.enabled(1_060, 1.0), 1000);
        assert_eq!(firewall.enabled(1_061, 1.0), 0);
        assert_eq!(firewall.snapshot(1_061, 1.0).options["enable"], "0");
    }

    #[test]
    fn the_digest_of_nothing_is_the_recorded_one() {
        assert_eq!(
            options_digest(&BTreeMap::new()),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
    }
}
