//! `kill -9` at every kind of journal step on real guests: while everything is made from nothing, while what was changed by
//! hand is put right. The next run goes on, and in the end nothing is there twice.

use crate::{
    drifts::{self, Drift},
    lab::{
        Lab,
        Place::{Desk, Extranet, Intranet},
        addresses, ready, said,
    },
    moments::{Kills, Met, never},
};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::Path,
    time::Instant,
};

/// They do not get along with all the others, and are put right by kinds of steps that no other one takes.
const APART: &[&str] = &[
    "cores of a VM, which was restarted with them",
    "a dataset that is not mounted",
];

/// How many labs are tried until every kind of step was met.
const LABS: usize = 3;

/// How often a guest that does not answer is looked for.
const LOOKS: usize = 40;

#[test]
fn a_run_that_is_killed_anywhere_is_taken_up_by_the_next() {
    if !ready() {
        return;
    }
    let times = [Met::Flagship, Met::Change, Met::Nights];
    let mut kills = Kills::of(Path::new(""), false);
    for _ in 0..LABS {
        in_a_new_lab(&mut kills);
        if kills.missing(&times).is_empty() {
            break;
        }
    }
    assert_eq!(
        kills.missing(&times),
        [""; 0],
        "{:?} {:?}",
        kills.at,
        kills.within
    );
    println!(
        "{} kills, at {:?}; never at {}",
        kills.count,
        kills.at,
        never()
    );
}

/// From nothing and out of disorder, killed wherever no run was killed before.
fn in_a_new_lab(kills: &mut Kills) {
    let lab = Lab::unbegun();
    let journal = "lab/state/media-server-home/journal.jsonl";
    kills.go_on_in(&lab.folder().join(journal));
    until_it_is_done(&lab, kills, "from nothing");
    let drifts = drifts::all();
    let by_hand = |wanted: &dyn Fn(&Drift) -> bool| {
        for drift in drifts.iter().filter(|drift| wanted(drift)) {
            lab.at(drift.hand.0, drift.hand.1);
        }
    };
    by_hand(&|drift| drift.gets_along);
    until_it_is_done(&lab, kills, "after changes by hand");
    by_hand(&|drift| APART.contains(&drift.what));
    until_it_is_done(&lab, kills, "after two more");
    nothing_is_there_twice(&lab);
    for drift in &drifts {
        let (place, look, right) = drift.look;
        assert_eq!(lab.at(place, look), right, "{}", drift.what);
    }
    let verify = lab.run(&["verify"]);
    assert!(verify.status.success(), "{}", said(&verify));
}

/// Kills and reruns until nothing differs. Every run is of a plan in a file, so that what it does is known.
fn until_it_is_done(lab: &Lab, kills: &mut Kills, what: &str) {
    let begun = Instant::now();
    let (mut was_killed, mut runs) = (false, 0);
    let (file, log) = (
        lab.folder().join("agreed.json"),
        lab.folder().join("run.log"),
    );
    loop {
        // Who was killed while a guest restarts finds it out of reach for a while, and looks again.
        let mut planned = lab.run(&["plan", "--out", "agreed.json"]);
        for _ in 0..LOOKS {
            if planned.status.success() {
                break;
            }
            planned = lab.run(&["plan", "--out", "agreed.json"]);
        }
        assert!(planned.status.success(), "{}", said(&planned));
        let text = fs::read_to_string(&file).expect("written");
        let plan: Value = serde_json::from_str(&text).expect("JSON");
        if addresses(&plan).is_empty() {
            println!(
                "{what}: {runs} runs, {} kills so far, {:.0} s",
                kills.count,
                begun.elapsed().as_secs_f64()
            );
            return;
        }
        let old = kills.before();
        let out = File::create(&log).expect("made");
        let mut run = lab
            .command(&[
                "-i",
                "inventory/media-server-home",
                "--lab",
                "up",
                "agreed.json",
                "--yes",
                "--no-verify",
            ])
            .stdout(out.try_clone().expect("one more"))
            .stderr(out)
            .spawn()
            .expect("starts");
        let is_killed = kills.one(&mut run, &old, &plan);
        run.wait().expect("gone");
        let told = fs::read_to_string(&log).expect("written");
        if was_killed {
            assert!(told.contains("Its lock is taken over"), "{told}");
        }
        if is_killed {
            kills.remember(&plan);
        }
        was_killed = is_killed;
        runs += 1;
        assert!(
            runs < 200,
            "it never comes to an end: {:?}\n{told}",
            kills.at
        );
    }
}

fn nothing_is_there_twice(lab: &Lab) {
    let guests =
        "pve GET '/cluster/resources?type=vm' | grep -o '\"vmid\":[0-9]*' | sort | tr '\\n' ' '";
    assert_eq!(lab.at(Desk, guests), "\"vmid\":110 \"vmid\":111");
    let disks = "pve GET /nodes/pve/storage/local-zfs/content | grep -o '\"volid\":\"[^\"]*\"' | sort | tr '\\n' ' '";
    assert_eq!(
        lab.at(Desk, disks),
        "\"volid\":\"local-zfs:vm-110-disk-0\" \"volid\":\"local-zfs:vm-111-disk-0\""
    );
    for (place, containers) in [(Intranet, "9"), (Extranet, "3")] {
        assert_eq!(
            lab.at(place, "docker ps -a -q | wc -l"),
            containers,
            "{place:?}"
        );
    }
}
