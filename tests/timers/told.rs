//! A night, and who is told what.

use crate::{
    lab::{Lab, Ran, ended},
    night::{SECRETS, by_hand, everybody, flagship, read},
    server::{Servers, Told},
};
use std::time::Instant;

fn lab(servers: &Servers, https: u16, smtp: u16) -> Lab {
    let (nights, files) = everybody(servers, https, smtp);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    flagship(&nights, &files)
}

fn nightly(lab: &Lab, more: &[&str]) -> Ran {
    lab.run(&[&["--lab", "nightly", "--notify"], more].concat())
}

fn lines(told: &[Told]) -> Vec<&str> {
    let mut lines: Vec<&str> = told.iter().map(|one| one.line.as_str()).collect();
    lines.sort_unstable();
    lines
}

/// A token goes where it belongs, and no secret into what is told.
fn no_secret(told: &[Told]) {
    for one in told {
        let body = one.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        for secret in SECRETS {
            assert!(!body.contains(secret), "{}", one.text);
        }
    }
}

#[test]
fn a_night_is_told_once_and_a_failure_at_once() {
    let servers = Servers::new();
    let (https, smtp) = (servers.https(), servers.smtp());
    let lab = lab(&servers, https, smtp);
    lab.settled();

    let begun = Instant::now();
    nightly(&lab, &[]).says(
        0,
        &[
            "ok     snapshot",
            "ok     drift",
            "--     replicate",
            "ok     certificates",
        ],
    );
    println!("a first night took {:?}", begun.elapsed());
    let told = servers.take();
    no_secret(&told);
    let hook = format!("POST /hook/{}", SECRETS[3]);
    assert_eq!(
        lines(&told),
        [
            "MAIL",
            "POST /gotify/message",
            &hook,
            "POST /ping",
            "POST /ping/start"
        ]
    );
    let mail = told.iter().find(|one| one.line == "MAIL").expect("a mail");
    for word in [
        "Subject: [lab] media-server-home: the night is well",
        "ok     drift",
    ] {
        assert!(
            mail.text.contains(word),
            "`{word}` is not in\n{}",
            mail.text
        );
    }
    let metrics = read(&lab.path("lab/scripted/state/media-server-home/infra.prom"));
    for line in [
        "infra_night_success{system=\"media-server-home\"} 1",
        "infra_job_success{system=\"media-server-home\",name=\"drift\"} 1",
        "infra_drift_changes{system=\"media-server-home\"} 0",
        "infra_zpool_online{host=\"pve\",zpool=\"tank\"} 1",
    ] {
        assert!(
            metrics.lines().any(|own| own == line),
            "`{line}` is not in\n{metrics}"
        );
    }
    assert!(
        metrics.contains("infra_snapshot_age_seconds{host=\"pve\""),
        "{metrics}"
    );
    let shown = lab.run(&[
        "--lab",
        "vm",
        "ssh",
        "intranet",
        "--",
        "cat",
        "/var/lib/infra/metrics/infra.prom",
    ]);
    shown.says(0, &["infra_night_success{system=\"media-server-home\"} 1"]);

    // Nothing to do: this is the number that counts.
    let begun = Instant::now();
    nightly(&lab, &["--no-notify"]).says(2, &["cannot be used with"]);
    lab.run(&["--lab", "nightly"]).says(0, &["ok     drift"]);
    println!("a night with nothing to do took {:?}", begun.elapsed());
    assert!(
        servers.take().is_empty(),
        "in the lab nobody is told unless asked for"
    );

    // Somebody edits a file: the night fails, goes on, and says so at once and at its end.
    by_hand(
        &lab,
        "intranet",
        &["rm", "-f", "/etc/fail2ban/jail.d/infra.conf"],
    );
    nightly(&lab, &[]).says(
        1,
        &[
            "FAILED drift (exit 4)",
            "/etc/fail2ban/jail.d/infra.conf",
            "ok     images",
        ],
    );
    let told = servers.take();
    no_secret(&told);
    let title =
        |one: &Told| one.text.contains("drift failed") || one.line.contains("drift%20failed");
    let at_once: Vec<&Told> = told.iter().filter(|one| title(one)).collect();
    assert_eq!(at_once.len(), 4, "{told:#?}");
    let phone: Vec<&Told> = told
        .iter()
        .filter(|one| one.line.starts_with("POST /topic"))
        .collect();
    assert_eq!(phone.len(), 2, "{told:#?}");
    assert!(
        phone[0]
            .text
            .to_lowercase()
            .contains("authorization: bearer canary-ntfy-77ab")
    );
    assert!(lines(&told).contains(&"POST /ping/fail"), "{told:#?}");
    let metrics = read(&lab.path("lab/scripted/state/media-server-home/infra.prom"));
    assert!(metrics.contains("infra_night_success{system=\"media-server-home\"} 0"));
    assert!(metrics.contains("infra_drift_changes{system=\"media-server-home\"} 1"));

    // One job by itself tells failures only, with its own exit code.
    nightly(&lab, &["--job", "drift"]).says(4, &["FAILED drift"]);
    assert_eq!(servers.take().len(), 5);
    nightly(&lab, &["--job", "snapshot"]).says(0, &["ok     snapshot"]);
    assert!(servers.take().is_empty());

    // What systemd starts when a unit could not tell so itself.
    let mut failed = lab.command(&["nightly", "--failed"]);
    failed
        .env("MONITOR_UNIT", "infra-media-server-home-night.service")
        .env("MONITOR_SERVICE_RESULT", "oom-kill");
    ended(failed).says(0, &[]);
    let told = servers.take();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told.iter()
            .all(|one| one.line.starts_with("POST /ping") || one.text.contains("oom-kill"))
    );
}

#[test]
fn a_server_that_is_not_believed_or_says_nothing_is_a_failure_of_the_night() {
    let (servers, strangers) = (Servers::new(), Servers::new());
    let (strange, silent) = (strangers.https(), servers.silent());
    let nights = format!(
        r#"
nights:
  notify:
    stranger: {{ca: ca.pem, webhook: {{url: "https://localhost:{strange}/hook"}}}}
    silent: {{ca: ca.pem, ntfy: {{url: "https://localhost:{silent}/topic"}}}}
    nobody: {{ca: ca.pem, gotify: {{url: {{secret: nowhere}}, token: nowhere}}}}
secrets:
  nowhere: {{file: no-such-file}}
"#
    );
    let lab = Lab::empty();
    lab.run(&["init", "media-server-home"]).says(0, &[]);
    let folder = lab.path("inventory/media-server-home");
    std::fs::write(folder.join("nights.yaml"), nights).expect("written");
    std::fs::write(folder.join("ca.pem"), &servers.ca).expect("written");
    lab.begin_lab();
    // The session itself misses a secret: that too is told to those who can be told, in time.
    let begun = Instant::now();
    nightly(&lab, &[]).says(
        3,
        &[
            "stranger (webhook) was not told",
            "invalid peer certificate",
            "silent (ntfy) was not told",
            "nobody (gotify) was not told",
            "the secret `nowhere`",
        ],
    );
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(strangers.take().is_empty());
}
