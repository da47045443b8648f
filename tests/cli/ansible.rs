//! The inventory as Ansible reads it.

use crate::folder::Folder;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

fn flagship() -> Folder {
    let folder = Folder::new();
    let said = folder.run(&["init", "media-server-home"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    folder
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn every_host_is_in_the_groups_that_its_place_and_its_stacks_make() {
    let said = flagship().run(&["inventory", "--ansible"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    let listed = json(&said.out);
    for (group, hosts) in [
        ("nodes", &["pve"][..]),
        ("guests", &["extranet", "intranet"]),
        ("node_pve", &["extranet", "intranet"]),
        ("zone_lan", &["intranet", "pve"]),
        ("stack_node_exporter", &["extranet"]),
    ] {
        assert_eq!(listed[group]["hosts"], serde_json::json!(hosts), "{group}");
    }
    let vars = &listed["_meta"]["hostvars"]["intranet"];
    assert_eq!(vars["ansible_host"], "192.168.1.20");
    assert_eq!(vars["ansible_become"], true);
    assert_eq!(vars["infra_vmid"], 110);
    let ssh = vars["ansible_ssh_common_args"].as_str().expect("text");
    assert!(ssh.contains("StrictHostKeyChecking=yes"), "{ssh}");
    assert!(ssh.contains("media-server-home/known_hosts"), "{ssh}");
}

#[test]
fn one_host_alone_and_a_part_of_the_system() {
    let folder = flagship();
    let one = folder.run(&["inventory", "--ansible", "--host", "extranet"]);
    assert_eq!(json(&one.out)["ansible_host"], "10.10.10.2");
    let part = folder.run(&["inventory", "--ansible", "--list", "--on", "@dmz"]);
    let hosts = &json(&part.out)["_meta"]["hostvars"];
    let hosts: Vec<&String> = hosts.as_object().expect("hosts").keys().collect();
    assert_eq!(hosts, ["extranet", "pve"]);
    let none = folder.run(&["inventory", "--ansible", "--host", "printer"]);
    assert_eq!(none.code, 2, "{}", none.talk);
    assert!(none.talk.contains("printer"), "{}", none.talk);
}

/// The real program, where there is one: it must find in the script what was put there.
#[test]
fn ansible_itself_reads_the_script() {
    let found = Command::new("ansible-inventory").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("skipped: ansible-inventory is not installed");
        return;
    }
    let folder = flagship();
    let script = folder.path().join("hosts.sh");
    let text = format!(
        "#!/bin/sh\nexec {} -i {}/inventory/media-server-home inventory --ansible \"$@\"\n",
        env!("CARGO_BIN_EXE_infra"),
        folder.path().display()
    );
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
    let Output { stdout, stderr, .. } = Command::new("ansible-inventory")
        .arg("-i")
        .arg(&script)
        .args(["--host", "intranet"])
        .env("HOME", folder.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&stderr);
    let vars = json(&String::from_utf8_lossy(&stdout));
    assert_eq!(vars["infra_vmid"], 110, "{stderr}");
    assert!(!stderr.contains("WARNING"), "{stderr}");
}
