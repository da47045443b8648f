//! Intent -> the words of one line of the script `infra-ufw`.

use crate::model::{
    address::PortRange,
    ufw::{UfwAction, UfwDirection, UfwRule, UfwStep},
};
use ipnet::IpNet;

/// The words of a step: `ufw` and its arguments, `ipv6 yes|no`, or `enable`.
pub(super) fn words(step: &UfwStep) -> Vec<String> {
    match step {
        UfwStep::Ipv6(on) => strings(&["ipv6", if *on { "yes" } else { "no" }]),
        UfwStep::Prepend(rule) => rule_words(rule, &["prepend"], true),
        UfwStep::Append(rule) => rule_words(rule, &[], true),
        UfwStep::Delete(rule) => rule_words(rule, &["delete"], false),
        UfwStep::Default(direction, action) => {
            let direction = match direction {
                UfwDirection::In => "incoming",
                UfwDirection::Out => "outgoing",
                UfwDirection::Route => "routed",
            };
            strings(&["ufw", "default", action_word(*action), direction])
        }
        UfwStep::Enable => strings(&["enable"]),
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn action_word(action: UfwAction) -> &'static str {
    match action {
        UfwAction::Allow => "allow",
        UfwAction::Deny => "deny",
        UfwAction::Reject => "reject",
        UfwAction::Limit => "limit",
    }
}

fn rule_words(rule: &UfwRule, verb: &[&str], comment: bool) -> Vec<String> {
    let mut out = strings(&["ufw"]);
    if rule.direction == UfwDirection::Route {
        out.extend(strings(&["route"]));
    }
    out.extend(strings(verb));
    out.push(action_word(rule.action).to_owned());
    match rule.direction {
        UfwDirection::In => out.extend(interface("in", rule.interface.as_deref())),
        UfwDirection::Out => out.extend(interface("out", rule.interface.as_deref())),
        // `in_eth0!out_eth1` in the tuples.
        UfwDirection::Route => {
            for part in rule.interface.iter().flat_map(|text| text.split('!')) {
                if let Some((side, name)) = part.split_once('_') {
                    out.extend(strings(&[side, "on", name]));
                }
            }
        }
    }
    out.extend(rule.log.clone());
    if let (Some(proto), None) = (rule.proto, &rule.app) {
        out.extend(strings(&["proto", &proto.to_string()]));
    }
    let network = |network: Option<IpNet>| network.map_or("any".to_owned(), |net| net.to_string());
    out.extend(["from".to_owned(), network(rule.from)]);
    out.extend(ports(&rule.source_ports));
    out.extend(["to".to_owned(), network(rule.to)]);
    match &rule.app {
        Some(app) => out.extend(["app".to_owned(), app.clone()]),
        None => out.extend(ports(&rule.ports)),
    }
    if let (Some(text), true) = (&rule.comment, comment) {
        out.extend(["comment".to_owned(), text.clone()]);
    }
    out
}

fn interface(side: &str, name: Option<&str>) -> Vec<String> {
    match name {
        Some(name) => strings(&[side, "on", name]),
        None => strings(&[side]),
    }
}

fn ports(list: &[PortRange]) -> Vec<String> {
    if list.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = list.iter().map(PortRange::to_string).collect();
    vec!["port".to_owned(), list.join(",")]
}
