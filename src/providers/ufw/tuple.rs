//! UFW's own one-line description of a rule, from `/etc/ufw/user.rules`.
//!
//! `[route:]action[_log] proto dport dst sport src [dapp sapp] direction[_interface] [comment=HEX]`, as written by
//! ufw 0.36.2 (Debian 13).

use crate::model::{
    address::{PortRange, Proto},
    ufw::{UfwAction, UfwDirection, UfwRule},
};
use ipnet::IpNet;

/// Reads one tuple. A missing address means anywhere in the tuple's family, and is kept as `0.0.0.0/0` or `::/0`.
pub(super) fn parse_tuple(line: &str) -> Result<UfwRule, String> {
    let wrong = |what: &str| format!("no {what} in UFW rule `{line}`");
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let comment = match words.last().and_then(|word| word.strip_prefix("comment=")) {
        Some(hex) => {
            words.pop();
            Some(unhex(hex).ok_or_else(|| wrong("readable comment"))?)
        }
        None => None,
    };
    let (action, proto, dport, dest, sport, source) = match words.as_slice() {
        [action, proto, dport, dest, sport, source, ..] => {
            (*action, *proto, *dport, *dest, *sport, *source)
        }
        _ => return Err(wrong("address")),
    };
    let (app, way) = match words.get(6..).unwrap_or_default() {
        [] => (None, "in"),
        [way] => (None, *way),
        // A source application (`sapp`) cannot be said without a destination one here; the rule keeps its ports.
        [dapp, _, way] => (Some(*dapp).filter(|app| *app != "-"), *way),
        _ => return Err(wrong("direction")),
    };
    let (routed, action) = action
        .strip_prefix("route:")
        .map_or((false, action), |rest| (true, rest));
    let (action, log) = action
        .split_once('_')
        .map_or((action, None), |(action, log)| {
            (action, Some(log.to_owned()))
        });
    let (direction, interface) = match (routed, way.split_once('_')) {
        (true, named) => (UfwDirection::Route, named.map(|_| way.to_owned())),
        (false, named) => {
            let direction = match named.map_or(way, |(direction, _)| direction) {
                "in" => UfwDirection::In,
                "out" => UfwDirection::Out,
                _ => return Err(wrong("direction")),
            };
            (direction, named.map(|(_, interface)| interface.to_owned()))
        }
    };
    Ok(UfwRule {
        action: match action {
            "allow" => UfwAction::Allow,
            "deny" => UfwAction::Deny,
            "reject" => UfwAction::Reject,
            "limit" => UfwAction::Limit,
            _ => return Err(wrong("known action")),
        },
        direction,
        proto: match proto {
            "tcp" => Some(Proto::Tcp),
            "udp" => Some(Proto::Udp),
            _ => None,
        },
        from: Some(network(source).ok_or_else(|| wrong("source"))?),
        to: Some(network(dest).ok_or_else(|| wrong("destination"))?),
        ports: ports(dport).ok_or_else(|| wrong("port"))?,
        source_ports: ports(sport).ok_or_else(|| wrong("source port"))?,
        app: app.map(|app| app.replace("%20", " ")),
        log,
        interface,
        comment,
    })
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address)
}

fn ports(text: &str) -> Option<Vec<PortRange>> {
    if text == "any" {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            Some(PortRange {
                first: first.parse().ok()?,
                last: last.parse().ok()?,
            })
        })
        .collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect::<Option<_>>()?;
    String::from_utf8(bytes).ok()
}
