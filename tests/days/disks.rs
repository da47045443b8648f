//! A data disk: its filesystem is made once, grows with it, and outlives the guest.

use crate::lab::Lab;
use std::fs;

const HOME: &str = "version: 1
name: home
zones:
  lan: {cidrs: 192.168.1.0/24, bridge: vmbr0, gateway: 192.168.1.1, nameservers: 192.168.1.1}
nodes:
  pve: {address: 192.168.1.10, ssh: {user: root}}
sets:
  operators: [192.168.1.50]
operators: operators
services: {ssh: 22/tcp, api: 8006/tcp}
flows:
  - {from: operators, to: [pve, nas], allow: ssh, reason: administration}
  - {from: operators, to: pve, allow: api, reason: administration}
proxmox:
  endpoint: https://pve:8006
  token: {id: infra@pve!infra, secret: proxmox_token}
  tls: {fingerprint: \"AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\"}
secrets:
  proxmox_token: {env: PROXMOX_TOKEN}
authorized_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILiB81ZmTD+A3r+B/O0qSzFWRU0vMJdCJ4/Lx7S8TBkb you@laptop\"]
images:
  debian-13:
    url: https://cloud.debian.org/images/cloud/trixie/debian-13.qcow2
    checksum: \"sha256:abababababababababababababababababababababababababababababababab\"
guests:
  nas:
    vmid: 110
    memory: 2GiB
    disk: {storage: local-zfs, size: 16GiB}
    nics: [{zone: lan, address: 192.168.1.20}]
    disks:
      photos: {storage: local-zfs, size: 10GiB, at: /srv/photos}
";

#[test]
fn a_data_disk_gets_its_filesystem_once_grows_and_outlives_the_guest() {
    let lab = Lab::of("home", HOME);
    lab.begin_lab();
    lab.run(&["--lab", "plan"]).says(
        0,
        &[
            "filesystem photos",
            "made only where the disk is empty",
            "/srv/photos",
        ],
    );
    lab.up().says(0, &["Done."]);
    lab.settled();

    let path = lab.path("inventory/home/inventory.yaml");
    fs::write(&path, HOME.replace("10GiB", "20GiB")).expect("written");
    lab.run(&["--lab", "plan"])
        .says(0, &["disk photos", "filesystem photos", "all of the disk"]);
    lab.up().says(0, &["Done."]);
    lab.settled();

    // The guest goes, its disk stays, and the next guest finds what it holds.
    lab.run(&["--lab", "destroy", "nas", "--confirm", "nas"])
        .says(0, &["photos", "stays"]);
    lab.up().says(0, &["Done."]);
    lab.settled();

    // Another disk, attached to a guest that runs.
    let more = "20GiB, at: /srv/photos}\n      films: {storage: local-zfs, size: 8GiB, keep: false, at: /srv/films, filesystem: xfs}";
    fs::write(&path, HOME.replace("10GiB, at: /srv/photos}", more)).expect("written");
    lab.up().says(0, &["Done."]);
    lab.settled();
}

#[test]
fn a_bridge_is_applied_under_the_nodes_guard_and_taken_back_when_it_fails() {
    let lab = Lab::of("home", HOME);
    lab.begin_lab();
    lab.up().says(0, &["Done."]);
    let path = lab.path("inventory/home/inventory.yaml");
    let bridged = HOME.replace(
        "ssh: {user: root}",
        "ssh: {user: root}, bridges: {vmbr7: {}}",
    );
    fs::write(&path, bridged).expect("written");
    lab.run(&["--lab", "plan"])
        .says(0, &["network of pve", "vmbr7"]);
    lab.fault(&[
        "api",
        "fail-task",
        "--method",
        "PUT",
        "--path",
        "/nodes/pve/network",
    ]);
    lab.up()
        .says(9, &["network of pve", "everything was taken back"]);
    lab.recovers();
    lab.run(&["--lab", "up", "--yes"])
        .says(0, &["Nothing to change"]);
}

#[test]
fn a_vnet_is_applied_under_the_nodes_guard() {
    let sdn = "sdn: {lab: {vnets: {cams: {alias: Cameras}}}}
zones:
  cams: {cidrs: 10.9.0.0/24, bridge: cams, gateway: 10.9.0.1, nameservers: 10.9.0.1}
";
    let text = HOME.replace("zones:\n", sdn).replace(
        "zone: lan, address: 192.168.1.20",
        "zone: cams, address: 10.9.0.20",
    );
    let lab = Lab::of("home", &text);
    lab.begin_lab();
    lab.run(&["--lab", "plan"])
        .says(0, &["SDN zone lab", "SDN vnet cams"]);
    lab.up().says(0, &["Done."]);
    lab.settled();
}
