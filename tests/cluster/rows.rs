//! What a change of the matrix costs: only what it concerns is written.

use crate::farm::{Farm, inventory};
use std::collections::BTreeMap;

fn since(farm: &Farm, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let now = farm.lab.requests_by_endpoint().into_iter();
    let grown = now.map(|(name, count)| {
        let already = before.get(&name).copied().unwrap_or(0);
        (name, count - already)
    });
    grown
        .filter(|(name, count)| *count > 0 && !name.starts_with("GET "))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_one_guest_is_written_to_that_guest_alone() {
    let mut farm = Farm::new(3, 9);
    let client = farm.client();
    let receipt = farm.apply(&farm.plan(&client).await).await;
    assert!(receipt.is_complete());

    let row = "  - {from: lan, to: g1, allow: web, reason: pages}\n";
    let text = inventory(3, 9);
    assert!(text.contains(row));
    farm.wish(&text.replace(row, &row.replace("g1,", "g4,")));
    let plan = farm.plan(&client).await;
    let before = farm.lab.requests_by_endpoint();
    let receipt = farm.apply(&plan).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let written = since(&farm, &before);
    let of = |part: &str| -> u64 {
        let named = written.iter().filter(|(name, _)| name.contains(part));
        named.map(|(_, count)| count).sum()
    };
    // Of nine guests two are concerned: one loses a row and one gets it, each with one write that flips its reference.
    assert_eq!(of("{vmid}"), 2, "{written:#?}");
    // A group goes with its rules, one comes with its own; what the others have stays as it is.
    assert!(of("/groups") <= 14, "{written:#?}");
    assert_eq!(
        of("{vmid}") + of("/groups"),
        written.values().sum::<u64>(),
        "{written:#?}"
    );
    let again = farm.plan(&client).await;
    assert!(again.is_empty(), "{:#?}", again.changes);
}
