//! The compiled Proxmox firewall as the lab's generator of Proxmox's own chains takes it.

use crate::lab::backend::{FirewallRule, FirewallScope, FirewallSnapshot};
use crate::model::firewall::{PveFirewall, PveRule, PveRuleKind, PveRules, PveScope};

/// Copies it word by word.
pub(super) fn snapshot(pve: &PveFirewall) -> FirewallSnapshot {
    let cluster = scope(&pve.cluster);
    FirewallSnapshot {
        options: cluster.options,
        rules: cluster.rules,
        aliases: cluster.aliases,
        ipsets: cluster.ipsets,
        groups: pve
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), rules(&group.rules)))
            .collect(),
        nodes: pve
            .nodes
            .iter()
            .map(|(name, of)| (name.to_string(), scope(of)))
            .collect(),
        guests: pve
            .guests
            .iter()
            .map(|(vmid, of)| (*vmid, scope(of)))
            .collect(),
    }
}

fn scope(of: &PveScope) -> FirewallScope {
    FirewallScope {
        options: of.options.clone(),
        rules: rules(&of.rules),
        aliases: of
            .aliases
            .iter()
            .map(|(name, alias)| (name.clone(), alias.cidr.clone()))
            .collect(),
        ipsets: of
            .ipsets
            .iter()
            .map(|(name, set)| {
                let members = set.members.iter().map(|(cidr, no)| (cidr.clone(), *no));
                (name.clone(), members.collect())
            })
            .collect(),
    }
}

fn rules(of: &PveRules) -> Vec<FirewallRule> {
    of.rules.iter().map(rule).collect()
}

fn rule(of: &PveRule) -> FirewallRule {
    let kind = match of.kind {
        PveRuleKind::In => "in",
        PveRuleKind::Out => "out",
        PveRuleKind::Forward => "forward",
        PveRuleKind::Group => "group",
    };
    let fixed = [
        ("type", Some(kind.to_owned())),
        ("action", Some(of.action.clone())),
        ("enable", Some(u8::from(of.enable).to_string())),
        ("proto", of.proto.clone()),
        ("source", of.source.clone()),
        ("dest", of.dest.clone()),
        ("sport", of.sport.clone()),
        ("dport", of.dport.clone()),
        ("icmp-type", of.icmp_type.clone()),
        ("macro", of.r#macro.clone()),
        ("iface", of.iface.clone()),
        ("log", of.log.clone()),
        ("comment", of.comment.clone()),
    ];
    let filled = fixed
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    filled.collect()
}
