//! The playbooks that come with infra.

use crate::lab::Lab;
use infra::{builtin, inventory::playbook::load};
use std::fs;

#[test]
fn every_shipped_playbook_is_valid_and_says_what_it_is_for() {
    let place = tempfile::tempdir().expect("a folder");
    let loaded = load(place.path(), &builtin::playbooks()).expect("read");
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let names: Vec<&str> = loaded.playbooks.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "decommission",
            "first-boot-node",
            "harden",
            "move-guest",
            "replace-disk",
            "restore",
            "rotate-secrets",
            "update"
        ]
    );
}

#[test]
fn harden_changes_what_it_says_once() {
    let lab = Lab::running();
    lab.run(&["--lab", "play", "harden", "--on", "intranet", "--check"])
        .says(0, &["01-infra-harden.conf", "fail2ban"]);
    lab.run(&["--lab", "play", "harden", "--yes", "--on", "intranet"])
        .says(0, &["ssh reads its settings", "Done."]);
    lab.run(&["--lab", "play", "harden", "--yes", "--on", "intranet"])
        .says(0, &["Nothing to change"]);
    lab.settled();
}

/// One image is made unhealthy, on the host that comes first: its stack goes back to what ran before, and every other one has
/// the images of today.
#[test]
fn update_takes_back_the_stack_that_does_not_get_well_and_updates_every_other_one() {
    let lab = Lab::running();
    // Until now tags were deployed; today every one of them stands for a digest.
    lab.run(&["--lab", "play", "update", "--on", "intranet", "--check"])
        .says(
            0,
            &[
                "snapshot all datasets as `before-update`",
                "update stacks (all) on intranet",
                "Nothing was changed",
            ],
        );
    lab.fault(&[
        "host",
        "extranet",
        "unhealthy",
        "--service",
        "openvpn@sha256:",
    ]);
    let ran = lab.run(&["--lab", "play", "update", "--yes"]);
    ran.says(
        10,
        &[
            "Batch 1 of 2: extranet",
            "openvpn: its healthcheck fails",
            "rolled back to release",
            "openvpn: the images of before are locked again",
            "Batch 2 of 2: intranet",
            "before-update",
        ],
    );
    lab.fault(&["clear"]);
    let lock = lab.path("lab/scripted/state/media-server-home/images.lock");
    let lock = fs::read_to_string(&lock).expect("the lab's own lock");
    for image in [
        "nginx",
        "node-exporter",
        "jellyfin",
        "grafana",
        "immich-server",
    ] {
        assert!(lock.contains(image), "{image} is not in\n{lock}");
    }
    assert!(!lock.contains("openvpn"), "{lock}");
    // What is locked is what runs, openvpn's release of before included.
    lab.settled();
    lab.run(&["--lab", "status"])
        .says(0, &["stack openvpn / openvpn", "running, healthy"]);
    lab.run(&["--lab", "play", "update", "--yes"])
        .says(0, &["Done."]);
    let again = lab.run(&["--lab", "play", "update", "--yes"]);
    again.says(0, &["unchanged", "The lock is as it was"]);
    assert!(!again.text.contains("Done."), "{}", again.text);
}
