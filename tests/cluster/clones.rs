//! Guests that are cloned from a template side by side.

use crate::farm::{Farm, inventory};
use infra::{
    apply::event::StepOutcome,
    lab::api::{Effect, Fault},
    model::ids::Vmid,
    providers::proxmox::ProxmoxRead as _,
};

fn cloned(guests: usize) -> Farm {
    let template = "\", template: {vmid: 9001, storage: local-zfs, clone: linked}}\nzones";
    let text = inventory(1, guests).replace("\"}\nzones", template);
    assert!(text.contains("9001"));
    Farm::with(&text, |_| {})
}

/// One guard and one proof cover the firewall of all guests, and a guest starts behind them: a clone that fails takes
/// nothing but its own list out of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_fails_holds_up_no_neighbour() {
    let farm = cloned(2);
    let client = farm.client();
    farm.lab.faults().add(Fault {
        method: Some("POST".to_owned()),
        path: "/nodes/*/qemu/9001/clone".to_owned(),
        count: 1,
        effect: Effect::FailTask {
            text: "unexpected end of file".to_owned(),
        },
    });
    let plan = farm.plan(&client).await;
    let receipt = farm.apply(&plan).await;
    let failed: Vec<&str> = receipt.failed().map(|change| &*change.id).collect();
    let (lost, other) = match failed.as_slice() {
        ["pve1: guest 1001 g1 clone"] => (1001_u32, 1002_u32),
        ["pve1: guest 1002 g2 clone"] => (1002, 1001),
        failed => panic!("{failed:?}"),
    };
    let id = |number: u32| Vmid::new(number).expect("valid");
    let lives = client
        .guest(id(other))
        .await
        .expect("answered")
        .expect("made");
    assert_eq!(lives.status, "running");
    assert_eq!(client.guest(id(lost)).await.expect("answered"), None);
    let cluster = farm.lab.firewall_files()["firewall/cluster.fw"].clone();
    assert!(cluster.contains("enable: 1"), "{cluster}");
    let left_out: Vec<_> = receipt
        .changes
        .iter()
        .filter(|change| change.id.contains("firewall of ") && change.outcome != StepOutcome::Done)
        .collect();
    assert!(!left_out.is_empty());
    for change in left_out {
        let level = format!("firewall of guest {lost}");
        assert!(change.id.contains(&level), "{change:?}");
        let because = format!("`{}` was not carried out", failed[0]);
        assert_eq!(change.outcome, StepOutcome::Skipped { because });
    }

    let plan = farm.plan(&client).await;
    assert!(farm.apply(&plan).await.is_complete());
    let plan = farm.plan(&client).await;
    assert!(plan.is_empty(), "{:#?}", plan.changes);
    let made = client.guest(id(lost)).await.expect("answered");
    assert_eq!(made.expect("made").status, "running");
}
