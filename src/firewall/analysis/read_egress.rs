//! The chain that judges what containers begin, from lines of `iptables -S` or `nft -s list`.

use super::{
    chain::{Chain, Pool, Reading, merged_by_target},
    read_docker::network,
};
use crate::firewall::{addresses::Addresses, interfaces::Interfaces, port_set::PortSet};
use crate::model::address::{PortRange, Proto};
use std::{collections::BTreeSet, sync::Arc};

const BRIDGES: [&str; 2] = ["docker0", "br-+"];
const NFT_BRIDGES: [&str; 2] = ["\"docker0\"", "\"br-*\""];

/// What the lines of one family, without their number, do to new connections from a container to anybody but another
/// container of the same host.
pub(crate) fn chain(
    lines: &[String],
    v6: bool,
    everything: &Arc<Addresses>,
    ways: &Interfaces,
    pool: &mut Pool,
) -> Chain {
    let nft = lines.iter().filter_map(|line| line.strip_prefix("nft "));
    let (out, forward): (Vec<&str>, Vec<&str>) = nft.partition(|line| line.starts_with("out "));
    let family = Arc::new(everything.of_family(v6));
    let (leads, rules): (Result<bool, String>, Vec<&str>) = if forward.is_empty() {
        let lines = || lines.iter().map(String::as_str);
        let mut ours = lines().filter(|line| line.starts_with("-A INFRA-DOCKER "));
        let hooked = lines().next() == Some("-A DOCKER-USER -j INFRA-DOCKER");
        let leads = leads(&mut ours, BRIDGES, "-i", "-g INFRA-DOCKER-OUT");
        let rules = lines().filter_map(|line| line.strip_prefix("-A INFRA-DOCKER-OUT "));
        (leads.map(|leads| leads && hooked), rules.collect())
    } else {
        let mut forward = forward.into_iter();
        let leads = leads(&mut forward, NFT_BRIDGES, "iifname", "goto containers");
        let rules = out.into_iter().filter_map(|line| line.strip_prefix("out "));
        (leads, rules.collect())
    };
    match leads {
        Ok(true) => {}
        Ok(false) => return Chain::open("no rule of ours asks what containers send"),
        Err(unread) => {
            let mut chain = Chain::open("no rule of ours asks what containers send");
            chain.unread = vec![unread];
            return chain;
        }
    }
    let (mut readings, mut unread) = (Vec::new(), Vec::new());
    for rule in rules {
        match reading(rule, &family, ways) {
            Ok(Some(reading)) => readings.push(reading),
            Ok(None) => {}
            Err(()) => unread.push(rule.to_owned()),
        }
    }
    let mut chain = Chain::new(
        merged_by_target(readings),
        true,
        "Docker lets containers send what it wants",
        pool,
    );
    chain.unread = unread;
    chain
}

/// Whether what comes in by each of Docker's bridges is sent to the chain before anything may let it pass; the rule
/// that may, where it cannot be read.
fn leads<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    bridges: [&'a str; 2],
    flag: &str,
    target: &str,
) -> Result<bool, String> {
    let mut left = BTreeSet::from(bridges);
    for line in lines {
        if left.is_empty() {
            break;
        }
        let mut words = line.split_whitespace().skip_while(|word| *word != flag);
        let bridge = words.nth(1);
        if is_answers(line) {
            continue;
        }
        match bridge.filter(|name| left.contains(name)) {
            Some(bridge) if line.ends_with(target) => left.remove(bridge),
            Some(_) => return Ok(false),
            None => return Err(line.to_owned()),
        };
    }
    Ok(left.is_empty())
}

fn is_answers(line: &str) -> bool {
    line.contains("--ctstate RELATED,ESTABLISHED")
        || line.starts_with("ct state established,related")
}

/// A rule in our words, whichever tool printed it; none when it is about other containers, or decides nothing.
fn reading(line: &str, family: &Arc<Addresses>, ways: &Interfaces) -> Result<Option<Reading>, ()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut to = Arc::clone(family);
    let (mut proto, mut ranges, mut verdict) = (None, vec![], None);
    let mut behind = None;
    let mut echo = false;
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        rest = match rest {
            ["-o", "docker0" | "br-+", "-j", "RETURN"]
            | ["oifname", "\"docker0\"" | "\"br-*\"", "accept"] => {
                return Ok(None);
            }
            ["-o" | "oifname", name, rest @ ..] => {
                behind = Some(ways.behind(name.trim_matches('"')).ok_or(())?);
                rest
            }
            ["-d", text, rest @ ..] | ["ip" | "ip6", "daddr", text, rest @ ..] => {
                to = network(text)?;
                rest
            }
            ["-p", "icmp", "-m", "icmp", "--icmp-type", "8", rest @ ..]
            | [
                "-p",
                "ipv6-icmp",
                "-m",
                "icmp6",
                "--icmpv6-type",
                "128",
                rest @ ..,
            ]
            | ["icmp" | "icmpv6", "type", "echo-request", rest @ ..] => {
                echo = true;
                rest
            }
            ["-p", name, "-m", module, "--dport", text, rest @ ..] if name == module => {
                (proto, ranges) = (Some(protocol(name)?), vec![range(text)?]);
                rest
            }
            [name @ ("tcp" | "udp"), "dport", text, rest @ ..] => {
                (proto, ranges) = (Some(protocol(name)?), vec![range(text)?]);
                rest
            }
            // Counting and logging decide nothing.
            ["-j", "LOG", ..] => return Ok(None),
            ["log", "prefix", _, rest @ ..] => rest,
            ["-j", "RETURN" | "ACCEPT"] | ["accept"] => {
                verdict = Some(true);
                &[]
            }
            ["-j", "DROP" | "REJECT"] | ["drop"] => {
                verdict = Some(false);
                &[]
            }
            _ => return Err(()),
        };
    }
    if let Some(behind) = behind {
        to = Arc::new(to.intersection(behind));
    }
    let ports = if echo {
        PortSet::echo()
    } else {
        PortSet::matched(proto, &ranges)
    };
    Ok(Some(Reading {
        from: Arc::clone(family),
        to,
        ports,
        passes: verdict.ok_or(())?,
        words: line.to_owned(),
    }))
}

fn protocol(name: &str) -> Result<Proto, ()> {
    match name {
        "tcp" => Ok(Proto::Tcp),
        "udp" => Ok(Proto::Udp),
        _ => Err(()),
    }
}

fn range(text: &str) -> Result<PortRange, ()> {
    let (first, last) = text.split_once([':', '-']).unwrap_or((text, text));
    Ok(PortRange {
        first: first.parse().map_err(|_| ())?,
        last: last.parse().map_err(|_| ())?,
    })
}
