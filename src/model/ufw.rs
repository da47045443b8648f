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
    /// Interface.
    pub interface: Option<String>,
    /// Comment; ours start with `infra:`.
    pub comment: Option<String>,
}

impl UfwRule {
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
    /// Rules in order.
    pub rules: Vec<UfwRule>,
}

/// What brings a host's UFW to its wanted state: adds before deletes, switched on last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UfwSteps {
    /// Rules to add, in order; the operator's own way in comes first.
    pub add: Vec<UfwRule>,
    /// Rules of ours to delete, each by equality.
    pub delete: Vec<UfwRule>,
    /// Default policies to set.
    pub defaults: Vec<(UfwDirection, UfwAction)>,
    /// `IPV6=yes` has to be written.
    pub ipv6: bool,
    /// It has to be switched on.
    pub enable: bool,
}

impl UfwSteps {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}
