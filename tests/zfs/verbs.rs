//! The verbs as people type them, on real OpenZFS.

use super::bench::Bench;
use std::{fs, process::Stdio};

#[test]
fn a_rollback_loses_nothing_and_lets_nobody_write_meanwhile() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    bench.says(&["zfs", "apply", "--yes"], 0, &["5 changes carried out"]);
    rig.sh("cd /mnt/tank/photos; echo kept > kept; echo was > changed; mkdir dir; echo x > dir/gone; ln kept linked; \
            printf aaaa > sly; touch -d 2020-01-01 sly; echo inner > raw/inner; setfacl -m u:1000:r kept; chmod 4711 changed");
    bench.says(&["zfs", "snapshot"], 0, &["3 datasets of zpool tank"]);
    let old = bench.newest("tank/photos");
    // A database's file may change without its size or time: mapped memory does. Only its change time tells.
    rig.sh("cd /mnt/tank/photos; echo now-longer > changed; chmod 600 changed; rm -r dir; echo new > 'new file'; \
            printf bbbb > sly; touch -d 2020-01-01 sly; echo other > raw/inner; zfs snapshot tank/photos@theirs; \
            zfs create -o 'mountpoint=/mnt/tank/photos/in[si]de' tank/inside; echo mine > '/mnt/tank/photos/in[si]de/mine'");
    let undone = [
        "becomes older changed",
        "becomes older sly",
        "goes away     new file",
        "comes back    dir/gone",
        "Stopped meanwhile: app.",
        "1 newer snapshot stays",
    ];
    bench.says(&["zfs", "rollback", &old, "--plan"], 0, &undone);
    let plan = bench.json(&["zfs", "rollback", &old, "--plan"]);
    assert_eq!(plan["stacks"], serde_json::json!(["app"]));
    assert_eq!(
        rig.sh("cat /run/app.log"),
        "start\n",
        "a plan stops nothing"
    );

    // A stack that does not stop stops everything, though systemd ends well.
    rig.sh("touch /run/app.stuck");
    let words = ["stack app on nas did not stop", "Nothing was changed"];
    bench.says(&["zfs", "rollback", &old, "--yes"], 1, &words);
    assert_eq!(rig.sh("cat /mnt/tank/photos/changed"), "now-longer\n");
    assert_eq!(
        bench.newest("tank/photos"),
        "tank/photos@theirs",
        "no guard yet"
    );
    rig.sh("rm /run/app.stuck; systemctl stop infra-stack-app; systemctl start infra-stack-app; : >/run/app.log");

    let words = ["Stopping app on nas", "is as in", "To undo"];
    bench.says(&["zfs", "rollback", &old, "--yes"], 0, &words);
    assert_eq!(rig.sh("cat /run/app.log"), "stop\nstart\n");
    assert_eq!(
        rig.sh("cd /mnt/tank/photos; cat changed sly dir/gone raw/inner 'in[si]de/mine'; ls; stat -c '%a %h' changed kept; getfacl -cp kept | grep 1000; \
                mount | grep -c rollback; ls /run | grep -c rollback; true"),
        "was\naaaax\nother\nmine\nchanged\ndir\nin[si]de\nkept\nlinked\nraw\nsly\n4711 1\n644 2\nuser:1000:r--\n0\n0\n"
    );
    let guard = bench.newest("tank/photos");
    assert!(guard.starts_with("tank/photos@infra_guard_"), "{guard}");
    rig.sh("zfs list tank/photos@theirs");

    // Back to the guard is back to what was there before.
    let done = bench.json(&["zfs", "rollback", &guard, "--yes"]);
    assert_eq!(done["stacks"], serde_json::json!(["app"]));
    assert_eq!(
        rig.sh("cd /mnt/tank/photos; cat changed sly 'new file'; ls"),
        "now-longer\nbbbbnew\nchanged\nin[si]de\nkept\nlinked\nnew file\nraw\nsly\n"
    );

    // Killed in the middle: the dataset itself says what stood still, and the next one starts it.
    rig.sh("cd /mnt/tank/photos; head -c 60000000 /dev/urandom > big; : >/run/app.log");
    let mut killed = bench
        .command(&["zfs", "rollback", &old, "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    bench.until("grep -q stop /run/app.log");
    killed.kill().expect("it ran");
    killed.wait().expect("it ended");
    bench.until("! pgrep -x rsync >/dev/null");
    assert_eq!(rig.sh("cat /run/app.log"), "stop\n");
    let words = ["was cut off while app stood still", "infra zfs rollback"];
    bench.says(&["zfs", "plan"], 0, &words);
    let words = ["An earlier rollback was cut off while it had stopped app"];
    bench.says(&["zfs", "rollback", &old, "--yes"], 0, &words);
    assert_eq!(rig.sh("tail -n 1 /run/app.log"), "start\n");
    assert_eq!(
        rig.sh("zfs get -H -o value -s local org.infra:stopped tank/photos"),
        ""
    );
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);

    // A clone is a look: it is in no schedule, in no gap, and the plan knows what it is.
    bench.says(&["zfs", "clone", &old, "--to", "tank/photos/look"], 0, &[]);
    let words = ["is a clone for a look at", "Nothing to change"];
    bench.says(&["zfs", "plan"], 0, &words);
    let night = bench.json(&["zfs", "snapshot", "--all", "--prune"]);
    assert_eq!(
        night["taken"][0]["datasets"].as_array().map(Vec::len),
        Some(3)
    );
    assert!(night["pruned"]["snapshots"].is_array(), "{night}");
    let pruned = bench.json(&["zfs", "prune", "--yes"]);
    assert!(pruned["destroyed"].is_object(), "{pruned}");
}

#[test]
fn replicas_of_the_inventory_are_brought_up_to_date_and_count_as_copies() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    bench.says(&["zfs", "apply", "--yes"], 0, &["5 changes carried out"]);
    rig.sh("head -c 30000000 /dev/urandom > /mnt/tank/photos/one");
    bench.says(&["zfs", "snapshot"], 0, &[]);
    let words = ["tank/photos has no backup: its replica `offsite` has never arrived"];
    bench.says(&["zfs", "coverage"], 12, &words);

    // A far side that does not answer is told as that, by the exit code too.
    let text = fs::read_to_string(bench.inventory().join("system.yaml")).expect("written");
    let own = format!("127.0.0.2, ssh: {{port: {}", rig.port());
    bench.write(
        "inventory/system.yaml",
        &text.replace(&own, "127.0.0.2, ssh: {port: 9"),
    );
    bench.says(&["zfs", "replicate"], 5, &["tank/photos", "vault"]);
    bench.write("inventory/system.yaml", &text);

    // Killed in the middle; the lock of the dead run is taken over, and what arrived is not sent again.
    let mut first = bench
        .command(&["zfs", "replicate", "--limit", "4MiB"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    bench.until(
        "[ \"$(zfs get -Hpo value used cellar/home/photos 2>/dev/null || echo 0)\" -gt 4000000 ]",
    );
    bench.says(
        &["zfs", "replicate", "offsite"],
        7,
        &["has been running `infra zfs replicate offsite (home)`"],
    );
    first.kill().expect("it ran");
    first.wait().expect("it ended");
    bench.until("[ \"$(zfs get -Hpo value receive_resume_token cellar/home/photos)\" != - ]");
    let resumed = bench.json(&["zfs", "replicate"]);
    let steps = &resumed["replicas"][0]["steps"];
    assert_eq!(steps[0], "the rest of an interrupted stream", "{resumed}");
    assert_eq!(
        resumed["replicas"][1]["target"],
        "vault:cellar/home/photos/raw"
    );
    assert_eq!(
        rig.sh("zfs list -H -o guid -t snapshot -r -s guid tank/photos; zfs get -Hpo value readonly,mounted cellar/home/photos"),
        rig.sh("zfs list -H -o guid -t snapshot -r -s guid cellar/home; printf 'on\nno\n'")
    );
    let covered = bench.says(&["zfs", "coverage"], 12, &["tank/media has no backup"]);
    assert!(!covered.contains("photos"), "{covered}");
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);

    // A copy keeps what its policy says, its base whatever that says, and another tool's snapshots in any case.
    rig.sh("zfs snapshot cellar/home/photos@autosnap_2026-11-08_00:00:01_daily");
    for _ in 0..3 {
        bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
        bench.until("[ \"$(date +%s)\" -gt \"$(zfs list -Hpo creation -t snapshot -s createtxg -d 1 tank/photos | tail -n 1)\" ]");
    }
    let before = rig.sh("zfs list -H -t snapshot -d 1 tank/photos | wc -l");
    bench.says(&["zfs", "replicate", "offsite"], 0, &["snapshots gone"]);
    assert_eq!(
        rig.sh("zfs list -H -o name -t snapshot -d 1 cellar/home/photos | grep -c infra_auto; zfs list -H -t snapshot -d 1 cellar/home/photos | grep -c autosnap"),
        "2\n1\n"
    );
    assert_eq!(
        rig.sh("zfs list -H -t snapshot -d 1 tank/photos | wc -l"),
        before
    );
    let again = bench.json(&["zfs", "replicate", "offsite"]);
    assert_eq!(
        again["replicas"][0]["gone"],
        serde_json::json!([]),
        "{again}"
    );
    bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
    bench.says(&["zfs", "replicate", "offsite"], 0, &[]);

    // What was written over there stops it; nothing is forced.
    rig.sh("zfs set readonly=off mountpoint=/mnt/copy cellar/home/photos; zfs mount cellar/home/photos; echo mine > /mnt/copy/mine; sync");
    bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
    let words = [
        "somebody wrote",
        "Nothing was sent",
        "photos/raw: up to date",
    ];
    bench.says(&["zfs", "replicate"], 11, &words);
    bench.says(&["zfs", "replicate", "elsewhere"], 2, &["It has offsite"]);
}

/// A key on nobody's command line, a lock after a reboot, and a zpool of disks that are provably empty.
#[test]
fn a_zpool_of_empty_disks_and_an_encrypted_dataset_that_a_reboot_locks() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    let text = fs::read_to_string(bench.inventory().join("system.yaml")).expect("written");
    let (head, _) = text.split_once("zfs:\n").expect("a key");
    let with = |disks: &str| {
        bench.write(
            "inventory/system.yaml",
            &format!(
                "{head}zfs:\n  deep:\n    host: nas\n    create: [{{mirror: [{disks}]}}]\n    datasets:\n      letters: {{encryption_key: letters, datasets: {{drafts: {{}}}}}}\nsecrets:\n  letters: {{file: letters.key}}\n"
            ),
        );
    };
    bench.write("inventory/letters.key", "correct horse battery\n");
    rig.sh("zpool destroy tank; zpool destroy cellar; zpool labelclear -f /dev/vdg1; wipefs -qa /dev/vdg1 /dev/vdg; partx -d /dev/vdg; true");
    for (disks, why) in [
        ("virtio-rig-vda, virtio-rig-vdc", "virtio-rig-vda"),
        ("virtio-rig-vdc, virtio-rig-vdh", "virtio-rig-vdh is in use"),
        (
            "virtio-rig-vdc, virtio-rig-vdg",
            "virtio-rig-vdg is not empty",
        ),
        (
            "virtio-rig-vdc, virtio-rig-vdc-part1",
            "virtio-rig-vdc-part1 is no disk",
        ),
    ] {
        with(disks);
        let said = bench.says(&["zfs", "apply", "--yes"], 1, &[why]);
        assert!(!said.contains("ok   nas: + dataset"), "{said}");
    }
    assert_eq!(rig.sh("zpool list -H; wipefs -n /dev/vdc /dev/vdd"), "");
    // Data in the middle of a disk, without anything at its ends.
    rig.sh("echo photos | dd of=/dev/vdd bs=1M seek=512 conv=notrunc 2>/dev/null; sync");
    with("virtio-rig-vdc, virtio-rig-vdd");
    bench.says(
        &["zfs", "apply", "--yes"],
        1,
        &["is not empty: there is something at 512 MiB"],
    );
    // Everything by which a disk can be somebody's, and one byte where no sample looks.
    let byte = "printf x | dd of=/dev/vde bs=1 seek=700000001 conv=notrunc status=none";
    let zero =
        "dd if=/dev/zero of=/dev/vde bs=1 count=1 seek=700000001 conv=notrunc status=none; sync";
    for (made, gone, why) in [
        (
            "echo label: gpt | sfdisk -q /dev/vde",
            "wipefs -qa /dev/vde",
            "holds something: gpt",
        ),
        (
            "echo label: gpt | sfdisk -q /dev/vde; dd if=/dev/zero of=/dev/vde bs=1M count=1 conv=notrunc status=none",
            "wipefs -qa /dev/vde; blkdiscard -zf /dev/vde",
            "holds something: gpt",
        ),
        (
            "mkswap -q /dev/vde",
            "wipefs -qa /dev/vde; blkdiscard -zf /dev/vde",
            "holds something: swap",
        ),
        (
            "mke2fs -q -F /dev/vde; dd if=/dev/zero of=/dev/vde bs=1M count=16 conv=notrunc status=none",
            "blkdiscard -zf /dev/vde",
            "is not empty",
        ),
        (
            "echo '0 2097152 linear /dev/vde 0' | dmsetup create holder; udevadm settle",
            "dmsetup remove holder",
            "is in use: holder dm",
        ),
        (
            "losetup /dev/loop7 /dev/vde",
            "losetup -d /dev/loop7",
            "is in use: /dev/loop7",
        ),
        (
            "sleep 600 </dev/vde >/dev/null 2>&1 &",
            "pkill -x sleep",
            "(sleep)",
        ),
        (
            "mkdir -p /etc/pve/qemu-server; echo 'scsi1: /dev/disk/by-id/virtio-rig-vde,size=1G' >/etc/pve/qemu-server/101.conf",
            "rm -r /etc/pve",
            "101.conf",
        ),
        (byte, zero, "700000002"),
    ] {
        rig.sh(made);
        with("virtio-rig-vdc, virtio-rig-vde");
        bench.says(&["zfs", "apply", "--yes"], 1, &["virtio-rig-vde", why]);
        rig.sh(&format!("{gone}; udevadm settle"));
    }
    assert_eq!(rig.sh("zpool list -H"), "");
    with("virtio-rig-vdc, virtio-rig-vde");
    bench.says(
        &["zfs", "apply", "--yes"],
        0,
        &["zpool deep", "dataset deep/letters"],
    );
    assert_eq!(
        rig.sh("zpool list -H -o health deep; zfs get -H -o value encryption,keylocation,keystatus,encryptionroot deep/letters/drafts; zpool get -H -o value ashift deep; zpool status -P deep | grep -c by-id"),
        "ONLINE\naes-256-gcm\nnone\navailable\ndeep/letters\n12\n2\n"
    );
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);

    // What a reboot does, and what brings it back.
    rig.sh("echo dear > /mnt/deep/letters/drafts/one; zpool export deep; zpool import deep; zfs mount -a 2>/dev/null; true");
    bench.says(
        &["zfs", "plan"],
        0,
        &["a reboot locks it", "deep/letters/drafts mount"],
    );
    bench.write("inventory/letters.key", "another passphrase\n");
    bench.says(&["zfs", "apply", "--yes"], 1, &["Incorrect key"]);
    bench.write("inventory/letters.key", "correct horse battery\n");
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    assert_eq!(rig.sh("cat /mnt/deep/letters/drafts/one"), "dear\n");
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);
}

/// A pool that lost a disk, one that stopped, and snapshots of other tools all over.
#[test]
fn a_pool_that_is_not_well_is_told_and_nothing_of_others_is_touched() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    rig.sh("zpool destroy tank; zpool destroy cellar; zpool create -O mountpoint=none tank mirror /dev/vdc /dev/vdd; echo '0 2097152 linear /dev/vde 0' | dmsetup create sick; udevadm settle; zpool create -O mountpoint=none cellar /dev/mapper/sick; zfs create cellar/home");
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    rig.sh("for name in autosnap_2026-11-08_00:00:01_daily __replicate_100-0_1700000000__ vzdump 'with space' infra_auto_20200101T000000Z; do zfs snapshot \"tank/photos@$name\"; done; zfs hold mine tank/photos@vzdump");
    let theirs = rig.sh("zfs list -H -o name,guid -t snapshot -r tank");
    bench.says(&["zfs", "snapshot", "--prune"], 0, &[]);
    for _ in 0..3 {
        bench.says(&["zfs", "prune", "--yes", "--max-share", "100"], 0, &[]);
    }
    let left = rig.sh("zfs list -H -o name,guid -t snapshot -r tank");
    for line in theirs.lines() {
        assert!(left.contains(line), "{line} is gone:\n{left}");
    }

    // A degraded pool goes on, and is no secret.
    rig.sh("zpool offline tank vdd");
    bench.says(&["zfs", "status"], 12, &["tank", "DEGRADED"]);
    let line = bench.infra(&["zfs", "status", "--nagios"]);
    assert_ne!(line.status.code(), Some(0));
    bench.says(&["zfs", "snapshot", "--all"], 0, &["zpool tank"]);
    rig.sh("zpool online tank vdd; zpool wait -t resilver tank");

    // A clock that is a year off takes snapshots, tells, and destroys nothing.
    let before = rig.sh("zfs list -H -o name -t snapshot -r tank | wc -l");
    rig.sh("date -s \"@$(($(date +%s) + 31536000))\" >/dev/null");
    bench.says(&["zfs", "prune", "--yes"], 11, &["clock"]);
    rig.sh("date -s \"@$(($(date +%s) - 63072000))\" >/dev/null");
    bench.says(&["zfs", "prune", "--yes"], 11, &["clock"]);
    rig.sh("date -s \"@$(($(date +%s) + 31536000))\" >/dev/null");
    assert_eq!(
        rig.sh("zfs list -H -o name -t snapshot -r tank | wc -l"),
        before
    );

    // Suspended: every disk fails. It answers at once, and says what is to be done.
    let disk = |target: &str| {
        format!(
            "dmsetup suspend --noflush sick; echo '0 2097152 {target}' | dmsetup reload sick; dmsetup resume sick"
        )
    };
    rig.sh(&format!("{}; (timeout 5 zfs create cellar/lost >/dev/null 2>&1 &); timeout 120 sh -c 'until [ \"$(zpool list -H -o health cellar)\" = SUSPENDED ]; do :; done'", disk("error")));
    let said = bench.infra(&["zfs", "status"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.status.code(), Some(12), "{text}");
    assert!(text.contains("SUSPENDED"), "{text}");
    bench.says(&["zfs", "snapshot", "--all"], 1, &["zpool clear cellar"]);
    let plan = bench.infra(&["zfs", "plan"]);
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(text.contains("zpool cellar is suspended"), "{text}");
    assert!(!text.contains("dataset cellar"), "{text}");
    rig.sh(&format!(
        "{}; zpool clear cellar",
        disk("linear /dev/vde 0")
    ));
    bench.says(&["zfs", "snapshot", "--all"], 0, &[]);
}

/// `sharenfs` as the inventory writes it for a guest: real exports, a real mount, and nobody else.
#[test]
fn a_dataset_is_shared_over_nfs_with_its_client_alone() {
    let Some(bench) = Bench::up() else { return };
    let rig = &bench.rig;
    rig.sh("rm -f /etc/systemd/system/nfs-server.service /etc/systemd/system/rpcbind.service /etc/systemd/system/rpcbind.socket /etc/systemd/system/nfs-blkmap.service; systemctl daemon-reload; systemctl start nfs-server; ip link set lo up");
    let text = fs::read_to_string(bench.inventory().join("system.yaml")).expect("written");
    let shared = "media: {snapshots: weekly, properties: {sharenfs: \"sec=sys,rw=10.0.2.15,no_root_squash\"}, directories: [{path: films, uid: 1001, gid: 1001, mode: \"0750\"}]}";
    bench.write(
        "inventory/system.yaml",
        &text.replace("media: {snapshots: weekly}", shared),
    );
    bench.says(&["zfs", "apply", "--yes"], 0, &[]);
    bench.says(&["zfs", "plan"], 0, &["Nothing to change"]);
    let exports = rig.sh("exportfs -v | tr -d '\n'");
    assert!(
        exports.contains("/mnt/tank/media") && exports.contains("10.0.2.15"),
        "{exports}"
    );
    assert!(
        !exports.contains('*') && !exports.contains("<world>"),
        "{exports}"
    );
    rig.sh("mkdir -p /srv/media; mount -t nfs4 10.0.2.15:/mnt/tank/media /srv/media; echo film > /srv/media/films/one; chown 1001:1001 /srv/media/films/one");
    assert_eq!(
        rig.sh("stat -c '%u:%g %a' /mnt/tank/media/films /mnt/tank/media/films/one; cat /mnt/tank/media/films/one; umount /srv/media"),
        "1001:1001 750\n1001:1001 644\nfilm\n"
    );
    rig.sh("mkdir -p /srv/other; ! timeout 20 mount -t nfs4 -o clientaddr=127.0.0.1 127.0.0.1:/mnt/tank/media /srv/other 2>/dev/null");
}
