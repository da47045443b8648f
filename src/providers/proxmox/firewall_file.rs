//! The firewall's files as a node's shell tells them: one look for all guests, where the API takes four questions for each.
//!
//! Invariant: what is not understood to the last word is not taken from a file. The API is asked instead, and tells what
//! Proxmox itself makes of it.

use crate::model::{
    firewall::{
        PveAlias, PveFirewall, PveGroup, PveIpset, PveRule, PveRuleKind, PveRules, PveScope,
    },
    ids::Vmid,
};
use std::{collections::BTreeMap, net::IpAddr};

/// The datacenter's file.
const CLUSTER: &str = "cluster.fw";

/// Files below `/etc/pve/firewall` by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirewallFiles(BTreeMap<String, String>);

/// What a file says.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct File {
    pub(super) scope: PveScope,
    pub(super) groups: BTreeMap<String, PveGroup>,
}

impl FirewallFiles {
    /// Files by their names.
    pub fn new(files: BTreeMap<String, String>) -> Self {
        Self(files)
    }

    /// The datacenter's file, when every word of it is understood and everything that it names is in it.
    pub(super) fn cluster(&self) -> Option<File> {
        let file = parse(self.text(CLUSTER))?;
        let rules = || {
            let of_groups = file.groups.values().flat_map(|group| &group.rules.rules);
            file.scope.rules.rules.iter().chain(of_groups)
        };
        let knows = Names {
            groups: &file.groups,
            cluster: &file.scope.ipsets,
            own: &BTreeMap::new(),
        };
        let is_known = rules().all(|rule| knows.rule(rule)) && Names::members(&file.scope);
        is_known.then_some(file)
    }

    /// A guest's scope, when every word of its file is understood and everything that it names exists. No file is a scope
    /// with nothing in it.
    pub(super) fn guest(&self, vmid: Vmid, cluster: &PveFirewall) -> Option<PveScope> {
        let File { scope, groups } = parse(self.text(&format!("{vmid}.fw")))?;
        let knows = Names {
            groups: &cluster.groups,
            cluster: &cluster.cluster.ipsets,
            own: &scope.ipsets,
        };
        let is_known = groups.is_empty()
            && scope.rules.rules.iter().all(|rule| knows.rule(rule))
            && Names::members(&scope);
        is_known.then_some(scope)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// What a rule may name.
struct Names<'a> {
    groups: &'a BTreeMap<String, PveGroup>,
    cluster: &'a BTreeMap<String, PveIpset>,
    own: &'a BTreeMap<String, PveIpset>,
}

impl Names<'_> {
    /// A rule that names what is not there is skipped by Proxmox, and only the API says so. Which macros there are, and
    /// what an alias stands for, is also only known there.
    fn rule(&self, rule: &PveRule) -> bool {
        if rule.kind == PveRuleKind::Group {
            return self.groups.contains_key(&rule.action);
        }
        let ends = [&rule.source, &rule.dest].into_iter().flatten();
        rule.r#macro.is_none()
            && matches!(rule.action.as_str(), "ACCEPT" | "DROP" | "REJECT")
            && ends.flat_map(|end| end.split(',')).all(|end| self.end(end))
    }

    fn end(&self, end: &str) -> bool {
        if let Some(name) = end.strip_prefix('+') {
            return match name.split_once('/') {
                Some(("dc", name)) => self.cluster.contains_key(name),
                Some(("guest", name)) => self.own.contains_key(name),
                Some(_) => false,
                None => self.own.contains_key(name) || self.cluster.contains_key(name),
            };
        }
        is_address(end)
    }

    fn members(scope: &PveScope) -> bool {
        let mut members = scope.ipsets.values().flat_map(|set| set.members.keys());
        members.all(|member| is_address(member))
    }
}

/// An address, a network, or a range.
fn is_address(text: &str) -> bool {
    let mut ends = text.splitn(2, '-');
    ends.all(|end| {
        let (address, length) = end.split_once('/').unwrap_or((end, "0"));
        address.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok()
    })
}

enum Section {
    Options,
    Aliases,
    Ipset(String),
    Rules,
    Group(String),
}

/// Reads a file as pve-firewall does (`PVE::Firewall::generic_fw_config_parser`); none when a line is not understood.
fn parse(text: &str) -> Option<File> {
    let mut file = File::default();
    let mut section = None;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (content, comment) = match line.split_once('#') {
            Some((content, comment)) => (content.trim(), Some(comment.trim().to_owned())),
            None => (line, None),
        };
        let comment = comment.filter(|text| !text.is_empty());
        if let Some(header) = content.strip_prefix('[') {
            section = Some(begin(&mut file, header.strip_suffix(']')?, comment)?);
            continue;
        }
        match section.as_ref()? {
            Section::Options => {
                let (key, value) = content.split_once(':')?;
                let (key, value) = (key.trim(), value.trim());
                let value = if key.starts_with("policy_") {
                    value.to_uppercase()
                } else {
                    value.to_owned()
                };
                file.scope.options.insert(key.to_owned(), value);
            }
            Section::Aliases => {
                let (name, cidr) = content.split_once(char::is_whitespace)?;
                let cidr = cidr.trim().to_owned();
                let alias = PveAlias { cidr, comment };
                file.scope.aliases.insert(name.to_owned(), alias);
            }
            Section::Ipset(name) => {
                let (cidr, nomatch) = match content.strip_prefix('!') {
                    Some(rest) => (rest.trim(), true),
                    None => (content, false),
                };
                let set = file.scope.ipsets.get_mut(name)?;
                set.members.insert(member(cidr), nomatch);
            }
            Section::Rules => file.scope.rules.rules.push(rule(content, comment)?),
            Section::Group(name) => {
                let group = file.groups.get_mut(name)?;
                group.rules.rules.push(rule(content, comment)?);
            }
        }
    }
    Some(file)
}

/// A section that is begun; none for one that is not known.
fn begin(file: &mut File, header: &str, comment: Option<String>) -> Option<Section> {
    let mut words = header.split_whitespace();
    let (kind, name, end) = (words.next()?.to_lowercase(), words.next(), words.next());
    let name = name.map(str::to_lowercase);
    match (kind.as_str(), name, end) {
        ("options", None, None) => Some(Section::Options),
        ("aliases", None, None) => Some(Section::Aliases),
        ("rules", None, None) => Some(Section::Rules),
        ("ipset", Some(name), None) => {
            let members = BTreeMap::new();
            let set = PveIpset { members, comment };
            file.scope.ipsets.insert(name.clone(), set);
            Some(Section::Ipset(name))
        }
        ("group", Some(name), None) => {
            let rules = PveRules::default();
            let group = PveGroup { comment, rules };
            file.groups.insert(name.clone(), group);
            Some(Section::Group(name))
        }
        _ => None,
    }
}

/// A single address carries no length in a set.
fn member(cidr: &str) -> String {
    let single = cidr.strip_suffix("/32").or(cidr.strip_suffix("/128"));
    single.unwrap_or(cidr).to_owned()
}

/// `|IN ACCEPT -i net0 -source ... # comment`: `|` in front switches a rule off.
fn rule(line: &str, comment: Option<String>) -> Option<PveRule> {
    let (enable, line) = match line.strip_prefix('|') {
        Some(rest) => (false, rest),
        None => (true, line),
    };
    let mut words = line.split_whitespace();
    let kind = match words.next()?.to_lowercase().as_str() {
        "in" => PveRuleKind::In,
        "out" => PveRuleKind::Out,
        "forward" => PveRuleKind::Forward,
        "group" => PveRuleKind::Group,
        _ => return None,
    };
    let action = words.next()?;
    let (r#macro, action) = match action.split_once('(') {
        Some((name, action)) => (Some(name.to_owned()), action.strip_suffix(')')?),
        None => (None, action),
    };
    let mut rule = PveRule {
        kind,
        action: if kind == PveRuleKind::Group {
            action.to_lowercase()
        } else {
            action.to_uppercase()
        },
        enable,
        proto: None,
        source: None,
        dest: None,
        sport: None,
        dport: None,
        icmp_type: None,
        r#macro,
        iface: None,
        log: None,
        comment,
    };
    while let Some(flag) = words.next() {
        let field = match flag {
            "-i" => &mut rule.iface,
            "-source" => &mut rule.source,
            "-dest" => &mut rule.dest,
            "-p" => &mut rule.proto,
            "-dport" => &mut rule.dport,
            "-sport" => &mut rule.sport,
            "-icmp-type" => &mut rule.icmp_type,
            "-log" => &mut rule.log,
            _ => return None,
        };
        if field.replace(words.next()?.to_owned()).is_some() {
            return None;
        }
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATACENTER: &str = "[OPTIONS]\n\nenable: 1\npolicy_in: drop\n\n[ALIASES]\n\nlocal_network 192.168.1.10 # infra\n\n\
        [IPSET operators] # infra: who administers\n\n192.168.1.50\n!192.168.1.51/32 # not this one\n\n\
        [RULES]\n\nIN ACCEPT -source +dc/operators -p tcp -dport 22 -log nolog # infra:ssh\n\n\
        [group web] # the web\n\n|IN ACCEPT -p tcp -dport 80,443\n\n";

    fn files(guest: &str) -> FirewallFiles {
        FirewallFiles::new(
            [(CLUSTER, DATACENTER), ("110.fw", guest)]
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        )
    }

    #[expect(clippy::unwrap_in_result, reason = "a test: none is what is asked for")]
    fn guest(text: &str) -> Option<PveScope> {
        let files = files(text);
        let File { scope, groups } = files.cluster().expect("understood");
        let cluster = PveFirewall {
            cluster: scope,
            groups,
            ..PveFirewall::default()
        };
        files.guest(110_u32.try_into().expect("valid"), &cluster)
    }

    #[test]
    fn the_datacenter_is_read_to_the_last_word() {
        let file = files("").cluster().expect("understood");
        assert_eq!(file.scope.options["policy_in"], "DROP");
        assert_eq!(file.scope.aliases["local_network"].cidr, "192.168.1.10");
        let members = &file.scope.ipsets["operators"].members;
        assert!(!members["192.168.1.50"] && members["192.168.1.51"]);
        let ssh = &file.scope.rules.rules[0];
        assert!(ssh.is_ours() && ssh.enable && ssh.dport.as_deref() == Some("22"));
        assert!(!file.groups["web"].rules.rules[0].enable);
    }

    #[test]
    fn a_guest_without_a_file_has_no_rules() {
        assert_eq!(guest(""), Some(PveScope::default()));
    }

    #[test]
    fn a_guest_is_read_with_its_sets_and_groups() {
        let seen = guest(
            "[OPTIONS]\nenable: 1\n[IPSET ipfilter-net0]\n10.0.0.1\n[RULES]\nGROUP web -i net0\nOUT DROP -dest +operators\n",
        );
        let seen = seen.expect("understood");
        assert_eq!(seen.rules.rules[0].iface.as_deref(), Some("net0"));
        assert!(
            seen.ipsets["ipfilter-net0"]
                .members
                .contains_key("10.0.0.1")
        );
    }

    #[test]
    fn what_only_the_api_can_judge_is_left_to_it() {
        for text in [
            "[RULES]\nGROUP gone\n",
            "[RULES]\nIN ACCEPT -source +nobody\n",
            "[RULES]\nIN ACCEPT -source an-alias\n",
            "[RULES]\nIN SSH(ACCEPT)\n",
            "[RULES]\nIN ACCEPT -nonsense 1\n",
            "[RULES]\nIN ACCEPT -p\n",
            "[IPSET a]\nan-alias\n",
            "[NEWS]\nsomething\n",
            "IN ACCEPT\n",
            "[group web]\nIN ACCEPT\n",
        ] {
            assert_eq!(guest(text), None, "{text}");
        }
    }
}
