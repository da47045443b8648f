//! Drifts of what enforces the flow matrix: Proxmox, UFW and Docker's chain.

use crate::world::{FLAGSHIP, NOTHING, drift, facts, host, proxmox, vmid};
use infra::model::{
    facts::{DockerFacts, SshPeer},
    firewall::{PveRule, PveRuleKind, PveScope},
    observed::{Observed, Reading},
    ufw::{Ufw, UfwAction},
};

fn guest_scope(seen: &mut Observed, number: u32) -> &mut PveScope {
    let guests = &mut proxmox(seen).firewall.guests;
    guests.get_mut(&vmid(number)).expect("there")
}

fn guest_rules(seen: &mut Observed, number: u32) -> &mut Vec<PveRule> {
    &mut guest_scope(seen, number).rules.rules
}

/// The security group to which a guest's only rule refers.
fn group_rules(seen: &mut Observed, number: u32) -> &mut Vec<PveRule> {
    let group = guest_rules(seen, number)[0].action.clone();
    let groups = &mut proxmox(seen).firewall.groups;
    &mut groups.get_mut(&group).expect("there").rules.rules
}

/// Groups are named by their content; a star stands for the hash.
fn starred(said: Vec<String>) -> Vec<String> {
    let star = |mut text: String| {
        let mut from = 0;
        while let Some(at) = text[from..].find("group infra-") {
            let start = from + at + "group infra-".len();
            text.replace_range(start..start + 12, "*");
            from = start;
        }
        text
    };
    said.into_iter().map(star).collect()
}

fn ufw<'a>(seen: &'a mut Observed, on: &str) -> &'a mut Ufw {
    facts(seen, on).ufw.as_mut().expect("installed")
}

fn docker<'a>(seen: &'a mut Observed, on: &str) -> &'a mut DockerFacts {
    facts(seen, on).docker.as_mut().expect("running")
}

#[test]
fn a_rule_added_to_a_guest_is_a_hole_and_goes() {
    let said = drift(|_, seen| {
        let rules = guest_rules(seen, 110);
        let mut rule = rules[0].clone();
        rule.kind = PveRuleKind::In;
        rule.action = "ACCEPT".to_owned();
        rule.proto = Some("tcp".to_owned());
        rule.dport = Some("5432".to_owned());
        rule.comment = None;
        rules.insert(0, rule);
    });
    assert_eq!(
        said,
        ["- pve: firewall of guest 110 [may cut access] rule: in ACCEPT tcp port 5432 -> nothing"]
    );
}

/// sshd's word on where infra comes from.
fn comes_from(seen: &mut Observed, on: &str, address: &str, port: u16) {
    facts(seen, on).ssh_peer = Some(SshPeer {
        address: address.parse().expect("valid"),
        port,
    });
}

#[test]
fn a_firewall_that_would_shut_out_whoever_asks_for_it_is_refused() {
    for (on, address, port) in [
        ("intranet", "192.168.1.77", 22),
        ("pve", "192.168.1.77", 22),
        // The right machine through a port that no rule opens.
        ("pve", "192.168.1.50", 2222),
        ("intranet", "fd00:1::7", 22),
    ] {
        let said = drift(|_, seen| {
            comes_from(seen, on, address, port);
            guest_rules(seen, 110).clear();
        });
        let why = format!(
            "! {on}: the way in: infra comes from {address} to port {port}, which the matrix closes: this firewall would lock you out"
        );
        assert!(said.contains(&why), "{said:#?}");
    }
}

/// `infra zfs apply` and the like carry out a part of the plan, and that part cuts nothing.
#[test]
fn a_part_of_the_plan_without_firewalls_goes_on() {
    let (system, mut observed) = FLAGSHIP.clone();
    comes_from(&mut observed, "pve", "192.168.1.77", 22);
    guest_rules(&mut observed, 110).clear();
    facts(&mut observed, "intranet")
        .packages
        .insert("fail2ban".to_owned(), None);
    let plan = system.plan(&observed);
    assert_eq!(plan.blocked.len(), 1, "{:?}", plan.blocked);
    let part = plan.clone().only(|change| change.subject == "packages");
    assert_eq!(part.expect("an order").blocked, []);
    let part = plan.only(|change| change.subject != "packages");
    assert_eq!(part.expect("an order").blocked.len(), 1);
}

#[test]
fn a_way_in_that_the_matrix_opens_or_that_nothing_closes_is_no_matter() {
    // An operator, the node itself, a firewall that stays as it is, and one of a machine that stands elsewhere.
    for (on, address) in [
        ("intranet", "192.168.1.50"),
        ("pve", "192.168.1.50"),
        ("pve", "127.0.0.1"),
        ("pve", "192.168.1.10"),
    ] {
        let said = drift(|_, seen| {
            comes_from(seen, on, address, 22);
            guest_rules(seen, 110).clear();
        });
        assert!(
            said.iter().all(|line| !line.contains("the way in")),
            "{said:#?}"
        );
    }
    let said = drift(|_, seen| comes_from(seen, "intranet", "192.168.1.77", 22));
    assert_eq!(said, NOTHING);
    let said = drift(|_, seen| {
        comes_from(seen, "intranet", "192.168.1.77", 22);
        ufw(seen, "extranet").enabled = false;
    });
    assert!(said.iter().all(|line| !line.starts_with('!')), "{said:#?}");
}

#[test]
fn a_rule_removed_comes_back() {
    let said = drift(|_, seen| {
        group_rules(seen, 111).remove(0);
    });
    assert_eq!(
        starred(said),
        [
            "+ pve: firewall of group infra-* [hot] rule: nothing -> in ACCEPT tcp port 22 from +dc/infra-set-operators"
        ]
    );
}

#[test]
fn rules_in_another_order_are_moved() {
    let said = drift(|_, seen| {
        group_rules(seen, 111).swap(0, 1);
    });
    assert_eq!(
        starred(said),
        [
            "~ pve: firewall of group infra-* [may cut access] rule in ACCEPT tcp port 22 from +dc/infra-set-operators: position 1 -> position 0"
        ]
    );
}

#[test]
fn a_disabled_rule_acts_again() {
    let said = drift(|_, seen| {
        guest_rules(seen, 111)[0].enable = false;
    });
    assert_eq!(
        starred(said),
        [
            "~ pve: firewall of guest 111 [may cut access] rule: nothing -> group infra-*; rule: group infra-* (disabled) -> nothing"
        ]
    );
}

#[test]
fn a_guest_cut_off_by_rules_changed_by_hand_does_not_keep_them_from_being_mended() {
    let unreached = |seen: &mut Observed| {
        let why = "failed to reach intranet: timed out".to_owned();
        seen.hosts
            .insert(host("intranet"), Reading::Failed { why, hint: None });
    };
    let said = drift(|_, seen| unreached(seen));
    assert_eq!(
        said,
        ["unreachable host intranet: failed to reach intranet: timed out"]
    );
    let said = drift(|_, seen| {
        unreached(seen);
        guest_rules(seen, 110).clear();
    });
    assert_eq!(
        said.last().map(String::as_str),
        Some("later intranet: the Proxmox firewall in front of it is not as it should be"),
        "{said:#?}"
    );
}

#[test]
fn a_guest_without_its_firewall_is_closed_again() {
    let said = drift(|_, seen| {
        guest_scope(seen, 110)
            .options
            .insert("enable".to_owned(), "0".to_owned());
    });
    assert_eq!(
        said,
        ["~ pve: firewall of guest 110 [may cut access] options: enable=0 -> enable=1"]
    );
}

#[test]
fn a_guest_that_accepts_everything_is_closed_again() {
    let said = drift(|_, seen| {
        guest_scope(seen, 110)
            .options
            .insert("policy_out".to_owned(), "ACCEPT".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ pve: firewall of guest 110 [may cut access] options: policy_out=ACCEPT -> policy_out=DROP"
        ]
    );
}

#[test]
fn the_main_switch_is_turned_on_under_its_own_guard() {
    let said = drift(|_, seen| {
        proxmox(seen).firewall.cluster.options.remove("enable");
    });
    assert_eq!(
        said,
        ["~ pve: firewall of datacenter [may cut access] options: nothing -> enable=1"]
    );
}

#[test]
fn a_widened_set_is_narrowed() {
    let said = drift(|_, seen| {
        proxmox(seen)
            .firewall
            .cluster
            .ipsets
            .get_mut("management")
            .expect("ours")
            .members
            .insert("192.168.1.0/24".to_owned(), false);
    });
    assert_eq!(
        said,
        [
            "- pve: firewall of datacenter [may cut access] IP set management: 192.168.1.0/24 -> nothing"
        ]
    );
}

#[test]
fn a_member_that_is_gone_comes_back() {
    let said = drift(|_, seen| {
        proxmox(seen)
            .firewall
            .cluster
            .ipsets
            .get_mut("infra-host-extranet")
            .expect("ours")
            .members
            .clear();
    });
    assert_eq!(
        said,
        ["+ pve: firewall of datacenter [hot] IP set infra-host-extranet: nothing -> 10.10.10.2"]
    );
}

#[test]
fn an_alias_of_another_network_is_corrected() {
    let said = drift(|_, seen| {
        proxmox(seen)
            .firewall
            .cluster
            .aliases
            .get_mut("local_network")
            .expect("ours")
            .cidr = "192.168.1.0/24".to_owned();
    });
    assert_eq!(
        said,
        [
            "~ pve: firewall of datacenter [may cut access] alias local_network: 192.168.1.0/24 -> 192.168.1.10"
        ]
    );
}

#[test]
fn an_ip_filter_that_is_gone_comes_back() {
    let said = drift(|_, seen| {
        guest_scope(seen, 110).ipsets.clear();
    });
    assert_eq!(
        said,
        [
            "+ pve: firewall of guest 110 [hot] IP set ipfilter-net0: nothing -> present; IP set ipfilter-net0: nothing -> 192.168.1.20"
        ]
    );
}

#[test]
fn a_rule_of_the_owner_on_the_node_is_named_and_left_alone() {
    let said = drift(|_, seen| {
        let rules = &mut proxmox(seen)
            .firewall
            .nodes
            .get_mut(&host("pve"))
            .expect("known")
            .rules
            .rules;
        let mut rule = rules[0].clone();
        rule.dport = Some("9100".to_owned());
        rule.comment = None;
        rules.push(rule);
    });
    assert_eq!(
        said,
        ["? firewall of node pve: in ACCEPT tcp port 9100 from +dc/infra-set-operators"]
    );
}

#[test]
fn a_ufw_rule_added_by_hand_goes() {
    let said = drift(|_, seen| {
        let rules = &mut ufw(seen, "intranet").rules;
        let mut rule = rules[0].clone();
        rule.from = None;
        rule.comment = None;
        rules.push(rule);
    });
    assert_eq!(
        said,
        ["~ intranet: ufw [may cut access] rule: allow in 22 tcp -> nothing"]
    );
}

#[test]
fn a_ufw_rule_removed_comes_back() {
    let said = drift(|_, seen| {
        ufw(seen, "intranet").rules.remove(0);
    });
    assert_eq!(
        said,
        ["~ intranet: ufw [may cut access] rule: nothing -> allow in 22 tcp from 192.168.1.50/32"]
    );
}

#[test]
fn a_kernel_rule_beside_ufw_is_told() {
    let said = drift(|_, seen| {
        let rule = "iptables -A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT";
        facts(seen, "intranet").beside_ufw = vec![rule.to_owned()];
    });
    assert_eq!(
        said,
        [
            "? intranet: kernel rule `iptables -A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT`, which may let pass what UFW closes"
        ]
    );
}

#[test]
fn ufw_switched_off_is_switched_on() {
    let said = drift(|_, seen| {
        ufw(seen, "extranet").enabled = false;
    });
    assert_eq!(
        said,
        ["~ extranet: ufw [may cut access] state: inactive -> active"]
    );
}

#[test]
fn a_ufw_default_is_put_right() {
    let said = drift(|_, seen| {
        ufw(seen, "extranet").incoming = UfwAction::Allow;
    });
    assert_eq!(
        said,
        ["~ extranet: ufw [may cut access] default incoming: allow -> deny"]
    );
}

#[test]
fn ufw_without_ipv6_covers_it_again() {
    let said = drift(|_, seen| {
        ufw(seen, "extranet").ipv6 = false;
    });
    assert_eq!(
        said,
        [
            "~ extranet: ufw [may cut access] IPv6: no -> yes; state: active, without what differs -> active"
        ]
    );
}

#[test]
fn a_flushed_docker_chain_is_loaded_again() {
    let said = drift(|_, seen| {
        docker(seen, "intranet").docker_user = None;
    });
    assert_eq!(
        said,
        ["~ intranet: docker firewall chain [hot] live rules: nothing -> as in the inventory"]
    );
}

#[test]
fn a_docker_chain_with_one_rule_less_is_loaded_again() {
    let said = drift(|_, seen| {
        docker(seen, "intranet")
            .docker_user
            .as_mut()
            .expect("live")
            .pop();
    });
    assert_eq!(
        said,
        ["~ intranet: docker firewall chain [hot] live rules: other -> as in the inventory"]
    );
}

#[test]
fn a_ufw_that_flushes_every_chain_is_refused() {
    let said = drift(|_, seen| ufw(seen, "intranet").flushes_all = true);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("! intranet: ufw"), "{said:?}");
    assert!(said[0].contains("MANAGE_BUILTINS=yes"), "{said:?}");
}

#[test]
fn docker_with_a_firewall_that_infra_has_no_rules_for_is_refused() {
    for backend in ["iptables+firewalld", "nftables+firewalld", "eternal"] {
        let said = drift(|_, seen| {
            backend.clone_into(&mut docker(seen, "intranet").firewall_backend);
        });
        assert_eq!(said.len(), 1, "{said:?}");
        let said = &said[0];
        assert!(
            said.starts_with("! intranet: published container ports"),
            "{said}"
        );
        assert!(said.contains(backend), "{said}");
    }
}
