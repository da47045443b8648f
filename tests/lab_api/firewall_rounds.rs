//! The firewall from what is stored to what is enforced.

use crate::bench::{Bench, Sent, config, root};
use infra::lab::{
    api::Clock,
    backend::{FirewallSnapshot, Powerless},
};
use serde_json::json;
use std::sync::Arc;

const OPTIONS: &str = "/cluster/firewall/options";

/// A lab whose clock stands still; its daemons wait for their first round.
async fn slow() -> Bench {
    let folder = tempfile::tempdir().expect("folder");
    let backend = Arc::new(Powerless::default());
    let config = config(folder.path(), Arc::clone(&backend), Clock::manual());
    let bench = Bench::start(folder, backend, config);
    bench.get("/version").await;
    bench
}

/// Moves the node's clock a round further and gives what is enforced then.
async fn round(bench: &Bench, seconds: f64) -> FirewallSnapshot {
    let before = bench.backend.memory(|memory| memory.enforced.len());
    bench.world.clock().advance(seconds);
    for _ in 0..10_000 {
        let enforced = bench.backend.memory(|memory| memory.enforced.clone());
        if enforced.len() > before {
            return enforced.last().cloned().expect("one");
        }
        tokio::task::yield_now().await;
    }
    panic!("nothing was enforced");
}

#[tokio::test]
async fn a_rule_acts_with_the_next_round_in_its_order() {
    let bench = slow().await;
    round(&bench, 10.0).await;
    let rules = "/nodes/pve/qemu/120/firewall/rules";
    for port in ["443", "22"] {
        let rule = [
            ("type", "in"),
            ("action", "ACCEPT"),
            ("enable", "1"),
            ("proto", "tcp"),
            ("dport", port),
        ];
        assert_eq!(bench.form("POST", rules, &rule).await.status, 200);
    }
    assert!(
        bench.backend.memory(|memory| memory.enforced.len() == 1),
        "not before the round"
    );
    let enforced = round(&bench, 10.0).await;
    let guest = enforced.guests.values().next().expect("a guest");
    let ports: Vec<&str> = guest
        .rules
        .iter()
        .map(|rule| rule["dport"].as_str())
        .collect();
    assert_eq!(ports, ["22", "443"]);
    assert_eq!(enforced.options["enable"], "0");
}

#[tokio::test]
async fn the_dead_man_switch_acts_at_once_and_gives_up_after_a_minute() {
    let bench = slow().await;
    round(&bench, 10.0).await;
    assert_eq!(
        bench.form("PUT", OPTIONS, &[("enable", "2")]).await.status,
        200
    );
    let enforced = bench
        .backend
        .memory(|memory| memory.enforced.last().cloned())
        .expect("at once");
    assert_eq!(enforced.options["enable"], "1");
    assert!(bench.get(OPTIONS).await["enable"].as_i64().expect("a time") > 1_000_000);
    let enforced = round(&bench, 70.0).await;
    assert_eq!(enforced.options["enable"], "0");
    assert_eq!(bench.get(OPTIONS).await["enable"], 0);
}

#[tokio::test]
async fn confirming_within_the_minute_keeps_it_on() {
    let bench = slow().await;
    bench.form("PUT", OPTIONS, &[("enable", "2")]).await;
    bench.form("PUT", OPTIONS, &[("enable", "1")]).await;
    let pool = [("name", "lan")];
    assert_eq!(
        bench
            .form("POST", "/cluster/firewall/ipset", &pool)
            .await
            .status,
        200
    );
    let enforced = round(&bench, 70.0).await;
    assert_eq!(enforced.options["enable"], "1");
    assert_eq!(bench.get(OPTIONS).await["enable"], 1);
}

#[tokio::test]
async fn a_rule_that_lost_its_alias_says_so_and_is_not_enforced() {
    let bench = slow().await;
    let alias = [("name", "intranet"), ("cidr", "10.0.0.7")];
    bench
        .form("POST", "/cluster/firewall/aliases", &alias)
        .await;
    let rule = [
        ("type", "in"),
        ("action", "DROP"),
        ("enable", "1"),
        ("source", "dc/intranet"),
    ];
    assert_eq!(
        bench
            .form("POST", "/cluster/firewall/rules", &rule)
            .await
            .status,
        200
    );
    assert_eq!(round(&bench, 10.0).await.rules.len(), 1);
    let gone = bench
        .send(
            &root(),
            "DELETE",
            "/cluster/firewall/aliases/INTRANET",
            Sent::Nothing,
        )
        .await;
    assert_eq!(gone.status, 200, "case does not matter");
    let rules = bench.get("/cluster/firewall/rules").await;
    assert_eq!(
        rules[0]["errors"],
        json!({"source": "no such alias 'dc/intranet'"})
    );
    assert_eq!(round(&bench, 10.0).await.rules.len(), 0);
}

#[tokio::test]
async fn an_empty_value_removes_a_field_and_delete_does_too() {
    let bench = slow().await;
    let rules = "/cluster/firewall/rules";
    let rule = [
        ("type", "in"),
        ("action", "DROP"),
        ("source", "10.0.0.1"),
        ("comment", "x"),
        ("log", "info"),
    ];
    bench.form("POST", rules, &rule).await;
    let change = [
        ("source", ""),
        ("comment", "-"),
        ("delete", "log"),
        ("enable", "1"),
    ];
    assert_eq!(
        bench
            .form("PUT", &format!("{rules}/0"), &change)
            .await
            .status,
        200
    );
    let rule = bench.get(&format!("{rules}/0")).await;
    let mut names: Vec<&String> = rule.as_object().expect("a rule").keys().collect();
    names.sort();
    assert_eq!(names, ["action", "digest", "enable", "pos", "type"]);
    assert_eq!(rule["pos"], "0", "a text here, a number in the list");
}

#[tokio::test]
async fn sets_hold_networks_once_and_are_reached_with_and_without_encoding() {
    let bench = slow().await;
    bench
        .form("POST", "/cluster/firewall/ipset", &[("name", "lan")])
        .await;
    bench
        .form(
            "POST",
            "/cluster/firewall/ipset/lan",
            &[("cidr", "10.0.0.5/8")],
        )
        .await;
    for path in ["10.0.0.0%2F8", "10.0.0.0/8"] {
        let member = bench
            .get(&format!("/cluster/firewall/ipset/lan/{path}"))
            .await;
        assert_eq!(member["cidr"], "10.0.0.0/8");
    }
    let unencoded = Sent::Raw(
        "application/x-www-form-urlencoded",
        "type=in&action=DROP&source=+lan",
    );
    let blank = bench
        .send(&root(), "POST", "/cluster/firewall/rules", unencoded)
        .await;
    assert_eq!(blank.status, 400, "an unencoded + is a blank");
    let encoded = Sent::Raw(
        "application/x-www-form-urlencoded",
        "type=in&action=DROP&source=%2Blan",
    );
    assert_eq!(
        bench
            .send(&root(), "POST", "/cluster/firewall/rules", encoded)
            .await
            .status,
        200
    );
    let delete = bench
        .send(
            &root(),
            "DELETE",
            "/cluster/firewall/ipset/lan/10.0.0.0/8",
            Sent::Nothing,
        )
        .await;
    assert_eq!(delete.status, 200);
    assert_eq!(bench.get("/cluster/firewall/ipset/lan").await, json!([]));
}

#[tokio::test]
async fn a_fresh_guest_is_unknown_to_the_cluster_until_a_round_has_passed() {
    let bench = slow().await;
    let reply = bench
        .form("POST", "/nodes/pve/qemu", &[("vmid", "120"), ("name", "x")])
        .await;
    assert_eq!(reply.status, 200);
    let before = bench.get("/cluster/resources?type=vm").await;
    assert_eq!(
        (&before[0]["status"], before[0].get("name")),
        (&json!("unknown"), None)
    );
    round(&bench, 10.0).await;
    let after = bench.get("/cluster/resources?type=vm").await;
    assert_eq!(
        (&after[0]["status"], &after[0]["name"]),
        (&json!("stopped"), &json!("x"))
    );
}
