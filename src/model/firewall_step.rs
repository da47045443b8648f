//! Single writes to the Proxmox firewall, in Proxmox's words: what a plan lists and apply carries out.

use super::{
    firewall::{PveAlias, PveRule, PveRuleKind},
    ids::{HostName, Vmid},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Where a rule list, a set, an alias or an option lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PveLevel {
    /// The datacenter: `/cluster/firewall`.
    Cluster,
    /// A security group: `/cluster/firewall/groups/{name}`.
    Group(String),
    /// A node: `/nodes/{node}/firewall`.
    Node(HostName),
    /// A guest: `/nodes/{node}/qemu/{vmid}/firewall`.
    Guest(Vmid),
}

impl fmt::Display for PveLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("datacenter"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Guest(vmid) => write!(f, "guest {vmid}"),
        }
    }
}

/// One write. A list of them is in a safe order: what opens comes before what closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PveStep {
    /// Makes an alias.
    AliasCreate {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
        /// Content.
        alias: PveAlias,
    },
    /// Changes an alias.
    AliasUpdate {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
        /// Content.
        alias: PveAlias,
    },
    /// Removes an alias that nothing of ours refers to.
    AliasDelete {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
    },
    /// Makes an empty set.
    IpsetCreate {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
        /// Comment.
        comment: Option<String>,
    },
    /// Changes a set's comment (POST with `rename` to its own name).
    IpsetComment {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
        /// Comment.
        comment: Option<String>,
    },
    /// Adds a member.
    MemberAdd {
        /// Cluster or guest.
        level: PveLevel,
        /// Set.
        name: String,
        /// Member in normal form.
        cidr: String,
        /// An exception from the set.
        nomatch: bool,
    },
    /// Removes a member.
    MemberRemove {
        /// Cluster or guest.
        level: PveLevel,
        /// Set.
        name: String,
        /// Member as listed.
        cidr: String,
    },
    /// Removes a set with its members (`force=1`).
    IpsetDelete {
        /// Cluster or guest.
        level: PveLevel,
        /// Name.
        name: String,
    },
    /// Makes an empty security group.
    GroupCreate {
        /// Name, at most 18 characters.
        name: String,
        /// Comment.
        comment: Option<String>,
    },
    /// Removes a security group whose rules were removed before.
    GroupDelete {
        /// Name.
        name: String,
    },
    /// Adds a rule at position 0, where the API puts every new rule.
    RuleAdd {
        /// Whose list.
        level: PveLevel,
        /// The rule; `enable` is always sent.
        rule: PveRule,
    },
    /// Removes the rule at a position. Read the list first: when another rule stands there, the plan is stale; else
    /// send its digest along.
    RuleDelete {
        /// Whose list.
        level: PveLevel,
        /// Position at this step.
        position: usize,
        /// What must stand there.
        rule: PveRule,
    },
    /// Puts a rule in the place of another in one write: a guest goes from one security group to the next, and no packet
    /// ever meets both lists or none. Guarded like [`PveStep::RuleDelete`].
    RuleReplace {
        /// Whose list.
        level: PveLevel,
        /// Position at this step.
        position: usize,
        /// What must stand there.
        was: Box<PveRule>,
        /// What stands there afterwards.
        rule: Box<PveRule>,
    },
    /// Moves a rule up: `moveto=to`, nothing else in the call. Guarded like [`PveStep::RuleDelete`].
    RuleMove {
        /// Whose list.
        level: PveLevel,
        /// Position at this step.
        from: usize,
        /// Index before which it goes; smaller than `from`.
        to: usize,
        /// What must stand at `from`.
        rule: PveRule,
    },
    /// Sets options.
    Options {
        /// Cluster, node or guest.
        level: PveLevel,
        /// Option -> value.
        set: BTreeMap<String, String>,
    },
}

impl PveStep {
    /// Where it writes. Groups themselves are a matter of the cluster.
    pub fn level(&self) -> &PveLevel {
        match self {
            Self::AliasCreate { level, .. }
            | Self::AliasUpdate { level, .. }
            | Self::AliasDelete { level, .. }
            | Self::IpsetCreate { level, .. }
            | Self::IpsetComment { level, .. }
            | Self::MemberAdd { level, .. }
            | Self::MemberRemove { level, .. }
            | Self::IpsetDelete { level, .. }
            | Self::RuleAdd { level, .. }
            | Self::RuleDelete { level, .. }
            | Self::RuleReplace { level, .. }
            | Self::RuleMove { level, .. }
            | Self::Options { level, .. } => level,
            Self::GroupCreate { .. } | Self::GroupDelete { .. } => &PveLevel::Cluster,
        }
    }

    /// Whether it only opens or names things: such a step cannot cut anybody's access.
    pub fn only_opens(&self) -> bool {
        match self {
            Self::AliasCreate { name, .. } => name != "local_network",
            Self::IpsetCreate { .. } | Self::IpsetComment { .. } | Self::GroupCreate { .. } => true,
            Self::MemberAdd { nomatch, .. } => !nomatch,
            // Groups of ours accept, and nothing else.
            Self::RuleAdd { rule, .. } => {
                rule.action == "ACCEPT"
                    || !rule.enable
                    || rule.kind == PveRuleKind::Group && rule.is_ours()
            }
            Self::AliasUpdate { .. }
            | Self::AliasDelete { .. }
            | Self::MemberRemove { .. }
            | Self::IpsetDelete { .. }
            | Self::GroupDelete { .. }
            | Self::RuleDelete { .. }
            | Self::RuleReplace { .. }
            | Self::RuleMove { .. }
            | Self::Options { .. } => false,
        }
    }
}
