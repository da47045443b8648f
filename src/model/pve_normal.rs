//! Proxmox rules compared by what they mean, never by how they are written.

use super::firewall::{PveRule, PveRuleKind};
use ipnet::IpNet;
use std::net::IpAddr;

impl PveRule {
    /// The rule in one normal form: two rules mean the same exactly when their normal forms are equal.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let lower = |text: &Option<String>| text.as_deref().and_then(filled).map(str::to_lowercase);
        Self {
            kind: self.kind,
            action: match self.kind {
                PveRuleKind::Group => self.action.to_lowercase(),
                PveRuleKind::In | PveRuleKind::Out | PveRuleKind::Forward => {
                    self.action.to_uppercase()
                }
            },
            enable: self.enable,
            proto: lower(&self.proto).map(|proto| match proto.as_str() {
                "6" => "tcp".to_owned(),
                "17" => "udp".to_owned(),
                "1" => "icmp".to_owned(),
                "58" | "icmpv6" => "ipv6-icmp".to_owned(),
                _ => proto,
            }),
            source: addresses(self.source.as_deref()),
            dest: addresses(self.dest.as_deref()),
            sport: ports(self.sport.as_deref()),
            dport: ports(self.dport.as_deref()),
            icmp_type: lower(&self.icmp_type).map(|kind| match kind.as_str() {
                "8" | "128" => "echo-request".to_owned(),
                _ => kind,
            }),
            r#macro: self.r#macro.as_deref().and_then(filled).map(str::to_owned),
            iface: self.iface.as_deref().and_then(filled).map(str::to_owned),
            log: lower(&self.log).filter(|level| level != "nolog"),
            comment: self.comment.as_deref().and_then(filled).map(str::to_owned),
        }
    }
}

/// A network as a set lists it: truncated, a single address without its prefix length.
pub fn normal_member(text: &str) -> String {
    let text = text.trim();
    if let Ok(network) = text.parse::<IpNet>() {
        return if network.prefix_len() == network.max_prefix_len() {
            network.addr().to_string()
        } else {
            network.trunc().to_string()
        };
    }
    text.parse::<IpAddr>()
        .map_or_else(|_| text.to_lowercase(), |address| address.to_string())
}

/// An alias keeps the host part of its network, as Proxmox does.
pub fn normal_alias(text: &str) -> String {
    let text = text.trim();
    match text.parse::<IpNet>() {
        Ok(network) if network.prefix_len() == network.max_prefix_len() => {
            network.addr().to_string()
        }
        Ok(network) => network.to_string(),
        Err(_) => normal_member(text),
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn addresses(list: Option<&str>) -> Option<String> {
    let mut parts: Vec<String> = filled(list?)?.split(',').map(normal_member).collect();
    parts.sort_unstable();
    parts.dedup();
    Some(parts.join(","))
}

fn ports(list: Option<&str>) -> Option<String> {
    let mut parts: Vec<String> = filled(list?)?
        .split(',')
        .map(|part| part.trim().to_lowercase())
        .collect();
    parts.sort_unstable_by_key(|part| {
        let number = part.split(':').next().and_then(|p| p.parse::<u16>().ok());
        (number, part.clone())
    });
    parts.dedup();
    Some(parts.join(","))
}
