//! iptables text under construction, one family at a time.

use std::{collections::BTreeMap, fmt::Write as _};

/// Why writing text into a `String` is not checked.
pub(super) const INFALLIBLE: &str = "writing to a String cannot fail";

/// The mark by which an OUT chain says "accepted": the packet still has to pass the IN chain of its target.
pub(super) const ACCEPT_MARK: &str = "0x80000000/0x80000000";
const NO_MARK: &str = "0x00000000/0x80000000";

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    pub(super) fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }
}

/// The filter table's chains of ours.
#[derive(Debug, Default)]
pub(super) struct Chains(BTreeMap<String, Vec<String>>);

impl Chains {
    /// Makes a chain, also when nothing follows.
    pub(super) fn declare(&mut self, chain: &str) {
        self.0.entry(chain.to_owned()).or_default();
    }

    /// Appends a rule.
    pub(super) fn add(&mut self, chain: &str, rule: impl Into<String>) {
        self.0
            .entry(chain.to_owned())
            .or_default()
            .push(rule.into());
    }

    /// Clears the accept mark, before rules that may set it.
    pub(super) fn clear_mark(&mut self, chain: &str) {
        self.add(chain, format!("-j MARK --set-mark {NO_MARK}"));
    }

    /// The chains that others jump to.
    pub(super) fn add_shared(&mut self, family: Family) {
        self.add(
            "PVEFW-SET-ACCEPT-MARK",
            format!("-j MARK --set-mark {ACCEPT_MARK}"),
        );
        let broadcast = ["BROADCAST", "MULTICAST", "ANYCAST"];
        match family {
            Family::V4 => {
                for kind in broadcast {
                    let rule = format!("-m addrtype --dst-type {kind} -j DROP");
                    self.add("PVEFW-DropBroadcast", rule);
                }
                self.add("PVEFW-DropBroadcast", "-d 224.0.0.0/4 -j DROP");
                self.add("PVEFW-Drop", "-j PVEFW-DropBroadcast");
                for kind in ["fragmentation-needed", "time-exceeded"] {
                    let rule = format!("-p icmp -m icmp --icmp-type {kind} -j ACCEPT");
                    self.add("PVEFW-Drop", rule);
                }
                self.add("PVEFW-reject", "-m addrtype --dst-type BROADCAST -j DROP");
                self.add("PVEFW-reject", "-p tcp -j REJECT --reject-with tcp-reset");
                self.add(
                    "PVEFW-reject",
                    "-p udp -j REJECT --reject-with icmp-port-unreachable",
                );
                self.add(
                    "PVEFW-reject",
                    "-j REJECT --reject-with icmp-host-prohibited",
                );
            }
            Family::V6 => {
                for kind in &broadcast[1..] {
                    let rule = format!("-m addrtype --dst-type {kind} -j DROP");
                    self.add("PVEFW-DropBroadcast", rule);
                }
                self.add("PVEFW-Drop", "-j PVEFW-DropBroadcast");
                for kind in ["destination-unreachable", "time-exceeded", "packet-too-big"] {
                    let rule = format!("-p icmpv6 -m icmp6 --icmpv6-type {kind} -j ACCEPT");
                    self.add("PVEFW-Drop", rule);
                }
                self.add("PVEFW-reject", "-p tcp -j REJECT --reject-with tcp-reset");
                self.add(
                    "PVEFW-reject",
                    "-p udp -j REJECT --reject-with icmp6-port-unreachable",
                );
                self.add(
                    "PVEFW-reject",
                    "-j REJECT --reject-with icmp6-adm-prohibited",
                );
            }
        }
    }

    /// What happens to a packet that no rule of the chain took. `accept` is the chain's own way of accepting.
    pub(super) fn add_policy(&mut self, chain: &str, policy: &str, accept: &str) {
        match policy {
            "ACCEPT" => self.add(chain, accept),
            "REJECT" => {
                self.add(chain, "-j PVEFW-Drop");
                self.add(chain, "-g PVEFW-reject");
            }
            // Anything else is DROP, as is the default of every incoming policy.
            _ => {
                self.add(chain, "-j PVEFW-Drop");
                self.add(chain, "-j DROP");
            }
        }
    }

    /// Neighbour discovery, without which IPv6 does not work at all.
    pub(super) fn add_neighbour_discovery(&mut self, chain: &str, incoming: bool, accept: &str) {
        let router = if incoming {
            "router-advertisement"
        } else {
            "router-solicitation"
        };
        for kind in [router, "neighbor-solicitation", "neighbor-advertisement"] {
            self.add(
                chain,
                format!("-p icmpv6 -m icmp6 --icmpv6-type {kind} {accept}"),
            );
        }
    }

    /// The text for `iptables-restore --noflush`: naming a chain empties it, and all of it happens at once.
    pub(super) fn text(&self) -> String {
        let mut out = String::from("*filter\n");
        for chain in self.0.keys() {
            writeln!(out, ":{chain} - [0:0]").expect(INFALLIBLE);
        }
        for (chain, rules) in &self.0 {
            for rule in rules {
                writeln!(out, "-A {chain} {rule}").expect(INFALLIBLE);
            }
        }
        out.push_str("COMMIT\n");
        out
    }
}
