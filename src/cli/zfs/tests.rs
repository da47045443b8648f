//! A night on a host in memory: what is taken, what goes, and how many commands that needs.

use super::{
    hook,
    look::{Choice, Seen, look},
    prune::{Limits, Tags, plan},
    snapshot::{Done, SnapshotArgs, take},
};
use crate::inventory;
use crate::model::{
    dataset::{Protection, SnapshotHook},
    desired::Desired,
    ids::{DatasetName, HostName},
    snapshot::mark,
};
use crate::providers::zfs::{
    Zfs, ZfsWrite as _,
    tests::fake::{FakeHost, Snapshot},
};
use crate::retention::{covers, gaps};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const NOW: i64 = 1_795_196_991;
const DAY: i64 = 86_400;

fn desired() -> Desired {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
    let loaded = inventory::load(
        &folder,
        "2026-11-20".parse().expect("a date"),
        &inventory::BuiltinTemplates::new(),
    )
    .expect("readable");
    loaded.desired.expect("valid")
}

fn pve() -> HostName {
    "pve".parse().expect("valid")
}

fn args() -> SnapshotArgs {
    SnapshotArgs {
        all: false,
        label: None,
        prune: false,
        limits: limits(),
    }
}

fn limits() -> Limits {
    Limits {
        max_share: 50,
        clock_is_right: false,
    }
}

/// A scheduled snapshot of ours, so many days old.
fn old(host: &FakeHost, dataset: &str, days: i64, more: Snapshot) {
    let creation = host.clock - days * DAY;
    let at = jiff::Timestamp::from_second(creation).expect("in range");
    let name = crate::model::snapshot::our_name("auto", at).expect("valid");
    let system = "media-server-home".parse().expect("valid");
    let one = Snapshot {
        creation,
        mark: mark(&system, &name),
        txg: u64::try_from(10_000 - days).expect("young"),
        ..more
    };
    host.put(&format!("{dataset}@{name}"), one);
}

async fn night(desired: &Desired, hosts: &BTreeMap<HostName, FakeHost>) -> (Seen, Done) {
    let seen = look(desired, hosts).await;
    let choice = Choice::all(desired);
    let done = take(desired, hosts, &seen, &choice, &args(), "run")
        .await
        .expect("taken");
    for (host, survey) in &seen.surveys {
        let pruning = plan(desired, host, survey, &choice, &limits(), &Tags::new());
        Zfs(&hosts[host])
            .destroy_snapshots(&pruning.destroy)
            .await
            .expect("it ran");
    }
    (seen, done)
}

#[tokio::test]
async fn the_commands_of_a_night_do_not_grow_with_the_datasets() {
    let desired = desired();
    let mut counts = BTreeSet::new();
    for number in [4, 40, 150] {
        let names: Vec<String> = (0..number)
            .map(|n| format!("tank/appdata/d{n:03}"))
            .collect();
        let mut datasets = vec![
            "tank",
            "tank/appdata",
            "tank/media",
            "tank/photos",
            "tank/backups",
        ];
        datasets.extend(names.iter().map(String::as_str));
        let host = FakeHost::new(NOW, &datasets);
        for name in &names {
            for days in 1..40 {
                old(&host, name, days, Snapshot::default());
            }
        }
        let hosts = BTreeMap::from([(pve(), host)]);
        let (_, done) = night(&desired, &hosts).await;
        assert_eq!(done.taken.len(), 1);
        // Declared ones and everything that somebody made below one of them; not the pool's own root.
        assert_eq!(done.taken[0].datasets.len(), number + 4);
        let host = &hosts[&pve()];
        let ran = host.ran.lock().expect("fine").clone();
        assert_eq!(
            ran,
            [
                "infra-zfs-survey",
                "infra-zfs-snapshot",
                "infra-zfs-destroy"
            ]
        );
        counts.insert(ran.len());
        let started = host.started.lock().expect("fine").clone();
        let of = |what: &str| started.iter().filter(|one| *one == what).count();
        assert_eq!((of("zfs list"), of("zfs snapshot")), (1, 1));
        // However many datasets lose some: by thousands of snapshots.
        let most = names.len() * 39 / 1_000 + 1;
        assert!((1..=most).contains(&of("zfs program")), "{started:?}");
        assert_eq!(of("zfs destroy"), 0);
    }
    assert_eq!(counts.len(), 1);
}

#[tokio::test]
async fn only_what_is_due_is_taken_and_a_second_run_takes_nothing() {
    let desired = desired();
    let host = FakeHost::new(NOW, &["tank", "tank/appdata", "tank/media", "tank/photos"]);
    // 2026-11-20 is a Friday: a snapshot of Wednesday is of this week, and not of today.
    for dataset in ["tank/appdata", "tank/media"] {
        old(&host, dataset, 2, Snapshot::default());
    }
    old(&host, "tank/photos", 7, Snapshot::default());
    let hosts = BTreeMap::from([(pve(), host)]);
    let (_, done) = night(&desired, &hosts).await;
    let names: Vec<&str> = done.taken[0]
        .datasets
        .iter()
        .map(DatasetName::as_str)
        .collect();
    assert_eq!(names, ["tank/appdata", "tank/photos"]);
    assert_eq!(
        done.taken[0].snapshot.as_str(),
        "infra_auto_20261120T174951Z"
    );
    let (_, again) = night(&desired, &hosts).await;
    assert!(again.taken.is_empty(), "{:?}", again.taken);
}

#[tokio::test]
async fn nobody_elses_snapshot_goes_and_held_ones_hold_nobody_up() {
    let desired = desired();
    let host = FakeHost::new(NOW, &["tank", "tank/appdata"]);
    for days in 0..40 {
        let tags = if days == 39 {
            BTreeSet::from(["keep".to_owned()])
        } else {
            BTreeSet::new()
        };
        let more = Snapshot {
            tags,
            ..Snapshot::default()
        };
        old(&host, "tank/appdata", days, more);
        for foreign in ["__replicate_101-0_", "autosnap_", "vzdump_"] {
            let one = Snapshot {
                creation: host.clock - days * DAY,
                ..Snapshot::default()
            };
            host.put(&format!("tank/appdata@{foreign}{days}"), one);
        }
    }
    let before = host.names("tank/appdata");
    let hosts = BTreeMap::from([(pve(), host)]);
    night(&desired, &hosts).await;
    let after = hosts[&pve()].names("tank/appdata");
    let gone: Vec<&String> = before.iter().filter(|name| !after.contains(name)).collect();
    assert!(
        !gone.is_empty() && gone.iter().all(|name| name.starts_with("infra_auto_")),
        "{gone:?}"
    );
    assert_eq!(
        after
            .iter()
            .filter(|name| !name.starts_with("infra_"))
            .count(),
        120
    );
    let held = before
        .iter()
        .find(|name| name.contains("20261012"))
        .expect("39 days ago");
    assert!(after.contains(held));
}

#[tokio::test]
async fn too_large_a_share_is_named() {
    let desired = desired();
    let host = FakeHost::new(NOW, &["tank", "tank/appdata"]);
    for minutes in 0..100 {
        let creation = NOW - 3 * DAY - minutes * 60;
        let at = jiff::Timestamp::from_second(creation).expect("in range");
        let name = crate::model::snapshot::our_name("auto", at).expect("valid");
        let one = Snapshot {
            creation,
            mark: mark(&desired.system, &name),
            ..Snapshot::default()
        };
        host.put(&format!("tank/appdata@{name}"), one);
    }
    let hosts = BTreeMap::from([(pve(), host)]);
    let seen = look(&desired, &hosts).await;
    let pruning = plan(
        &desired,
        &pve(),
        &seen.surveys[&pve()],
        &Choice::all(&desired),
        &limits(),
        &Tags::new(),
    );
    assert!(
        pruning.too_much[0].contains("of 100 scheduled snapshots of tank/appdata"),
        "{:?}",
        pruning.too_much
    );
    let allowed = Limits {
        max_share: 100,
        ..limits()
    };
    let pruning = plan(
        &desired,
        &pve(),
        &seen.surveys[&pve()],
        &Choice::all(&desired),
        &allowed,
        &Tags::new(),
    );
    assert!(pruning.too_much.is_empty() && pruning.destroy.len() > 90);
}

#[tokio::test]
async fn a_hook_that_fails_is_told_and_decides_only_where_it_must() {
    let mut desired = desired();
    let immich: crate::model::ids::StackName = "immich".parse().expect("valid");
    let hook = |required| SnapshotHook {
        stack: immich.clone(),
        service: "database".to_owned(),
        argv: vec!["psql".to_owned(), "-c".to_owned(), "CHECKPOINT".to_owned()],
        required,
    };
    let appdata: DatasetName = "tank/appdata".parse().expect("valid");
    let photos: DatasetName = "tank/photos".parse().expect("valid");
    desired.datasets.get_mut(&appdata).expect("there").hooks = vec![hook(true)];
    desired.datasets.get_mut(&photos).expect("there").hooks = vec![hook(false)];
    // The guest that runs the stack gives no shell.
    let hosts = BTreeMap::from([(
        pve(),
        FakeHost::new(NOW, &["tank", "tank/appdata", "tank/photos"]),
    )]);
    let seen = look(&desired, &hosts).await;
    let done = take(
        &desired,
        &hosts,
        &seen,
        &Choice::all(&desired),
        &args(),
        "run",
    )
    .await
    .expect("ran");
    let names: Vec<&str> = done.taken[0]
        .datasets
        .iter()
        .map(DatasetName::as_str)
        .collect();
    assert_eq!(names, ["tank/photos"]);
    assert_eq!(done.complaints.len(), 2, "{:?}", done.complaints);
    let none = hook::run(&desired, &hosts, &BTreeMap::new()).await;
    assert!(none.complaints.is_empty() && none.skipped.is_empty());
}

#[tokio::test]
async fn a_child_that_somebody_made_is_covered_and_one_beside_is_a_gap() {
    let mut desired = desired();
    let host = FakeHost::new(
        NOW,
        &[
            "tank",
            "tank/appdata",
            "tank/appdata/immich",
            "tank/forgotten",
        ],
    );
    let hosts = BTreeMap::from([(pve(), host)]);
    let seen = look(&desired, &hosts).await;
    let survey = &seen.surveys[&pve()];
    let declared: Vec<Option<&str>> = covers(&desired, &pve(), survey)
        .iter()
        .map(|cover| cover.declared.map(|entry| entry.name.as_str()))
        .collect();
    assert_eq!(
        declared,
        [None, Some("tank/appdata"), Some("tank/appdata"), None]
    );
    for entry in desired.datasets.values_mut() {
        entry
            .waivers
            .insert(Protection::Backup, "a test".to_owned());
    }
    let surveys = seen.surveys.clone();
    let found = |desired: &Desired| -> BTreeSet<String> {
        gaps(
            desired,
            &surveys,
            &BTreeMap::new(),
            &BTreeMap::new(),
            &crate::retention::Stores::default(),
        )
        .into_iter()
        .map(|gap| format!("{}: {}", gap.what, gap.lacks))
        .collect()
    };
    // The fake pool's own root is mounted, so it may hold files.
    assert_eq!(
        found(&desired).into_iter().collect::<Vec<_>>(),
        [
            "dataset tank/forgotten: backup",
            "dataset tank/forgotten: snapshot schedule",
            "dataset tank: backup",
            "dataset tank: snapshot schedule",
        ]
    );
    let pool = desired.zpools.values_mut().next().expect("tank");
    pool.waivers
        .insert("tank".parse().expect("valid"), "holds no files".to_owned());
    let left = found(&desired);
    assert_eq!(
        left.len(),
        2,
        "the root's waiver is about the root alone: {left:?}"
    );
    let pool = desired.zpools.values_mut().next().expect("tank");
    pool.waivers.insert(
        "tank/forgotten".parse().expect("valid"),
        "scratch".to_owned(),
    );
    let appdata: DatasetName = "tank/appdata".parse().expect("valid");
    desired.datasets.get_mut(&appdata).expect("there").snapshots = None;
    let left = found(&desired);
    assert!(
        left.contains("dataset tank/appdata/immich: snapshot schedule"),
        "{left:?}"
    );
    assert!(
        !left.iter().any(|gap| gap.contains("forgotten")),
        "{left:?}"
    );
}
