//! What `facts_ufw` printed -> facts.

use super::tuple::parse_tuple;
use crate::model::ufw::{Ufw, UfwAction, UfwRule};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// UFW and what stands behind Docker's hook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// UFW, none when it is not installed.
    pub ufw: Option<Ufw>,
    /// `DockerFacts::docker_user`: the live rules of `INFRA-DOCKER` and `INFRA-DOCKER-OUT` after `4 ` or `6 `, before them
    /// the jump of each family when it is the first rule of `DOCKER-USER`, and that chain of `FORWARD`; none when there is
    /// neither chain nor jump.
    pub docker_user: Option<Vec<String>>,
    /// `HostFacts::beside_ufw`.
    pub beside: Vec<String>,
}

/// Understands a whole section.
///
/// # Errors
/// The first line that makes no sense.
pub fn parse_facts(text: &str) -> Result<Facts, String> {
    let mut conf: BTreeMap<&str, &str> = BTreeMap::new();
    let mut families = [Family::default(), Family::default()];
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let split = word.len().saturating_sub(1);
        let (kind, digit) = (
            word.get(..split).unwrap_or(""),
            word.get(split..).unwrap_or(""),
        );
        let family = &mut families[usize::from(digit == "6")];
        match kind {
            "con" if word == "conf" => {
                let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
                conf.insert(key, value.trim().trim_matches(['"', '\'']));
            }
            "tuple" => family.tuples.push(parse_tuple(rest)?),
            "stored" => family.stored.push(rest),
            "live" => family.live.push(rest),
            _ if line.trim().is_empty() => {}
            _ => return Err(format!("unexpected line `{line}`")),
        }
    }
    let [v4, v6] = &families;
    let ufw = conf.contains_key("ENABLED").then(|| ufw(&conf, v4, v6));
    let closes_out = ufw.as_ref().map(|ufw| ufw.outgoing != UfwAction::Allow);
    let beside = [("iptables", v4), ("ip6tables", v6)]
        .into_iter()
        .filter_map(|(program, family)| Some((program, family.beside(closes_out?))))
        .flat_map(|(program, lines)| {
            lines
                .into_iter()
                .map(move |line| format!("{program} {line}"))
        })
        .collect();
    Ok(Facts {
        ufw,
        docker_user: docker_user(v4, v6),
        beside,
    })
}

#[derive(Debug, Default)]
struct Family<'a> {
    tuples: Vec<UfwRule>,
    stored: Vec<&'a str>,
    live: Vec<&'a str>,
}

fn ufw(conf: &BTreeMap<&str, &str>, v4: &Family<'_>, v6: &Family<'_>) -> Ufw {
    let policy = |key: &str, default: UfwAction| match conf.get(key).copied() {
        Some("ACCEPT") => UfwAction::Allow,
        Some("DROP") => UfwAction::Deny,
        Some("REJECT") => UfwAction::Reject,
        _ => default,
    };
    // The defaults of ufw itself where the file says nothing.
    let incoming = policy("DEFAULT_INPUT_POLICY", UfwAction::Deny);
    let outgoing = policy("DEFAULT_OUTPUT_POLICY", UfwAction::Allow);
    let ipv6 = conf.get("IPV6") == Some(&"yes");
    let is_live = |family: &Family<'_>| family.is_live(incoming, outgoing);
    let live = is_live(v4) && (!ipv6 || is_live(v6));
    Ufw {
        enabled: conf.get("ENABLED") == Some(&"yes") && live,
        incoming,
        outgoing,
        routed: policy("DEFAULT_FORWARD_POLICY", UfwAction::Deny),
        ipv6,
        flushes_all: conf.get("MANAGE_BUILTINS") == Some(&"yes"),
        rules: merged(&v4.tuples, if ipv6 { &v6.tuples } else { &[] }, ipv6),
    }
}

impl Family<'_> {
    /// Whether the kernel has what UFW would load: its policies, the way into its chains, and its rules in their order.
    fn is_live(&self, incoming: UfwAction, outgoing: UfwAction) -> bool {
        let has = |wanted: &str| self.live.contains(&wanted);
        let policy = |chain: &str, action: UfwAction| {
            let target = if action == UfwAction::Allow {
                "ACCEPT"
            } else {
                "DROP"
            };
            has(&format!("-P {chain} {target}"))
        };
        let rules = |lines: &[&str]| -> BTreeMap<String, Vec<BTreeSet<String>>> {
            let mut out: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
            for line in lines {
                let chain = line.split_whitespace().nth(1).unwrap_or("");
                if chain.contains("-user-") {
                    out.entry(chain.to_owned()).or_default().push(matches(line));
                }
            }
            out
        };
        let leads = |prefix: &str| {
            has(&format!("-A INPUT -j {prefix}-before-input"))
                && has(&format!("-A {prefix}-before-input -j {prefix}-user-input"))
        };
        policy("INPUT", incoming)
            && policy("OUTPUT", outgoing)
            && (leads("ufw") || leads("ufw6"))
            && rules(&self.stored) == rules(&self.live)
    }
}

impl Family<'_> {
    fn chain(&self, name: &str) -> impl Iterator<Item = &str> {
        let rules = self.live.iter().copied();
        rules.filter(move |line| line.split(' ').nth(1) == Some(name) && line.starts_with("-A "))
    }

    /// Whether every forwarded packet is asked by `DOCKER-USER` before another rule could let it pass.
    fn asks_docker_user(&self) -> bool {
        let mut rules = self.chain("FORWARD");
        rules.find(|line| !is_known(line)) == Some(HOOK)
    }

    /// Rules that stand beside UFW's and Docker's and may let pass what those close.
    fn beside(&self, closes_out: bool) -> Vec<&str> {
        // What stands behind Docker's hook was asked by it.
        let forward = self.chain("FORWARD").take_while(|line| *line != HOOK);
        let of_docker = |line: &&str| {
            let mut words = line.split([' ', '!']);
            words.any(|word| {
                word.starts_with("DOCKER") || word == "docker0" || word.starts_with("br-")
            })
        };
        let out = self.chain("OUTPUT").filter(|_| closes_out);
        let rules = self
            .chain("INPUT")
            .chain(out)
            .chain(forward.filter(|line| !of_docker(line)))
            .filter(|line| !is_known(line));
        rules.chain(self.unseen_bridges()).collect()
    }

    /// Docker's own rules for bridges that nobody can tell from others by their names: what containers there send or
    /// publish is not known as theirs.
    fn unseen_bridges(&self) -> impl Iterator<Item = &str> {
        let rules = self.chain("FORWARD").chain(self.chain("DOCKER-BRIDGE"));
        rules.filter(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            matches!(words[..], [_, _, "-o", name, "-j", "DOCKER"] if name != "docker0" && !name.starts_with("br-"))
        })
    }
}

/// How Docker has forwarded packets asked by the chain that belongs to the owner.
const HOOK: &str = "-A FORWARD -j DOCKER-USER";

/// Whether a rule of a base chain opens nothing beside UFW: one of UFW's own jumps, or a ban.
fn is_known(line: &str) -> bool {
    let target = target(line);
    is_ban(line) || target.starts_with("ufw-") || target.starts_with("ufw6-") || line == ISOLATION
}

/// Keeps Docker's networks apart: drops, or hands back. Docker before 28 puts it first when it starts again while its
/// containers run (`live-restore`).
const ISOLATION: &str = "-A FORWARD -j DOCKER-ISOLATION-STAGE-1";

fn target(line: &str) -> &str {
    let rest = line.split(" -j ").nth(1).unwrap_or("");
    rest.split_whitespace().next().unwrap_or("")
}

/// What a rule matches and does, however it is printed: the file says `-p tcp --dport 22 -s 10.0.0.1`, the kernel
/// `-s 10.0.0.1/32 -p tcp -m tcp --dport 22`. Comments, and what only the kernel prints (of `recent`), are left out.
fn matches(line: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut at = 2;
    while let Some(flag) = words.get(at) {
        let value = words.get(at + 1).filter(|next| !next.starts_with('-'));
        at += 1 + usize::from(value.is_some());
        let value = value.map_or("", |value| {
            value.trim_end_matches("/32").trim_end_matches("/128")
        });
        let anywhere = ["0.0.0.0/0", "::/0"].contains(&value);
        let only_kernel = [
            "-m",
            "--comment",
            "--name",
            "--mask",
            "--rsource",
            "--rdest",
        ]
        .contains(flag);
        if !anywhere && !only_kernel {
            out.insert(format!("{flag} {value}"));
        }
    }
    out
}

/// One list of both families: a rule from anywhere to anywhere that stands in both is one rule, and what stands before
/// it in either family stands before it. Where IPv6 is on, one that stands in one family only keeps that family's
/// "everything" as its source: half a rule is not the rule.
fn merged(v4: &[UfwRule], v6: &[UfwRule], ipv6: bool) -> Vec<UfwRule> {
    let is_shared = |rule: &UfwRule| {
        let same = |other: &UfwRule| open(other) == open(rule);
        v4.iter().any(same) && v6.iter().any(same)
    };
    let single = |rule: &UfwRule| {
        let is_general = |network: Option<IpNet>| network.is_none_or(|net| net.prefix_len() == 0);
        if is_general(rule.from) && is_general(rule.to) && ipv6 {
            UfwRule {
                to: None,
                ..rule.clone()
            }
        } else {
            open(rule)
        }
    };
    let mut rest = v6.iter().peekable();
    let mut out = Vec::new();
    for rule in v4 {
        if !is_shared(rule) {
            out.push(single(rule));
            continue;
        }
        let shared = open(rule);
        // Its twin may have gone by already when the two families differ in their order.
        if rest.clone().any(|other| open(other) == shared) {
            while let Some(other) = rest.next_if(|other| open(other) != shared) {
                if !is_shared(other) {
                    out.push(single(other));
                }
            }
            rest.next();
        }
        out.push(shared);
    }
    out.extend(rest.filter(|rule| !is_shared(rule)).map(single));
    out
}

fn open(rule: &UfwRule) -> UfwRule {
    UfwRule {
        from: rule.from.filter(|network| network.prefix_len() > 0),
        to: rule.to.filter(|network| network.prefix_len() > 0),
        ..rule.clone()
    }
}

/// Whether a rule can only drop packets or hand them on: what fail2ban and CrowdSec put before ours.
fn is_ban(line: &str) -> bool {
    let target = target(line);
    matches!(target, "DROP" | "REJECT" | "LOG")
        || target.starts_with("f2b-")
        || target.to_lowercase().starts_with("crowdsec")
}

fn docker_user(v4: &Family<'_>, v6: &Family<'_>) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for (digit, family) in [('4', v4), ('6', v6)] {
        let mut hook = family
            .live
            .iter()
            .filter(|line| line.starts_with("-A DOCKER-USER "));
        // The script takes the same view: what stands before ours must not let a packet pass it by.
        let jump = hook
            .find(|line| !is_ban(line))
            .filter(|line| **line == "-A DOCKER-USER -j INFRA-DOCKER" && family.asks_docker_user());
        let starting = |start: &'static str| {
            let live = family.live.iter();
            live.filter(move |line| line.starts_with(start))
        };
        // Chains are listed in the order in which they came to be.
        let rules = starting("-A INFRA-DOCKER ").chain(starting("-A INFRA-DOCKER-OUT "));
        out.extend(
            jump.into_iter()
                .chain(rules)
                .chain(starting("nft "))
                // Where /etc/protocols is missing, older ip6tables use the other name.
                .map(|line| line.replace("-p icmpv6 ", "-p ipv6-icmp "))
                .map(|line| format!("{digit} {line}")),
        );
    }
    (!out.is_empty()).then_some(out)
}
