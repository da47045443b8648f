//! The chain behind Docker's hook, from lines of `iptables -S`, into a chain for published ports.

use super::chain::{Reading, merged};
use crate::firewall::{addresses::Addresses, interfaces::Interfaces, port_set::PortSet};
use crate::model::address::{PortRange, Proto};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// What the lines of one family say about a new connection from a network card to a published port.
pub(crate) fn list(
    lines: &[String],
    v6: bool,
    everything: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> (Vec<Reading>, Vec<String>) {
    let family = Arc::new(everything.of_family(v6));
    let (mut readings, mut unread) = (Vec::new(), Vec::new());
    for line in lines {
        match reading(line, &family, interfaces) {
            Ok(Some(reading)) => readings.push(reading),
            Ok(None) => {}
            Err(()) => unread.push(line.clone()),
        }
    }
    (merged(readings), unread)
}

/// The same for lines of `nft -s list`.
pub(crate) fn nft_list(
    lines: &[&str],
    v6: bool,
    everything: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> (Vec<Reading>, Vec<String>) {
    let family = Arc::new(everything.of_family(v6));
    let (mut readings, mut unread) = (Vec::new(), Vec::new());
    for line in lines {
        match nft_reading(line, &family, interfaces) {
            Ok(Some(reading)) => readings.push(reading),
            Ok(None) => {}
            Err(()) => unread.push((*line).to_owned()),
        }
    }
    (merged(readings), unread)
}

pub(super) fn network(text: &str) -> Result<Arc<Addresses>, ()> {
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network: IpNet = text.parse().ok().or_else(single).ok_or(())?;
    Ok(Arc::new(Addresses::of_networks([&network])))
}

fn nft_reading(
    line: &str,
    family: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> Result<Option<Reading>, ()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut reading = Reading {
        from: Arc::clone(family),
        to: Arc::clone(family),
        ports: PortSet::default(),
        passes: false,
        words: line.to_owned(),
    };
    let (mut proto, mut ranges, mut verdict) = (None, vec![], None);
    let mut behind = None;
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        rest = match rest {
            ["iifname", name, rest @ ..] if interfaces.behind(name.trim_matches('"')).is_some() => {
                behind = interfaces.behind(name.trim_matches('"'));
                rest
            }
            ["iifname" | "oifname", ..] | ["ct", "state", ..] => return Ok(None),
            ["ip" | "ip6", "saddr", text, rest @ ..] => {
                reading.from = network(text)?;
                rest
            }
            ["ct", "original", "ip" | "ip6", "daddr", text, rest @ ..] => {
                reading.to = network(text)?;
                rest
            }
            ["meta", "l4proto", name, rest @ ..] => {
                proto = Some(match *name {
                    "tcp" => Proto::Tcp,
                    "udp" => Proto::Udp,
                    _ => return Err(()),
                });
                rest
            }
            ["ct", "original", "proto-dst", text, rest @ ..] => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                ranges = vec![PortRange {
                    first: first.parse().map_err(|_| ())?,
                    last: last.parse().map_err(|_| ())?,
                }];
                rest
            }
            ["ct", "status", "dnat", rest @ ..]
            | ["ct", "direction", "original", rest @ ..]
            | ["log", "prefix", _, rest @ ..] => rest,
            ["accept"] => {
                verdict = Some(true);
                &[]
            }
            ["drop"] => {
                verdict = Some(false);
                &[]
            }
            _ => return Err(()),
        };
    }
    if let Some(behind) = behind {
        reading.from = Arc::new(reading.from.intersection(behind));
    }
    reading.passes = verdict.ok_or(())?;
    reading.ports = PortSet::matched(proto, &ranges);
    Ok(Some(reading))
}

/// A line in our words; none when it is about other packets: answers, what containers send, undeclared ways in.
fn reading(
    line: &str,
    family: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> Result<Option<Reading>, ()> {
    let mut words = line.split_whitespace();
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(())?;
        match flag {
            "-A" | "-m" | "--log-prefix" => {}
            "-s" | "-p" | "-j" | "-g" | "-i" | "-o" | "--ctstate" | "--ctorigdst"
            | "--ctorigdstport" | "--ctdir" => {
                values.insert(flag, value);
            }
            _ => return Err(()),
        }
    }
    let is_answer = values
        .get("--ctstate")
        .is_some_and(|state| *state != "DNAT");
    let behind = values.get("-i").map(|name| interfaces.behind(name));
    if is_answer || matches!(behind, Some(None)) || values.contains_key("-o") {
        return Ok(None);
    }
    let side = |flag: &str| match values.get(flag) {
        Some(text) => network(text),
        None => Ok(Arc::clone(family)),
    };
    let proto = match values.get("-p") {
        None => None,
        Some(&"tcp") => Some(Proto::Tcp),
        Some(&"udp") => Some(Proto::Udp),
        Some(_) => return Err(()),
    };
    let ranges = match values.get("--ctorigdstport") {
        None => vec![],
        Some(text) => {
            let (first, last) = text.split_once(':').unwrap_or((text, text));
            vec![PortRange {
                first: first.parse().map_err(|_| ())?,
                last: last.parse().map_err(|_| ())?,
            }]
        }
    };
    let passes = match values.get("-j") {
        Some(&("RETURN" | "ACCEPT")) => true,
        Some(&("DROP" | "REJECT")) => false,
        // Counting and logging decide nothing.
        Some(&"LOG") => return Ok(None),
        Some(_) | None => return Err(()),
    };
    let mut from = side("-s")?;
    if let Some(behind) = behind.flatten() {
        from = Arc::new(from.intersection(behind));
    }
    Ok(Some(Reading {
        from,
        to: side("--ctorigdst")?,
        ports: PortSet::matched(proto, &ranges),
        passes,
        words: line.to_owned(),
    }))
}
