//! Waiting for tasks.

use super::server::{Reply, Server};
use crate::providers::proxmox::{ProxmoxError, ProxmoxRead, Refusal, TaskEnd, Upid};
use std::time::Duration;

const UPID: &str = "UPID:pve2:000000DD:000938FA:6B008433:qmstart:110:root@pam!infra:";
const STATUS: &str =
    "GET /nodes/pve2/tasks/UPID:pve2:000000DD:000938FA:6B008433:qmstart:110:root@pam!infra:/status";

fn upid() -> Upid {
    UPID.parse().expect("valid")
}

fn ended(exit: &str) -> Reply {
    Reply::data(&serde_json::json!({"status": "stopped", "exitstatus": exit}).to_string())
}

const RUNS: &str = r#"{"status":"running"}"#;
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_task_is_looked_at_on_its_own_node_until_it_ends() {
    let server = Server::start(|_, before| {
        if before < 3 {
            Reply::data(RUNS)
        } else {
            ended("OK")
        }
    });
    let end = server
        .client()
        .wait(&upid(), MINUTE)
        .await
        .expect("it ends");
    assert_eq!(end, TaskEnd { warnings: 0 });
    assert_eq!(server.lines(), [STATUS; 4]);
}

#[tokio::test]
async fn warnings_are_counted_and_are_no_failure() {
    let server = Server::start(|_, _| ended("WARNINGS: 3"));
    assert_eq!(
        server
            .client()
            .wait(&upid(), MINUTE)
            .await
            .expect("it ends"),
        TaskEnd { warnings: 3 }
    );
}

#[tokio::test]
async fn a_failure_tells_the_end_of_the_log() {
    let server = Server::start(|asked, _| {
        if asked.target.contains("/log?limit=0") {
            let lines: Vec<_> = (1..40)
                .map(|n| serde_json::json!({"n": n, "t": format!("line {n}")}))
                .collect();
            Reply::data(&serde_json::Value::from(lines).to_string())
        } else {
            ended("can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout")
        }
    });
    let error = server
        .client()
        .wait(&upid(), MINUTE)
        .await
        .expect_err("it failed");
    assert_eq!(error.refusal(), Some(Refusal::LockTimeout));
    assert!(error.is_lock_timeout());
    let ProxmoxError::TaskFailed { log, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((log.len(), log[11].as_str()), (12, "line 39"));
    assert!(
        error.to_string().contains("got timeout\n  line 28"),
        "{error}"
    );
}

#[tokio::test]
async fn a_task_that_its_node_does_not_know_yet_is_looked_at_again() {
    const NO_SUCH: &str = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"upid":"no such task"}}"#;
    let unknown = || Reply::Answer(400, "Parameter verification failed.", NO_SUCH.to_owned());
    let server = Server::start(move |_, before| if before < 2 { unknown() } else { ended("OK") });
    server
        .client()
        .wait(&upid(), MINUTE)
        .await
        .expect("written down by then");

    let server = Server::start(move |_, _| unknown());
    let error = server
        .client()
        .wait(&upid(), MINUTE)
        .await
        .expect_err("never");
    assert!(
        matches!(error, ProxmoxError::TaskUnknown { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_unexpected_status_is_unknown_and_not_a_failure() {
    let server = Server::start(|_, _| ended("unexpected status"));
    let error = server
        .client()
        .wait(&upid(), MINUTE)
        .await
        .expect_err("nobody knows");
    assert!(
        matches!(error, ProxmoxError::TaskUnknown { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_task_that_outlasts_its_limit_is_left_running() {
    let server = Server::start(|_, _| Reply::data(RUNS));
    let error = server
        .client()
        .wait(&upid(), Duration::ZERO)
        .await
        .expect_err("it runs");
    assert!(matches!(error, ProxmoxError::TaskSlow { .. }), "{error:?}");
}
