//! Destroying snapshots when some of them cannot go.

use super::fake::{FakeHost, Snapshot};
use crate::model::snapshot::SnapshotId;
use crate::providers::{
    shell::Outcome,
    zfs::{Zfs, ZfsError, ZfsWrite, destroy::destroy},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

fn id(text: &str) -> SnapshotId {
    SnapshotId::parse(text).expect("valid")
}

fn held() -> Snapshot {
    Snapshot {
        tags: BTreeSet::from(["keep".to_owned()]),
        ..Snapshot::default()
    }
}

#[tokio::test]
async fn a_held_or_cloned_snapshot_keeps_nobody_else_back() {
    let host = FakeHost::new(0, &["tank/a", "tank/my movies"]);
    for name in [
        "tank/a@1",
        "tank/a@2",
        "tank/a@with: colon",
        "tank/my movies@1",
        "tank/my movies@2",
    ] {
        host.put(name, Snapshot::default());
    }
    host.put("tank/a@held", held());
    host.put("tank/a@with", held());
    let cloned = Snapshot {
        clone: "tank/look".to_owned(),
        ..Snapshot::default()
    };
    host.put("tank/my movies@cloned", cloned);
    let busy = Snapshot {
        busy: 1,
        ..Snapshot::default()
    };
    host.put("tank/a@busy", busy);
    let all: Vec<SnapshotId> = [
        "tank/a@1",
        "tank/a@2",
        "tank/a@held",
        "tank/a@with",
        "tank/a@with: colon",
        "tank/a@busy",
        "tank/a@gone-already",
        "tank/my movies@1",
        "tank/my movies@2",
        "tank/my movies@cloned",
    ]
    .map(id)
    .to_vec();
    let done = destroy(&host, &all, Duration::ZERO).await.expect("it ran");
    let left: Vec<String> = done.left.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(
        left,
        ["tank/a@held", "tank/a@with", "tank/my movies@cloned"]
    );
    assert!(done.left[0].1.contains("being held"), "{}", done.left[0].1);
    assert_eq!(done.gone.len(), 7);
    assert_eq!(host.names("tank/a"), ["held", "with"]);
    assert_eq!(host.names("tank/my movies"), ["cloned"]);
    assert_eq!(host.ran.lock().expect("fine").len(), 3);
}

#[tokio::test]
async fn rounds_do_not_grow_with_datasets_or_snapshots() {
    let names: Vec<String> = (0..300).map(|n| format!("tank/d{n:03}")).collect();
    let datasets: Vec<&str> = names.iter().map(String::as_str).collect();
    let host = FakeHost::new(0, &datasets);
    let mut all = Vec::new();
    for dataset in &names {
        for number in 0..50 {
            let name = format!("{dataset}@infra_auto_{number:03}");
            host.put(&name, Snapshot::default());
            all.push(id(&name));
        }
    }
    let done = Zfs(&host).destroy_snapshots(&all).await.expect("it ran");
    assert_eq!(done.gone.len(), 15_000);
    assert_eq!(host.ran.lock().expect("fine").len(), 1);
    // A program for each thousand.
    assert_eq!(host.started.lock().expect("fine").len(), 15);
}

#[tokio::test]
async fn snapshots_of_a_zpool_are_one_command_and_two_zpools_are_refused() {
    let host = FakeHost::new(1_795_196_991, &["tank/a", "tank/my movies", "other/x"]);
    let name = "infra_auto_20261120T174951Z".parse().expect("valid");
    let set = |names: &[&str]| -> BTreeSet<_> {
        names.iter().map(|n| n.parse().expect("valid")).collect()
    };
    let none = BTreeMap::new();
    Zfs(&host)
        .snapshot(&set(&["tank/a", "tank/my movies"]), &name, &none)
        .await
        .expect("taken");
    assert_eq!(
        host.names("tank/my movies"),
        ["infra_auto_20261120T174951Z"]
    );
    let refused = Zfs(&host)
        .snapshot(&set(&["tank/a", "other/x"]), &name, &none)
        .await;
    assert!(
        matches!(refused, Err(ZfsError::Invalid { .. })),
        "{refused:?}"
    );
    let long = format!("tank/{}", "n".repeat(240));
    let refused = Zfs(&host).snapshot(&set(&[&long]), &name, &none).await;
    assert!(
        matches!(refused, Err(ZfsError::Invalid { .. })),
        "{refused:?}"
    );
    let again = Zfs(&host).snapshot(&set(&["tank/a"]), &name, &none).await;
    assert!(matches!(again, Err(ZfsError::Exists { .. })), "{again:?}");
    assert_eq!(host.ran.lock().expect("fine").len(), 2);
}

#[tokio::test]
async fn holding_twice_is_holding_once() {
    let host = FakeHost::new(0, &["tank/a"]);
    host.put("tank/a@1", Snapshot::default());
    let one = [id("tank/a@1")];
    let zfs = Zfs(&host);
    assert_eq!(
        zfs.hold("keep", &one).await.expect("held"),
        Outcome::Changed
    );
    assert_eq!(
        zfs.hold("keep", &one).await.expect("held"),
        Outcome::Unchanged
    );
    assert_eq!(
        zfs.release("keep", &one).await.expect("free"),
        Outcome::Changed
    );
    assert_eq!(
        zfs.release("keep", &one).await.expect("free"),
        Outcome::Unchanged
    );
    assert_eq!(
        zfs.release("keep", &[]).await.expect("nothing"),
        Outcome::Unchanged
    );
}
