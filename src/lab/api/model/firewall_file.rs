//! `cluster.fw`, `host.fw` and `<vmid>.fw` as Proxmox writes and reads them.
//!
//! A line that makes no sense is skipped, as pve-firewall skips it with a warning.

use super::firewall::{Alias, Group, IpSet, Member, Rule, Scope};
use std::{collections::BTreeMap, fmt::Write as _};

/// Why writing text into a `String` is not checked.
const INFALLIBLE: &str = "writing to a String cannot fail";

/// The fields of a rule behind its action, in the order in which Proxmox writes them.
const FLAGS: [(&str, &str); 8] = [
    ("iface", "-i"),
    ("source", "-source"),
    ("dest", "-dest"),
    ("proto", "-p"),
    ("dport", "-dport"),
    ("sport", "-sport"),
    ("icmp-type", "-icmp-type"),
    ("log", "-log"),
];

/// A file's text; empty when there is nothing to say, and then Proxmox has no file.
pub(crate) fn text(scope: &Scope, groups: &BTreeMap<String, Group>) -> String {
    let mut out = String::new();
    if !scope.options.is_empty() {
        out.push_str("[OPTIONS]\n\n");
        for (name, value) in &scope.options {
            writeln!(out, "{name}: {value}").expect(INFALLIBLE);
        }
        out.push('\n');
    }
    if !scope.aliases.is_empty() {
        out.push_str("[ALIASES]\n\n");
        for alias in scope.aliases.values() {
            let remark = remark(alias.comment.as_deref());
            writeln!(out, "{} {}{remark}", alias.name, alias.cidr).expect(INFALLIBLE);
        }
        out.push('\n');
    }
    for (name, set) in &scope.ipsets {
        let comment = remark(set.comment.as_deref());
        writeln!(out, "[IPSET {name}]{comment}\n").expect(INFALLIBLE);
        for member in &set.members {
            let no = if member.nomatch { "!" } else { "" };
            let comment = remark(member.comment.as_deref());
            writeln!(out, "{no}{}{comment}", member.cidr).expect(INFALLIBLE);
        }
        out.push('\n');
    }
    if !scope.rules.is_empty() {
        out.push_str("[RULES]\n\n");
        write_rules(&mut out, &scope.rules);
    }
    for (name, group) in groups {
        let comment = remark(group.comment.as_deref());
        writeln!(out, "[group {name}]{comment}\n").expect(INFALLIBLE);
        write_rules(&mut out, &group.rules);
    }
    out
}

fn remark(comment: Option<&str>) -> String {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty());
    comment.map_or_else(String::new, |text| format!(" # {text}"))
}

fn write_rules(out: &mut String, rules: &[Rule]) {
    for rule in rules {
        let field = |name: &str| rule.get(name).map_or("", String::as_str);
        let off = field("enable") == "0";
        let kind = field("type").to_uppercase();
        let action = match field("macro") {
            "" => field("action").to_owned(),
            name => format!("{name}({})", field("action")),
        };
        write!(out, "{}{kind} {action}", if off { "|" } else { "" }).expect(INFALLIBLE);
        for (name, flag) in FLAGS {
            let value = field(name);
            if !value.is_empty() {
                write!(out, " {flag} {value}").expect(INFALLIBLE);
            }
        }
        out.push_str(&remark(rule.get("comment").map(String::as_str)));
        out.push('\n');
    }
    out.push('\n');
}

enum Section {
    Options,
    Aliases,
    Ipset(String),
    Rules,
    Group(String),
    Unknown,
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> (Scope, BTreeMap<String, Group>) {
    let mut scope = Scope::default();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut section = Section::Unknown;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (content, comment) = match line.split_once('#') {
            Some((content, comment)) => (content.trim(), Some(comment.trim().to_owned())),
            None => (line, None),
        };
        if let Some(header) = content.strip_prefix('[') {
            section = head(header.trim_end_matches(']'));
            match &section {
                Section::Ipset(name) => {
                    scope.ipsets.entry(name.clone()).or_default().comment = comment;
                }
                Section::Group(name) => {
                    groups.entry(name.clone()).or_default().comment = comment;
                }
                Section::Options | Section::Aliases | Section::Rules | Section::Unknown => {}
            }
            continue;
        }
        match &section {
            Section::Options => {
                if let Some((name, value)) = content.split_once(':') {
                    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                    scope.options.insert(name, value);
                }
            }
            Section::Aliases => {
                if let Some((name, cidr)) = content.split_once(char::is_whitespace) {
                    let alias = Alias {
                        name: name.to_owned(),
                        cidr: cidr.trim().to_owned(),
                        comment,
                    };
                    scope.aliases.insert(name.to_lowercase(), alias);
                }
            }
            Section::Ipset(name) => {
                let (nomatch, cidr) = match content.strip_prefix('!') {
                    Some(rest) => (true, rest.trim()),
                    None => (false, content),
                };
                let member = Member {
                    cidr: cidr.to_owned(),
                    nomatch,
                    comment,
                };
                let set: &mut IpSet = scope.ipsets.entry(name.clone()).or_default();
                set.members.push(member);
            }
            Section::Rules => scope.rules.extend(rule(content, comment)),
            Section::Group(name) => {
                let group = groups.entry(name.clone()).or_default();
                group.rules.extend(rule(content, comment));
            }
            Section::Unknown => {}
        }
    }
    (scope, groups)
}

fn head(text: &str) -> Section {
    let mut words = text.split_whitespace();
    let (kind, name) = (words.next().unwrap_or_default(), words.next());
    match (kind.to_lowercase().as_str(), name) {
        ("options", None) => Section::Options,
        ("aliases", None) => Section::Aliases,
        ("rules", None) => Section::Rules,
        ("ipset", Some(name)) => Section::Ipset(name.to_lowercase()),
        ("group", Some(name)) => Section::Group(name.to_lowercase()),
        _ => Section::Unknown,
    }
}

fn rule(line: &str, comment: Option<String>) -> Option<Rule> {
    let (enable, line) = match line.strip_prefix('|') {
        Some(rest) => ("0", rest),
        None => ("1", line),
    };
    let mut words = line.split_whitespace();
    let kind = words.next()?.to_lowercase();
    let action = words.next()?;
    let mut rule = Rule::from([
        ("enable".to_owned(), enable.to_owned()),
        ("type".to_owned(), kind),
    ]);
    match action.split_once('(') {
        Some((name, action)) => {
            rule.insert("macro".to_owned(), name.to_owned());
            rule.insert("action".to_owned(), action.trim_end_matches(')').to_owned());
        }
        None => {
            rule.insert("action".to_owned(), action.to_owned());
        }
    }
    while let Some(flag) = words.next() {
        let long = flag.replacen("--", "-", 1);
        let known = FLAGS
            .iter()
            .find(|(name, short)| *short == long || long.strip_prefix('-') == Some(*name));
        let (name, _) = known?;
        rule.insert((*name).to_owned(), words.next()?.to_owned());
    }
    rule.extend(comment.map(|text| ("comment".to_owned(), text)));
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a node of Proxmox VE writes its datacenter file.
    const CLUSTER: &str = "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[ALIASES]\n\nlocal_network 192.168.1.10 # infra: the node itself\n\n\
        [IPSET management] # infra: who administers the nodes\n\n192.168.1.50\n!192.168.1.51 # not this one\n\n\
        [RULES]\n\nIN ACCEPT -source +dc/management -p tcp -dport 22 -log nolog # infra:ssh\n|IN SSH(ACCEPT) -i vmbr0\nGROUP web\n\n\
        [group web] # the web\n\nIN ACCEPT -p tcp -dport 80,443\n\n";

    #[test]
    fn a_file_reads_back_as_it_was_written() {
        let (scope, groups) = parse(CLUSTER);
        assert_eq!(scope.options["policy_in"], "DROP");
        assert!(scope.ipsets["management"].members[1].nomatch);
        assert_eq!(scope.rules[1]["macro"], "SSH");
        assert_eq!(scope.rules[1]["enable"], "0");
        assert_eq!(scope.rules[0]["comment"], "infra:ssh");
        assert_eq!(groups["web"].rules[0]["dport"], "80,443");
        assert_eq!(text(&scope, &groups), CLUSTER);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_skipped() {
        let (scope, _) = parse("[RULES]\n\nIN\nIN ACCEPT -nonsense 1\nOUT DROP -p udp\n");
        assert_eq!(scope.rules.len(), 1);
        assert_eq!(scope.rules[0]["type"], "out");
    }

    #[test]
    fn nothing_to_say_is_no_file() {
        assert_eq!(text(&Scope::default(), &BTreeMap::new()), "");
    }
}
