//! UFW and the chains behind it.

use super::tree::Tree;
use std::fmt::Write as _;

/// One rule of one family: UFW's own description and what it loads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    v6: bool,
    /// `allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`: everything but the action and the comment is its identity.
    action: String,
    body: String,
    comment: String,
    /// Arguments of iptables after the chain.
    loaded: String,
}

/// UFW's files and what the kernel has.
#[derive(Debug, Clone, Default)]
pub(super) struct Ufw {
    is_installed: bool,
    enabled: bool,
    ipv6: bool,
    policies: [&'static str; 3],
    rules: Vec<Rule>,
    docker4: Vec<String>,
    docker6: Vec<String>,
}

impl Ufw {
    pub(super) fn installed(&mut self) {
        *self = Self {
            is_installed: true,
            ipv6: true,
            policies: ["DROP", "ACCEPT", "DROP"],
            ..std::mem::take(self)
        };
    }

    pub(super) fn set_ipv6(&mut self, on: bool) {
        self.ipv6 = on;
    }

    pub(super) fn enable(&mut self, on: bool) {
        self.enabled = on;
    }

    /// `infra-docker-firewall.service` loads both fragments and hooks them in.
    pub(super) fn load_docker_rules(&mut self, tree: &Tree) {
        let lines = |family: u8| -> Vec<String> {
            let text = tree
                .text(&format!("/etc/infra/docker-firewall.v{family}"))
                .unwrap_or_default();
            let rules = text
                .lines()
                .filter(|line| line.starts_with("-A INFRA-DOCKER"));
            [
                "-A FORWARD -j DOCKER-USER",
                "-A DOCKER-USER -j INFRA-DOCKER",
            ]
            .into_iter()
            .chain(rules)
            .map(str::to_owned)
            .collect()
        };
        (self.docker4, self.docker6) = (lines(4), lines(6));
    }

    /// What `facts_ufw` would print.
    pub(super) fn facts(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let mut say = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "{line}");
        };
        if self.is_installed {
            let yes = |on: bool| if on { "yes" } else { "no" };
            say(format_args!("conf ENABLED={}", yes(self.enabled)));
            say(format_args!("conf IPV6={}", yes(self.ipv6)));
            for (chain, policy) in ["INPUT", "OUTPUT", "FORWARD"].iter().zip(self.policies) {
                say(format_args!("conf DEFAULT_{chain}_POLICY=\"{policy}\""));
            }
            for rule in &self.rules {
                let family = if rule.v6 { 6 } else { 4 };
                say(format_args!("tuple{family} {}", rule.tuple()));
                say(format_args!("stored{family} {}", rule.line()));
            }
        }
        for (family, prefix, docker) in [(4, "ufw", &self.docker4), (6, "ufw6", &self.docker6)] {
            let live = self.enabled && (family == 4 || self.ipv6);
            let policies = if live { self.policies } else { ["ACCEPT"; 3] };
            for (chain, policy) in ["INPUT", "OUTPUT", "FORWARD"].iter().zip(policies) {
                let policy = if policy == "REJECT" { "DROP" } else { policy };
                say(format_args!("live{family} -P {chain} {policy}"));
            }
            if live {
                say(format_args!(
                    "live{family} -A INPUT -j {prefix}-before-input"
                ));
                say(format_args!(
                    "live{family} -A {prefix}-before-input -j {prefix}-user-input"
                ));
                for rule in self.rules.iter().filter(|rule| rule.v6 == (family == 6)) {
                    say(format_args!("live{family} {}", rule.line()));
                }
            }
            for line in docker {
                say(format_args!("live{family} {line}"));
            }
        }
        out
    }

    /// One `ufw` command, without the program.
    pub(super) fn run(&mut self, words: &[&str]) -> Result<String, String> {
        if !self.is_installed {
            return Err("ufw: command not found".to_owned());
        }
        let words: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| *word != "--force")
            .collect();
        match words.as_slice() {
            ["enable"] => {
                self.enable(true);
                Ok("Firewall is active and enabled on system startup\n".to_owned())
            }
            ["disable"] => {
                self.enable(false);
                Ok("Firewall stopped and disabled on system startup\n".to_owned())
            }
            ["reload"] => Ok("Firewall reloaded\n".to_owned()),
            ["status"] => Ok(format!(
                "Status: {}\n",
                if self.enabled { "active" } else { "inactive" }
            )),
            ["default", action, direction] => self.set_default(action, direction),
            _ => self.change_rule(&words),
        }
    }

    fn set_default(&mut self, action: &str, direction: &str) -> Result<String, String> {
        let index = ["incoming", "outgoing", "routed"]
            .iter()
            .position(|d| *d == direction);
        let policy = match action {
            "allow" => "ACCEPT",
            "deny" => "DROP",
            "reject" => "REJECT",
            _ => return Err(format!("ERROR: Invalid policy '{action}'")),
        };
        let index = index.ok_or_else(|| format!("ERROR: Unsupported direction '{direction}'"))?;
        self.policies[index] = policy;
        Ok(format!(
            "Default {direction} policy changed to '{action}'\n"
        ))
    }

    fn change_rule(&mut self, words: &[&str]) -> Result<String, String> {
        let (verb, rules) = parse(words).ok_or("ERROR: Invalid syntax")?;
        let mut out = String::new();
        for rule in rules.into_iter().filter(|rule| self.ipv6 || !rule.v6) {
            let same = |other: &Rule| other.v6 == rule.v6 && other.body == rule.body;
            let at = self.rules.iter().position(same);
            match (verb, at) {
                ("delete", Some(at)) if self.rules[at].action == rule.action => {
                    self.rules.remove(at);
                    out.push_str("Rule deleted\n");
                }
                ("delete", _) => out.push_str("Could not delete non-existent rule\n"),
                (_, Some(at)) => {
                    let skipped = self.rules[at].action == rule.action;
                    self.rules[at] = rule;
                    out.push_str(if skipped {
                        "Skipping adding existing rule\n"
                    } else {
                        "Rule updated\n"
                    });
                }
                ("prepend", None) => {
                    let at = self
                        .rules
                        .iter()
                        .position(|other| other.v6 == rule.v6)
                        .unwrap_or(self.rules.len());
                    self.rules.insert(at, rule);
                    out.push_str("Rule inserted\n");
                }
                (_, None) => {
                    self.rules.push(rule);
                    out.push_str("Rule added\n");
                }
            }
        }
        Ok(out)
    }
}

impl Rule {
    fn tuple(&self) -> String {
        let Self {
            action,
            body,
            comment,
            ..
        } = self;
        let comment = if comment.is_empty() {
            String::new()
        } else {
            let mut out = String::from(" comment=");
            for byte in comment.bytes() {
                // Writing to a string does not fail.
                let _ = write!(out, "{byte:02x}");
            }
            out
        };
        format!("{action} {body}{comment}")
    }

    fn line(&self) -> String {
        let chain = if self.action.starts_with("route:") {
            "forward"
        } else if self.body.contains(" out") {
            "output"
        } else {
            "input"
        };
        let prefix = if self.v6 { "ufw6" } else { "ufw" };
        format!("-A {prefix}-user-{chain} {}", self.loaded)
    }
}

/// `[route] [prepend|delete] ACTION [in|out] [on IF] [log] [proto P] from X [port P] to Y [port P] [comment C]`
fn parse<'a>(words: &[&'a str]) -> Option<(&'a str, Vec<Rule>)> {
    let mut rest = words.iter().copied().peekable();
    let routed = rest.next_if_eq(&"route").is_some();
    let verb = rest
        .next_if(|word| ["prepend", "delete"].contains(word))
        .unwrap_or("add");
    let action = rest
        .next()
        .filter(|word| ["allow", "deny", "reject", "limit"].contains(word))?;
    let (mut sides, mut log, mut proto, mut comment) = (Vec::new(), "", "any", "");
    let (mut from, mut sport, mut to, mut dport) = ("any", "any", "any", "any");
    let mut last = "";
    while let Some(word) = rest.next() {
        match word {
            "in" | "out" => match rest.next_if_eq(&"on") {
                Some(_) => sides.push(format!("{word}_{}", rest.next()?)),
                None => sides.push(word.to_owned()),
            },
            "log" | "log-all" => log = word,
            "proto" => proto = rest.next()?,
            "comment" => comment = rest.next()?,
            "from" => (last, from) = ("from", rest.next()?),
            "to" => (last, to) = ("to", rest.next()?),
            "port" if last == "from" => sport = rest.next()?,
            "port" => dport = rest.next()?,
            _ => return None,
        }
    }
    let side = if sides.is_empty() {
        "in".to_owned()
    } else {
        sides.join("!")
    };
    let is_six = |network: &str| network.contains(':');
    let families: &[bool] = match (is_six(from) || is_six(to), from == "any" && to == "any") {
        (true, _) => &[true],
        (false, true) => &[false, true],
        (false, false) => &[false],
    };
    let action = format!(
        "{}{action}{}{log}",
        if routed { "route:" } else { "" },
        if log.is_empty() { "" } else { "_" }
    );
    let rules = families.iter().map(|&v6| {
        let anywhere = if v6 { "::/0" } else { "0.0.0.0/0" };
        let network = |text: &'a str| match text {
            "any" => anywhere,
            text => text.trim_end_matches("/32").trim_end_matches("/128"),
        };
        let (from, to) = (network(from), network(to));
        let mut loaded = String::new();
        for (flag, value, default) in [
            ("-p", proto, "any"),
            ("-d", to, anywhere),
            ("--dports", dport, "any"),
            ("-s", from, anywhere),
            ("--sports", sport, "any"),
            ("-i", side.as_str(), "in"),
        ] {
            if value != default {
                let _ = write!(loaded, "{flag} {value} ");
            }
        }
        Rule {
            v6,
            body: format!("{proto} {dport} {to} {sport} {from} {side}"),
            comment: comment.to_owned(),
            loaded: format!("{loaded}-j {}", action.to_uppercase()),
            action: action.clone(),
        }
    });
    Some((verb, rules.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_become_tuples_of_both_families_and_are_deleted_by_rule() {
        let mut ufw = Ufw::default();
        ufw.installed();
        ufw.run(&[
            "allow", "in", "proto", "tcp", "from", "any", "to", "any", "port", "22", "comment",
            "infra:a",
        ])
        .expect("added");
        ufw.run(&["prepend", "deny", "in", "from", "10.0.0.5/32", "to", "any"])
            .expect("added");
        let facts = ufw.facts();
        let tuples: Vec<&str> = facts
            .lines()
            .filter(|line| line.starts_with("tuple"))
            .collect();
        assert_eq!(
            tuples,
            [
                "tuple4 deny any any 0.0.0.0/0 any 10.0.0.5 in",
                "tuple4 allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=696e6672613a61",
                "tuple6 allow tcp 22 ::/0 any ::/0 in comment=696e6672613a61",
            ]
        );
        assert!(
            !facts.contains("live4 -A ufw-user-input"),
            "it is not enabled"
        );
        ufw.run(&[
            "delete", "allow", "in", "proto", "tcp", "from", "any", "to", "any", "port", "22",
        ])
        .expect("deleted");
        ufw.run(&["--force", "enable"]).expect("enabled");
        let facts = ufw.facts();
        assert!(
            facts.contains("live4 -P INPUT DROP")
                && facts.contains("live4 -A ufw-user-input -s 10.0.0.5 -j DENY"),
            "{facts}"
        );
        assert_eq!(facts.matches("tuple").count(), 1);
        assert!(ufw.run(&["allow", "sideways"]).is_err());
    }
}
