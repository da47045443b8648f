//! A run that is not the lab's, and a proxy between infra and the API that has a bad day.

use crate::lab::Lab;
use std::fs;

#[test]
fn what_the_owner_still_has_to_fill_in_stops_a_real_run_before_anything_is_sent() {
    let lab = Lab::new();
    let path = lab.path("inventory/media-server-home/secrets.yaml");
    let text = fs::read_to_string(&path).expect("secrets");
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("proxmox_token:") {
                "  proxmox_token: {env: USER}".to_owned()
            } else {
                line.to_owned()
            }
        })
        .collect();
    fs::write(&path, lines.join("\n") + "\n").expect("written");
    lab.run(&["up", "--yes"]).says(
        3,
        &[
            "nothing was changed: the inventory still has to be filled in",
            "the checksum of this image is a placeholder (guests.yaml:",
            "the fingerprint of the Proxmox API is a placeholder (system.yaml:",
            "nobody can log in to the guests (system.yaml:",
        ],
    );
}

#[test]
fn answers_of_a_proxy_and_lost_connections_are_asked_again_and_a_write_is_looked_after() {
    let lab = Lab::new();
    for (code, text) in [("596", "Broken pipe"), ("599", "Too many redirections")] {
        lab.fault(&[
            "api", "status", "--code", code, "--text", text, "--times", "2",
        ]);
        lab.run(&["--lab", "plan"]).says(0, &["guest 110 intranet"]);
    }
    for effect in ["drop-before", "drop-after", "cut-answer"] {
        lab.fault(&["api", effect, "--times", "2"]);
        lab.run(&["--lab", "plan"]).says(0, &["guest 110 intranet"]);
    }
    lab.fault(&[
        "api",
        "status",
        "--code",
        "596",
        "--text",
        "Broken pipe",
        "--method",
        "POST",
        "--path",
        "*/config",
    ]);
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "POST",
        "--path",
        "*/status/start",
    ]);
    lab.up();
    lab.recovers();
}
