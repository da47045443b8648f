//! Simple zones and vnets of Proxmox's software-defined network.

use crate::farm::{Farm, inventory};
use infra::{
    lab::api::WorldConfig,
    model::{
        cluster::{EntryKind, EntryWrite},
        observed::{Question, Reading, Unanswered},
    },
    plan::{Obstacle, Plan, change::Operation},
    providers::proxmox::{ClusterRead as _, ClusterWrite as _},
};
use std::collections::BTreeMap;

/// Two nodes and a guest that hangs on a vnet; `sdn` is what the inventory declares.
pub(crate) fn wish(sdn: &str) -> String {
    inventory(2, 1)
        .replace(
            "zones:\n",
            &format!("sdn: {{{sdn}}}\nzones:\n  cams: {{cidrs: 10.9.0.0/24, bridge: cams, gateway: 10.9.0.1}}\n"),
        )
        .replace("zone: lan, address: 10.0.1.2}", "zone: cams, address: 10.9.0.2}")
}

/// The right that zones take beside the least.
pub(crate) fn with_rights(config: &mut WorldConfig) {
    for token in config.tokens.values_mut() {
        for privileges in token.grants.values_mut() {
            privileges.push("SDN.Allocate".to_owned());
        }
    }
}

const PLAIN: &str = "lab: {vnets: {cams: {alias: Cameras}}}";

async fn apply(farm: &Farm) -> Plan {
    let plan = farm.plan(&farm.client()).await;
    assert!(!plan.has(Obstacle::Refused), "{:#?}", plan.blocked);
    let receipt = farm.apply(&plan).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let again = farm.plan(&farm.client()).await;
    assert!(again.is_empty(), "{:#?}", again.changes);
    plan
}

fn told(plan: &Plan) -> Vec<String> {
    let sdn = plan
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::ApplySdn { .. }));
    let fields = sdn.flat_map(|change| &change.fields);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    fields
        .map(|field| {
            format!(
                "{} {} -> {}",
                field.name,
                text(&field.before),
                text(&field.after)
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_vnet_is_there_before_the_guest_that_hangs_on_it_and_is_kept() {
    let mut farm = Farm::with(&wish(PLAIN), with_rights);
    let plan = apply(&farm).await;
    assert_eq!(
        told(&plan),
        [
            "SDN zone lab type nothing -> simple",
            "SDN vnet cams alias nothing -> Cameras",
            "SDN vnet cams zone nothing -> lab",
        ]
    );
    // Another wish.
    farm.wish(&wish(
        "lab: {nodes: [pve1, pve2], mtu: 1400, vnets: {cams: {isolate_ports: true}}}",
    ));
    let plan = apply(&farm).await;
    assert_eq!(
        told(&plan),
        [
            "SDN zone lab mtu nothing -> 1400",
            "SDN zone lab nodes nothing -> pve1,pve2",
            "SDN vnet cams isolate-ports nothing -> 1",
        ]
    );
    // An alias that is not written is not managed.
    let vnets = farm
        .client()
        .entries(EntryKind::SdnVnet)
        .await
        .expect("read");
    assert_eq!(vnets["cams"]["alias"], "Cameras");
    // By hand, applied.
    let client = farm.client();
    let by_hand = EntryWrite::Update {
        set: BTreeMap::from([("mtu".to_owned(), "9000".to_owned())]),
        delete: vec![],
    };
    client
        .write_entry(EntryKind::SdnZone, "lab", &by_hand)
        .await
        .expect("written");
    client.apply_sdn().await.expect("begun");
    let plan = apply(&farm).await;
    assert_eq!(told(&plan), ["SDN zone lab mtu 9000 -> 1400"]);
    // What is no longer written stays: something may hang on it.
    farm.wish(&inventory(2, 1));
    let zones = farm
        .client()
        .entries(EntryKind::SdnZone)
        .await
        .expect("read");
    let plan = farm.plan(&farm.client()).await;
    assert_eq!(told(&plan), Vec::<String>::new());
    assert!(zones.contains_key("lab"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_did_not_load_it_gets_it_again() {
    let farm = Farm::with(&wish(PLAIN), with_rights);
    apply(&farm).await;
    farm.lab.lag_sdn("pve2");
    let plan = apply(&farm).await;
    assert_eq!(told(&plan), ["SDN zone lab on pve2 pending -> available"]);
}

/// A node leaves out of its list what it did not load, and what may not be seen: neither is in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_a_node_does_not_list_is_not_in_force() {
    let farm = Farm::with(&wish(PLAIN), with_rights);
    apply(&farm).await;
    let wanted = farm.wanted();
    let mut seen = wanted.look(&farm.client(), None).await;
    let Some(Reading::Seen(proxmox)) = &mut seen.proxmox else {
        panic!("the API answers")
    };
    let nodes = proxmox.nodes.iter_mut();
    for (_, node) in nodes.filter(|(name, _)| name.as_str() == "pve2") {
        assert!(node.sdn.remove("lab").is_some());
    }
    let plan = wanted.compare(&seen);
    let line = "SDN zone lab on pve2 not listed -> available";
    assert_eq!(told(&plan), [line]);
    // Where the node was not asked, nobody knows.
    if let Some(Reading::Seen(proxmox)) = &mut seen.proxmox {
        proxmox.unanswered.push(Unanswered {
            question: Question::Node("pve2".parse().expect("valid")),
            why: "it did not answer".to_owned(),
            hint: None,
        });
    }
    assert_eq!(told(&wanted.compare(&seen)), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_staged_is_neither_applied_nor_dropped() {
    let farm = Farm::with(&wish(PLAIN), with_rights);
    let client = farm.client();
    let theirs = EntryWrite::Create(BTreeMap::from([("type".to_owned(), "simple".to_owned())]));
    client
        .write_entry(EntryKind::SdnZone, "theirs", &theirs)
        .await
        .expect("staged");
    let plan = farm.plan(&client).await;
    assert!(
        plan.blocked
            .iter()
            .any(|blocked| blocked.what == "SDN" && blocked.why.contains("theirs (new)")),
        "{:#?}",
        plan.blocked
    );
    assert_eq!(told(&plan), Vec::<String>::new());
    let zones = client.entries(EntryKind::SdnZone).await.expect("read");
    assert_eq!(zones["theirs"]["state"], "new", "it waits still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_of_another_kind_is_left_to_its_owner() {
    let farm = Farm::with(&wish(PLAIN), with_rights);
    let client = farm.client();
    let theirs = EntryWrite::Create(BTreeMap::from([("type".to_owned(), "vlan".to_owned())]));
    client
        .write_entry(EntryKind::SdnZone, "lab", &theirs)
        .await
        .expect("staged");
    client.apply_sdn().await.expect("begun");
    // The task takes a moment, and until then the zone waits.
    let blocked = loop {
        let plan = farm.plan(&client).await;
        let blocked = plan
            .blocked
            .iter()
            .map(|blocked| blocked.why.clone())
            .collect::<Vec<_>>();
        if !blocked
            .iter()
            .any(|why| why.contains("waits to be applied"))
        {
            break blocked;
        }
    };
    assert!(
        blocked.iter().any(|why| why.contains("of type `vlan`")),
        "{blocked:#?}"
    );
}
