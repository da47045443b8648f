//! A day of stacks: deployed one by one, looked at, taken back.

use crate::lab::Lab;
use serde_json::Value;
use std::fs;

fn json(lab: &Lab, args: &[&str]) -> Value {
    let output = lab.command(args).output().expect("run");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

#[test]
fn a_stack_is_deployed_looked_at_and_taken_back() {
    let lab = Lab::running();
    lab.run(&["stack", "list"])
        .says(0, &["monitoring", "prometheus 9090/tcp on 127.0.0.1"]);
    lab.run(&["--lab", "stack", "plan", "--exit-code"])
        .says(0, &["Nothing to change"]);
    lab.run(&["--lab", "stack", "rollback", "jellyfin", "--yes"])
        .says(1, &["no earlier release"]);
    let before = json(&lab, &["--lab", "--json", "stack", "history", "jellyfin"]);
    let first = before["history"]["current"].as_str().expect("deployed");

    lab.another_jellyfin("10.10.8");
    lab.run(&["--lab", "stack", "plan", "--exit-code", "jellyfin"]).says(
        4,
        &[
            "jellyfin: compose.yaml",
            "-     image: docker.io/jellyfin/jellyfin:10.10.7",
            "+     image: docker.io/jellyfin/jellyfin:10.10.8",
            "service jellyfin: docker.io/jellyfin/jellyfin:10.10.7 → docker.io/jellyfin/jellyfin:10.10.8",
            "1 change",
        ],
    );
    lab.run(&["--lab", "stack", "plan", "--exit-code", "proxy"])
        .says(0, &["Nothing to change"]);
    lab.run(&["--lab", "stack", "status", "jellyfin"])
        .says(12, &["another", "10.10.7"]);
    lab.run(&["--lab", "stack", "deploy", "jellyfin", "--yes"])
        .says(0, &["Done."]);
    lab.run(&["--lab", "stack", "status", "jellyfin"])
        .says(0, &["healthy", "as wanted", "10.10.8"]);

    lab.run(&["--lab", "stack", "rollback", "jellyfin"])
        .says(2, &["nobody to ask", "--yes"]);
    lab.run(&["--lab", "stack", "rollback", "jellyfin", "--yes"])
        .says(
            0,
            &[first, "is healthy", "the next `infra up` deploys that one"],
        );
    let after = json(&lab, &["--lab", "--json", "stack", "history", "jellyfin"]);
    assert_eq!(after["history"]["current"], first);
    let flips = after["history"]["flips"].as_array().expect("flips");
    let back: Vec<bool> = flips.iter().map(|flip| flip["back"] == true).collect();
    assert_eq!(back, [false, false, true]);
    lab.run(&["--lab", "stack", "history", "jellyfin"])
        .says(0, &["taken back", "runs now", "what the inventory wants"]);
    lab.run(&["--lab", "stack", "plan", "--exit-code"])
        .says(4, &["release:"]);
    lab.up().says(0, &["Done."]);
    lab.settled();
}

#[test]
fn logs_and_commands_know_their_stacks_and_services() {
    let lab = Lab::running();
    lab.run(&["--lab", "stack", "logs", "monitoring", "grafana"])
        .says(0, &["monitoring-grafana-1"]);
    lab.run(&["--lab", "stack", "logs", "monitoring", "grafna"])
        .says(2, &["no service `grafna`", "grafana"]);
    lab.run(&["--lab", "stack", "logs", "monitorin"])
        .says(2, &["no stack `monitorin`", "monitoring"]);
    lab.run(&["--lab", "stack", "exec", "monitoring", "grafana", "true"])
        .says(0, &[]);
    lab.run(&["--lab", "stack", "exec", "monitoring", "grafana", "false"])
        .says(127, &[]);
    lab.run(&["--lab", "stack", "verify", "node-exporter"])
        .says(0, &["the metrics of the DMZ are reachable"]);
    lab.run(&["--lab", "stack", "verify", "openvpn"])
        .says(0, &["the VPN listens and has its tunnel"]);
}

/// A look at stacks costs what a look at everything costs: one exec on each host.
#[test]
fn a_plan_of_stacks_asks_each_host_once() {
    let lab = Lab::running();
    let before = lab.report();
    lab.run(&["--lab", "stack", "plan", "--exit-code"])
        .says(0, &["Nothing to change"]);
    let after = lab.report();
    for host in ["intranet", "extranet"] {
        let execs = |report: &Value| report["visits"][host]["execs"].as_u64().expect("counted");
        assert_eq!(execs(&after) - execs(&before), 1, "{host}");
    }
    let file = lab.path("templates/proxy/http.conf");
    let text = fs::read_to_string(&file).expect("a template");
    fs::write(&file, format!("# One more line.\n{text}")).expect("written");
    lab.run(&["--lab", "stack", "plan", "--exit-code"]).says(
        4,
        &["proxy: http.conf", "+ # One more line.", "1 change on"],
    );
}

/// A tag that moved is a change like any other, and the release before runs its own image.
#[test]
fn tags_are_locked_and_what_moved_is_shown_and_deployed() {
    let lab = Lab::running();
    lab.run(&["--lab", "stack", "update", "--plan", "jellyfin"])
        .says(
            0,
            &["docker.io/jellyfin/jellyfin:10.10.7", "locked", "was left"],
        );
    lab.run(&["--lab", "stack", "update", "jellyfin"])
        .says(0, &["locked", "images.lock is written"]);
    let state = lab.path("lab/scripted/state/media-server-home/images.lock");
    let text = fs::read_to_string(&state).expect("the lab's own lock");
    assert!(!lab.path("inventory/media-server-home/images.lock").exists());
    lab.run(&["--lab", "stack", "plan", "--exit-code"]).says(
        4,
        &[
            "10.10.7 → docker.io/jellyfin/jellyfin:10.10.7@sha256:",
            "1 change",
        ],
    );
    lab.up().says(0, &["Done."]);
    lab.settled();
    lab.run(&["--lab", "stack", "update"])
        .says(0, &["unchanged", "prometheus"]);
    // As if the registry had said something else then.
    let lock: Value = serde_json::from_str(&text).expect("JSON");
    let digest = &lock["containers"]["docker.io/jellyfin/jellyfin:10.10.7"]["digest"];
    let digest = digest.as_str().expect("a digest");
    let other = format!("sha256:{}", "0".repeat(64));
    fs::write(&state, text.replace(digest, &other)).expect("written");
    lab.run(&["--lab", "stack", "update", "jellyfin"])
        .says(0, &["moved", &other[..19], &digest[..19]]);
    lab.fault(&["host", "intranet", "pull-fails"]);
    lab.run(&["--lab", "stack", "update", "immich"])
        .says(1, &["not found", "TLS handshake timeout"]);
}
