//! The habits of the HTTP server: credentials, encodings, reasons, faults.

use crate::bench::{As, Bench, SECRET, Sent, infra, root};
use infra::lab::api::{Clock, Effect, Fault};
use serde_json::json;

fn fault(method: &str, path: &str, effect: Effect) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        path: path.to_owned(),
        count: 1,
        effect,
    }
}

#[tokio::test]
async fn a_ticket_needs_its_csrf_token_to_write() {
    let bench = Bench::new();
    let login = [("username", "root@pam"), ("password", "<password>")];
    let reply = bench
        .send(&As::Nobody, "POST", "/access/ticket", Sent::Form(&login))
        .await;
    let data = &reply.body["data"];
    let text = |name: &str| data[name].as_str().expect("a text").to_owned();
    let alone = As::Ticket {
        ticket: text("ticket"),
        csrf: None,
    };
    let both = As::Ticket {
        ticket: text("ticket"),
        csrf: Some(text("CSRFPreventionToken")),
    };
    assert_eq!(
        bench
            .send(&alone, "GET", "/nodes", Sent::Nothing)
            .await
            .status,
        200
    );
    let pool = Sent::Form(&[("poolid", "a")]);
    let refused = bench.send(&alone, "POST", "/pools", pool).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (401, "Permission denied - invalid csrf token")
    );
    assert_eq!(
        bench
            .send(&both, "POST", "/pools", Sent::Form(&[("poolid", "a")]))
            .await
            .status,
        200
    );
    let renewal = [("username", "root@pam"), ("password", &text("ticket"))];
    assert_eq!(
        bench
            .send(&As::Nobody, "POST", "/access/ticket", Sent::Form(&renewal))
            .await
            .status,
        200
    );
    let wrong = [("username", "root@pam"), ("password", "nope")];
    let wrong = bench
        .send(&As::Nobody, "POST", "/access/ticket", Sent::Form(&wrong))
        .await;
    assert_eq!(
        (wrong.status, wrong.body["message"].as_str()),
        (401, Some("authentication failure\n"))
    );
}

#[tokio::test]
async fn unknown_credentials_get_an_empty_body_and_a_reason() {
    let bench = Bench::new();
    let nobody = bench
        .send(&As::Nobody, "GET", "/version", Sent::Nothing)
        .await;
    assert_eq!(
        (nobody.status, nobody.reason.as_str(), nobody.text.as_str()),
        (401, "No ticket", "")
    );
    let forged = As::Token(format!("root@pam!test=0{SECRET}"));
    let forged = bench.send(&forged, "GET", "/version", Sent::Nothing).await;
    assert_eq!((forged.status, forged.text.as_str()), (401, ""));
}

#[tokio::test]
async fn bodies_are_taken_as_the_real_server_takes_them() {
    let bench = Bench::new();
    let json = r#"{"vmid": 120, "name": "j", "onboot": true, "memory": 512}"#;
    let reply = bench
        .send(
            &root(),
            "POST",
            "/nodes/pve/qemu",
            Sent::Raw("application/json", json),
        )
        .await;
    assert_eq!(
        bench
            .end_of(reply.body["data"].as_str().expect("a UPID"))
            .await,
        "OK"
    );
    let word = bench
        .form("PUT", "/nodes/pve/qemu/120/config", &[("onboot", "true")])
        .await;
    assert_eq!(
        word.body["errors"]["onboot"],
        "type check ('boolean') failed - got 'true'"
    );
    let cut = Sent::Raw("application/x-www-form-urlencoded", "boot=order=scsi0;ide2");
    let cut = bench
        .send(&root(), "PUT", "/nodes/pve/qemu/120/config", cut)
        .await;
    assert_eq!(cut.status, 400, "{cut:?}");
    let both = bench
        .send(&root(), "GET", "/version?x=1", Sent::Nothing)
        .await;
    assert!(
        both.body["errors"]["x"]
            .as_str()
            .expect("a text")
            .starts_with("property is not defined")
    );
    let body = bench
        .send(
            &root(),
            "DELETE",
            "/nodes/pve/qemu/120",
            Sent::Form(&[("purge", "1")]),
        )
        .await;
    assert_eq!(
        (body.status, body.text.as_str()),
        (501, "Unexpected content for method 'DELETE'")
    );
    let patch = bench
        .send(&root(), "PATCH", "/version", Sent::Nothing)
        .await;
    assert_eq!(patch.status, 501);
    let list = [("delete", "tags"), ("delete", "description")];
    assert_eq!(
        bench
            .form("PUT", "/nodes/pve/qemu/120/config", &list)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_was_applied() {
    let bench = Bench::new();
    bench
        .world
        .faults()
        .add(fault("POST", "/pools", Effect::DropAfter));
    let lost = bench
        .try_send(&root(), "POST", "/pools", Sent::Form(&[("poolid", "a")]))
        .await;
    assert!(lost.is_err());
    assert_eq!(bench.get("/pools").await, json!([{"poolid": "a"}]));
    bench
        .world
        .faults()
        .add(fault("POST", "/pools", Effect::DropBefore));
    let never = bench
        .try_send(&root(), "POST", "/pools", Sent::Form(&[("poolid", "b")]))
        .await;
    assert!(never.is_err());
    assert_eq!(bench.get("/pools").await, json!([{"poolid": "a"}]));
}

#[tokio::test]
async fn faults_answer_in_the_servers_stead() {
    let bench = Bench::new();
    let proxy = Effect::Status {
        code: 596,
        text: "Connection timed out".to_owned(),
    };
    bench.world.faults().add(fault("GET", "/nodes", proxy));
    let reply = bench.send(&root(), "GET", "/nodes", Sent::Nothing).await;
    assert_eq!((reply.status, reply.text.as_str()), (596, ""));
    bench
        .world
        .faults()
        .add(fault("GET", "/nodes", Effect::ExpiredTicket));
    let reply = bench.send(&root(), "GET", "/nodes", Sent::Nothing).await;
    assert_eq!(
        (reply.status, reply.reason.as_str()),
        (401, "permission denied - invalid PVE ticket")
    );
    bench
        .job("POST", "/nodes/pve/qemu", &[("vmid", "120")])
        .await;
    bench.world.faults().add(fault(
        "POST",
        "*/status/start",
        Effect::FailTask {
            text: "start failed: x".to_owned(),
        },
    ));
    assert_eq!(
        bench
            .job("POST", "/nodes/pve/qemu/120/status/start", &[])
            .await,
        "start failed: x"
    );
    let digest = bench.get("/nodes/pve/qemu/120/config").await["digest"]
        .as_str()
        .expect("a digest")
        .to_owned();
    bench
        .world
        .faults()
        .add(fault("PUT", "*/config", Effect::StaleDigest));
    let form = [("cores", "2"), ("digest", digest.as_str())];
    let stale = bench.form("PUT", "/nodes/pve/qemu/120/config", &form).await;
    assert_eq!(
        stale.reason,
        "checksum mismatch (file change by other user?)"
    );
    assert_eq!(
        bench
            .form("PUT", "/nodes/pve/qemu/120/config", &form)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_file_lock_that_is_held_too_long_is_a_timeout() {
    let bench = Bench::new();
    bench
        .job("POST", "/nodes/pve/qemu", &[("vmid", "120")])
        .await;
    bench.world.faults().add(fault(
        "GET",
        "*/config",
        Effect::HoldLock { seconds: 3000.0 },
    ));
    bench.get("/nodes/pve/qemu/120/config").await;
    let text = "can't lock file '/var/lock/qemu-server/lock-120.conf' - got timeout";
    let put = bench
        .form("PUT", "/nodes/pve/qemu/120/config", &[("cores", "2")])
        .await;
    assert_eq!((put.status, put.reason.as_str()), (500, text));
    assert_eq!(
        bench
            .job("POST", "/nodes/pve/qemu/120/status/start", &[])
            .await,
        text
    );
}

#[tokio::test]
async fn a_separated_token_sees_what_it_may_and_is_told_what_it_lacks() {
    let bench = Bench::new();
    let denied = bench
        .send(
            &infra(),
            "POST",
            "/access/users",
            Sent::Form(&[("userid", "x@pve")]),
        )
        .await;
    assert_eq!(
        (denied.status, denied.reason.as_str()),
        (
            403,
            "Permission check failed (/access/realm/pve, Realm.AllocateUser)"
        )
    );
    let args = [("vmid", "153"), ("args", "-foo")];
    let args = bench
        .send(&infra(), "POST", "/nodes/pve/qemu", Sent::Form(&args))
        .await;
    assert_eq!(
        (args.status, args.reason.as_str()),
        (500, "only root can set 'args' config")
    );
    let ticket = [("username", "root@pam"), ("password", "<password>")];
    let ticket = bench
        .send(&infra(), "POST", "/access/ticket", Sent::Form(&ticket))
        .await;
    assert_eq!(ticket.status, 403);
}

#[tokio::test]
async fn what_was_saved_is_there_after_a_restart_and_open_jobs_end_unknown() {
    let folder = tempfile::tempdir().expect("folder");
    let saved = folder.path().join("api.json");
    let backend = std::sync::Arc::new(infra::lab::backend::Powerless::default());
    let clock = Clock::manual();
    let mut config = crate::bench::config(folder.path(), std::sync::Arc::clone(&backend), clock);
    config.saved = Some(saved);
    let bench = Bench::start(folder, backend, config.clone());
    let reply = bench
        .form(
            "POST",
            "/nodes/pve/qemu",
            &[("vmid", "120"), ("name", "kept")],
        )
        .await;
    let upid = reply.body["data"].as_str().expect("a UPID").to_owned();
    assert_eq!(
        bench
            .form("POST", "/pools", &[("poolid", "a")])
            .await
            .status,
        200
    );
    assert!(bench.world.trouble().is_none());
    let Bench {
        folder, backend, ..
    } = bench;
    config.clock = Clock::scaled(0.01);
    let bench = Bench::start(folder, backend, config);
    assert_eq!(bench.get("/pools").await, json!([{"poolid": "a"}]));
    assert_eq!(bench.end_of(&upid).await, "unexpected status");
    assert_eq!(
        bench.get("/nodes/pve/qemu/120/config").await["lock"],
        "create"
    );
    let exit = bench
        .job("POST", "/nodes/pve/qemu/120/status/start", &[])
        .await;
    assert_eq!(exit, "VM is locked (create)");
}

#[tokio::test]
async fn the_log_of_a_job_comes_in_pages() {
    let bench = Bench::new();
    let url = [
        ("content", "import"),
        ("filename", "a.qcow2"),
        ("url", "http://images.test/gone.qcow2"),
    ];
    let reply = bench
        .form("POST", "/nodes/pve/storage/local/download-url", &url)
        .await;
    let upid = reply.body["data"].as_str().expect("a UPID");
    assert_eq!(bench.end_of(upid).await, "download failed: exit code 8");
    let all = bench.log_of(upid).await;
    assert_eq!(
        all.last().map(String::as_str),
        Some("TASK ERROR: download failed: exit code 8")
    );
    let path = format!("/nodes/pve/tasks/{upid}/log?start=1&limit=2");
    let page = bench.send(&root(), "GET", &path, Sent::Nothing).await;
    assert_eq!(page.body["total"], all.len());
    assert_eq!(page.body["data"][0]["n"], 2);
    assert_eq!(page.body["data"].as_array().expect("lines").len(), 2);
    let unknown = "/nodes/pve/tasks/UPID:pve:00000001:00000001:00000001:qmstart:1:root@pam:/status";
    let unknown = bench.send(&root(), "GET", unknown, Sent::Nothing).await;
    assert_eq!(unknown.body["errors"]["upid"], "no such task");
}
