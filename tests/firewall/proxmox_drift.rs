//! Hand edits of the Proxmox firewall: each is seen, and the steps repair it on a server with Proxmox's habits (a new
//! rule goes to position 0, a move inserts before the index, a set is deleted with force).

use crate::system::system;
use infra::{
    firewall::{
        CompiledFirewall, Strangers,
        analysis::{Enforcement, Packet},
        compile, diff_pve,
    },
    model::{
        firewall::{PveAlias, PveFirewall, PveIpset, PveRule, PveRuleKind, PveRules, PveScope},
        firewall_step::{PveLevel, PveStep},
        ids::{HostName, Vmid},
    },
};
use proptest::prelude::*;

const SYSTEM: &str = "
zone lan 192.168.1.0/24
zone dmz 10.10.10.0/24
set operators 192.168.1.5 192.168.1.6
operators operators
node pve 192.168.1.10 10.10.10.1
guest intranet 110 lan=192.168.1.20/24
guest extranet 111 dmz=10.10.10.2/24
flow lan > extranet : 443/tcp 80/tcp 1194/udp | HTTPS through the proxy
flow extranet > intranet : 8096/tcp 2283/tcp | backends
flow intranet,extranet > internet : 443/tcp 53/udp icmp | updates
";

fn wanted() -> PveFirewall {
    compile(&system(SYSTEM)).0.pve
}

fn intranet() -> Vmid {
    Vmid::new(110).expect("valid")
}

fn scope<'a>(firewall: &'a mut PveFirewall, level: &PveLevel) -> &'a mut PveScope {
    match level {
        PveLevel::Cluster => &mut firewall.cluster,
        PveLevel::Node(name) => firewall.nodes.entry(name.clone()).or_default(),
        PveLevel::Guest(vmid) => firewall.guests.entry(*vmid).or_default(),
        PveLevel::Group(name) => panic!("group {name} is a list of rules only"),
    }
}

fn rules<'a>(firewall: &'a mut PveFirewall, level: &PveLevel) -> &'a mut Vec<PveRule> {
    match level {
        PveLevel::Group(name) => &mut firewall.groups.get_mut(name).expect("made").rules.rules,
        PveLevel::Cluster | PveLevel::Node(_) | PveLevel::Guest(_) => {
            &mut scope(firewall, level).rules.rules
        }
    }
}

/// What the API does with one step; refuses what it would refuse.
fn write(firewall: &mut PveFirewall, step: &PveStep) {
    match step {
        PveStep::AliasCreate { level, name, alias } => {
            let old = scope(firewall, level)
                .aliases
                .insert(name.clone(), alias.clone());
            assert_eq!(old, None, "alias {name} already exists");
        }
        PveStep::AliasUpdate { level, name, alias } => {
            let old = scope(firewall, level)
                .aliases
                .insert(name.clone(), alias.clone());
            assert!(old.is_some(), "no such alias {name}");
        }
        PveStep::AliasDelete { level, name } => {
            scope(firewall, level).aliases.remove(name);
        }
        PveStep::IpsetCreate {
            level,
            name,
            comment,
        } => {
            let set = PveIpset {
                comment: comment.clone(),
                ..PveIpset::default()
            };
            let old = scope(firewall, level).ipsets.insert(name.clone(), set);
            assert_eq!(old, None, "set {name} already exists");
        }
        PveStep::IpsetComment {
            level,
            name,
            comment,
        } => {
            let set = scope(firewall, level).ipsets.get_mut(name).expect("exists");
            set.comment.clone_from(comment);
        }
        PveStep::MemberAdd {
            level,
            name,
            cidr,
            nomatch,
        } => {
            let set = scope(firewall, level).ipsets.get_mut(name).expect("exists");
            let old = set.members.insert(cidr.clone(), *nomatch);
            assert_eq!(old, None, "address {cidr} already exists");
        }
        PveStep::MemberRemove { level, name, cidr } => {
            let set = scope(firewall, level).ipsets.get_mut(name).expect("exists");
            assert!(set.members.remove(cidr).is_some(), "no {cidr} in {name}");
        }
        PveStep::IpsetDelete { level, name } => {
            assert!(scope(firewall, level).ipsets.remove(name).is_some());
        }
        PveStep::GroupCreate { name, .. } => {
            firewall
                .groups
                .insert(name.clone(), infra::model::firewall::PveGroup::default());
        }
        PveStep::GroupDelete { name } => {
            let group = firewall.groups.remove(name).expect("exists");
            assert!(group.rules.rules.is_empty(), "group {name} is not empty");
        }
        PveStep::RuleAdd { level, rule } => rules(firewall, level).insert(0, rule.clone()),
        PveStep::RuleDelete {
            level,
            position,
            rule,
        } => {
            let removed = rules(firewall, level).remove(*position);
            assert_eq!(
                removed.canonical(),
                *rule,
                "another rule stands at {position}"
            );
        }
        PveStep::RuleReplace {
            level,
            position,
            was,
            rule,
        } => {
            let there = &mut rules(firewall, level)[*position];
            assert_eq!(
                there.canonical(),
                **was,
                "another rule stands at {position}"
            );
            *there = PveRule::clone(rule);
        }
        PveStep::RuleMove {
            level,
            from,
            to,
            rule,
        } => {
            let list = rules(firewall, level);
            assert!(to < from, "only upwards");
            let moved = list.remove(*from);
            assert_eq!(moved.canonical(), *rule, "another rule stands at {from}");
            list.insert(*to, moved);
        }
        PveStep::Options { level, set } => {
            scope(firewall, level).options.extend(set.clone());
        }
    }
}

fn repair(seen: &mut PveFirewall, strangers: Strangers) -> Vec<PveStep> {
    let steps = diff_pve(seen, &wanted(), |_| strangers).steps;
    for step in &steps {
        write(seen, step);
    }
    let again = diff_pve(seen, &wanted(), |_| strangers).steps;
    assert!(again.is_empty(), "after {steps:#?}\nstill {again:#?}");
    steps
}

/// A hand edit of the guest `intranet` or of the datacenter.
fn edit(firewall: &mut PveFirewall, kind: u8, at: usize, to: usize) {
    let guest = PveLevel::Guest(intranet());
    let list = rules(firewall, &guest);
    let (at, to) = (at % list.len().max(1), to % list.len().max(1));
    match kind {
        0 if !list.is_empty() => {
            list.remove(at);
        }
        1 if !list.is_empty() => list[at].enable = false,
        2 if !list.is_empty() => {
            let rule = list.remove(at);
            list.insert(to, rule);
        }
        3 => list.insert(at, stranger()),
        4 if !list.is_empty() => {
            let copy = list[at].clone();
            list.insert(to, copy);
        }
        5 if !list.is_empty() => list[at].dport = Some("1:65535".to_owned()),
        6 => {
            scope(firewall, &guest)
                .options
                .insert("policy_in".to_owned(), "ACCEPT".to_owned());
        }
        7 => {
            firewall
                .cluster
                .options
                .insert("enable".to_owned(), "0".to_owned());
        }
        8 => {
            firewall.cluster.aliases.remove("local_network");
        }
        9 => {
            let sets = firewall.cluster.ipsets.values_mut();
            for set in sets.skip(at % 3).take(1) {
                set.members.pop_first();
                set.members.insert("10.0.0.0/8".to_owned(), to % 2 == 0);
            }
        }
        10 => {
            firewall.cluster.ipsets.pop_first();
        }
        11 => {
            scope(firewall, &guest).ipsets.clear();
        }
        12 => {
            let sets = &mut firewall.cluster.ipsets;
            sets.insert("infra-zone-old".to_owned(), PveIpset::default());
        }
        _ => {}
    }
}

fn stranger() -> PveRule {
    PveRule {
        kind: PveRuleKind::In,
        action: "ACCEPT".to_owned(),
        enable: true,
        proto: Some("tcp".to_owned()),
        source: None,
        dest: None,
        sport: None,
        dport: Some("5432".to_owned()),
        icmp_type: None,
        r#macro: None,
        iface: None,
        log: None,
        comment: Some("just for a moment".to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mixture_of_hand_edits_is_repaired(
        edits in proptest::collection::vec((0..13_u8, any::<usize>(), any::<usize>()), 1..8),
        keep in any::<bool>(),
    ) {
        let strangers = if keep { Strangers::Keep } else { Strangers::Remove };
        let mut seen = wanted();
        for (kind, at, to) in edits {
            edit(&mut seen, kind, at, to);
        }
        repair(&mut seen, strangers);
        let left: Vec<_> = seen.guests[&intranet()].rules.rules.iter().filter(|r| !r.is_ours()).collect();
        prop_assert!(keep || left.is_empty());
        let ours: Vec<_> = seen.guests[&intranet()].rules.rules.iter().filter(|r| r.is_ours()).cloned().collect();
        prop_assert_eq!(&ours, &wanted().guests[&intranet()].rules.rules);
    }
}

#[test]
fn from_nothing_what_opens_comes_first_and_the_switch_last() {
    let mut seen = PveFirewall::default();
    let steps = repair(&mut seen, Strangers::Keep);
    let at = |wanted: &dyn Fn(&PveStep) -> bool| steps.iter().position(wanted).expect("there");
    let switch = at(
        &|step| matches!(step, PveStep::Options { level: PveLevel::Cluster, set } if set.contains_key("enable")),
    );
    assert_eq!(switch, steps.len() - 1);
    let last_rule = steps
        .iter()
        .rposition(|step| matches!(step, PveStep::RuleAdd { .. }));
    let operators = at(
        &|step| matches!(step, PveStep::MemberAdd { name, cidr, .. } if name == "management" && cidr == "192.168.1.5"),
    );
    let local =
        at(&|step| matches!(step, PveStep::AliasCreate { name, .. } if name == "local_network"));
    assert!(operators < local && last_rule.expect("some") < local && local < switch);
}

#[test]
fn spelling_is_not_a_difference() {
    let mut seen = wanted();
    let refers = &mut seen.guests.get_mut(&intranet()).expect("there").rules.rules[0];
    let group = refers.action.clone();
    refers.action = group.to_uppercase();
    refers.log = Some("nolog".to_owned());
    let rule = &mut seen.groups.get_mut(&group).expect("there").rules.rules[0];
    rule.proto = Some("TCP".to_owned());
    rule.action = "accept".to_owned();
    rule.log = Some("nolog".to_owned());
    rule.sport = Some(" ".to_owned());
    let set = seen.cluster.ipsets.get_mut("management").expect("there");
    set.members = [("192.168.1.5/32", false), ("192.168.1.6", false)]
        .map(|(cidr, nomatch)| (cidr.to_owned(), nomatch))
        .into();
    let alias = seen
        .cluster
        .aliases
        .get_mut("local_network")
        .expect("there");
    alias.cidr = "192.168.1.10/32".to_owned();
    // Options that are not set have their defaults, and options of others are theirs.
    seen.cluster.options.remove("policy_in");
    seen.cluster
        .options
        .insert("log_ratelimit".to_owned(), "enable=1".to_owned());
    seen.nodes
        .values_mut()
        .for_each(|node| node.options.clear());
    assert_eq!(diff_pve(&seen, &wanted(), |_| Strangers::Remove).steps, []);
}

#[test]
fn the_dead_man_timestamp_is_not_yet_switched_on() {
    let mut seen = wanted();
    seen.cluster
        .options
        .insert("enable".to_owned(), "1795196049".to_owned());
    let steps = diff_pve(&seen, &wanted(), |_| Strangers::Keep).steps;
    let set = [("enable".to_owned(), "1".to_owned())].into();
    let level = PveLevel::Cluster;
    assert_eq!(steps, [PveStep::Options { level, set }]);
}

#[test]
fn what_others_made_is_left_alone_and_named() {
    let mut seen = wanted();
    let alias = PveAlias {
        cidr: "10.9.9.9".to_owned(),
        comment: None,
    };
    seen.cluster.aliases.insert("printer".to_owned(), alias);
    seen.cluster
        .ipsets
        .insert("blacklist".to_owned(), PveIpset::default());
    seen.guests
        .insert(Vmid::new(900).expect("valid"), PveScope::default());
    let node = HostName::new("pve").expect("valid");
    seen.nodes.get_mut(&node).expect("there").rules = PveRules {
        rules: [vec![stranger()], seen.nodes[&node].rules.rules.clone()].concat(),
        digest: Some("abc".to_owned()),
    };
    let diff = diff_pve(&seen, &wanted(), |_| Strangers::Keep);
    assert_eq!(diff.foreign.len(), 1);
    assert_eq!(diff.foreign[0].level, PveLevel::Node(node));
    // Ours go before it, which takes one move a rule and deletes nothing.
    let moves = |step: &PveStep| matches!(step, PveStep::RuleMove { .. });
    assert!(
        !diff.steps.is_empty() && diff.steps.iter().all(moves),
        "{:?}",
        diff.steps
    );
}

/// Whether a packet passes Proxmox as it is at one moment.
fn passes(firewall: &PveFirewall, packet: Packet) -> bool {
    let compiled = CompiledFirewall {
        pve: firewall.clone(),
        ..CompiledFirewall::default()
    };
    let enforcement = Enforcement::of_compiled(&system(SYSTEM), &compiled);
    enforcement.path(packet).iter().all(|step| step.passes)
}

#[test]
fn a_prober_sees_no_window_in_any_prefix_of_the_writes() {
    let other = SYSTEM
        .replace("443/tcp 80/tcp 1194/udp", "443/tcp 8443/tcp")
        .replace("8096/tcp 2283/tcp", "2283/tcp 3000/tcp");
    let (before, after) = (wanted(), compile(&system(&other)).0.pve);
    let addresses = [
        "192.168.1.5",
        "192.168.1.99",
        "192.168.1.20",
        "10.10.10.2",
        "203.0.113.9",
    ];
    let ports = [
        "22/tcp", "80/tcp", "443/tcp", "1194/udp", "2283/tcp", "3000/tcp", "5432/tcp", "8096/tcp",
        "8443/tcp",
    ];
    let mut packets = Vec::new();
    for (from, to) in addresses.iter().flat_map(|a| addresses.map(|b| (*a, b))) {
        for port in ports {
            packets.push(Packet {
                from: from.parse().expect("an address"),
                to: to.parse().expect("an address"),
                port: port.parse().expect("a port"),
            });
        }
    }
    packets.retain(|packet| packet.from != packet.to);
    let ends: Vec<(bool, bool)> = packets
        .iter()
        .map(|packet| (passes(&before, *packet), passes(&after, *packet)))
        .collect();
    assert!(ends.contains(&(true, false)) && ends.contains(&(false, true)));
    let steps = diff_pve(&before, &after, |_| Strangers::Keep).steps;
    // Each guest goes from one whole list to the other in one write.
    for vmid in before.guests.keys() {
        let level = PveLevel::Guest(*vmid);
        let own: Vec<&PveStep> = steps.iter().filter(|step| *step.level() == level).collect();
        assert!(matches!(own[..], [PveStep::RuleReplace { .. }]), "{own:?}");
    }
    let mut now = before;
    for (number, step) in steps.iter().enumerate() {
        write(&mut now, step);
        for (packet, (was, will)) in packets.iter().zip(&ends) {
            let is = passes(&now, *packet);
            assert!(
                was != will || is == *was,
                "{packet:?} is open={is} after write {number}: {step:?}"
            );
        }
    }
    assert_eq!(diff_pve(&now, &after, |_| Strangers::Keep).steps, []);
}

#[test]
fn a_foreign_rule_that_became_a_flow_makes_room_for_ours() {
    let node = HostName::new("pve").expect("a name");
    let foreign = PveRule {
        comment: Some("by hand, long ago".to_owned()),
        ..wanted().nodes[&node].rules.rules[0].clone()
    };
    let mut seen = wanted();
    let list = &mut seen.nodes.get_mut(&node).expect("there").rules.rules;
    list[0] = foreign;
    list.push(stranger());
    repair(&mut seen, Strangers::Keep);
    let left: Vec<&PveRule> = seen.nodes[&node].rules.rules.iter().collect();
    let foreign: Vec<&&PveRule> = left.iter().filter(|rule| !rule.is_ours()).collect();
    assert_eq!(foreign, [&&stranger()], "the other one stays");
    assert_eq!(left.len(), wanted().nodes[&node].rules.rules.len() + 1);
}

#[test]
fn a_foreign_rule_with_addresses_makes_room_for_a_row_that_names_them() {
    let node = HostName::new("pve").expect("a name");
    let text = format!(
        "{SYSTEM}set monitor 192.168.1.7 192.168.1.9\nflow monitor > pve : 9100/tcp | metrics\n"
    );
    let wanted = compile(&system(&text)).0.pve;
    let by_hand = PveRule {
        dport: Some("9100".to_owned()),
        source: Some("192.168.1.9,192.168.1.7".to_owned()),
        ..stranger()
    };
    let wider = PveRule {
        source: Some("192.168.1.0/24".to_owned()),
        ..by_hand.clone()
    };
    let mut seen = self::wanted();
    let list = &mut seen.nodes.get_mut(&node).expect("there").rules.rules;
    list.extend([by_hand.clone(), wider.clone()]);
    for step in diff_pve(&seen, &wanted, |_| Strangers::Keep).steps {
        write(&mut seen, &step);
    }
    let left = &seen.nodes[&node].rules.rules;
    let foreign: Vec<&PveRule> = left.iter().filter(|rule| !rule.is_ours()).collect();
    assert_eq!(
        foreign,
        [&wider.canonical()],
        "what opens more stays, and is named"
    );
}
