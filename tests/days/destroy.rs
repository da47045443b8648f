//! The end of a guest: only the one that is named, only ours, and never its data by the way.

use crate::{hand::Hand, lab::Lab};
use std::fs;

const FILES: &str = "guests:
  files:
    vmid: 120
    memory: 1GiB
    disk: {storage: local-zfs, size: 8GiB}
    disks:
      photos: {storage: local-zfs, size: 5GiB}
      scratch: {storage: local-zfs, size: 2GiB, keep: false}
    nics: [{zone: lan, address: 192.168.1.40}]
";

#[test]
fn a_guest_that_left_the_inventory_is_named_and_goes_only_when_it_is_typed() {
    let lab = Lab::with_more(FILES);
    lab.up().says(0, &[]);
    let hand = Hand::at(&lab);
    fs::remove_file(lab.path("inventory/media-server-home/more.yaml")).expect("removed");
    lab.run(&["--lab", "plan"]).says(
        0,
        &["guest 120 files on pve (running): infra made it and the inventory does not name it any more; `infra destroy 120` removes it"],
    );
    lab.up().says(0, &[]);
    assert!(hand.guest(120).is_some(), "`up` destroys nothing");

    let destroy = |args: &[&str]| lab.run(&[&["--lab", "destroy"], args].concat());
    destroy(&["files", "--confirm", "files"]).says(
        11,
        &[
            "its data disks scratch would be destroyed with it",
            "--with-disk scratch",
        ],
    );
    destroy(&["files", "--with-disk", "scratch"]).says(
        2,
        &[
            "disk photos (local-zfs:vm-999999999-media-server-home-photos 5 GiB) stays",
            "Proxmox has no backup of it",
            "disk scratch: local-zfs:vm-120-disk-1 2 GiB → gone",
            "[stops]",
            "[destroys data]",
            "`--confirm files`",
        ],
    );
    destroy(&["files", "--with-disk", "scratch", "--confirm", "file"])
        .says(11, &["nothing was destroyed"]);
    hand.set(120, &[("protection", "1")]);
    destroy(&["120", "--with-disk", "scratch", "--confirm", "files"])
        .says(11, &["it is protected", "qm set 120 --protection 0"]);
    hand.set(120, &[("protection", "0")]);
    destroy(&["120", "--with-disk", "scratch", "--confirm", "files"])
        .says(0, &["Done. 3 changes carried out."]);
    assert_eq!(hand.guest(120), None);
    let model = lab.model().to_string();
    assert!(model.contains("vm-999999999-media-server-home-photos"));
    lab.settled();
    destroy(&["files"]).says(2, &["there is no guest `files`"]);
}

#[test]
fn the_verbs_of_a_guest_do_what_they_say() {
    let lab = Lab::running();
    let vm = |args: &[&str]| lab.run(&[&["--lab", "vm"], args].concat());
    vm(&["snapshot", "intranet", "before"]).says(0, &["has the snapshot `before`"]);
    vm(&["snapshot", "intranet", "--list"]).says(0, &["before"]);
    vm(&["rollback", "intranet", "before", "--yes"]).says(0, &["is back at `before`"]);
    vm(&["snapshot", "intranet", "before", "--delete"]).says(0, &["no snapshot `before` any more"]);
    vm(&["snapshot", "intranet", "--list"]).says(0, &["no snapshots"]);
    vm(&["stop", "extranet", "--force"]).says(0, &["lost its power"]);
    vm(&["start", "extranet"]).says(0, &["is on"]);
    vm(&["reboot", "intranet"]).says(0, &["reboots"]);
    vm(&["migrate", "intranet", "pve"]).says(0, &["lives on pve already"]);
    lab.settled();

    // A change of an option with `--snapshot` can be taken back.
    let path = lab.path("inventory/media-server-home/guests.yaml");
    let text = fs::read_to_string(&path).expect("guests");
    fs::write(&path, text.replace("notes: HTTPS", "notes: The HTTPS")).expect("written");
    let ran = lab.run(&["--lab", "up", "--yes", "--snapshot", "--no-verify"]);
    ran.says(
        0,
        &[
            "extranet has the snapshot `infra-before-up-",
            "Done. 1 change carried out.",
        ],
    );
    vm(&["snapshot", "extranet", "--list"]).says(0, &["infra-before-up-"]);
}
