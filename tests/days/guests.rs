//! Day to day with single guests: moved to another node, snapshots whose answer is lost, an import over the API's own
//! address, and image checksums that are pinned anew.

use crate::{hand::Hand, lab::Lab};
use serde_json::Value;
use std::fs;

const PAIR: &str = "version: 1
name: pair
timezone: Etc/UTC
proxmox:
  endpoint: https://pve1:8006
  token: {id: infra@pve!infra, secret: token}
  tls: {fingerprint: \"FINGERPRINT\"}
secrets: {token: {env: TOKEN}}
nodes:
  pve1: {address: 192.168.1.11}
  pve2: {address: 192.168.1.12}
images:
  debian-13: {url: \"https://cloud.debian.org/images/debian.qcow2\", checksum: \"sha256:CHECKSUM\"}
zones:
  lan: {cidrs: [192.168.1.0/24], bridge: vmbr0, gateway: 192.168.1.1, nameservers: 192.168.1.1}
sets: {admins: [192.168.1.100/32]}
operators: admins
services: {https: 443/tcp, ssh: 22/tcp, api: 8006/tcp}
authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me
flows:
  - {from: lan, to: internet, allow: https, reason: packages}
  - {from: admins, to: [pve1, pve2, web], allow: ssh, reason: administration}
  - {from: admins, to: [pve1, pve2], allow: api, reason: the API}
guests:
  web: {vmid: 120, node: pve1, memory: 1GiB, disk: {storage: local-zfs, size: 8GiB}, nics: [{zone: lan, address: 192.168.1.40}]}
";

fn pair() -> Lab {
    let text = PAIR
        .replace("FINGERPRINT", &["AB"; 32].join(":"))
        .replace("CHECKSUM", &"ab".repeat(32));
    let lab = Lab::of("pair", &text);
    lab.begin_lab();
    lab.up().says(0, &["Done."]);
    lab
}

#[test]
fn a_guest_moves_to_another_node_and_the_owner_is_told_what_comes_next() {
    let lab = pair();
    let hand = Hand::at(&lab);
    lab.run(&["--lab", "vm", "migrate", "web", "pve9"])
        .says(2, &["there is no node `pve9`", "pve1, pve2"]);
    lab.run(&["--lab", "vm", "migrate", "web", "pve2"]).says(
        0,
        &[
            "web (120) lives on pve2.",
            "The inventory says `node: pve1`: the next `infra up` moves it back",
        ],
    );
    let found = hand.guest(120).expect("there");
    assert_eq!(
        (found.node.as_str(), found.status.as_str()),
        ("pve2", "running")
    );
    lab.run(&["--lab", "vm", "migrate", "web", "pve2"])
        .says(0, &["lives on pve2 already"]);
    lab.run(&["--lab", "plan"]).says(0, &["node: pve2 → pve1"]);
    lab.up().says(0, &["Done."]);
    assert_eq!(hand.guest(120).expect("there").node, "pve1");
    lab.settled();

    // The answer to the request is lost, and the move is not begun twice.
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "POST",
        "--path",
        "/nodes/*/qemu/*/migrate",
    ]);
    lab.run(&["--lab", "vm", "migrate", "web", "pve2"])
        .says(0, &["web (120) lives on pve2."]);
    assert_eq!(hand.guest(120).expect("there").node, "pve2");
}

/// Proxmox finds out only when the move has begun, and by then the drive would be empty.
#[test]
fn a_running_guest_that_was_given_something_of_its_node_stays_there_with_its_drive() {
    let lab = pair();
    let hand = Hand::at(&lab);
    hand.set(120, &[("usb0", "mapping=zigbee")]);
    hand.restart(120);
    let drive = hand.option(120, "ide2");
    assert!(drive.contains(".iso"), "{drive}");
    lab.run(&["--lab", "vm", "migrate", "web", "pve2"]).says(
        11,
        &[
            "`web` runs and uses the USB device `zigbee` of pve1",
            "infra --lab vm stop web",
        ],
    );
    assert_eq!(hand.option(120, "ide2"), drive);
    assert_eq!(hand.guest(120).expect("there").node, "pve1");
    lab.run(&["--lab", "vm", "stop", "web", "--force"])
        .says(0, &[]);
    lab.run(&["--lab", "vm", "migrate", "web", "pve2"])
        .says(0, &["web (120) lives on pve2."]);
}

#[test]
fn a_snapshot_whose_answer_is_lost_is_looked_for_and_made_once() {
    let lab = pair();
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "POST",
        "--path",
        "/nodes/*/qemu/*/snapshot",
    ]);
    lab.run(&["--lab", "vm", "snapshot", "web", "before-it"])
        .says(0, &["web (120) has the snapshot `before-it`."]);
    let list = lab.run(&["--lab", "vm", "snapshot", "web", "--list"]);
    list.says(0, &["before-it"]);
    assert_eq!(list.text.matches("before-it").count(), 1, "{}", list.text);
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "DELETE",
        "--path",
        "/nodes/*/qemu/*/snapshot/*",
    ]);
    lab.run(&["--lab", "vm", "snapshot", "web", "before-it", "--delete"])
        .says(0, &["has no snapshot `before-it` any more"]);
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "POST",
        "--path",
        "/nodes/*/qemu/*/status/shutdown",
    ]);
    lab.run(&["--lab", "vm", "stop", "web"])
        .says(0, &["web (120) shut down."]);
    lab.fault(&[
        "api",
        "drop-after",
        "--method",
        "POST",
        "--path",
        "/nodes/*/qemu/*/status/start",
    ]);
    lab.run(&["--lab", "vm", "start", "web"])
        .says(0, &["web (120) is on."]);
    lab.settled();
}

/// The API by its own address, trusted by its fingerprint, as on the first day with a real server.
#[test]
fn a_proxmox_is_imported_by_the_address_of_its_api() {
    let lab = Lab::new();
    let hand = Hand::at(&lab);
    hand.make(
        105,
        &[
            ("name", "pihole"),
            ("cores", "2"),
            ("memory", "1024"),
            ("scsi0", "local-zfs:8"),
        ],
    );
    let state = lab.state();
    let text = |key: &str| state[key].as_str().expect("a text").to_owned();
    let (api, token) = (format!("https://{}", text("api")), text("token_id"));
    let print = text("fingerprint");
    let pairs: Vec<&str> = (0..32).map(|at| &print[2 * at..2 * at + 2]).collect();
    let print = pairs.join(":");
    let args = |print: &str| {
        [
            "import",
            "imported",
            "--name",
            "imported",
            "--api",
            &api,
            "--token-id",
            &token,
            "--fingerprint",
            print,
        ]
        .map(str::to_owned)
    };
    let run = |args: &[String], secret: Option<&str>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = lab.command(&args);
        if let Some(secret) = secret {
            command.env("INFRA_PROXMOX_TOKEN", secret);
        }
        crate::lab::ended(command)
    };
    run(&args(&print), None).says(2, &["`INFRA_PROXMOX_TOKEN` is not set"]);
    let wrong = ["AB"; 32].join(":");
    let ran = run(&args(&wrong), Some(&text("token_secret")));
    assert_ne!(
        ran.code,
        Some(0),
        "another certificate is not believed: {}",
        ran.text
    );
    assert!(!lab.path("imported").exists(), "nothing was written");
    let ran = run(&args(&print), Some(&text("token_secret")));
    assert!(ran.text.contains("1 guest and 0 templates"), "{}", ran.text);
    let written: String = fs::read_dir(lab.path("imported"))
        .expect("written")
        .map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"))
        .collect();
    for words in ["pihole", "vmid: 105", &api, &print] {
        assert!(written.contains(words), "`{words}` is not in {written}");
    }
    assert!(
        !written.contains(&text("token_secret")),
        "a secret was written"
    );
    assert_eq!(
        hand.guest(105).expect("there").status,
        "stopped",
        "and not touched"
    );
    lab.run(&["-i", "imported", "check"]).says(0, &[]);
}

/// Without the lab's substitutions: the inventory names the lab's own addresses, as it would name a real node's.
#[test]
fn checksums_of_images_are_pinned_by_the_node_that_downloads_them() {
    let lab = Lab::new();
    let state = lab.state();
    let text = |key: &str| state[key].as_str().expect("a text").to_owned();
    let print = text("fingerprint");
    let pairs: Vec<&str> = (0..32).map(|at| &print[2 * at..2 * at + 2]).collect();
    let ssh = state["ssh"]["pve"].as_str().expect("an address");
    let port = ssh.rsplit(':').next().expect("a port");
    let inventory = format!(
        "version: 1\nname: real\nproxmox:\n  endpoint: https://{}\n  token: {{id: \"{}\", secret: token}}\n  \
         tls: {{fingerprint: \"{}\"}}\nsecrets: {{token: {{env: TOKEN}}}}\n\
         nodes:\n  pve: {{address: 127.0.0.1, ssh: {{port: {port}, identity: {}}}}}\n\
         zones: {{lan: {{cidrs: 127.0.0.0/8, bridge: vmbr0, gateway: 127.0.0.254, nameservers: 127.0.0.254}}}}\n\
         sets: {{admins: [127.0.0.9]}}\noperators: admins\n\
         services: {{ssh: 22/tcp, api: 8006/tcp, https: 443/tcp}}\n\
         flows:\n  - {{from: admins, to: [pve, a, b], allow: [ssh], reason: administration}}\n  \
         - {{from: admins, to: pve, allow: api, reason: the API}}\n  \
         - {{from: [a, b], to: internet, allow: https, reason: packages}}\n\
         authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n\
         images:\n  moving: {{url: \"https://images.test/daily/debian.qcow2\"}}\n  \
         fixed: {{url: \"https://images.test/fixed.qcow2\", checksum: \"sha256:{}\"}}\n\
         guests:\n  a: {{vmid: 300, image: moving, memory: 1GiB, disk: {{storage: local-zfs, size: 8GiB}}, nics: [{{zone: lan, address: 127.0.0.20}}]}}\n  \
         b: {{vmid: 301, image: fixed, memory: 1GiB, disk: {{storage: local-zfs, size: 8GiB}}, nics: [{{zone: lan, address: 127.0.0.21}}]}}\n",
        text("api"),
        text("token_id"),
        pairs.join(":"),
        lab.path("lab/operator_ed25519").display(),
        "ab".repeat(32),
    );
    let folder = lab.path("inventory/real");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("inventory.yaml"), inventory).expect("written");
    // The host's key is pinned as its owner would.
    let known: Vec<String> = state["known_hosts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|line| line.as_str())
        .map(str::to_owned)
        .collect();
    fs::write(folder.join("known_hosts"), known.join("\n") + "\n").expect("written");
    let run = |args: &[&str]| {
        let mut command = lab.command(&[&["-i", "inventory/real"], args].concat());
        command.env("TOKEN", text("token_secret"));
        crate::lab::ended(command)
    };
    run(&["check"]);
    run(&["images", "refresh"]).says(
        0,
        &[
            "moving: pinned to sha256:",
            "fixed: the inventory says its checksum",
        ],
    );
    let lock = || -> Value {
        let text = fs::read_to_string(folder.join("images.lock")).expect("written");
        serde_json::from_str(&text).expect("JSON")
    };
    let pinned = lock();
    let url = "https://images.test/daily/debian.qcow2";
    assert_eq!(pinned["images"]["moving"]["url"], url);
    run(&["images", "refresh"]).says(0, &["moving: unchanged"]);
    // The image moves upstream: it is pinned anew, and guests that exist stay as they are.
    let mut older = pinned.clone();
    older["images"]["moving"]["checksum"]["hex"] = "00".repeat(32).into();
    fs::write(folder.join("images.lock"), older.to_string()).expect("written");
    run(&["images", "refresh"]).says(
        0,
        &["moving: moved: new guests are made from the new one, guests that exist stay as they are"],
    );
    let hex = |lock: &Value| lock["images"]["moving"]["checksum"]["hex"].clone();
    assert_eq!(hex(&lock()), hex(&pinned));
    run(&["images", "list"]).says(0, &["moving", "sha256:"]);
    lab.run(&[
        "--lab",
        "-i",
        "inventory/media-server-home",
        "images",
        "refresh",
    ])
    .says(2, &["the lab serves images of its own"]);
}
