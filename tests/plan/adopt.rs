//! Rules that others made by hand, as rows for the inventory.

use crate::world::{System, facts, host, proxmox, vmid};
use infra::{
    firewall::analysis::{Adoption, adopt},
    model::{
        firewall::{PveRule, PveRuleKind},
        observed::Observed,
        ufw::UfwAction,
    },
};

fn adopted(change: impl FnOnce(&mut Observed)) -> Adoption {
    let system = System::flagship();
    let mut seen = system.settled();
    change(&mut seen);
    adopt(&system.desired, &seen)
}

fn on_the_node(seen: &mut Observed, change: impl FnOnce(&mut PveRule)) {
    let node = proxmox(seen).firewall.nodes.get_mut(&host("pve"));
    let rules = &mut node.expect("known").rules.rules;
    let mut rule = PveRule {
        source: None,
        comment: Some("by hand # 1".to_owned()),
        dport: Some("9100".to_owned()),
        ..rules[0].clone()
    };
    change(&mut rule);
    rules.push(rule);
}

#[test]
fn where_every_rule_is_infras_own_there_is_nothing_to_adopt() {
    assert_eq!(adopted(|_| {}), Adoption::default());
}

#[test]
fn what_a_rule_opens_is_said_with_the_names_of_the_inventory() {
    let found = adopted(|seen| {
        on_the_node(seen, |rule| {
            rule.source = Some("192.168.1.0/24".to_owned());
        });
    });
    assert_eq!(found.flows.len(), 1, "{found:#?}");
    let flow = &found.flows[0];
    assert_eq!(
        (&flow.from[..], &flow.to[..]),
        (&["lan".to_owned()][..], &["pve".to_owned()][..])
    );
    assert_eq!(flow.allow, ["9100/tcp"]);
    assert_eq!(flow.reason, "by hand # 1");
    assert!(found.sets.is_empty() && found.left.is_empty());
}

#[test]
fn addresses_without_a_name_become_a_set_and_layers_that_say_the_same_one_row() {
    let found = adopted(|seen| {
        let guest = proxmox(seen).firewall.guests.get_mut(&vmid(110));
        let rules = &mut guest.expect("there").rules.rules;
        let by_hand = PveRule {
            kind: PveRuleKind::In,
            action: "ACCEPT".to_owned(),
            proto: Some("tcp".to_owned()),
            source: Some("203.0.113.7".to_owned()),
            dport: Some("9999".to_owned()),
            comment: None,
            ..rules[0].clone()
        };
        rules.push(by_hand);
        let rules = &mut facts(seen, "intranet").ufw.as_mut().expect("there").rules;
        let mut rule = rules[0].clone();
        rule.from = Some("203.0.113.7/32".parse().expect("a network"));
        rule.ports = vec![
            "9999/tcp"
                .parse::<infra::model::address::Port>()
                .expect("a port")
                .range,
        ];
        rule.comment = None;
        rules.push(rule);
    });
    assert_eq!(
        found.sets,
        [("adopted-1".to_owned(), vec!["203.0.113.7".to_owned()])]
    );
    assert_eq!(found.flows.len(), 1, "{found:#?}");
    assert_eq!(found.flows[0].from, ["adopted-1"]);
    assert_eq!(found.flows[0].rules.len(), 2);
    assert_eq!(found.flows[0].reason, "adopted from guest 110 intranet");
}

#[test]
fn what_closes_or_cannot_be_read_is_no_row_and_told() {
    let found = adopted(|seen| {
        on_the_node(seen, |rule| rule.action = "DROP".to_owned());
        on_the_node(seen, |rule| rule.sport = Some("53".to_owned()));
        let rules = &mut facts(seen, "extranet").ufw.as_mut().expect("there").rules;
        let mut rule = rules[0].clone();
        rule.action = UfwAction::Deny;
        rule.comment = None;
        rules.push(rule);
    });
    assert!(found.flows.is_empty(), "{found:#?}");
    let why: Vec<&str> = found.left.iter().map(|left| left.why.as_str()).collect();
    assert_eq!(why.len(), 3, "{found:#?}");
    assert!(why[0].contains("closes something") && why[1].contains("no row can say"));
    assert_eq!(found.left[2].on, "UFW of extranet");
}
