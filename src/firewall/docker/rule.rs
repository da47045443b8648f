//! One rule for packets that Docker forwards, in the words of both of its backends.

use super::egress::EgressRule;
use crate::firewall::addresses::written;
use crate::model::address::{PortRange, Proto};
use ipnet::IpNet;
use std::fmt::Write as _;

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DockerRule {
    /// Packets of connections that were allowed.
    Answers,
    /// What containers send where nothing here holds it: Proxmox's matter on a guest, compose's between containers.
    FromContainers(Bridge),
    /// What containers send where the matrix holds it: on to the chain that judges it, and not back.
    HeldContainers(Bridge),
    /// New connections to a published port.
    Published(Published),
    /// Every other published port, whoever published it.
    OtherPublished,
    /// Container addresses, reached without a published port.
    IntoContainers(Bridge),
}

/// Docker's bridges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bridge {
    /// `docker0`.
    Default,
    /// Those of networks that compose makes.
    Compose,
}

impl Bridge {
    pub(super) const ALL: [Self; 2] = [Self::Default, Self::Compose];

    /// Its interface as iptables writes it.
    pub(super) fn iptables(self) -> &'static str {
        match self {
            Self::Default => "docker0",
            Self::Compose => "br-+",
        }
    }

    /// Its interface as nft writes it.
    pub(super) fn nft(self) -> &'static str {
        match self {
            Self::Default => "docker0",
            Self::Compose => "br-*",
        }
    }
}

/// New connections from somebody to a published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Published {
    pub(super) peer: Option<IpNet>,
    /// The interface by which the peer comes in, where it stands behind one.
    pub(super) interface: Option<String>,
    pub(super) proto: Proto,
    /// The host's own address that is meant.
    pub(super) own: Option<IpNet>,
    pub(super) ports: PortRange,
    pub(super) passes: bool,
    /// Prefix of the log line, where the flow asks for one.
    pub(super) log: Option<String>,
}

impl DockerRule {
    /// The rule as `iptables -S` prints it.
    pub(super) fn iptables(&self) -> Vec<String> {
        let one = |text: String| vec![format!("-A INFRA-DOCKER {text}")];
        match self {
            Self::Answers => one("-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN".to_owned()),
            Self::FromContainers(of) => one(format!("-i {} -j RETURN", of.iptables())),
            Self::HeldContainers(of) => one(format!("-i {} -g INFRA-DOCKER-OUT", of.iptables())),
            Self::OtherPublished => one("-m conntrack --ctstate DNAT -j DROP".to_owned()),
            Self::IntoContainers(of) => one(format!("-o {} -j DROP", of.iptables())),
            Self::Published(rule) => {
                let matches = rule.iptables();
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
    pub(super) fn nft(&self) -> String {
        match self {
            Self::Answers => "ct state established,related accept".to_owned(),
            Self::FromContainers(of) => format!("iifname \"{}\" accept", of.nft()),
            Self::HeldContainers(of) => format!("iifname \"{}\" goto containers", of.nft()),
            Self::OtherPublished => "ct status dnat drop".to_owned(),
            Self::IntoContainers(of) => format!("oifname \"{}\" drop", of.nft()),
            Self::Published(rule) => rule.nft(),
        }
    }
}

pub(super) const INFALLIBLE: &str = "writing to a String cannot fail";

impl Published {
    fn iptables(&self) -> String {
        let mut out = String::new();
        if let Some(peer) = self.peer {
            write!(out, "-s {peer} ").expect(INFALLIBLE);
        }
        if let Some(interface) = &self.interface {
            write!(out, "-i {interface} ").expect(INFALLIBLE);
        }
        write!(out, "-p {} -m conntrack --ctstate DNAT ", self.proto).expect(INFALLIBLE);
        if let Some(own) = &self.own {
            write!(out, "--ctorigdst {} ", written(own)).expect(INFALLIBLE);
        }
        write!(out, "--ctorigdstport {} --ctdir ORIGINAL ", self.ports).expect(INFALLIBLE);
        out
    }

    fn nft(&self) -> String {
        let family = |network: &IpNet| {
            if network.addr().is_ipv4() {
                "ip"
            } else {
                "ip6"
            }
        };
        let mut out = String::new();
        if let Some(interface) = &self.interface {
            write!(out, "iifname \"{interface}\" ").expect(INFALLIBLE);
        }
        if let Some(peer) = &self.peer {
            write!(out, "{} saddr {} ", family(peer), written(peer)).expect(INFALLIBLE);
        }
        let proto = self.proto;
        write!(
            out,
            "meta l4proto {proto} ct status dnat ct direction original "
        )
        .expect(INFALLIBLE);
        if let Some(own) = &self.own {
            write!(out, "ct original {} daddr {} ", family(own), written(own)).expect(INFALLIBLE);
        }
        let ports = self.ports.to_string().replace(':', "-");
        write!(out, "ct original proto-dst {ports} ").expect(INFALLIBLE);
        if let Some(prefix) = &self.log {
            write!(out, "log prefix \"{prefix}\" ").expect(INFALLIBLE);
        }
        out.push_str(if self.passes { "accept" } else { "drop" });
        out
    }
}

/// The rules of one host for what Docker forwards, in both forms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerUser {
    /// IPv4 rules of chain `INFRA-DOCKER`, as `iptables -S` prints them.
    pub v4: Vec<String>,
    /// IPv6 rules of it.
    pub v6: Vec<String>,
    /// IPv4 rules of table `infra-docker`, as `nft -s list` prints them.
    pub nft4: Vec<String>,
    /// IPv6 rules of it.
    pub nft6: Vec<String>,
    /// What containers may begin.
    pub egress: DockerEgress,
}

/// The rules of one host for what its containers begin, in both forms; none where the matrix does not hold that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerEgress {
    /// IPv4 rules of chain `INFRA-DOCKER-OUT`, as `iptables -S` prints them.
    pub v4: Vec<String>,
    /// IPv6 rules of it.
    pub v6: Vec<String>,
    /// IPv4 rules of chain `containers` in table `infra-docker`, as `nft -s list` prints them.
    pub nft4: Vec<String>,
    /// IPv6 rules of it.
    pub nft6: Vec<String>,
}

impl DockerUser {
    /// Of the rules of each family, IPv4 first.
    pub(super) fn of(rules: &[Vec<DockerRule>; 2], egress: &[Vec<EgressRule>; 2]) -> Self {
        let iptables = |rules: &[DockerRule]| rules.iter().flat_map(DockerRule::iptables).collect();
        let nft = |rules: &[DockerRule]| rules.iter().map(DockerRule::nft).collect();
        let out = |v6: bool| {
            let rules = egress[usize::from(v6)].iter();
            rules.flat_map(move |rule| rule.iptables(v6)).collect()
        };
        let nft_out = |v6: bool| {
            let rules = egress[usize::from(v6)].iter();
            rules.map(move |rule| rule.nft(v6)).collect()
        };
        let [v4, v6] = rules;
        Self {
            v4: iptables(v4),
            v6: iptables(v6),
            nft4: nft(v4),
            nft6: nft(v6),
            egress: DockerEgress {
                v4: out(false),
                v6: out(true),
                nft4: nft_out(false),
                nft6: nft_out(true),
            },
        }
    }

    /// What the rules are for, in the owner's words.
    pub fn purpose(&self) -> &'static str {
        if self.egress == DockerEgress::default() {
            "published container ports follow the flow matrix"
        } else {
            "what containers publish and send follows the flow matrix"
        }
    }

    /// What `model::facts::DockerFacts::docker_user` must be when the live rules are these: each rule after `4 ` or
    /// `6 `, and before each family's rules the jump that leads to them.
    pub fn lines(&self) -> Vec<String> {
        let family = |number: char, rules: &[String], egress: &[String]| {
            let jump = format!("{number} -A DOCKER-USER -j INFRA-DOCKER");
            let rules = rules.iter().chain(egress);
            let rules = rules.map(move |rule| format!("{number} {rule}"));
            std::iter::once(jump).chain(rules).collect::<Vec<_>>()
        };
        let out = &self.egress;
        [
            family('4', &self.v4, &out.v4),
            family('6', &self.v6, &out.v6),
        ]
        .concat()
    }

    /// The same for Docker's nftables backend: each rule after `4 nft ` or `6 nft `, and after `4 nft out ` what is about
    /// containers that send.
    pub fn nft_lines(&self) -> Vec<String> {
        let family = |number: char, rules: &[String], egress: &[String]| -> Vec<String> {
            let rules = rules.iter().map(|rule| format!("{number} nft {rule}"));
            let egress = egress.iter().map(|rule| format!("{number} nft out {rule}"));
            rules.chain(egress).collect()
        };
        let out = &self.egress;
        [
            family('4', &self.nft4, &out.nft4),
            family('6', &self.nft6, &out.nft6),
        ]
        .concat()
    }

    /// Whether the live rules are these, for the backend that Docker has (`iptables` or `nftables`).
    pub fn is_live(&self, backend: &str, observed: Option<&[String]>) -> bool {
        let wanted = if backend == "nftables" {
            self.nft_lines()
        } else {
            self.lines()
        };
        // What is left of the other backend is not asked any more, and does nothing.
        let is_nft = |line: &String| line.get(1..).is_some_and(|rest| rest.starts_with(" nft "));
        observed.is_some_and(|lines| {
            let mine = lines
                .iter()
                .filter(|line| is_nft(line) == (backend == "nftables"));
            mine.eq(&wanted)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_reads_as_each_tool_prints_it() {
        let rule = DockerRule::Published(Published {
            peer: "10.10.10.2/32".parse().ok(),
            interface: None,
            proto: Proto::Tcp,
            own: "192.168.1.20/32".parse().ok(),
            ports: PortRange {
                first: 8096,
                last: 8099,
            },
            passes: true,
            log: Some("infra-web".to_owned()),
        });
        assert_eq!(
            rule.iptables(),
            [
                "-A INFRA-DOCKER -s 10.10.10.2/32 -p tcp -m conntrack --ctstate DNAT --ctorigdst 192.168.1.20 --ctorigdstport 8096:8099 --ctdir ORIGINAL -j LOG --log-prefix infra-web",
                "-A INFRA-DOCKER -s 10.10.10.2/32 -p tcp -m conntrack --ctstate DNAT --ctorigdst 192.168.1.20 --ctorigdstport 8096:8099 --ctdir ORIGINAL -j RETURN",
            ]
        );
        assert_eq!(
            rule.nft(),
            "ip saddr 10.10.10.2 meta l4proto tcp ct status dnat ct direction original ct original ip daddr 192.168.1.20 ct original proto-dst 8096-8099 log prefix \"infra-web\" accept"
        );
    }
}
