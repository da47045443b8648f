//! UFW's rules into chains.

use super::chain::{Reading, merged, merged_by_target};
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
    // Before any rule of the owner is asked, before.rules accept echo requests that come in, and of those that go out
    // before6.rules those of IPv6 (ufw 0.36.2).
    let (echoes, file) = match direction {
        UfwDirection::In | UfwDirection::Route => (Arc::clone(everything), "before.rules"),
        UfwDirection::Out => (Arc::new(everything.of_family(true)), "before6.rules"),
    };
    let mut readings = vec![Reading {
        from: Arc::clone(&echoes),
        to: echoes,
        ports: PortSet::echo(),
        passes: true,
        words: format!("UFW's own {file} accept echo requests"),
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
    let readings = match direction {
        UfwDirection::In | UfwDirection::Route => merged(readings),
        UfwDirection::Out => merged_by_target(readings),
    };
    (readings, unread)
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
