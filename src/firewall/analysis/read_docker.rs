//! The chain behind Docker's hook, from lines of `iptables -S`, into a chain for published ports.

use super::chain::{Reading, merged};
use crate::firewall::{addresses::Addresses, port_set::PortSet};
use crate::model::address::{PortRange, Proto};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// What the lines of one family say about a new connection from a network card to a published port.
pub(crate) fn list(
    lines: &[String],
    v6: bool,
    everything: &Arc<Addresses>,
) -> (Vec<Reading>, Vec<String>) {
    let family = Arc::new(everything.of_family(v6));
    let (mut readings, mut unread) = (Vec::new(), Vec::new());
    for line in lines {
        match reading(line, &family) {
            Ok(Some(reading)) => readings.push(reading),
            Ok(None) => {}
            Err(()) => unread.push(line.clone()),
        }
    }
    (merged(readings), unread)
}

/// A line in our words; none when it is about other packets: answers, what containers send, undeclared ways in.
fn reading(line: &str, family: &Arc<Addresses>) -> Result<Option<Reading>, ()> {
    let mut words = line.split_whitespace();
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(())?;
        match flag {
            "-A" | "-m" => {}
            "-s" | "-p" | "-j" | "-i" | "-o" | "--ctstate" | "--ctorigdst" | "--ctorigdstport"
            | "--ctdir" => {
                values.insert(flag, value);
            }
            _ => return Err(()),
        }
    }
    let is_answer = values
        .get("--ctstate")
        .is_some_and(|state| *state != "DNAT");
    if is_answer || values.contains_key("-i") || values.contains_key("-o") {
        return Ok(None);
    }
    let network = |flag: &str| -> Result<Arc<Addresses>, ()> {
        let Some(text) = values.get(flag) else {
            return Ok(Arc::clone(family));
        };
        let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let network: IpNet = text.parse().ok().or_else(single).ok_or(())?;
        Ok(Arc::new(Addresses::of_networks([&network])))
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
    Ok(Some(Reading {
        from: network("-s")?,
        to: network("--ctorigdst")?,
        ports: PortSet::matched(proto, &ranges),
        passes,
        words: line.to_owned(),
    }))
}
