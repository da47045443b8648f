//! UFW's rules into chains.

use super::chain::{Reading, merged};
use crate::firewall::{addresses::Addresses, interfaces::Interfaces, port_set::PortSet};
use crate::model::ufw::{Ufw, UfwAction, UfwDirection, UfwRule};
use std::{fmt::Write as _, sync::Arc};

/// What was understood of one direction, and what was not.
pub(crate) fn list(
    ufw: &Ufw,
    direction: UfwDirection,
    everything: &Arc<Addresses>,
    interfaces: &Interfaces,
) -> (Vec<Reading>, Vec<String>) {
    // before.rules answer echo requests before any rule of the owner is asked.
    let mut readings = vec![Reading {
        from: Arc::clone(everything),
        to: Arc::clone(everything),
        ports: PortSet::echo(),
        passes: true,
        words: "UFW's own before.rules accept echo requests".to_owned(),
    }];
    let mut unread = Vec::new();
    for rule in ufw.rules.iter().filter(|rule| rule.direction == direction) {
        let behind = rule.interface.as_ref().map(|name| interfaces.behind(name));
        if matches!(behind, Some(None)) || !rule.source_ports.is_empty() {
            unread.push(words(rule));
            continue;
        }
        let side = |network: Option<ipnet::IpNet>| {
            network.map_or_else(
                || Arc::clone(everything),
                |network| Arc::new(Addresses::of_networks([&network])),
            )
        };
        let (mut from, mut to) = (side(rule.from), side(rule.to));
        if let Some(behind) = behind.flatten() {
            let peer = match direction {
                UfwDirection::Out => &mut to,
                UfwDirection::In | UfwDirection::Route => &mut from,
            };
            *peer = Arc::new(peer.intersection(behind));
        }
        readings.push(Reading {
            from,
            to,
            ports: PortSet::matched(rule.proto, &rule.ports),
            passes: matches!(rule.action, UfwAction::Allow | UfwAction::Limit),
            words: words(rule),
        });
    }
    (merged(readings), unread)
}

/// A rule as one types it.
pub(crate) fn words(rule: &UfwRule) -> String {
    let action = match rule.action {
        UfwAction::Allow => "allow",
        UfwAction::Deny => "deny",
        UfwAction::Reject => "reject",
        UfwAction::Limit => "limit",
    };
    let direction = match rule.direction {
        UfwDirection::In => "in",
        UfwDirection::Out => "out",
        UfwDirection::Route => "route",
    };
    let mut out = format!("ufw {action} {direction}");
    if let Some(interface) = &rule.interface {
        let _ = write!(out, " on {interface}");
    }
    if let Some(proto) = rule.proto {
        let _ = write!(out, " proto {proto}");
    }
    let network = |net: Option<ipnet::IpNet>| net.map_or("any".to_owned(), |net| net.to_string());
    let _ = write!(out, " from {} to {}", network(rule.from), network(rule.to));
    if !rule.ports.is_empty() {
        let ports: Vec<String> = rule.ports.iter().map(ToString::to_string).collect();
        let _ = write!(out, " port {}", ports.join(","));
    }
    if let Some(comment) = &rule.comment {
        let _ = write!(out, " comment '{comment}'");
    }
    out
}
