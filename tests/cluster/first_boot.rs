//! A guest whose first boot failed and who lets nobody in: its agent says why, at once.

use crate::farm::{Farm, inventory};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use infra::lab::backend::Powerless;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const RESULT: &str = "{\n \"v1\": {\n  \"datasource\": \"DataSourceNoCloud [seed=/dev/sr0]\",\n  \"errors\": [\n   \"('package_update_upgrade_install', ProcessExecutionError('apt-get failed'))\"\n  ]\n }\n}\n";
const LOG: &str = "2026-11-20 12:00:01 - cc_users_groups.py[DEBUG]: done\n2026-11-20 12:00:09 - util.py[WARNING]: Failed to install packages: ['htopp']\n";

/// What an agent answers that may be asked for files.
fn agent(command: &Value) -> Value {
    let arguments = &command["arguments"];
    match command["execute"].as_str().unwrap_or_default() {
        "guest-file-open" => match arguments["path"].as_str().unwrap_or_default() {
            "/run/cloud-init/result.json" => json!({"return": 1}),
            "/var/log/cloud-init.log" => json!({"return": 2}),
            path => {
                let why =
                    format!("failed to open file '{path}' (mode: 'r'): No such file or directory");
                json!({"error": {"class": "GenericError", "desc": why}})
            }
        },
        "guest-file-read" => {
            let text = if arguments["handle"] == json!(1) {
                RESULT
            } else {
                LOG
            };
            json!({"return": {"count": text.len(), "buf-b64": STANDARD.encode(text), "eof": true}})
        }
        _ => json!({"return": {}}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_cloud_init_is_told_with_its_log_by_the_agent() {
    let farm = Farm::with(&inventory(1, 1), |config| {
        let backend = Powerless::default();
        backend.memory(|memory| {
            memory.agents.insert(1001_u32.try_into().expect("valid"));
            memory.agent = Some(agent);
        });
        config.backend = Arc::new(backend);
    });
    let plan = farm.plan(&farm.client()).await;
    let begun = Instant::now();
    let receipt = farm.apply_and_wait_for_guests(&plan).await;
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "nobody waits for its login"
    );
    let failed: Vec<String> = receipt.failed().map(|one| format!("{one:?}")).collect();
    let said = failed.join("\n");
    for words in [
        "cloud-init failed on g1",
        "ProcessExecutionError('apt-get failed')",
        "the end of /var/log/cloud-init.log",
        "Failed to install packages: ['htopp']",
    ] {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
}
