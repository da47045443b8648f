//! The Proxmox firewall, met by real packets.

use crate::support::{TestGuest, TestLab, lab_folder, ready, vmid};
use infra::lab::{
    backend::{Backend, FirewallRule, FirewallScope, FirewallSnapshot},
    namespace::netns_path,
    netns,
};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than any answer inside one machine takes; only closed ports wait for it.
const PATIENCE: Duration = Duration::from_millis(700);

fn opens(namespace: &str, target: &str) -> bool {
    let target: SocketAddr = target.parse().expect("address");
    netns::inside(Some(&netns_path(namespace)), || {
        TcpStream::connect_timeout(&target, PATIENCE).map(drop)
    })
    .is_ok()
}

fn words(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The guest lets `port` in from `source`, and drops the rest.
fn snapshot(source: &str, port: &str) -> FirewallSnapshot {
    let rule: FirewallRule = words(&[
        ("type", "in"),
        ("action", "ACCEPT"),
        ("enable", "1"),
        ("proto", "tcp"),
        ("source", source),
        ("dport", port),
    ]);
    let guest = FirewallScope {
        options: words(&[
            ("enable", "1"),
            ("policy_in", "DROP"),
            ("policy_out", "ACCEPT"),
        ]),
        rules: vec![rule],
        ..FirewallScope::default()
    };
    FirewallSnapshot {
        options: words(&[("enable", "1"), ("policy_in", "ACCEPT")]),
        guests: BTreeMap::from([(vmid(101), guest)]),
        ..FirewallSnapshot::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_stop_packets_on_the_bridge_and_across_the_node_and_survive_a_power_cycle() {
    if !ready() {
        return;
    }
    let folder = lab_folder();
    let lab = TestLab::build(folder.path());
    let one = TestGuest::new(&lab, 101, "vmbr0", "192.168.1.20", "192.168.1.1");
    let two = TestGuest::new(&lab, 102, "vmbr1", "10.10.10.2", "10.10.10.1");
    lab.on_node("sysctl -qw net.ipv4.ip_forward=1");
    for guest in [&one, &two] {
        lab.machine
            .start(guest.spec.clone())
            .await
            .expect("started");
    }
    one.wait_for_ssh(&lab);
    two.wait_for_ssh(&lab);
    one.demand(&lab, "sudo systemd-run --quiet python3 -m http.server 9001");
    one.demand(&lab, "until ss -Hltn | grep -q :9001; do sleep 0.05; done");

    let names = lab.machine.names();
    let (operator, other) = (names.operator(), names.guest(vmid(102)));
    let closed = |when: &str| {
        assert!(
            opens(&operator, "192.168.1.20:22"),
            "{when}: SSH from the LAN is allowed"
        );
        assert!(
            !opens(&operator, "192.168.1.20:9001"),
            "{when}: another port from the LAN"
        );
        assert!(
            !opens(&other, "192.168.1.20:22"),
            "{when}: SSH across the node"
        );
        assert!(
            !opens(&other, "192.168.1.20:9001"),
            "{when}: another port across the node"
        );
    };
    assert!(opens(&operator, "192.168.1.20:9001"), "open before");
    assert!(
        opens(&other, "192.168.1.20:9001"),
        "open before, across the node"
    );

    lab.machine
        .enforce(snapshot("192.168.1.0/24", "22"))
        .await
        .expect("loaded");
    closed("enforced");

    lab.machine.stop(vmid(101), true).await.expect("stopped");
    lab.machine.start(one.spec.clone()).await.expect("started");
    one.wait_for_ssh(&lab);
    one.demand(&lab, "sudo systemd-run --quiet python3 -m http.server 9001");
    one.demand(&lab, "until ss -Hltn | grep -q :9001; do sleep 0.05; done");
    closed("after a power cycle");

    lab.machine
        .enforce(FirewallSnapshot::default())
        .await
        .expect("loaded");
    assert!(opens(&operator, "192.168.1.20:9001"), "switched off");
}
