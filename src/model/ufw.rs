//! UFW as wanted and as seen.

use super::address::{PortRange, Proto};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UfwAction {
    /// Accept.
    Allow,
    /// Drop.
    Deny,
    /// Refuse with an answer.
    Reject,
    /// Accept at most six connections in 30 s from an address.
    Limit,
}

/// Which chain a rule belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UfwDirection {
    /// Into the host.
    In,
    /// Out of the host.
    Out,
    /// Through the host (`ufw route`).
    Route,
}

/// One rule. `None` means anywhere, any port, any protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UfwRule {
    /// What it does.
    pub action: UfwAction,
    /// Chain.
    pub direction: UfwDirection,
    /// Protocol; needed when ports are given.
    pub proto: Option<Proto>,
    /// Source network.
    pub from: Option<IpNet>,
    /// Destination network.
    pub to: Option<IpNet>,
    /// Destination ports, at most 15 a rule.
    pub ports: Vec<PortRange>,
    /// Source ports; never in a rule of ours.
    #[serde(default)]
    pub source_ports: Vec<PortRange>,
    /// Application profile that the rule was made with, and must be named by to be deleted; never in a rule of ours.
    #[serde(default)]
    pub app: Option<String>,
    /// `log` or `log-all`; `log` in a rule of ours whose flow is logged.
    #[serde(default)]
    pub log: Option<String>,
    /// Interface; for routed rules as in UFW's tuples, `in_eth0!out_eth1`.
    pub interface: Option<String>,
    /// Comment; ours start with `infra:`.
    pub comment: Option<String>,
}

impl UfwRule {
    /// Whether it lets packets pass, if only some of them.
    pub fn passes(&self) -> bool {
        matches!(self.action, UfwAction::Allow | UfwAction::Limit)
    }

    /// Whether infra made it.
    pub fn is_ours(&self) -> bool {
        self.comment
            .as_deref()
            .is_some_and(|comment| comment.starts_with("infra:"))
    }
}

/// A host's UFW.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ufw {
    /// Running, and started at boot.
    pub enabled: bool,
    /// Default for incoming: `deny`, `allow` or `reject`.
    pub incoming: UfwAction,
    /// Default for outgoing.
    pub outgoing: UfwAction,
    /// Default for routed.
    pub routed: UfwAction,
    /// IPv6 rules too (`IPV6=yes`).
    pub ipv6: bool,
    /// It flushes every chain of the kernel when it starts, Docker's too (`MANAGE_BUILTINS=yes`).
    #[serde(default)]
    pub flushes_all: bool,
    /// Rules in order.
    pub rules: Vec<UfwRule>,
}

/// One thing to do to a host's UFW.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UfwStep {
    /// `IPV6=yes` or `no` in `/etc/default/ufw`; takes effect with the next start.
    Ipv6(bool),
    /// A rule before all others: the operator's own way in.
    Prepend(UfwRule),
    /// A rule after all others.
    Append(UfwRule),
    /// Removes a rule, by rule and never by number.
    Delete(UfwRule),
    /// A default policy.
    Default(UfwDirection, UfwAction),
    /// Starts it, now and at boot. Always last.
    Enable,
}

/// What to do to a host's UFW, in order: what opens comes before what closes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UfwSteps(pub Vec<UfwStep>);

impl UfwSteps {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
