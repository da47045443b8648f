//! A lab's life on the command line: up, crash, down, up, reset.

use crate::support::{lab_folder, machine_now, ready};
use infra::lab::namespace::Names;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Instant,
};

const INVENTORY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/lab_namespace/inventory/small"
);

/// `infra` with a lab, a configuration and a state of its own; the cache is everybody's.
fn infra(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_infra"))
        .args(["--inventory", INVENTORY, "--lab-dir"])
        .arg(folder.join("lab"))
        .args(args)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_STATE_HOME", folder.join("state"))
        .env_remove("INFRA_LAB_DIR")
        .output()
        .expect("infra runs")
}

fn answer(folder: &Path, args: &[&str]) -> Value {
    let output = infra(folder, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn status(folder: &Path) -> Value {
    answer(folder, &["lab", "status", "--json"])
}

/// Whatever happens to the test, its lab ends.
struct Cleanup<'a>(&'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        infra(self.0, &["lab", "down"]);
    }
}

#[test]
fn a_lab_comes_up_dies_is_swept_and_comes_up_again() {
    if !ready() {
        return;
    }
    let folder = lab_folder();
    let folder = folder.path();
    let lab = folder.join("lab");
    let names = Names::of(&lab);
    let left = |before: &std::collections::BTreeSet<String>| {
        let after = machine_now(names.id(), folder);
        after.difference(before).cloned().collect::<Vec<_>>()
    };
    let nothing = Vec::<String>::new();
    let before = machine_now(names.id(), folder);
    let _cleanup = Cleanup(folder);
    assert_eq!(status(folder)["status"], "down");
    let refused = infra(folder, &["--lab", "vm", "list"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");

    let begun = Instant::now();
    let up = answer(folder, &["lab", "up", "--json"]);
    println!("lab up in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(up["api"], "192.168.1.10:8006");
    assert_eq!(up["token_secret"], Value::Null, "answers end up in logs");
    let again = infra(folder, &["lab", "up"]);
    assert!(
        String::from_utf8_lossy(&again.stdout).contains("is up already"),
        "{again:?}"
    );
    assert_eq!(status(folder)["status"], "up");
    assert_eq!(
        answer(folder, &["--lab", "vm", "list", "--json"])["guests"],
        Value::Array(vec![])
    );

    // Node and external host answer to the operator's key, by the keys that the state file names.
    let known = lab.join("test_known_hosts");
    let lines: Vec<&str> = up["known_hosts"]
        .as_array()
        .expect("lines")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    fs::write(&known, lines.join("\n") + "\n").expect("written");
    for (login, command, said) in [
        (
            "root@192.168.1.10",
            "zpool list -Ho name,health",
            "tank\tONLINE",
        ),
        (
            "admin@192.168.1.30",
            "sudo -n id -un; hostname",
            "root\nbackup",
        ),
    ] {
        let output = Command::new("ip")
            .args([
                "netns",
                "exec",
                &names.operator(),
                "ssh",
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
            ])
            .args(["-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args([
                "-i",
                up["operator_key"].as_str().expect("path"),
                login,
                command,
            ])
            .output()
            .expect("ssh");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            said,
            "{output:?}"
        );
    }

    // The process that holds the lab is killed: its containers and namespaces stay, and are found.
    let pid = up["pid"].to_string();
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.expect("kill").success());
    while Path::new("/proc").join(&pid).join("exe").exists() {
        std::thread::yield_now();
    }
    let dead = status(folder);
    assert_eq!(dead["status"], "dead", "{dead}");
    assert!(!left(&before).is_empty(), "a crash leaves things behind");
    assert_eq!(
        infra(folder, &["--lab", "vm", "list"]).status.code(),
        Some(5)
    );
    let begun = Instant::now();
    assert!(infra(folder, &["lab", "down"]).status.success());
    println!("swept in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(left(&before), nothing);
    assert_eq!(status(folder)["status"], "down");

    // Up over a crash that nobody swept.
    let up = answer(folder, &["lab", "up", "--json"]);
    let killed = Command::new("kill")
        .args(["-KILL", &up["pid"].to_string()])
        .status();
    assert!(killed.expect("kill").success());
    let up = answer(folder, &["lab", "up", "--json"]);
    assert_eq!(status(folder)["status"], "up");
    assert_eq!(up["known_hosts"].as_array().map(Vec::len), Some(2));

    let begun = Instant::now();
    assert!(infra(folder, &["lab", "reset"]).status.success());
    println!("reset in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(left(&before), nothing);
    for name in [
        "state.json",
        "hosts",
        "guests",
        "api",
        "zfs.img",
        "operator_ed25519",
    ] {
        assert!(!lab.join(name).exists(), "{name} is forgotten");
    }
}
