//! How many requests a plan costs.

use crate::farm::Farm;
use std::collections::BTreeMap;

/// What a plan asks of a cluster whose guests all exist, by endpoint.
async fn asked(nodes: usize, guests: usize) -> BTreeMap<String, u64> {
    let farm = Farm::new(nodes, guests);
    let client = farm.client();
    let first = farm.plan(&client).await;
    let receipt = farm.apply(&first).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let before = farm.lab.requests_by_endpoint();
    let second = farm.plan(&client).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_asks_by_node_and_by_guest_and_never_by_object() {
    let small = asked(1, 2).await;
    let large = asked(3, 8).await;
    let of_guest = |name: &str| name.contains("{vmid}");
    let of_node = |name: &str| name.contains("{node}") && !of_guest(name);
    for (name, count) in &large {
        let per = if of_guest(name) {
            8
        } else if of_node(name) {
            3
        } else {
            1
        };
        assert!(
            count.is_multiple_of(per)
                && count / per
                    == small.get(name).copied().unwrap_or(1) / if of_guest(name) { 2 } else { 1 },
            "{name}: {:?} for 1 node and 2 guests, {count} for 3 nodes and 8 guests",
            small.get(name)
        );
    }
    // The configuration of a guest is one question; the rest is its firewall.
    let configuration: u64 = large
        .iter()
        .filter(|(name, _)| of_guest(name) && !name.contains("/firewall/"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(configuration, 8, "{large:#?}");
}
