//! What the field notes say of the real API, one sentence a test.

use crate::bench::{Bench, Sent, infra, root};
use serde_json::json;

const QEMU: &str = "/nodes/pve/qemu";

#[tokio::test]
async fn a_guest_is_imported_started_and_removed() {
    let bench = Bench::new();
    let url = [
        ("content", "import"),
        ("filename", "debian-13.qcow2"),
        ("url", "http://images.test/debian.qcow2"),
    ];
    assert_eq!(
        bench
            .job("POST", "/nodes/pve/storage/local/download-url", &url)
            .await,
        "OK"
    );
    let seed = bench
        .upload(
            &infra(),
            "local",
            "iso",
            "extranet.iso",
            b"not read by this backend",
        )
        .await;
    assert_eq!(
        bench
            .end_of(seed.body["data"].as_str().expect("a UPID"))
            .await,
        "OK"
    );
    let create = [
        ("vmid", "111"),
        ("name", "extranet"),
        ("memory", "2048"),
        ("cores", "2"),
        ("net0", "virtio,bridge=vmbr1,firewall=1"),
        (
            "scsi0",
            "local-zfs:0,import-from=local:import/debian-13.qcow2",
        ),
        ("ide2", "local:iso/extranet.iso,media=cdrom"),
        ("boot", "order=scsi0"),
        ("scsihw", "virtio-scsi-single"),
    ];
    let reply = bench
        .send(&infra(), "POST", QEMU, Sent::Form(&create))
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        bench
            .end_of(reply.body["data"].as_str().expect("a UPID"))
            .await,
        "OK"
    );
    let config = bench.get("/nodes/pve/qemu/111/config").await;
    assert_eq!(config["scsi0"], "local-zfs:vm-111-disk-0,size=2G");
    assert_eq!(config["memory"], "2048");
    assert_eq!(config["cores"], 2);
    assert_eq!(
        bench
            .job(
                "PUT",
                "/nodes/pve/qemu/111/resize",
                &[("disk", "scsi0"), ("size", "16G")]
            )
            .await,
        "OK"
    );
    assert_eq!(
        bench
            .job("POST", "/nodes/pve/qemu/111/status/start", &[])
            .await,
        "OK"
    );
    let spec = bench
        .backend
        .memory(|memory| memory.on.values().next().cloned())
        .expect("on");
    assert_eq!(spec.name, "extranet");
    assert_eq!(spec.image.as_deref(), Some("local:import/debian-13.qcow2"));
    assert_eq!(spec.disk_bytes, 16 << 30);
    assert!(
        spec.seed
            .expect("a seed")
            .ends_with("template/iso/extranet.iso")
    );
    let delete = bench
        .send(&root(), "DELETE", "/nodes/pve/qemu/111", Sent::Nothing)
        .await;
    assert_eq!(
        (delete.status, delete.reason.as_str()),
        (500, "VM 111 is running - destroy failed")
    );
    assert_eq!(
        bench
            .job("POST", "/nodes/pve/qemu/111/status/stop", &[])
            .await,
        "OK"
    );
    assert_eq!(
        bench
            .job("DELETE", "/nodes/pve/qemu/111", &[("purge", "1")])
            .await,
        "OK"
    );
    assert_eq!(bench.get("/nodes/pve/qemu").await, json!([]));
}

#[tokio::test]
async fn rules_go_to_the_top_and_are_off_until_told_otherwise() {
    let bench = Bench::new();
    let rules = "/cluster/firewall/rules";
    let first = [("type", "in"), ("action", "ACCEPT"), ("comment", "first")];
    assert_eq!(bench.form("POST", rules, &first).await.status, 200);
    let second = [
        ("type", "in"),
        ("action", "DROP"),
        ("enable", "1"),
        ("pos", "5"),
        ("comment", "second"),
    ];
    assert_eq!(bench.form("POST", rules, &second).await.status, 200);
    let all = bench.get(rules).await;
    assert_eq!(all[0]["comment"], "second");
    assert_eq!(all[0]["enable"], 1);
    assert_eq!(all[1]["enable"], 0);
    let digest = all[0]["digest"].as_str().expect("a digest").to_owned();
    let moved = [
        ("moveto", "2"),
        ("comment", "ignored"),
        ("digest", digest.as_str()),
    ];
    assert_eq!(
        bench
            .form("PUT", &format!("{rules}/0"), &moved)
            .await
            .status,
        200
    );
    let stale = bench.form("PUT", &format!("{rules}/0"), &moved).await;
    assert_eq!(
        stale.reason,
        "detected modified configuration - file changed by other user? Try again."
    );
    let all = bench.get(rules).await;
    assert_eq!(all[1]["comment"], "second");
}
