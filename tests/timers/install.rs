//! Timers on a host: written, seen, repaired, taken away.

use crate::{
    lab::Lab,
    night::{by_hand, flagship, read},
};
use std::fs;

const NIGHTS: &str = r"
nights:
  host: intranet
  timers: {night: daily 02:30, snapshot: hourly}
";

fn guest(lab: &Lab, argv: &[&str]) -> crate::lab::Ran {
    let args = [
        &["--lab", "vm", "ssh", "intranet", "--", "sudo", "-n", "--"],
        argv,
    ]
    .concat();
    lab.run(&args)
}

fn write(lab: &Lab, text: &str) {
    fs::write(lab.path("inventory/media-server-home/nights.yaml"), text).expect("written");
}

#[test]
fn timers_are_installed_seen_repaired_and_taken_away() {
    let lab = flagship(NIGHTS, &[]);
    lab.settled();
    lab.run(&["--lab", "timers", "list"])
        .says(0, &["night", "daily 02:30", "snapshot", "runs"]);
    let unit = "/etc/systemd/system/infra-media-server-home-night.service";
    let timer = "/etc/systemd/system/infra-media-server-home-night.timer";
    let service = guest(&lab, &["cat", unit]);
    service.says(
        0,
        &[
            "ExecStart=\"/usr/local/bin/infra\" \"-i\" \"/etc/infra/inventory/media-server-home\" \"nightly\"",
            "OnFailure=infra-media-server-home-failed@%n.service",
            "LoadCredential=age.txt:/etc/infra/age.txt",
        ],
    );
    guest(&lab, &["cat", timer]).says(
        0,
        &[
            "OnCalendar=*-*-* 02:30:00",
            "RandomizedDelaySec=600",
            "Persistent=true",
        ],
    );
    let secrets = read(&lab.path("config/infra/age.txt"));
    let key = secrets.lines().last().expect("a key");
    assert!(!service.text.contains(key), "{}", service.text);

    // Drift of both kinds is seen, and installed again.
    by_hand(
        &lab,
        "intranet",
        &["systemctl", "stop", "infra-media-server-home-night.timer"],
    );
    by_hand(&lab, "intranet", &["rm", "-f", unit]);
    lab.run(&["--lab", "timers", "list"])
        .says(12, &["does not run"]);
    lab.run(&["--lab", "plan", "--exit-code"])
        .says(4, &["infra-media-server-home-night.timer", unit]);
    lab.run(&["--lab", "timers", "install", "--yes"])
        .says(0, &["Done."]);
    lab.run(&["--lab", "timers", "install", "--yes"])
        .says(0, &["Nothing to change"]);
    lab.settled();

    // Another schedule, one job less; then nothing at all.
    write(
        &lab,
        "nights: {host: intranet, timers: {night: weekly mon 03:00}}\n",
    );
    lab.run(&["--lab", "timers", "install", "--yes"])
        .says(0, &["Done."]);
    guest(&lab, &["cat", timer]).says(0, &["OnCalendar=Mon *-*-* 03:00:00"]);
    let gone = "/etc/systemd/system/infra-media-server-home-snapshot.timer";
    guest(&lab, &["cat", gone]).says(1, &["No such file"]);
    lab.settled();
    // Without nights no timer goes on: the plan says so, and `up` takes it away.
    write(&lab, "x-nothing: {}\n");
    lab.run(&["--lab", "plan", "--exit-code"])
        .says(4, &["infra-media-server-home-night.timer", unit]);
    lab.up().says(0, &["Done."]);
    for path in [unit, timer] {
        guest(&lab, &["cat", path]).says(1, &["No such file"]);
    }
    lab.settled();
    lab.run(&["--lab", "timers", "list"])
        .says(0, &["has no timers"]);
}

#[test]
fn timers_move_with_their_host() {
    let lab = flagship(NIGHTS, &[]);
    write(
        &lab,
        "nights: {host: extranet, timers: {night: daily 02:30}}\n",
    );
    lab.up().says(0, &["Done."]);
    lab.settled();
    let unit = "/etc/systemd/system/infra-media-server-home-night.timer";
    guest(&lab, &["cat", unit]).says(1, &["No such file"]);
    lab.run(&["--lab", "timers", "list"])
        .says(0, &["runs", "On extranet"]);
}

#[test]
fn a_schedule_that_never_runs_is_refused_with_its_line() {
    let lab = flagship(NIGHTS, &[]);
    write(
        &lab,
        "nights:\n  host: intranet\n  timers:\n    night: yearly 02-30\n",
    );
    lab.run(&["check"])
        .says(3, &["INV110", "nights.yaml:4:12", "never comes"]);
}
