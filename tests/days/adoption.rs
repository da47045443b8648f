//! A Proxmox that was there before infra: imported, compared, put right, and never more than that.

use crate::{hand::Hand, lab::Lab};
use std::fs;

/// A guest as people make them in the web interface, and one more that runs.
fn founded() -> (Lab, Hand) {
    let lab = Lab::new();
    let hand = Hand::at(&lab);
    hand.make(
        105,
        &[
            ("name", "pihole"),
            ("cores", "2"),
            ("memory", "1024"),
            ("net0", "virtio=BC:24:11:AA:00:01,bridge=vmbr0,firewall=1"),
            ("scsihw", "virtio-scsi-pci"),
            ("scsi0", "local-zfs:8"),
            ("ide2", "local-zfs:cloudinit"),
            ("ciuser", "kim"),
            ("ipconfig0", "ip=dhcp"),
            ("tags", "dns;home"),
            ("description", "answers: \"names\"\n# of everybody"),
        ],
    );
    hand.make(
        106,
        &[
            ("name", "old.box"),
            ("scsi0", "local-zfs:4"),
            ("memory", "512"),
        ],
    );
    hand.start(105);
    (lab, hand)
}

fn plan(lab: &Lab, args: &[&str]) -> crate::lab::Ran {
    lab.run(&[&["--lab", "-i", "imported"], args].concat())
}

#[test]
fn an_imported_inventory_has_an_empty_plan_and_its_guests_are_never_touched() {
    let (lab, hand) = founded();
    let before = (hand.guest(105), hand.guest(106));
    lab.run(&["--lab", "import", "imported"]).says(
        0,
        &[
            "2 guests and 0 templates",
            "What was written is what is there: Nothing to change.",
            "could not be said and are listed in imported/not-imported.md",
        ],
    );
    assert_eq!((hand.guest(105), hand.guest(106)), before);
    let token = lab.state()["token_secret"]
        .as_str()
        .expect("a text")
        .to_owned();
    for file in fs::read_dir(lab.path("imported")).expect("written") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("text");
        assert!(!text.contains(&token), "a secret was written");
    }
    let list = fs::read_to_string(lab.path("imported/not-imported.md")).expect("written");
    assert!(list.contains("storage local-zfs of node pve"), "{list}");
    // Nothing is started either, and a folder that holds something is nobody's to write into.
    assert_eq!(hand.guest(106).expect("there").status, "stopped");
    plan(&lab, &["up", "--yes"]).says(0, &["Nothing to change"]);
    lab.run(&["--lab", "import", "imported"])
        .says(2, &["is not empty"]);
}

/// Proxmox takes two guests of one name: an inventory cannot hold the second, and the rest of it loads all the same.
#[test]
fn what_an_inventory_cannot_hold_is_told_and_the_rest_is_imported() {
    let lab = Lab::new();
    let hand = Hand::at(&lab);
    for vmid in [105, 106] {
        hand.make(vmid, &[("name", "twin"), ("memory", "512")]);
    }
    lab.run(&["--lab", "import", "imported"])
        .says(0, &["1 guest and 0 templates", "Nothing to change."]);
    let list = fs::read_to_string(lab.path("imported/not-imported.md")).expect("written");
    let words = "guest 106 twin on pve: another guest has its name";
    assert!(list.contains(words), "{list}");
    lab.run(&["-i", "imported", "check"]).says(0, &[]);
}

#[test]
fn an_adopted_guest_is_put_right_and_what_resets_its_host_keys_says_so() {
    let (lab, hand) = founded();
    lab.run(&["--lab", "import", "imported"]).says(0, &[]);
    hand.set(105, &[("tags", "other"), ("cores", "1")]);
    plan(&lab, &["plan"]).says(
        0,
        &[
            "guest 105 pihole  differs from the inventory",
            "tags: other → dns;home",
            "cores: 1 at the next start → 2",
        ],
    );
    plan(&lab, &["up", "--yes"]).says(0, &["Done."]);
    assert_eq!(hand.option(105, "tags"), "dns;home");
    plan(&lab, &["plan", "--exit-code"]).says(0, &["Nothing to change"]);

    hand.set(105, &[("ciuser", "other")]);
    let words = "guest user changes the instance id: at its next start cloud-init runs anew and makes new SSH host keys  [resets host keys]";
    plan(&lab, &["plan"]).says(0, &[words, "1 resets host keys."]);
    plan(&lab, &["up", "--yes", "--max-impact", "stop"])
        .says(11, &["more impact than allowed: pve: guest 105 pihole"]);
    plan(&lab, &["up", "--yes", "--max-impact", "host-key-reset"]).says(0, &["Done."]);
    plan(&lab, &["plan", "--exit-code"]).says(0, &["Nothing to change"]);

    // A name that is not the right one stops everything: nobody else's guest is ever written to.
    hand.set(106, &[("name", "new.box")]);
    plan(&lab, &["up", "--yes"]).says(
        1,
        &[
            "nothing was changed",
            "VMID 106 is called `new.box` in Proxmox",
        ],
    );
    plan(&lab, &["destroy", "pihole", "--confirm", "pihole"]).says(11, &["infra did not make it"]);
}
