//! The Proxmox firewall in Proxmox's own words: what the API lists and takes, for wanted and for seen.

use super::ids::{HostName, Vmid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Direction of a rule, or a reference to a security group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PveRuleKind {
    /// Into the guest or node.
    In,
    /// Out of it.
    Out,
    /// Through the node or vnet (nftables firewall only).
    Forward,
    /// A security group; `action` is its name.
    Group,
}

/// One rule. Two rules are the same rule when all fields are equal; positions are the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PveRule {
    /// Direction or group reference.
    pub kind: PveRuleKind,
    /// `ACCEPT`, `DROP`, `REJECT`, or the group's name.
    pub action: String,
    /// Whether it acts. The API stores a new rule disabled unless told.
    pub enable: bool,
    /// Protocol.
    pub proto: Option<String>,
    /// Source address, alias, `+ipset`.
    pub source: Option<String>,
    /// Destination address, alias, `+ipset`.
    pub dest: Option<String>,
    /// Source ports.
    pub sport: Option<String>,
    /// Destination ports, `80,443` or `6000:6010`.
    pub dport: Option<String>,
    /// `icmp-type`.
    pub icmp_type: Option<String>,
    /// Macro.
    pub r#macro: Option<String>,
    /// Interface: `net0` for guests, a bridge or card for nodes.
    pub iface: Option<String>,
    /// Log level.
    pub log: Option<String>,
    /// Comment; ours start with `infra:`.
    pub comment: Option<String>,
}

impl PveRule {
    /// Whether infra made it.
    pub fn is_ours(&self) -> bool {
        self.comment
            .as_deref()
            .is_some_and(|comment| comment.starts_with("infra:"))
    }
}

/// A list of rules; `digest` guards changes and is none for wanted lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PveRules {
    /// Rules in evaluation order, position 0 first.
    pub rules: Vec<PveRule>,
    /// The list's digest as the API gave it.
    pub digest: Option<String>,
}

/// A named address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PveAlias {
    /// Address or network.
    pub cidr: String,
    /// Comment.
    pub comment: Option<String>,
}

/// A named set of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PveIpset {
    /// Members in normal form, with `nomatch` where set.
    pub members: BTreeMap<String, bool>,
    /// Comment.
    pub comment: Option<String>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PveGroup {
    /// Comment.
    pub comment: Option<String>,
    /// Rules.
    pub rules: PveRules,
}

/// One scope of the firewall: the cluster, a node or a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PveScope {
    /// Options as strings (`enable` -> `1`, `policy_in` -> `DROP`); only those wanted, or all that were listed.
    pub options: BTreeMap<String, String>,
    /// Rules.
    pub rules: PveRules,
    /// Aliases (cluster and guests).
    pub aliases: BTreeMap<String, PveAlias>,
    /// IP sets (cluster and guests).
    pub ipsets: BTreeMap<String, PveIpset>,
}

/// The whole Proxmox firewall of a system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PveFirewall {
    /// Datacenter level.
    pub cluster: PveScope,
    /// Security groups by name.
    pub groups: BTreeMap<String, PveGroup>,
    /// Node level.
    pub nodes: BTreeMap<HostName, PveScope>,
    /// Guest level.
    pub guests: BTreeMap<Vmid, PveScope>,
}
