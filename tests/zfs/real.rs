//! The same on real OpenZFS, where a saved machine with it is in the cache: `make nightly SUITE=zfs` builds it.

use super::{
    reasons,
    rig::{Rig, is_nightly},
    stage::{self, tell},
    transcript::{Entry, Likeness, Said, compare, entries, mapped},
};
use infra::{
    apply::replica::{End, Job, replicate},
    model::{
        ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
        snapshot::{MARK, SnapshotId, mark},
    },
    providers::{
        shell::{Command, Outcome, Shell as _},
        ssh::SshHost,
        zfs::{
            Zfs, ZfsRead, ZfsWrite,
            transfer::{Ending, Sending, on_one_host},
        },
    },
    replication::Divergence,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub(crate) fn rig() -> Option<Rig> {
    let rig = Rig::up();
    if rig.is_none() {
        assert!(
            !is_nightly(),
            "no machine in the cache: tests/zfs/rig/rig.sh build"
        );
        tell("SKIPPED real OpenZFS: no machine in the cache; `make nightly SUITE=zfs` builds one");
    }
    rig
}

fn recorded(entry: &Entry) -> Said {
    Said {
        rc: entry.rc,
        stdout: entry.stdout.clone(),
        stderr: entry.stderr.clone(),
    }
}

/// Recorded commands whose answer depends on the day: what was happening, how fast, in which order `zfs diff` came upon the
/// changes, and whether the machine has an NFS server (the recorded one had none).
const FICKLE: &[&str] = &[
    "zpool status",
    "sleep",
    "zpool events",
    "zpool history",
    "zpool iostat",
    "zfs get -Hp all",
    "zfs get -j -p all",
    "zpool get",
    "truncate",
    "zfs diff ",
    "zfs set sharenfs=on",
    "zpool offline",
    "zpool list -Hp -o name,bcloneused",
];

#[test]
fn real_openzfs_answers_as_it_was_recorded() {
    let runs: &[u32] = if is_nightly() { &[1, 2] } else { &[2] };
    let all = entries();
    let (mut count, mut surprises) = (BTreeMap::<Likeness, usize>::new(), String::new());
    for run in runs {
        let Some(rig) = rig() else { return };
        let part: Vec<&Entry> = all.iter().filter(|entry| entry.run == *run).collect();
        let commands: Vec<String> = part.iter().map(|entry| entry.cmd.clone()).collect();
        let real = rig.replay(&commands);
        drop(rig);
        let twin = (is_nightly() && stage::missing().is_none()).then(|| stage::on_twin(&commands));
        for (at, entry) in part.iter().enumerate() {
            let likeness = compare(&entry.cmd, &real[at], &recorded(entry));
            *count.entry(likeness).or_default() += 1;
            let show = |said: &Said| {
                let text = |text| mapped(&entry.cmd, text, false);
                format!("{}\n{}{}", said.rc, text(&said.stdout), text(&said.stderr))
            };
            let is_fickle = FICKLE.iter().any(|start| entry.cmd.starts_with(start));
            if likeness == Likeness::Differs && !is_fickle {
                let _ = write!(
                    surprises,
                    "{}\n--- recorded: {}--- now: {}",
                    entry.cmd,
                    show(&recorded(entry)),
                    show(&real[at])
                );
            }
            if let Some(twin) = &twin
                && compare(&entry.cmd, &twin[at], &real[at]) == Likeness::Differs
            {
                let why = reasons::of(&entry.cmd).or(is_fickle.then_some("depends on the day"));
                tell(&format!(
                    "twin differs from real OpenZFS: {} ({})",
                    entry.cmd,
                    why.unwrap_or("no reason is known")
                ));
                if why.is_none() {
                    let (twin, real) = (show(&twin[at]), show(&real[at]));
                    let _ = write!(
                        surprises,
                        "{}\n--- OpenZFS: {real}--- twin: {twin}",
                        entry.cmd
                    );
                }
            }
        }
    }
    tell(&format!("real OpenZFS against its recording: {count:?}"));
    assert!(surprises.is_empty(), "answered differently:\n{surprises}");
}

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).expect("valid")
}

fn short(name: &str) -> SnapshotName {
    SnapshotName::new(name).expect("valid")
}

fn id(name: &str) -> SnapshotId {
    SnapshotId::parse(name).expect("valid")
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

#[test]
fn the_provider_does_on_real_openzfs_what_it_says() {
    let Some(rig) = rig() else { return };
    rig.sh("zpool create -O mountpoint=/mnt/tank tank /dev/vdg");
    let host = rig.host("rig");
    block_on(what_an_engine_does(&Zfs(&host)));
}

/// One suite for both engines, on an empty zpool `tank` mounted at `/mnt/tank`.
pub(crate) async fn what_an_engine_does<E: ZfsRead + ZfsWrite>(zfs: &E) {
    let system = SystemName::new("home").expect("valid");
    let tank = [ZpoolName::new("tank").expect("valid")];
    let wanted = BTreeMap::from([("recordsize".to_owned(), "1M".to_owned())]);
    zfs.create(&dataset("tank/media"), &system, &wanted, None)
        .await
        .expect("created");
    zfs.create(&dataset("tank/my photos"), &system, &BTreeMap::new(), None)
        .await
        .expect("created");
    let (datasets, pools) = zfs.facts(&tank).await.expect("facts");
    assert_eq!(pools["tank"].health, "ONLINE");
    assert_eq!(
        datasets[&dataset("tank/media")].properties["recordsize"].value,
        "1048576"
    );

    let both = BTreeSet::from([dataset("tank/media"), dataset("tank/my photos")]);
    for name in ["infra_auto_1", "infra_auto_2", "infra_auto_3"] {
        let name = short(name);
        let properties = BTreeMap::from([(MARK.to_owned(), mark(&system, &name))]);
        zfs.snapshot(&both, &name, &properties)
            .await
            .expect("taken");
    }
    let survey = zfs.survey(&tank).await.expect("a survey");
    let media = &survey.datasets[&dataset("tank/media")];
    let photos = &survey.datasets[&dataset("tank/my photos")];
    assert_eq!(media.snapshots.len(), 3);
    assert_eq!(
        media.snapshots[0].createtxg, photos.snapshots[0].createtxg,
        "of one moment"
    );
    assert!(
        media
            .snapshots
            .iter()
            .all(|one| one.system.as_ref() == Some(&system))
    );

    // What arrives over there carries no mark; all of them get one, and one that is gone is told.
    let bare = short("infra_auto_bare");
    zfs.snapshot(&both, &bare, &BTreeMap::new())
        .await
        .expect("taken");
    let bare = ["tank/media", "tank/my photos"].map(|name| id(&format!("{name}@{bare}")));
    zfs.mark(&system, &bare).await.expect("marked");
    let beside = [id("tank/media@gone"), bare[0].clone()];
    let gone = zfs.mark(&system, &beside).await.expect_err("it is gone");
    let said = gone.to_string();
    assert!(said.contains("tank/media@gone"), "{said}");
    let survey = zfs.survey(&tank).await.expect("a survey");
    for one in &bare {
        let view = &survey.datasets[&one.dataset];
        let fact = view.snapshots.iter().find(|fact| fact.name == one.name);
        assert_eq!(fact.expect("listed").system.as_ref(), Some(&system));
    }
    let done = zfs.destroy_snapshots(&bare).await.expect("answers");
    assert_eq!(done.gone.len(), 2);

    let held = id("tank/media@infra_auto_2");
    assert_eq!(
        zfs.hold("keep", std::slice::from_ref(&held))
            .await
            .expect("held"),
        Outcome::Changed
    );
    assert_eq!(
        zfs.hold("keep", std::slice::from_ref(&held))
            .await
            .expect("held"),
        Outcome::Unchanged
    );
    let holds = zfs.holds(std::slice::from_ref(&held)).await.expect("holds");
    assert_eq!(holds[0].tag, "keep");
    zfs.bookmark(&id("tank/media@infra_auto_1"), &short("base"))
        .await
        .expect("bookmarked");
    let gone = zfs
        .destroy_snapshots(&["1", "2", "3"].map(|n| id(&format!("tank/media@infra_auto_{n}"))))
        .await
        .expect("answers");
    assert_eq!(gone.gone.len(), 2);
    assert_eq!(gone.left.len(), 1);
    assert!(gone.left[0].1.contains("held"), "{}", gone.left[0].1);
    assert_eq!(
        zfs.release("keep", std::slice::from_ref(&held))
            .await
            .expect("released"),
        Outcome::Changed
    );
    zfs.rollback(&held).await.expect("rolled back");
    zfs.clone_snapshot(&held, &dataset("tank/look"), &system, &BTreeMap::new())
        .await
        .expect("cloned");
    let survey = zfs.survey(&tank).await.expect("a survey");
    assert_eq!(
        survey.datasets[&dataset("tank/media")].bookmarks[0].name,
        short("base")
    );
    assert_eq!(
        survey.datasets[&dataset("tank/look")].origin.as_deref(),
        Some("tank/media@infra_auto_2")
    );
    let refused = zfs
        .destroy_snapshots(std::slice::from_ref(&held))
        .await
        .expect("answers");
    assert!(refused.left[0].1.contains("clones"), "{:?}", refused.left);
}

async fn run(host: &SshHost, words: &[&str]) {
    host.demand(Command::new(words.iter().copied()))
        .await
        .expect("a command that works");
}

async fn take(host: &SshHost, name: &str) {
    let name = short(name);
    let system = SystemName::new("home").expect("valid");
    let properties = BTreeMap::from([(MARK.to_owned(), mark(&system, &name))]);
    let of = BTreeSet::from([dataset("tank/photos")]);
    Zfs(host)
        .snapshot(&of, &name, &properties)
        .await
        .expect("taken");
}

/// Good and bad days of one replica, from one pool to another, over two connections and within one host.
#[test]
fn a_replica_on_real_openzfs_survives_its_bad_days() {
    let Some(rig) = rig() else { return };
    rig.sh("zpool create -O mountpoint=/mnt/tank tank /dev/vdg; zpool create -O mountpoint=none backup /dev/vdh; zfs create tank/photos; dd if=/dev/urandom of=/mnt/tank/photos/one bs=1M count=20 2>/dev/null");
    let (near, far) = (rig.host("near"), rig.host("far"));
    let system = SystemName::new("home").expect("valid");
    let (source, target) = (dataset("tank/photos"), dataset("backup/photos"));
    let job = Job {
        system: &system,
        replica: "offsite",
        near: &near,
        source: &source,
        far: &far,
        target: &target,
        limit: None,
    };
    let quiet = |_: &str| {};
    block_on(async {
        assert_eq!(
            replicate(&job, &quiet).await.expect("an answer").end,
            End::NoSnapshot
        );
        take(&near, "infra_auto_1").await;
        take(&near, "infra_auto_2").await;
        let first = replicate(&job, &quiet).await.expect("an answer");
        assert_eq!(
            first.end,
            End::UpToDate {
                newest: short("infra_auto_2")
            }
        );
        assert_eq!(
            first.steps,
            ["all of @infra_auto_1", "@infra_auto_1 to @infra_auto_2"]
        );
        let again = replicate(&job, &quiet).await.expect("an answer");
        assert!(again.steps.is_empty(), "{:?}", again.steps);

        // The base cannot be pruned, and where somebody forces it the bookmark carries on.
        let base = id("tank/photos@infra_auto_2");
        let kept = Zfs(&near)
            .destroy_snapshots(std::slice::from_ref(&base))
            .await
            .expect("answers");
        assert!(kept.left[0].1.contains("held"), "{:?}", kept.left);
        run(
            &near,
            &[
                "zfs",
                "release",
                "infra-replica-offsite",
                "tank/photos@infra_auto_2",
            ],
        )
        .await;
        run(
            &near,
            &["zfs", "destroy", "tank/photos@infra_auto_1,infra_auto_2"],
        )
        .await;
        take(&near, "infra_auto_3").await;
        let marked = replicate(&job, &quiet).await.expect("an answer");
        assert_eq!(
            marked.end,
            End::UpToDate {
                newest: short("infra_auto_3")
            },
            "{:?}",
            marked.steps
        );
        assert!(
            marked.steps[0].starts_with("#infra-replica-offsite-"),
            "{:?}",
            marked.steps
        );

        // A stream that was cut goes on where it was.
        rig.sh("dd if=/dev/urandom of=/mnt/tank/photos/two bs=1M count=20 2>/dev/null");
        take(&near, "infra_auto_4").await;
        rig.sh("zfs send -i @infra_auto_3 tank/photos@infra_auto_4 | head -c 5000000 | zfs receive -s -u backup/photos; true");
        let resumed = replicate(&job, &quiet).await.expect("an answer");
        assert_eq!(resumed.steps, ["the rest of an interrupted stream"]);
        assert_eq!(
            resumed.end,
            End::UpToDate {
                newest: short("infra_auto_4")
            }
        );

        // A token whose snapshot is gone is thrown away, and it starts over.
        take(&near, "infra_auto_5").await;
        rig.sh("dd if=/dev/urandom of=/mnt/tank/photos/three bs=1M count=20 2>/dev/null; zfs snapshot tank/photos@gone; zfs send -i @infra_auto_4 tank/photos@gone | head -c 5000000 | zfs receive -s -u backup/photos; zfs destroy tank/photos@gone");
        let over = replicate(&job, &quiet).await.expect("an answer");
        assert_eq!(
            over.end,
            End::UpToDate {
                newest: short("infra_auto_5")
            },
            "{:?}",
            over.steps
        );
        assert!(
            over.steps[0].ends_with("rejected, started over"),
            "{:?}",
            over.steps
        );

        // Snapshots of its own over there stay; what was written over there stops everything, and nothing is forced.
        run(&far, &["zfs", "snapshot", "backup/photos@theirs"]).await;
        take(&near, "infra_auto_6").await;
        let beside = replicate(&job, &quiet).await.expect("an answer");
        assert_eq!(
            beside.end,
            End::UpToDate {
                newest: short("infra_auto_6")
            }
        );
        rig.sh("zfs set readonly=off mountpoint=/mnt/replica backup/photos; zfs mount backup/photos; echo mine > /mnt/replica/mine; sync; zfs list backup/photos@theirs");
        take(&near, "infra_auto_7").await;
        let diverged = replicate(&job, &quiet).await.expect("an answer");
        assert!(
            matches!(diverged.end, End::Diverged(Divergence::Written { .. })),
            "{:?}",
            diverged.end
        );
        rig.sh("grep -q mine /mnt/replica/mine");

        // A far side that is full says so.
        let small = dataset("backup/small");
        run(&far, &["zfs", "create", "-o", "quota=10M", "backup/room"]).await;
        let full = dataset("backup/room/photos");
        let cramped = Job {
            target: &full,
            replica: "cramped",
            limit: Some(200 << 20),
            ..job
        };
        let end = replicate(&cramped, &quiet).await.expect("an answer").end;
        assert!(
            matches!(&end, End::Refused { said, .. } if said.contains("space") || said.contains("quota")),
            "{end:?}"
        );
        // One snapshot within one host: the data never leave it.
        let sending = Sending::Full {
            snapshot: id("tank/photos@infra_auto_7"),
            raw: false,
        };
        let ending = on_one_host(&far, &sending, &small, true)
            .await
            .expect("an answer");
        assert_eq!(ending, Ending::Arrived);
    });
}
