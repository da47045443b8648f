//! What a run costs, counted by the lab: connections and commands of each host, requests to the API.

use crate::lab::Lab;
use serde_json::Value;

struct Cost {
    requests: u64,
    /// Host, connections, commands.
    hosts: Vec<(String, u64, u64)>,
}

fn cost_of(lab: &Lab, args: &[&str]) -> Cost {
    let before = lab.report();
    lab.run(args).says(0, &[]);
    let after = lab.report();
    let grown = |of: &dyn Fn(&Value) -> &Value| {
        let count = |report| of(report).as_u64().unwrap_or(0);
        count(&after) - count(&before)
    };
    let hosts = after["visits"].as_object().expect("hosts").keys();
    Cost {
        requests: grown(&|report| &report["requests"]),
        hosts: hosts
            .map(|host| {
                let connections = grown(&|report| &report["visits"][host]["connections"]);
                let execs = grown(&|report| &report["visits"][host]["execs"]);
                (host.clone(), connections, execs)
            })
            .collect(),
    }
}

fn check(what: &str, cost: &Cost, requests: u64, execs: u64) {
    assert_eq!(
        cost.hosts.len(),
        3,
        "{what}: the node and both guests are counted"
    );
    assert!(cost.requests > 0, "{what}: the API is asked");
    assert!(
        cost.requests <= requests,
        "{what}: {} requests, {requests} are enough",
        cost.requests
    );
    for (host, connections, commands) in &cost.hosts {
        assert!(
            (1..=2).contains(connections),
            "{what}: {connections} connections to {host}"
        );
        assert!(
            (1..=execs).contains(commands),
            "{what}: {commands} commands on {host}, {execs} are enough"
        );
    }
}

#[test]
fn a_look_costs_one_connection_and_a_handful_of_commands() {
    let lab = Lab::running();
    check(
        "plan",
        &cost_of(&lab, &["--lab", "plan", "--exit-code"]),
        45,
        2,
    );
    check(
        "a second up",
        &cost_of(&lab, &["--lab", "up", "--yes"]),
        45,
        4,
    );
    // The host that makes backups is asked what it remembers of them, all jobs in one command.
    check("status", &cost_of(&lab, &["--lab", "status"]), 45, 3);
}
