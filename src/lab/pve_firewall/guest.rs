//! The chains of one guest's card.

use super::{
    address::Names,
    chain::{Chains, Family},
    compile::Tap,
    ipset::{self, Owner},
    rule::{Interface, Target, add_rules},
};
use crate::lab::backend::FirewallScope;

/// Adds the card's IN and OUT chains and the jumps that find them.
pub(super) fn add_card(
    chains: &mut Chains,
    family: Family,
    names: &Names<'_>,
    scope: &FirewallScope,
    tap: &Tap,
) {
    let vmid = tap.vmid.number();
    let interface = format!("tap{vmid}i{}", tap.index);
    let (incoming, outgoing) = (format!("{interface}-IN"), format!("{interface}-OUT"));
    let bridged = "-m physdev --physdev-is-bridged";
    chains.add(
        "PVEFW-FWBR-IN",
        format!("{bridged} --physdev-out {interface} -j {incoming}"),
    );
    chains.add(
        "PVEFW-FWBR-OUT",
        format!("{bridged} --physdev-in {interface} -j {outgoing}"),
    );
    let option = |key: &str| scope.options.get(key).map(|value| value.trim());
    let card = format!("net{}", tap.index);
    let accept_out = "-g PVEFW-SET-ACCEPT-MARK";
    let accept_in = "-j ACCEPT";

    // The schema says that DHCP is off by default; what the generator does is allow it unless it is off by name.
    if option("dhcp") != Some("0") {
        let (client, server) = match family {
            Family::V4 => (68, 67),
            Family::V6 => (546, 547),
        };
        let out = format!("-p udp --sport {client} --dport {server} {accept_out}");
        chains.add(&outgoing, out);
        let back = format!("-p udp --sport {server} --dport {client} {accept_in}");
        chains.add(&incoming, back);
    }
    if option("macfilter") != Some("0") {
        let rule = format!("-m mac ! --mac-source {} -j DROP", tap.mac);
        chains.add(&outgoing, rule);
    }
    if family == Family::V6 && option("radv") != Some("1") {
        let rule = "-p icmpv6 -m icmp6 --icmpv6-type router-advertisement -j DROP";
        chains.add(&outgoing, rule);
    }
    let filter = filter_name(tap);
    if option("ipfilter") == Some("1") || scope.ipsets.contains_key(&filter) {
        let set = ipset::set_name(Owner::Guest(vmid), &filter, family);
        let rule = format!("-m set ! --match-set {set} src -j DROP");
        chains.add(&outgoing, rule);
    }
    chains.clear_mark(&outgoing);
    if family == Family::V6 && option("ndp") != Some("0") {
        chains.add_neighbour_discovery(&incoming, true, accept_in);
        chains.add_neighbour_discovery(&outgoing, false, accept_out);
    }
    let sides = [
        ("in", &incoming, accept_in, accept_in, "policy_in", "DROP"),
        (
            "out",
            &outgoing,
            accept_out,
            "-j RETURN",
            "policy_out",
            "ACCEPT",
        ),
    ];
    for (direction, chain, accept, accepted_by_group, policy, default) in sides {
        let target = Target {
            chain,
            direction,
            accept,
            accepted_by_group,
            interface: Interface::Card(&card),
        };
        add_rules(chains, family, names, &scope.rules, &target);
        chains.add_policy(chain, option(policy).unwrap_or(default), accept);
    }
}

/// The set that holds the addresses a card may send from.
pub(super) fn filter_name(tap: &Tap) -> String {
    format!("ipfilter-net{}", tap.index)
}
