//! What containers may begin, where the matrix holds what their host sends.

use super::rule::{Bridge, INFALLIBLE};
use crate::firewall::{
    addresses::{Addresses, written},
    comment::log_prefix,
    matrix::{Machine, Matrix, covers},
    opening::{Opening, outbound, pieces, port_lists},
};
use crate::model::{
    address::{Port, PortRange, Proto},
    flow::Endpoint,
};
use ipnet::IpNet;
use std::{collections::BTreeSet, fmt::Write as _};

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EgressRule {
    /// Other containers of the same host, by a port that they publish as well: Docker's matter.
    ToContainers(Bridge),
    /// New connections of which a row speaks.
    Leaving(Leaving),
    /// Everything else.
    Rest,
}

/// New connections to somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaving {
    peer: Option<IpNet>,
    /// The interface behind which the peer stands, where there is one.
    interface: Option<String>,
    proto: Proto,
    /// None for echo requests.
    ports: Option<PortRange>,
    passes: bool,
    /// Prefix of the log line, where the flow asks for one.
    log: Option<String>,
}

/// Compiles the rules of one family; none where the matrix does not hold what the host sends. They are those that UFW
/// has for the host itself, in the same order: "the Internet" is written last.
pub(super) fn compile(matrix: &Matrix, machine: &Machine<'_>, v6: bool) -> Vec<EgressRule> {
    if !matrix.holds_egress(machine) {
        return Vec::new();
    }
    let openings = outbound(matrix, &machine.addresses);
    let (outside, known): (Vec<_>, Vec<_>) = openings
        .iter()
        .partition(|opening| opening.peer.endpoint == Endpoint::Internet);
    let mut leaving = Vec::new();
    for opening in &known {
        if opening.peer.endpoint == Endpoint::Any {
            leaving.extend(toward(opening, None, None, true, &opening.row.ports));
            continue;
        }
        let parts = machine
            .interfaces
            .parts(&opening.peer.addresses.of_family(v6));
        for (peer, interface) in parts {
            let peer = Some(peer).filter(|net| net.prefix_len() > 0);
            leaving.extend(toward(opening, peer, interface, true, &opening.row.ports));
        }
    }
    for opening in &outside {
        let others = || known.iter().flat_map(|other| &other.row.ports);
        let ports = opening.row.ports.iter();
        for port in ports.flat_map(|port| pieces(*port, others())) {
            let allowed = known
                .iter()
                .filter(|other| other.row.ports.iter().any(|p| covers(*p, port)))
                .fold(Addresses::default(), |all, other| {
                    all.union(&other.peer.addresses)
                });
            let closed = matrix.zones.without(&allowed).of_family(v6);
            for network in closed.networks() {
                leaving.extend(toward(opening, Some(network), None, false, &[port]));
            }
        }
    }
    for opening in &outside {
        leaving.extend(toward(opening, None, None, true, &opening.row.ports));
    }
    let mut known = BTreeSet::new();
    leaving.retain(|rule| {
        known.insert(Leaving {
            log: None,
            ..rule.clone()
        })
    });
    let mut out: Vec<EgressRule> = Bridge::ALL.map(EgressRule::ToContainers).into();
    out.extend(leaving.into_iter().map(EgressRule::Leaving));
    out.push(EgressRule::Rest);
    out
}

fn toward(
    opening: &Opening<'_>,
    peer: Option<IpNet>,
    interface: Option<&str>,
    passes: bool,
    ports: &[Port],
) -> Vec<Leaving> {
    let rule = |proto: Proto, ports: Option<PortRange>| Leaving {
        peer,
        interface: interface.map(str::to_owned),
        proto,
        ports,
        passes,
        log: (passes && opening.row.log).then(|| log_prefix(&opening.row.id)),
    };
    port_lists(ports)
        .into_iter()
        .flat_map(|(proto, list)| match proto {
            Proto::Icmp => vec![rule(proto, None)],
            Proto::Tcp | Proto::Udp => list
                .into_iter()
                .map(|range| rule(proto, Some(range)))
                .collect(),
        })
        .collect()
}

impl EgressRule {
    /// The rule as `iptables -S` prints it.
    pub(super) fn iptables(&self, v6: bool) -> Vec<String> {
        let one = |text: String| vec![format!("-A INFRA-DOCKER-OUT {text}")];
        match self {
            Self::ToContainers(of) => one(format!("-o {} -j RETURN", of.iptables())),
            Self::Rest => one("-j DROP".to_owned()),
            Self::Leaving(rule) => {
                let matches = rule.iptables(v6);
                let verdict = if rule.passes { "RETURN" } else { "DROP" };
                let log = rule.log.iter();
                let log = log.map(|prefix| format!("{matches}-j LOG --log-prefix {prefix}"));
                log.chain([format!("{matches}-j {verdict}")])
                    .flat_map(one)
                    .collect()
            }
        }
    }

    /// The rule as `nft -s list` prints it.
    pub(super) fn nft(&self, v6: bool) -> String {
        match self {
            Self::ToContainers(of) => format!("oifname \"{}\" accept", of.nft()),
            Self::Rest => "drop".to_owned(),
            Self::Leaving(rule) => rule.nft(v6),
        }
    }
}

impl Leaving {
    fn iptables(&self, v6: bool) -> String {
        let mut out = String::new();
        if let Some(peer) = &self.peer {
            write!(out, "-d {peer} ").expect(INFALLIBLE);
        }
        if let Some(interface) = &self.interface {
            write!(out, "-o {interface} ").expect(INFALLIBLE);
        }
        let proto = self.proto;
        match self.ports {
            Some(ports) => write!(out, "-p {proto} -m {proto} --dport {ports} "),
            None if v6 => write!(out, "-p ipv6-icmp -m icmp6 --icmpv6-type 128 "),
            None => write!(out, "-p icmp -m icmp --icmp-type 8 "),
        }
        .expect(INFALLIBLE);
        out
    }

    fn nft(&self, v6: bool) -> String {
        let (family, echo) = if v6 {
            ("ip6", "icmpv6")
        } else {
            ("ip", "icmp")
        };
        let mut out = String::new();
        if let Some(interface) = &self.interface {
            write!(out, "oifname \"{interface}\" ").expect(INFALLIBLE);
        }
        if let Some(peer) = &self.peer {
            write!(out, "{family} daddr {} ", written(peer)).expect(INFALLIBLE);
        }
        match self.ports {
            Some(ports) => {
                let ports = ports.to_string().replace(':', "-");
                write!(out, "{} dport {ports} ", self.proto)
            }
            None => write!(out, "{echo} type echo-request "),
        }
        .expect(INFALLIBLE);
        if let Some(prefix) = &self.log {
            write!(out, "log prefix \"{prefix}\" ").expect(INFALLIBLE);
        }
        out.push_str(if self.passes { "accept" } else { "drop" });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_reads_as_each_tool_prints_it() {
        let rule = EgressRule::Leaving(Leaving {
            peer: "10.8.0.0/24".parse().ok(),
            interface: Some("wg0".to_owned()),
            proto: Proto::Udp,
            ports: Some(PortRange {
                first: 8000,
                last: 8010,
            }),
            passes: true,
            log: Some("infra-web".to_owned()),
        });
        assert_eq!(
            rule.iptables(false),
            [
                "-A INFRA-DOCKER-OUT -d 10.8.0.0/24 -o wg0 -p udp -m udp --dport 8000:8010 -j LOG --log-prefix infra-web",
                "-A INFRA-DOCKER-OUT -d 10.8.0.0/24 -o wg0 -p udp -m udp --dport 8000:8010 -j RETURN",
            ]
        );
        assert_eq!(
            rule.nft(false),
            "oifname \"wg0\" ip daddr 10.8.0.0/24 udp dport 8000-8010 log prefix \"infra-web\" accept"
        );
    }
}
