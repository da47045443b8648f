//! What the cluster does for guests, declared: high availability, its rules, copies, and where guests live.

use crate::farm::{Farm, inventory};
use infra::{
    lab::api::WorldConfig,
    model::cluster::EntryKind,
    plan::{Obstacle, Plan, change::Operation},
    providers::proxmox::{ClusterRead as _, ProxmoxRead as _},
};

/// Three nodes and three guests; `more` replaces the guests' node and adds keys, by name.
pub(crate) fn wish(more: &[(&str, &str)], rules: &str) -> String {
    let text = inventory(3, 3);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (guest, keys) in more {
        let line = lines
            .iter_mut()
            .find(|line| line.starts_with(&format!("  {guest}: {{vmid")))
            .expect("there is such a guest");
        let (head, rest) = line.split_once(" node: ").expect("has a node");
        let (_, rest) = rest.split_once(", ").expect("more keys");
        *line = format!("{head} {keys}, {rest}");
    }
    format!("{}\n{rules}", lines.join("\n"))
}

/// The rights that HA and replication take beside the least.
pub(crate) fn with_rights(config: &mut WorldConfig) {
    for token in config.tokens.values_mut() {
        for privileges in token.grants.values_mut() {
            privileges.extend(["Sys.Console", "VM.Replicate"].map(str::to_owned));
        }
    }
}

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

/// The subjects of what a plan changes, each with its fields.
fn told(plan: &Plan) -> Vec<String> {
    let told = |change: &infra::plan::change::Change| {
        let fields: Vec<String> = change
            .fields
            .iter()
            .map(|field| {
                format!(
                    "{} {} -> {}",
                    field.name,
                    field.before.as_deref().unwrap_or("nothing"),
                    field.after.as_deref().unwrap_or("nothing")
                )
            })
            .collect();
        format!("{}: {}", change.subject, fields.join(", "))
    };
    plan.changes.iter().map(told).collect()
}

async fn node_of(farm: &Farm, guest: &str) -> String {
    let vmid = farm
        .desired
        .guests
        .values()
        .find(|one| one.name.as_str() == guest)
        .expect("known")
        .vmid;
    let found = farm.client().guest(vmid).await.expect("answered");
    found.expect("there").node
}

pub(crate) const AVAILABLE: &[(&str, &str)] = &[
    (
        "g1",
        "node: pve1, ha: {max_restart: 2}, replicate: [{to: pve2, every: \"*/5\"}]",
    ),
    ("g2", "node: pve2, ha: {}"),
];
pub(crate) const RULES: &str = "ha_rules:\n  \
    near: {guests: g1, on: {pve1: 2, pve2: 1}, strict: true}\n  \
    dns: {guests: [g1, g2], keep: apart}\n";

#[tokio::test(flavor = "multi_thread")]
async fn availability_rules_and_copies_are_made_kept_and_taken_back() {
    let mut farm = Farm::with(&wish(AVAILABLE, RULES), with_rights);
    let plan = apply(&farm).await;
    let made = plan
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::WriteEntry { .. }));
    assert_eq!(made.count(), 5, "two resources, two rules, one job");
    let client = farm.client();
    let resources = client.entries(EntryKind::HaResource).await.expect("read");
    assert_eq!(resources["vm:1001"]["max_restart"], "2");
    let jobs = client.entries(EntryKind::Replication).await.expect("read");
    assert_eq!(jobs["1001-0"]["target"], "pve2");
    // A guest that may live elsewhere holds no image of its first node.
    let vmid = "1001"
        .parse::<u32>()
        .expect("number")
        .try_into()
        .expect("valid");
    let found = client.guest(vmid).await.expect("answered").expect("there");
    assert!(found.config.expect("asked")["ide2"].starts_with("none"));

    // Another wish: changed, gone, and turned into the other kind.
    let other = [
        (
            "g1",
            "node: pve1, ha: {max_restart: 3}, replicate: [{to: pve2, every: \"*/5\", rate: \"20\"}]",
        ),
        ("g2", "node: pve2, ha: {}"),
    ];
    let rules = "ha_rules:\n  near: {guests: [g1, g2], keep: together}\n";
    farm.wish(&wish(&other, rules));
    let plan = apply(&farm).await;
    let mut lines = told(&plan);
    lines.sort();
    assert_eq!(
        lines,
        [
            "HA rule dns: ",
            "HA rule near of before: type node-affinity -> nothing",
            "HA rule near: ",
            "guest 1001 g1 availability: max_restart 2 -> 3",
            "guest 1001 g1 copy on pve2: rate nothing -> 20",
        ]
    );
    // Nothing of it is wanted any more; the copy stays.
    farm.wish(&wish(&[], ""));
    let plan = apply(&farm).await;
    assert!(
        plan.changes
            .iter()
            .any(|change| change.reason.contains("the copy that it made stays")),
        "{:#?}",
        plan.changes
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_by_hand_is_seen() {
    use infra::{model::cluster::EntryWrite, providers::proxmox::ClusterWrite as _};
    let farm = Farm::with(&wish(AVAILABLE, RULES), with_rights);
    apply(&farm).await;
    let client = farm.client();
    let set = |pairs: &[(&str, &str)]| EntryWrite::Update {
        set: pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        delete: vec![],
    };
    let by_hand = [
        (
            EntryKind::HaResource,
            "vm:1001",
            set(&[("state", "ignored")]),
        ),
        (
            EntryKind::HaRule,
            "near",
            set(&[
                ("type", "node-affinity"),
                ("disable", "1"),
                ("nodes", "pve3:5"),
            ]),
        ),
        (EntryKind::Replication, "1001-0", set(&[("disable", "1")])),
    ];
    for (kind, id, write) in &by_hand {
        client.write_entry(*kind, id, write).await.expect("written");
    }
    let plan = farm.plan(&client).await;
    let mut lines = told(&plan);
    lines.sort();
    assert_eq!(
        lines,
        [
            "HA rule near: nodes pve3:5 -> pve1:2,pve2:1, disable 1 -> nothing",
            "guest 1001 g1 availability: state ignored -> started",
            "guest 1001 g1 copy on pve2: disable 1 -> nothing",
        ]
    );
    apply(&farm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_under_ha_is_found_where_ha_started_it() {
    let farm = Farm::with(&wish(AVAILABLE, RULES), with_rights);
    apply(&farm).await;
    farm.lab.switch("pve1", false);
    assert_eq!(node_of(&farm, "g1").await, "pve2", "to its copy");
    farm.lab.switch("pve1", true);
    let plan = farm.plan(&farm.client()).await;
    let moves = plan
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::MigrateGuest { .. }));
    assert_eq!(
        moves.count(),
        0,
        "where it lives is the HA manager's business"
    );
}

/// Under high availability a power call only leaves a request, and the newest one counts: a stop that nobody waits for
/// never happens.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_ha_takes_effect() {
    let mut farm = Farm::with(&wish(AVAILABLE, RULES), with_rights);
    apply(&farm).await;
    let larger = wish(AVAILABLE, RULES).replacen("memory: 512MiB", "memory: 1GiB", 1);
    farm.wish(&larger);
    let plan = apply(&farm).await;
    let restarts = plan
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::RestartGuest { .. }));
    assert_eq!(restarts.count(), 1, "{:#?}", told(&plan));
    let client = farm.client();
    let tasks = client.entries(EntryKind::HaResource).await.expect("read");
    assert_eq!(tasks["vm:1001"]["state"], "started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_lives_elsewhere_is_moved_home_and_may_roam_where_the_owner_says() {
    let mut farm = Farm::with(&wish(&[], ""), |_| {});
    apply(&farm).await;
    let vmid = 1001_u32.try_into().expect("valid");
    // The inventory says another node: a planned move, with its seed out of the drive and in again.
    farm.wish(&wish(&[("g1", "node: pve3")], ""));
    let plan = apply(&farm).await;
    assert_eq!(told(&plan)[0], "guest 1001 g1 move: node pve1 -> pve3");
    assert_eq!(node_of(&farm, "g1").await, "pve3");
    // Somebody moves it: with one node that is drift, with several it is none.
    farm.lab.relocate(vmid, "pve2");
    let plan = farm.plan(&farm.client()).await;
    assert_eq!(told(&plan)[0], "guest 1001 g1 move: node pve2 -> pve3");
    farm.wish(&wish(&[("g1", "node: [pve3, pve2]")], ""));
    let plan = farm.plan(&farm.client()).await;
    assert!(
        plan.changes
            .iter()
            .all(|change| !matches!(change.operation, Operation::MigrateGuest { .. })),
        "{:#?}",
        plan.changes
    );
    apply(&farm).await;
    assert_eq!(node_of(&farm, "g1").await, "pve2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_between_storages_that_are_not_zfs_is_refused_before_the_first_write() {
    let farm = Farm::with(&wish(AVAILABLE, RULES), |config| {
        with_rights(config);
        let storage = config.storages.get_mut("local-zfs").expect("has one");
        "lvmthin".clone_into(&mut storage.kind);
    });
    let plan = farm.plan(&farm.client()).await;
    assert!(
        plan.blocked.iter().any(|blocked| blocked.what.contains("copy on pve2") && blocked.why.contains("lvmthin")),
        "{:#?}",
        plan.blocked
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_a_node_is_made_where_its_rule_prefers() {
    let more = [("g3", "ha: {}")];
    let rules = "ha_rules:\n  fast: {guests: g3, on: {pve1: 1, pve2: 5}}\n";
    let farm = Farm::with(&wish(&more, rules), with_rights);
    apply(&farm).await;
    assert_eq!(node_of(&farm, "g3").await, "pve2");
}
