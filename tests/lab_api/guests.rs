//! Guests: what takes effect when, what fails where, what is left behind.

use crate::bench::{Bench, Sent, infra, root};
use infra::model::ids::Vmid;
use serde_json::{Value, json};

/// Method, path, parameters.
type Step<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

const GUEST: &str = "/nodes/pve/qemu/120";

async fn make(bench: &Bench, more: &[(&str, &str)]) -> String {
    let mut form = vec![
        ("vmid", "120"),
        ("name", "web"),
        ("memory", "1024"),
        ("net0", "virtio,bridge=vmbr0,firewall=1"),
    ];
    form.extend_from_slice(more);
    bench.job("POST", "/nodes/pve/qemu", &form).await
}

async fn power(bench: &Bench, verb: &str, form: &[(&str, &str)]) -> String {
    bench
        .job("POST", &format!("{GUEST}/status/{verb}"), form)
        .await
}

async fn config(bench: &Bench) -> Value {
    bench.get(&format!("{GUEST}/config")).await
}

async fn put(bench: &Bench, form: &[(&str, &str)]) -> (u16, String) {
    let reply = bench.form("PUT", &format!("{GUEST}/config"), form).await;
    (reply.status, reply.reason)
}

#[tokio::test]
async fn memory_waits_for_the_next_start_and_tags_do_not() {
    let bench = Bench::new();
    assert_eq!(make(&bench, &[]).await, "OK");
    assert_eq!(power(&bench, "start", &[]).await, "OK");
    assert_eq!(
        put(&bench, &[("memory", "2048"), ("tags", "infra")])
            .await
            .0,
        200
    );
    assert_eq!(config(&bench).await["memory"], "2048");
    let current = bench.get(&format!("{GUEST}/config?current=1")).await;
    assert_eq!(
        (&current["memory"], &current["tags"]),
        (&json!("1024"), &json!("infra"))
    );
    let pending = bench.get(&format!("{GUEST}/pending")).await;
    let waiting: Vec<&Value> = pending
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item.get("pending").is_some())
        .collect();
    assert_eq!(
        waiting,
        [&json!({"key": "memory", "value": "1024", "pending": "2048"})]
    );
    assert_eq!(put(&bench, &[("revert", "memory")]).await.0, 200);
    assert_eq!(config(&bench).await["memory"], "1024");
    assert_eq!(
        put(&bench, &[("memory", "4096"), ("delete", "name")])
            .await
            .0,
        200
    );
    assert_eq!(power(&bench, "stop", &[]).await, "OK");
    assert_eq!(power(&bench, "start", &[]).await, "OK");
    let spec = bench
        .backend
        .memory(|memory| memory.on.values().next().cloned())
        .expect("on");
    assert_eq!((spec.memory_mib, spec.name.as_str()), (4096, "VM120"));
}

#[tokio::test]
async fn a_card_keeps_its_mac_only_if_it_is_given_again() {
    let bench = Bench::new();
    make(&bench, &[]).await;
    let first = config(&bench).await["net0"]
        .as_str()
        .expect("a card")
        .to_owned();
    assert!(first.starts_with("virtio=BC:24:11:"), "{first}");
    assert_eq!(put(&bench, &[("net0", &first)]).await.0, 200);
    assert_eq!(config(&bench).await["net0"], first);
    put(&bench, &[("net0", "virtio,bridge=vmbr0,firewall=1")]).await;
    assert_ne!(config(&bench).await["net0"], first);
}

#[tokio::test]
async fn the_medium_of_a_running_guests_drive_can_be_changed() {
    let bench = Bench::new();
    for name in ["a.iso", "b.iso"] {
        let reply = bench
            .upload(&infra(), "local", "iso", name, name.as_bytes())
            .await;
        assert_eq!(
            bench
                .end_of(reply.body["data"].as_str().expect("a UPID"))
                .await,
            "OK"
        );
    }
    let missing = make(&bench, &[("ide2", "local:iso/none.iso,media=cdrom")]).await;
    assert_eq!(
        missing,
        "unable to create VM 120 - volume 'local:iso/none.iso' does not exist"
    );
    assert_eq!(
        make(&bench, &[("ide2", "local:iso/a.iso,media=cdrom")]).await,
        "OK"
    );
    power(&bench, "start", &[]).await;
    assert_eq!(
        put(&bench, &[("ide2", "local:iso/b.iso,media=cdrom")])
            .await
            .0,
        200
    );
    let current = bench.get(&format!("{GUEST}/config?current=1")).await;
    assert_eq!(current["ide2"], "local:iso/b.iso,media=cdrom,size=5");
    assert_eq!(put(&bench, &[("ide2", "none,media=cdrom")]).await.0, 200);
    let delete = "/nodes/pve/storage/local/content/local:iso/b.iso";
    assert_eq!(bench.job("DELETE", delete, &[]).await, "OK");
    let left = bench
        .get("/nodes/pve/storage/local/content?content=iso")
        .await;
    assert_eq!(left.as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn what_is_missing_shows_when_the_guest_starts() {
    let bench = Bench::new();
    assert_eq!(
        make(
            &bench,
            &[
                ("net1", "virtio,bridge=vmbr9"),
                ("virtiofs0", "media,cache=auto")
            ]
        )
        .await,
        "OK"
    );
    assert_eq!(
        power(&bench, "start", &[]).await,
        "Directory ID media does not exist."
    );
    let map = [("id", "media"), ("map", "node=pve,path=/tank/media")];
    assert_eq!(
        bench
            .form("POST", "/cluster/mapping/dir", &map)
            .await
            .status,
        200
    );
    assert_eq!(
        power(&bench, "start", &[]).await,
        "start failed: QEMU exited with code 1"
    );
    put(&bench, &[("delete", "net1")]).await;
    assert_eq!(power(&bench, "start", &[]).await, "OK");
    let spec = bench
        .backend
        .memory(|memory| memory.on.values().next().cloned())
        .expect("on");
    assert_eq!(spec.shares.len(), 1);
    assert_eq!(
        (spec.shares[0].tag.as_str(), spec.shares[0].path.to_str()),
        ("media", Some("/tank/media"))
    );
    assert_eq!(spec.nics[0].bridge, "vmbr0");
    assert_eq!(power(&bench, "start", &[]).await, "VM 120 already running");
}

#[tokio::test]
async fn a_full_pool_fails_the_job_and_leaves_no_guest() {
    let bench = Bench::new();
    let exit = make(
        &bench,
        &[("scsi0", "local-zfs:8"), ("scsi1", "local-zfs:100")],
    )
    .await;
    assert_eq!(
        exit,
        "unable to create VM 120 - zfs error: cannot create 'rpool/data/vm-120-disk-1': out of space"
    );
    assert_eq!(bench.get("/nodes/pve/qemu").await, json!([]));
    assert_eq!(
        bench.get("/nodes/pve/storage/local-zfs/content").await,
        json!([])
    );
    assert_eq!(make(&bench, &[("scsi0", "local-zfs:8")]).await, "OK");
    let resize = [("disk", "scsi0"), ("size", "+100G")];
    let exit = bench.job("PUT", &format!("{GUEST}/resize"), &resize).await;
    assert_eq!(
        exit,
        "zfs error: cannot set property: size is greater than available space"
    );
    let status = bench.get("/nodes/pve/storage/local-zfs/status").await;
    assert_eq!(status["used"], 8_u64 << 30);
}

#[tokio::test]
async fn a_silent_agent_times_the_shutdown_out_unless_it_is_forced() {
    let bench = Bench::new();
    make(&bench, &[("agent", "enabled=1")]).await;
    power(&bench, "start", &[]).await;
    assert_eq!(
        power(&bench, "shutdown", &[("timeout", "3")]).await,
        "VM quit/powerdown failed - got timeout"
    );
    assert_eq!(
        power(&bench, "shutdown", &[("timeout", "3"), ("forceStop", "1")]).await,
        "OK"
    );
    let vmid = Vmid::new(120).expect("valid");
    assert!(bench.backend.memory(|memory| memory.on.is_empty()));
    bench.backend.memory(|memory| memory.agents.insert(vmid));
    power(&bench, "start", &[]).await;
    assert_eq!(power(&bench, "shutdown", &[]).await, "OK");
    assert_eq!(
        power(&bench, "stop", &[]).await,
        "OK",
        "stopping a stopped guest is no failure"
    );
}

#[tokio::test]
async fn a_guest_that_goes_off_by_itself_is_seen_as_stopped() {
    let bench = Bench::new();
    make(&bench, &[]).await;
    power(&bench, "start", &[]).await;
    bench.backend.memory(|memory| memory.on.clear());
    let status = bench.get(&format!("{GUEST}/status/current")).await;
    assert_eq!(status["status"], "stopped");
}

#[tokio::test]
async fn a_reboot_ends_when_the_guest_is_down_and_it_comes_back() {
    let bench = Bench::new();
    make(&bench, &[]).await;
    power(&bench, "start", &[]).await;
    assert_eq!(power(&bench, "reboot", &[]).await, "OK");
    for _ in 0..2_000 {
        if bench.get(&format!("{GUEST}/status/current")).await["status"] == "running" {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not come back");
}

#[tokio::test]
async fn two_starts_at_once_start_one_guest() {
    let bench = Bench::new();
    make(&bench, &[]).await;
    let (one, two) = tokio::join!(power(&bench, "start", &[]), power(&bench, "start", &[]));
    let mut ends = [one, two];
    ends.sort();
    assert_eq!(ends, ["OK", "VM 120 already running"]);
}

#[tokio::test]
async fn an_import_asks_for_size_zero_and_a_known_extension() {
    let bench = Bench::new();
    let form = [
        ("vmid", "121"),
        ("scsi0", "local-zfs:8,import-from=local:import/a.qcow2"),
    ];
    let reply = bench.form("POST", "/nodes/pve/qemu", &form).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body["errors"]["scsi0"]
            .as_str()
            .expect("a text")
            .contains("import-from requires special syntax")
    );
    let path = [
        ("vmid", "121"),
        ("scsi0", "local-zfs:0,import-from=/root/a.qcow2"),
    ];
    let reply = bench.form("POST", "/nodes/pve/qemu", &path).await;
    assert_eq!(
        reply.reason,
        "Only root can pass arbitrary filesystem paths."
    );
    let image = [
        ("content", "import"),
        ("filename", "a.img"),
        ("url", "http://images.test/debian.qcow2"),
    ];
    let reply = bench
        .form("POST", "/nodes/pve/storage/local/download-url", &image)
        .await;
    assert_eq!(
        reply.body["errors"]["filename"],
        "invalid filename or wrong extension"
    );
}

#[tokio::test]
async fn removing_a_guest_removes_its_disks_and_its_firewall_and_ids_are_free_again() {
    let bench = Bench::new();
    let rule = [("type", "in"), ("action", "ACCEPT"), ("enable", "1")];
    let rules = format!("{GUEST}/firewall/rules");
    assert_eq!(
        bench.form("POST", &rules, &rule).await.status,
        200,
        "before the guest exists"
    );
    assert_eq!(make(&bench, &[("scsi0", "local-zfs:1")]).await, "OK");
    assert_eq!(bench.get(&rules).await.as_array().expect("a list").len(), 1);
    assert_eq!(bench.get("/cluster/nextid").await, "100");
    let taken = bench
        .send(
            &root(),
            "GET",
            "/cluster/nextid",
            Sent::Query(&[("vmid", "120")]),
        )
        .await;
    assert_eq!(taken.body["errors"]["vmid"], "VM 120 already exists");
    assert_eq!(bench.job("DELETE", GUEST, &[]).await, "OK");
    assert_eq!(bench.get(&rules).await, json!([]));
    assert_eq!(
        bench.get("/nodes/pve/storage/local-zfs/content").await,
        json!([])
    );
}

#[tokio::test]
async fn the_least_privileges_are_enough_for_what_infra_does_and_no_more() {
    let bench = Bench::new();
    let send = async |method: &str, path: &str, form: &[(&str, &str)]| {
        let sent = if method == "GET" || method == "DELETE" {
            Sent::Query(form)
        } else {
            Sent::Form(form)
        };
        bench.send(&infra(), method, path, sent).await
    };
    let enough: &[Step<'_>] = &[
        ("GET", "/nodes/pve/status", &[]),
        ("GET", "/cluster/resources", &[]),
        (
            "POST",
            "/cluster/mapping/dir",
            &[("id", "media"), ("map", "node=pve,path=/tank/media")],
        ),
        ("PUT", "/cluster/firewall/options", &[("enable", "1")]),
        ("POST", "/cluster/firewall/ipset", &[("name", "lan")]),
        (
            "POST",
            "/nodes/pve/firewall/rules",
            &[("type", "in"), ("action", "ACCEPT")],
        ),
        ("GET", "/nodes/pve/tasks", &[]),
        (
            "POST",
            "/nodes/pve/qemu/120/firewall/rules",
            &[("type", "in"), ("action", "ACCEPT")],
        ),
        (
            "POST",
            "/nodes/pve/qemu",
            &[
                ("vmid", "120"),
                ("memory", "512"),
                ("scsi0", "local-zfs:1"),
                ("net0", "virtio,bridge=vmbr0"),
                ("virtiofs0", "media"),
                ("startup", "order=1"),
                ("tags", "infra"),
                ("onboot", "1"),
                ("serial0", "socket"),
                ("agent", "1"),
                ("cpu", "host"),
                ("ostype", "l26"),
                ("description", "x"),
                ("balloon", "256"),
            ],
        ),
    ];
    for (method, path, form) in enough {
        let reply = send(method, path, form).await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        if let Some(upid) = reply.body["data"]
            .as_str()
            .filter(|text| text.starts_with("UPID"))
        {
            assert_eq!(bench.end_of(upid).await, "OK");
        }
    }
    let refused: &[Step<'_>] = &[
        (
            "POST",
            "/nodes/pve/qemu/120/agent/exec",
            &[("command", "id")],
        ),
        ("POST", "/access/users", &[("userid", "x@pve")]),
    ];
    for (method, path, form) in refused {
        assert_eq!(
            send(method, path, form).await.status,
            403,
            "{method} {path}"
        );
    }
}
