//! A UFW as the text that it would load: the frame of its before.rules, then the owner's rules as user.rules has them.

use crate::model::{
    address::PortRange,
    ufw::{Ufw, UfwAction, UfwDirection, UfwRule},
};
use ipnet::IpNet;
use std::fmt::Write as _;

/// For `iptables-restore` or `ip6tables-restore`: the whole filter table but for its last word, `COMMIT`.
pub(super) fn ufw_text(ufw: Option<&Ufw>, v6: bool) -> String {
    let word = |action: UfwAction| match action {
        UfwAction::Allow | UfwAction::Limit => "ACCEPT",
        UfwAction::Deny => "DROP",
        UfwAction::Reject => "REJECT",
    };
    let Some(ufw) = ufw.filter(|ufw| ufw.enabled && (ufw.ipv6 || !v6)) else {
        return "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n".to_owned();
    };
    let policy = |action| {
        if word(action) == "ACCEPT" {
            "ACCEPT"
        } else {
            "DROP"
        }
    };
    let mut out = format!(
        "*filter\n:INPUT {}\n:FORWARD {}\n:OUTPUT {}\n:ufw-user-input -\n:ufw-user-output -\n:ufw-user-forward -\n",
        policy(ufw.incoming),
        policy(ufw.routed),
        policy(ufw.outgoing)
    );
    let chains = [
        ("INPUT", "-i lo", "ufw-user-input"),
        ("OUTPUT", "-o lo", "ufw-user-output"),
        ("FORWARD", "", "ufw-user-forward"),
    ];
    for (chain, loopback, user) in chains {
        if !loopback.is_empty() {
            let _ = writeln!(out, "-A {chain} {loopback} -j ACCEPT");
        }
        let _ = writeln!(
            out,
            "-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        );
        let _ = writeln!(out, "-A {chain} -m conntrack --ctstate INVALID -j DROP");
        // What before.rules and before6.rules accept by themselves: echo requests, which those of IPv4 do not let out, and
        // neighbour discovery.
        let icmp = if v6 {
            "icmpv6"
        } else {
            "icmp --icmp-type echo-request"
        };
        if v6 || chain != "OUTPUT" {
            let _ = writeln!(out, "-A {chain} -p {icmp} -j ACCEPT");
        }
        let _ = writeln!(out, "-A {chain} -j {user}");
    }
    for rule in &ufw.rules {
        let chain = match rule.direction {
            UfwDirection::In => "ufw-user-input",
            UfwDirection::Out => "ufw-user-output",
            UfwDirection::Route => "ufw-user-forward",
        };
        if let Some(matches) = matches(rule, v6) {
            let _ = writeln!(out, "-A {chain} {matches}-j {}", word(rule.action));
        }
    }
    out
}

/// The matches of a rule; none when it is of the other family.
fn matches(rule: &UfwRule, v6: bool) -> Option<String> {
    let mut out = String::new();
    if let Some(interface) = &rule.interface {
        match rule.direction {
            UfwDirection::In => out.push_str(&format_flag("-i", interface)),
            UfwDirection::Out => out.push_str(&format_flag("-o", interface)),
            UfwDirection::Route => {}
        }
        for part in interface.split('!') {
            match part.split_once('_') {
                Some(("in", card)) => out.push_str(&format_flag("-i", card)),
                Some(("out", card)) => out.push_str(&format_flag("-o", card)),
                Some(_) | None => {}
            }
        }
    }
    if let Some(proto) = rule.proto {
        out.push_str(&format_flag("-p", &proto.to_string()));
    }
    let ports: Vec<String> = rule.ports.iter().map(PortRange::to_string).collect();
    match ports.as_slice() {
        [] => {}
        [one] => out.push_str(&format_flag("--dport", one)),
        several => out.push_str(&format_flag("-m multiport --dports", &several.join(","))),
    }
    for (flag, network) in [("-s", rule.from), ("-d", rule.to)] {
        match network {
            None => {}
            Some(IpNet::V4(net)) if !v6 => out.push_str(&format_flag(flag, &net.to_string())),
            Some(IpNet::V6(net)) if v6 => out.push_str(&format_flag(flag, &net.to_string())),
            Some(_) => return None,
        }
    }
    Some(out)
}

fn format_flag(flag: &str, value: &str) -> String {
    format!("{flag} {value} ")
}
