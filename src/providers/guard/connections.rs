//! Connections that a host's kernel tracks: the ones that a tightened firewall would let live on.

use crate::model::address::Proto;
use crate::providers::shell::{Command, Shell, ShellError};
use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

const SCRIPT: &str = "infra-connections";
const CONNECTIONS: &str = include_str!("scripts/connections.sh");

/// A tracked connection, in the direction in which it was opened and with the addresses that its opener meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// Protocol.
    pub proto: Proto,
    /// Who opened it; of an echo request, with its identifier.
    pub from: (IpAddr, u16),
    /// What was asked for; of an echo request, with 0.
    pub to: (IpAddr, u16),
}

/// What a host's kernel knows of its connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracked {
    /// Connections.
    pub connections: BTreeSet<Connection>,
    /// TCP ports on which somebody listens, on whatever address.
    pub listeners: BTreeSet<u16>,
}

/// The connections of a host; none when it cannot say.
///
/// # Errors
/// When the host cannot be asked.
pub async fn connections(shell: &impl Shell) -> Result<Option<Tracked>, ShellError> {
    let command = Command::script(SCRIPT, CONNECTIONS).args(["list"]);
    let text = shell.demand(command).await?.text();
    Ok((text.trim() != "absent").then(|| parse(&text)))
}

/// Makes a host forget connections, so that their next packet is judged like a first one. Returns how many there were.
///
/// # Errors
/// When the host cannot be asked.
pub async fn forget(shell: &impl Shell, gone: &[Connection]) -> Result<usize, ShellError> {
    let mut lines = String::new();
    for connection in gone {
        let (from, to) = (connection.from, connection.to);
        let family = if from.0.is_ipv4() { "ipv4" } else { "ipv6" };
        writeln!(
            lines,
            "{family} {} {} {} {} {}",
            connection.proto, from.0, to.0, from.1, to.1
        )
        .expect("writing to a String cannot fail");
    }
    let command = Command::script(SCRIPT, CONNECTIONS)
        .args(["forget"])
        .stdin(lines);
    Ok(shell.demand(command).await?.text().lines().count())
}

/// What `conntrack -L -o extended` prints; what is neither TCP nor UDP nor an echo request is left out.
fn parse(text: &str) -> Tracked {
    let listener = |line: &str| line.strip_prefix("listen ")?.parse().ok();
    Tracked {
        connections: text.lines().filter_map(line).collect(),
        listeners: text.lines().filter_map(listener).collect(),
    }
}

fn line(text: &str) -> Option<Connection> {
    let proto = match text.split_whitespace().nth(2)? {
        "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        "icmp" | "icmpv6" => Proto::Icmp,
        _ => return None,
    };
    // The first of each is that of the original direction.
    let first = |key: &str| {
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let (sport, dport) = match proto {
        Proto::Tcp | Proto::Udp => (first("sport")?.parse().ok()?, first("dport")?.parse().ok()?),
        Proto::Icmp if matches!(first("type")?, "8" | "128") => (first("id")?.parse().ok()?, 0),
        Proto::Icmp => return None,
    };
    Some(Connection {
        proto,
        from: (first("src")?.parse().ok()?, sport),
        to: (first("dst")?.parse().ok()?, dport),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// conntrack 1.4.8 (Debian 13), on a guest with a published port.
    const LISTED: &str = "\
ipv4     2 tcp      6 431998 ESTABLISHED src=192.168.1.50 dst=192.168.1.20 sport=45014 dport=22 src=192.168.1.20 dst=192.168.1.50 sport=22 dport=45014 [ASSURED] mark=0 use=1
ipv4     2 tcp      6 299 ESTABLISHED src=10.10.10.2 dst=192.168.1.20 sport=39522 dport=8096 src=172.18.0.2 dst=10.10.10.2 sport=8096 dport=39522 [ASSURED] mark=0 use=1
ipv4     2 udp      17 27 src=192.168.1.20 dst=192.168.1.1 sport=51000 dport=53 [UNREPLIED] src=192.168.1.1 dst=192.168.1.20 sport=53 dport=51000 mark=0 use=1
ipv4     2 icmp     1 29 src=192.168.1.50 dst=192.168.1.20 type=8 code=0 id=2 src=192.168.1.20 dst=192.168.1.50 type=0 code=0 id=2 mark=0 use=1
ipv6     10 tcp      6 431999 ESTABLISHED src=fd00::50 dst=fd00::20 sport=40000 dport=22 src=fd00::20 dst=fd00::50 sport=22 dport=40000 [ASSURED] mark=0 use=1
";

    #[test]
    fn connections_keep_the_address_that_was_asked_for() {
        let tracked = parse(&format!("{LISTED}listen 22\nlisten 8096\n"));
        let all: Vec<Connection> = tracked.connections.into_iter().collect();
        assert_eq!(all.len(), 5);
        let published = ("192.168.1.20".parse().expect("address"), 8096);
        assert!(all.iter().any(|one| one.to == published));
        assert!(all.iter().any(|one| one.proto == Proto::Udp));
        assert!(all.iter().any(|one| one.from.0.is_ipv6()));
        let echo = all.iter().find(|one| one.proto == Proto::Icmp);
        assert_eq!(echo.map(|one| (one.from.1, one.to.1)), Some((2, 0)));
        assert_eq!(tracked.listeners, BTreeSet::from([22, 8096]));
    }
}
