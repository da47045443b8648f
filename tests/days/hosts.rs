//! Bad days of a guest: its key, its sudo, its disk, its registries, its containers.

use crate::lab::Lab;

const NOTHING: &str = "nothing was changed";

#[test]
fn a_guest_that_changes_its_key_or_refuses_sudo_stops_the_run_before_it_begins() {
    let lab = Lab::running();
    lab.fault(&["host", "intranet", "new-host-key"]);
    lab.up().says(
        5,
        &[
            NOTHING,
            "failed to trust intranet",
            "it presents",
            "pins",
            "someone may be in between",
        ],
    );
    lab.recovers();
    lab.fault(&["host", "intranet", "sudo-refused"]);
    lab.up().says(
        5,
        &[
            NOTHING,
            "become root on intranet",
            "a password is required",
            "Allow passwordless sudo on intranet",
        ],
    );
    lab.recovers();
    lab.fault(&["host", "extranet", "unreachable"]);
    lab.up()
        .says(5, &[NOTHING, "reach extranet", "Check that extranet is on"]);
    lab.recovers();
}

#[test]
fn a_full_disk_and_an_unreachable_registry_leave_the_running_release_alone() {
    let lab = Lab::running();
    lab.another_jellyfin("10.10.8");
    lab.fault(&["host", "intranet", "disk-full"]);
    lab.up().says(
        1,
        &[
            "failed: intranet: stack jellyfin",
            "No space left on device",
            "Free some space on",
            "Now true: 0 changes",
        ],
    );
    lab.fault(&["clear"]);
    lab.fault(&["host", "intranet", "pull-fails"]);
    lab.up().says(
        1,
        &[
            "failed: intranet: stack jellyfin",
            "pull docker.io/jellyfin/jellyfin:10.10.8 on intranet",
            "TLS handshake timeout",
            "reaches its registry",
            "Now true: 0 changes",
        ],
    );
    lab.run(&["--lab", "status"])
        .says(0, &["stack jellyfin / jellyfin", "running, healthy"]);
    lab.recovers();
}

#[test]
fn a_container_that_stays_unhealthy_is_named_with_its_reason() {
    let lab = Lab::running();
    lab.another_jellyfin("10.10.8");
    lab.fault(&["host", "intranet", "unhealthy", "--service", "jellyfin"]);
    lab.up().says(
        1,
        &[
            "failed: intranet: stack jellyfin",
            "jellyfin: its healthcheck fails",
            "docker compose -p jellyfin logs",
            "Run `infra --lab up` to go on",
        ],
    );
    lab.recovers();
}

#[test]
fn what_is_on_a_guest_that_was_off_is_done_in_a_second_round_of_the_same_run() {
    let lab = Lab::running();
    lab.another_jellyfin("10.11.2");
    lab.run(&["--lab", "vm", "stop", "intranet"]).says(0, &[]);
    lab.run(&["--lab", "plan"]).says(
        0,
        &["intranet: it does not run; what is on it is compared once it can be seen"],
    );
    lab.up().says(
        0,
        &[
            "guest 110 intranet power",
            "intranet could not be seen before and can be now",
            "stack jellyfin",
        ],
    );
    lab.settled();
}

#[test]
fn a_plan_agreed_to_in_a_file_is_carried_out_and_nothing_beside_it() {
    let lab = Lab::running();
    lab.another_jellyfin("10.11.2");
    lab.run(&["--lab", "vm", "stop", "intranet"]).says(0, &[]);
    lab.run(&["--lab", "plan", "--out", "agreed.json"])
        .says(0, &[]);
    let ran = lab.run(&["--lab", "up", "agreed.json", "--yes"]);
    ran.says(
        6,
        &[
            "guest 110 intranet power",
            "what only came into sight with it is not in it",
        ],
    );
    assert!(!ran.text.contains("stack jellyfin"), "{}", ran.text);
    lab.recovers();
}

/// A verb that is `up` narrowed goes on by its own name, and looks by its own name.
#[test]
fn a_narrowed_run_that_fails_names_itself() {
    let lab = Lab::new();
    lab.run(&["--lab", "zfs", "apply"]).says(
        2,
        &[
            "there is nobody to ask",
            "Look at `infra --lab zfs plan`, then",
        ],
    );
    lab.fault(&["host", "pve", "disk-full"]);
    lab.run(&["--lab", "zfs", "apply", "--yes"]).says(
        1,
        &[
            "No space left on device",
            "Run `infra --lab zfs apply` to go on from here",
        ],
    );
    lab.run(&["--lab", "up", "--yes", "--on", "dataset/*"])
        .says(
            1,
            &["Run `infra --lab up --on 'dataset/*'` to go on from here"],
        );
    lab.fault(&["clear"]);
    // A narrowed plan in a file is made anew as narrow as it was.
    let out = ["--lab", "zfs", "plan", "--out", "datasets.json"];
    let told = "infra --lab up datasets.json --on 'dataset/*'";
    lab.run(&out).says(0, &[told]);
    let words = ["--lab", "up", "datasets.json", "--on", "dataset/*", "--yes"];
    lab.run(&words).says(0, &["Done."]);
    lab.run(&["--lab", "stack", "deploy", "jellyfin"])
        .says(2, &["Look at `infra --lab stack plan jellyfin`, then"]);
}

#[test]
fn what_nobody_answered_is_not_verified() {
    let lab = Lab::new();
    lab.run(&["--lab", "verify"]).says(
        5,
        &[
            "0 of 25 checks hold",
            "got no answer",
            "could not reach extranet",
        ],
    );
    lab.run(&["--lab", "plan", "--on", "extrnet"])
        .says(2, &["failed to find what `extrnet` selects"]);
    lab.run(&["--lab", "up"])
        .says(2, &["there is nobody to ask", "Look at `infra --lab plan`"]);
    lab.run(&["--lab", "up", "--yes", "--max-impact", "hot"])
        .says(
            11,
            &["more impact than allowed", "more\n", "`--max-impact`"],
        );
}
