//! A playbook of every kind of step, on the flagship in a scripted lab.

use crate::lab::{Lab, Ran};
use std::fs;

const ALL_KINDS: &str = r#"
description: Every kind of step that compares.
hosts: guests
serial: 1
vars:
  motd: hello
  needed: null
steps:
  - name: the message of the day
    file: {path: /etc/motd, content: "{{ motd }} from {{ host.name }}, {{ needed }}\n"}
    notify: ssh again
  - template: {path: /etc/banner, source: files/banner}
  - package: [nftables]
  - line: {path: /etc/issue.net, line: "Authorized use only", starts: "Authorized"}
  - name: an operator
    user: {name: operator, groups: [sudo], keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbz op@example.org"]}
  - sysctl: {key: vm.swappiness, value: "10"}
  - for_each: [/etc/one, /etc/two]
    file: {path: "{{ item }}", content: "x\n", mode: "0600"}
  - when: host.kind == "node"
    file: {path: /etc/never, content: "x\n"}
  - run: {argv: [tee, /etc/made], creates: /etc/made}
  - run: {argv: [tee, /etc/probed], unless: [test, -e, /etc/probed]}
  - zfs: {snapshot: before-play}
  - check: all
  - pause: 1s
handlers:
  - name: ssh again
    reload: ssh.service
  - name: never called
    restart: cron.service
"#;

fn lab() -> Lab {
    let lab = Lab::running();
    let folder = lab.path("playbooks");
    fs::create_dir_all(folder.join("files")).expect("made");
    fs::write(folder.join("kinds.yaml"), ALL_KINDS).expect("written");
    fs::write(folder.join("files/banner"), "on {{ host.address }}\n").expect("written");
    lab
}

fn guest(lab: &Lab, name: &str, argv: &[&str]) -> Ran {
    let args = [
        &["--lab", "vm", "ssh", name, "--", "sudo", "-n", "--"],
        argv,
    ]
    .concat();
    lab.run(&args)
}

#[test]
fn a_second_run_changes_nothing_and_a_check_changes_nothing_at_all() {
    let lab = lab();
    lab.run(&["check"]).says(0, &["is valid"]);
    lab.run(&["play"]).says(0, &["harden", "kinds", "update"]);
    lab.run(&["--lab", "play", "kinds"])
        .says(2, &["--var needed=..."]);
    let args = ["--lab", "play", "kinds", "--var", "needed=y"];
    let with = |more: &[&str]| lab.run(&[args.as_slice(), more].concat());
    with(&["--check"]).says(
        0,
        &[
            "/etc/motd",
            "nftables",
            "snapshot all datasets as `before-play`",
            "Nothing was changed",
        ],
    );
    guest(&lab, "intranet", &["cat", "/etc/banner"]).says(1, &["No such file"]);
    with(&[]).says(2, &["there is nobody to ask"]);
    let ran = with(&["--yes"]);
    ran.says(0, &["Batch 1 of 2", "ssh again", "Done."]);
    assert!(!ran.text.contains("never called"), "{}", ran.text);
    guest(&lab, "intranet", &["cat", "/etc/motd"]).says(0, &["hello from intranet, y"]);
    guest(&lab, "extranet", &["cat", "/etc/motd"]).says(0, &["hello from extranet, y"]);
    guest(&lab, "intranet", &["cat", "/etc/banner"]).says(0, &["on 192.168.1.20"]);
    guest(&lab, "intranet", &["cat", "/etc/issue.net"]).says(0, &["Authorized use only"]);
    guest(
        &lab,
        "intranet",
        &["cat", "/home/operator/.ssh/authorized_keys"],
    )
    .says(0, &["op@example.org"]);
    guest(&lab, "intranet", &["cat", "/etc/never"]).says(1, &["No such file"]);
    lab.run(&["--lab", "zfs", "list"]).says(0, &["before-play"]);

    let again = with(&["--yes"]);
    again.says(0, &["Nothing to change"]);
    assert!(!again.text.contains("ssh again"), "{}", again.text);
    let shots = |ran: &Ran| ran.text.matches("before-play").count();
    let list = lab.run(&["--lab", "zfs", "list"]);
    with(&["--yes"]).says(0, &[]);
    assert_eq!(shots(&list), shots(&lab.run(&["--lab", "zfs", "list"])));

    // One thing by hand, one thing back; `--on` narrows.
    guest(&lab, "intranet", &["rm", "-f", "/etc/one"]).says(0, &[]);
    with(&["--on", "extranet", "--yes"]).says(0, &["Nothing to change"]);
    with(&["--check"]).says(0, &["intranet", "/etc/one"]);
    with(&["--yes"]).says(0, &["1 change", "Done."]);
    lab.settled();
}

#[test]
fn a_step_that_fails_stops_the_batches_after_it_and_says_so() {
    let lab = lab();
    let bad = "description: x\nhosts: guests\nserial: 1\nsteps:\n  - name: broken\n    run: {argv: [no-such-program], creates: /x}\n  - file: {path: /etc/after, content: \"x\\n\"}\n";
    fs::write(lab.path("playbooks/bad.yaml"), bad).expect("written");
    lab.run(&["--lab", "play", "bad", "--yes"]).says(
        1,
        &[
            "no-such-program",
            "The batches after this one were not begun",
        ],
    );
    guest(&lab, "extranet", &["cat", "/etc/after"]).says(1, &["No such file"]);
    let unknown = "description: x\nhosts: guests\nsteps:\n  - pakage: vim\n";
    fs::write(lab.path("playbooks/bad.yaml"), unknown).expect("written");
    lab.run(&["check"])
        .says(3, &["INV003", "bad.yaml:4:5", "did you mean `package`?"]);
    lab.run(&["--lab", "play", "bad", "--yes"])
        .says(3, &["INV003"]);
    let nothing = "description: x\nhosts: guests\nsteps:\n  - file: {path: /etc/x, content: \"{{ nobody }}\"}\n";
    fs::write(lab.path("playbooks/bad.yaml"), nothing).expect("written");
    lab.run(&["--lab", "play", "bad", "--yes"])
        .says(3, &["nobody", "bad.yaml:4:5"]);
}
