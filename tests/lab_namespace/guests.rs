//! Guests and the node, through the backend.

use crate::support::{TestGuest, TestLab, lab_folder, machine_now, ready, vmid};
use infra::lab::{
    backend::{Backend, VmShare},
    namespace::{Names, remains},
};
use serde_json::json;
use std::{fs, path::PathBuf, time::Instant};

#[tokio::test(flavor = "multi_thread")]
async fn guests_boot_behind_the_node_keep_their_disks_and_leave_nothing() {
    if !ready() {
        return;
    }
    let folder = lab_folder();
    let names = Names::of(folder.path());
    let before = machine_now(names.id(), folder.path());

    let begun = Instant::now();
    let lab = TestLab::build(folder.path());
    println!("lab built in {:.1} s", begun.elapsed().as_secs_f64());
    let mut one = TestGuest::new(&lab, 101, "vmbr0", "192.168.1.20", "192.168.1.1");
    let two = TestGuest::new(&lab, 102, "vmbr1", "10.10.10.2", "10.10.10.1");

    // The node is a host of its own, and shares a dataset of its pool.
    assert_eq!(lab.on_node("hostname"), "pve");
    lab.on_node("zfs create -o mountpoint=/mnt/tank/media tank/media");
    lab.on_node("echo film > /mnt/tank/media/a && sysctl -qw net.ipv4.ip_forward=1");
    one.spec.shares = vec![VmShare {
        tag: "tank-media".to_owned(),
        path: PathBuf::from("/mnt/tank/media"),
    }];

    let begun = Instant::now();
    let (first, second) = tokio::join!(
        lab.machine.start(one.spec.clone()),
        lab.machine.start(two.spec.clone())
    );
    first.expect("started");
    second.expect("started");
    assert!(lab.machine.is_running(vmid(101)));
    one.wait_for_ssh(&lab);
    two.wait_for_ssh(&lab);
    println!(
        "two guests answer SSH after {:.1} s",
        begun.elapsed().as_secs_f64()
    );

    assert_eq!(one.demand(&lab, "hostname"), "guest101");
    let status = one.ssh(&lab, "cloud-init status --wait --long");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("status: done"), "{status}");
    assert_eq!(
        one.demand(&lab, "sudo systemctl is-system-running --wait"),
        "running"
    );
    one.demand(
        &lab,
        "sudo mount -t virtiofs tank-media /mnt && test \"$(cat /mnt/a)\" = film",
    );
    assert!(
        !one.ssh(&lab, "sudo mount -t virtiofs other /mnt")
            .status
            .success()
    );
    assert_eq!(
        lab.machine
            .agent(vmid(101), json!({"execute": "guest-ping"}))
            .await,
        Ok(None),
        "the image has no agent"
    );

    // Off and on again: another boot, the same disk.
    let boot_id = "cat /proc/sys/kernel/random/boot_id";
    let boot = one.demand(&lab, boot_id);
    one.demand(&lab, "echo kept > kept; sync");
    lab.machine.stop(vmid(101), true).await.expect("stopped");
    assert!(!lab.machine.is_running(vmid(101)));
    assert!(!one.ssh(&lab, "true").status.success());
    lab.machine.start(one.spec.clone()).await.expect("started");
    one.wait_for_ssh(&lab);
    assert_ne!(one.demand(&lab, boot_id), boot);
    assert_eq!(one.demand(&lab, "cat kept"), "kept");

    // A reboot from inside comes back by itself; a shutdown does not.
    let boot = two.demand(&lab, boot_id);
    let _ = two.ssh(&lab, "sudo systemctl reboot");
    let begun = Instant::now();
    while two.ssh(&lab, boot_id).stdout.trim_ascii() == boot.as_bytes()
        || !two.ssh(&lab, "true").status.success()
    {
        assert!(begun.elapsed().as_secs() < 60, "no reboot");
    }
    assert!(lab.machine.is_running(vmid(102)));
    lab.machine.stop(vmid(102), false).await.expect("shut down");
    assert!(!lab.machine.is_running(vmid(102)));

    // A card on a bridge that is not there is refused in Proxmox's words.
    let mut lost = two.spec.clone();
    lost.nics[0].bridge = "vmbr9".to_owned();
    let refused = lab.machine.start(lost).await.expect_err("no such bridge");
    assert_eq!(refused, "bridge 'vmbr9' does not exist");
    lab.machine.destroy(vmid(102)).await.expect("destroyed");
    assert!(!lab.plan.folder.guest(vmid(102)).exists());

    let begun = Instant::now();
    lab.machine.tear_down().expect("torn down");
    println!("torn down in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(
        remains(&lab.plan.folder).expect("asked"),
        Vec::<String>::new()
    );
    let after = machine_now(names.id(), folder.path());
    let left: Vec<_> = after.difference(&before).collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert!(
        fs::exists(lab.plan.folder.guest(vmid(101)).join("upper")).expect("asked"),
        "disks stay"
    );
}
