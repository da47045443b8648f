//! How many requests a plan costs.

use crate::farm::{Farm, inventory};
use infra::{
    model::firewall::{PveRule, PveRuleKind},
    providers::proxmox::{FirewallScope, ProxmoxRead as _, ProxmoxWrite as _},
};
use std::collections::BTreeMap;

/// What a plan asks of a cluster whose guests all exist, by endpoint.
async fn asked(nodes: usize, guests: usize, has_shell: bool) -> BTreeMap<String, u64> {
    let farm = Farm::new(nodes, guests);
    let client = farm.client();
    let first = farm.plan(&client).await;
    let receipt = farm.apply(&first).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let before = farm.lab.requests_by_endpoint();
    let second = if has_shell {
        farm.plan(&client).await
    } else {
        farm.plan_without_a_shell(&client).await
    };
    assert!(
        second.is_empty(),
        "{:#?} {:#?}",
        second.changes,
        second.blocked
    );
    farm.lab
        .requests_by_endpoint()
        .into_iter()
        .map(|(name, count)| {
            let already = before.get(&name).copied().unwrap_or(0);
            (name, count - already)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn is_of_guest(name: &str) -> bool {
    name.contains("{vmid}")
}

/// Each endpoint as often as before for each node and each guest, never for each set or group.
fn grows_with_nodes_and_guests(small: &BTreeMap<String, u64>, large: &BTreeMap<String, u64>) {
    for (name, count) in large {
        let (per, of_small) = match name {
            name if is_of_guest(name) => (8, 2),
            name if name.contains("{node}") => (3, 1),
            _ => (1, 1),
        };
        assert!(
            count.is_multiple_of(per)
                && count / per == small.get(name).copied().unwrap_or(1) / of_small,
            "{name}: {:?} for 1 node and 2 guests, {count} for 3 nodes and 8 guests",
            small.get(name)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_asks_by_node_and_once_by_guest_and_never_by_object() {
    let (small, large) = (asked(1, 2, true).await, asked(3, 8, true).await);
    grows_with_nodes_and_guests(&small, &large);
    let of_guests: u64 = large
        .iter()
        .filter(|(name, _)| is_of_guest(name))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(of_guests, 8, "{large:#?}");
    let of_objects = |name: &&String| name.contains("{name}") || name.contains("{group}");
    assert_eq!(large.keys().find(of_objects), None, "{large:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_shell_on_a_node_the_api_tells_the_same() {
    let large = asked(3, 8, false).await;
    let configuration: u64 = large
        .iter()
        .filter(|(name, _)| is_of_guest(name) && !name.contains("/firewall/"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(configuration, 8, "{large:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_in_the_firewall_is_seen_in_the_files_as_through_the_api() {
    let farm = Farm::new(1, 2);
    let client = farm.client();
    let first = farm.plan(&client).await;
    assert!(farm.apply(&first).await.is_complete());
    let scope = FirewallScope::Guest {
        node: "pve1".to_owned(),
        vmid: 1001_u32.try_into().expect("valid"),
    };
    let rules = client.rules(&scope).await.expect("read");
    assert!(!rules.rules.is_empty());
    let hole = PveRule {
        kind: PveRuleKind::In,
        action: "ACCEPT".to_owned(),
        comment: Some("somebody's".to_owned()),
        dport: Some("5432".to_owned()),
        proto: Some("tcp".to_owned()),
        ..rules.rules[0].clone()
    };
    client.insert_rule(&scope, &hole).await.expect("written");
    let told = |plan: infra::plan::Plan| {
        let changes = plan.changes.into_iter();
        changes
            .map(|change| (change.subject, change.fields, change.reason))
            .collect::<Vec<_>>()
    };
    let by_files = told(farm.plan(&client).await);
    assert!(!by_files.is_empty(), "the hole is seen");
    assert_eq!(by_files, told(farm.plan_without_a_shell(&client).await));
}

/// The writes of one more row between two guests, by endpoint.
async fn written_for_one_row(guests: usize) -> BTreeMap<String, u64> {
    let text = inventory(1, guests);
    let mut farm = Farm::with(&text, |_| {});
    let client = farm.client();
    let first = farm.plan(&client).await;
    assert!(farm.apply(&first).await.is_complete());
    let row = "  - {from: g2, to: g1, allow: 5432/tcp, reason: one more row}\nguests:";
    farm.wish(&text.replace("guests:", row));
    let plan = farm.plan(&client).await;
    let before = farm.lab.requests_by_endpoint();
    assert!(farm.apply(&plan).await.is_complete());
    let after = farm.lab.requests_by_endpoint();
    assert!(farm.plan(&client).await.is_empty());
    after
        .into_iter()
        .filter(|(name, _)| !name.starts_with("GET "))
        .map(|(name, count)| {
            let already = before.get(&name).copied().unwrap_or(0);
            (name, count - already)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_row_touches_the_guests_that_it_concerns_and_no_other() {
    let (few, many) = (written_for_one_row(3).await, written_for_one_row(12).await);
    assert_eq!(few, many, "the same however many guests there are");
    let of_guests = many.iter().filter(|(name, _)| is_of_guest(name));
    // One write of two guests: their only rule turns to another group.
    assert_eq!(
        of_guests.map(|(_, count)| count).sum::<u64>(),
        2,
        "{many:#?}"
    );
}
