//! Names and states that nobody plans for, on real OpenZFS.

use super::bench::Bench;
use std::fs;

/// Spaces, colons, and names that leave no room for a snapshot's; what ZFS itself does not take is refused before it is asked.
#[test]
fn names_that_zfs_allows_work_and_one_without_room_stops_nobody_else() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    let text = fs::read_to_string(bench.inventory().join("system.yaml")).expect("written");
    let odd = "media: {snapshots: weekly}\n      \"my photos: 2026\": {snapshots: daily, retention: two, datasets: {\"a.b c\": {}}}";
    let odd = text.replace("media: {snapshots: weekly}", odd);
    let odd = odd.replace(
        "datasets: [tank/photos], to",
        "datasets: [tank/photos, \"tank/my photos: 2026\"], to",
    );
    bench.write("inventory/system.yaml", &odd);
    bench.says(&["zfs", "apply", "--yes"], 0, &["7 changes carried out"]);
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);
    rig.sh("echo one > '/mnt/tank/my photos: 2026/one'; zfs snapshot 'tank/my photos: 2026@by hand: 1'");
    // Somebody else's, 250 bytes with its zpool: a snapshot of ours would have no room.
    let long = format!("tank/photos/{}", "n".repeat(238));
    rig.sh(&format!("zfs create -o mountpoint=none {long}"));
    let words = ["no snapshot of tank/photos/nnn", "longer than 255 bytes"];
    bench.says(&["zfs", "snapshot"], 6, &words);
    let first = bench.newest("'tank/my photos: 2026'");
    assert!(
        first.starts_with("tank/my photos: 2026@infra_auto_"),
        "{first}"
    );
    assert_eq!(
        rig.sh(&format!("zfs list -H -t snapshot -o name -d 1 {long}")),
        ""
    );
    rig.sh(&format!(
        "zfs destroy {long}; echo two > '/mnt/tank/my photos: 2026/one'"
    ));

    // The verbs with one of these names.
    for _ in 0..3 {
        bench.until("[ \"$(date +%s)\" -gt \"$(zfs list -Hpo creation -t snapshot -s createtxg -d 1 tank/photos | tail -n 1)\" ]");
        bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
    }
    bench.says(
        &["zfs", "hold", &first, "--tag", "release 42"],
        0,
        &["held"],
    );
    let plan = bench.says(&["zfs", "prune", "--plan"], 0, &["held by release 42"]);
    assert!(
        plan.contains("tank/my photos: 2026@by hand: 1  foreign"),
        "{plan}"
    );
    bench.says(&["zfs", "rollback", &first, "--yes"], 0, &["To undo"]);
    assert_eq!(rig.sh("cat '/mnt/tank/my photos: 2026/one'"), "one\n");
    bench.says(
        &["zfs", "replicate"],
        0,
        &["cellar/home/my photos: 2026/a.b c: up to date"],
    );
    bench.says(&["zfs", "prune", "--yes"], 0, &[]);
    rig.sh(&format!(
        "zfs list '{first}' 'tank/my photos: 2026@by hand: 1'"
    ));
    bench.says(
        &["zfs", "release", &first, "--tag", "release 42"],
        0,
        &["released"],
    );
    bench.says(
        &["zfs", "clone", &first, "--to", "tank/a look: inside"],
        0,
        &[],
    );
    let kept = "cloned as tank/a look: inside";
    bench.says(&["zfs", "prune", "--plan"], 0, &[kept]);

    // ZFS takes ASCII alone: the inventory says so with its place, and nothing is asked.
    bench.write("inventory/system.yaml", &odd.replace("a.b c", "fête"));
    bench.says(
        &["zfs", "apply", "--yes"],
        3,
        &["is not the name of a dataset", "system.yaml"],
    );
    // A directory may be called anything.
    bench.write(
        "inventory/system.yaml",
        &odd.replace(
            "media: {snapshots: weekly}",
            "media: {snapshots: weekly, directories: [{path: \"été ü 東京\", uid: 1001, gid: 1001, mode: \"0750\"}]}",
        ),
    );
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(
        rig.sh("stat -c '%u:%g %a' '/mnt/tank/media/été ü 東京'"),
        "1001:1001 750\n"
    );
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);
}

/// A snapshot in use, one that is held, one with a clone, and a dataset that is locked: what can go goes, the rest is named.
#[test]
fn what_is_busy_held_cloned_or_locked_stays_and_is_named() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    let text = fs::read_to_string(bench.inventory().join("system.yaml")).expect("written");
    let text = text.replace(
        "media: {snapshots: weekly}",
        "media: {snapshots: weekly, retention: two}\n      letters: {snapshots: daily, encryption_key: letters}",
    ) + "secrets:\n  letters: {file: letters.key}\n";
    let text = text.replace(
        "datasets: [tank/photos], to",
        "datasets: [tank/photos, tank/letters], to",
    );
    bench.write("inventory/system.yaml", &text);
    bench.write("inventory/letters.key", "correct horse battery\n");
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    rig.sh("echo dear > /mnt/tank/letters/one");
    for _ in 0..6 {
        bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
        bench.until("[ \"$(date +%s)\" -gt \"$(zfs list -Hpo creation -t snapshot -s createtxg -d 1 tank/photos | tail -n 1)\" ]");
    }
    let media = rig.sh("zfs list -H -t snapshot -o name -s createtxg -d 1 tank/media");
    let media: Vec<&str> = media.lines().collect();
    assert_eq!(media.len(), 6);
    // Four are beyond the policy: one is held, one has a clone, and of the two others one is being read, which keeps nobody
    // else. The other three datasets lose three each.
    rig.sh(&format!(
        "mkdir -p /srv/was; mount -t zfs {} /srv/was; (cd /srv/was; exec sleep 600) >/dev/null 2>&1 & sleep 0; zfs hold mine {}; zfs clone {} tank/look",
        media[0], media[1], media[2]
    ));
    let said = bench.says(
        &["zfs", "prune", "--yes"],
        6,
        &[media[0], "busy", "Destroyed 10 snapshots on nas"],
    );
    assert!(!said.contains("panicked"), "{said}");
    let left = rig.sh("zfs list -H -t snapshot -o name -s createtxg -d 1 tank/media");
    let left: Vec<&str> = left.lines().collect();
    assert_eq!(left, [media[0], media[1], media[2], media[4], media[5]]);
    rig.sh("pkill -x sleep; umount /srv/was");
    bench.says(&["zfs", "prune", "--yes"], 0, &["Destroyed 1 snapshot"]);

    // Locked: snapshots and copies need no key, and the copy gets none.
    rig.sh("zfs unmount tank/letters; zfs unload-key tank/letters");
    bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
    bench.says(
        &["zfs", "replicate"],
        0,
        &["cellar/home/letters: up to date"],
    );
    assert_eq!(
        rig.sh("zfs get -Hpo value encryption,keystatus cellar/home/letters"),
        "aes-256-gcm\nunavailable\n"
    );
    let newest = bench.newest("tank/letters");
    bench.says(&["zfs", "rollback", &newest, "--yes"], 1, &["not mounted"]);
    bench.says(&["zfs", "plan"], 0, &["a reboot locks it"]);
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(rig.sh("cat /mnt/tank/letters/one"), "dear\n");
    // A dataset that is in use where it should move to another place is told, and stays.
    rig.sh("(cd /mnt/tank/media; exec sleep 600) >/dev/null 2>&1 &");
    bench.write(
        "inventory/system.yaml",
        &text.replace(
            "weekly, retention: two}",
            "weekly, retention: two, mountpoint: /srv/media}",
        ),
    );
    bench.says(&["zfs", "apply", "--yes"], 1, &["busy"]);
    rig.sh("pkill -x sleep; true");
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(rig.sh("findmnt -no SOURCE /srv/media"), "tank/media\n");
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);
}

#[test]
fn a_stack_starts_on_its_dataset_and_never_on_the_bare_directory() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(
        rig.sh("cat /mnt/tank/photos/.infra-dataset"),
        "tank/photos\n"
    );
    // Somebody took it away: it is written again.
    rig.sh("rm -f /mnt/tank/photos/.infra-dataset");
    bench.says(&["zfs", "plan"], 0, &[".infra-dataset"]);
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(rig.sh("cat /mnt/tank/photos/.infra-dataset; zfs unmount tank/photos/raw; zfs unmount tank/photos; ls -A /mnt/tank/photos"), "tank/photos\n");
    bench.says(&["zfs", "plan"], 0, &["it is not mounted"]);
}
