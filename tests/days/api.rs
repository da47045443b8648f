//! Bad days of the Proxmox node: its API, its storages, its guests.

use crate::lab::Lab;
use std::process::Command;

const NOTHING: &str = "nothing was changed";

#[test]
fn whoever_is_not_who_it_should_be_is_told_apart_and_nothing_is_changed() {
    let lab = Lab::new();
    let wrong = "00000000-0000-0000-0000-000000000000";
    let ran = lab.up_with("token_secret", wrong);
    ran.says(
        5,
        &[
            NOTHING,
            "log in to Proxmox",
            "Authentication failed",
            "pveum user token list",
        ],
    );
    assert!(!ran.text.contains(wrong), "a secret was printed");

    let ran = lab.up_with("fingerprint", &"0".repeat(64));
    ran.says(
        5,
        &[
            NOTHING,
            "failed to trust 127.0.0.1",
            "has the fingerprint",
            "pinned is 00:00:00",
            "pvenode cert info",
        ],
    );

    lab.fault(&["host", "pve", "unreachable"]);
    lab.up().says(
        5,
        &[
            "failed to take the lock",
            "reach pve",
            "Connection refused",
            "Check that pve is on",
        ],
    );
    lab.fault(&["clear"]);

    lab.fault(&["api", "drop-before", "--times", "1000"]);
    lab.up()
        .says(5, &[NOTHING, "the Proxmox API", "run the command again"]);
    lab.recovers();
}

#[test]
fn a_storage_that_is_missing_or_full_is_named_with_what_to_do() {
    let lab = Lab::new();
    lab.fault(&["storage", "local-zfs", "missing"]);
    lab.up().says(
        1,
        &[
            NOTHING,
            "guest 110 intranet: node pve has no storage `local-zfs`",
            "content type `images`",
        ],
    );
    lab.fault(&["storage", "local-zfs", "well"]);
    lab.fault(&["storage", "local", "missing"]);
    lab.up().says(
        1,
        &[
            NOTHING,
            "node pve has no storage `local`",
            "content type `iso`",
        ],
    );
    lab.fault(&["storage", "local", "full"]);
    lab.up().says(
        6,
        &[
            "No space left on device",
            "Free some space on that storage",
            "Now true:",
            "failed",
            "not begun",
            "Run `infra --lab up` to go on from here",
        ],
    );
    lab.fault(&["storage", "local", "well"]);
    lab.fault(&["storage", "local-zfs", "full"]);
    lab.up().says(
        6,
        &[
            "pve: guest 110 intranet",
            "out of space",
            "Free some space on that storage",
            "Now true:",
        ],
    );
    lab.recovers();
}

#[test]
fn a_guest_that_somebody_else_made_is_left_alone() {
    let lab = Lab::new();
    let state = lab.state();
    let word = |key: &str| state[key].as_str().expect("a word").to_owned();
    let ask = |method: &str, path: &str, form: &str| {
        let authorization = format!(
            "Authorization: PVEAPIToken={}={}",
            word("token_id"),
            word("token_secret")
        );
        let url = format!("https://{}/api2/json{path}", word("api"));
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-X", method, "-H", &authorization, &url]);
        if !form.is_empty() {
            curl.args(["-d", form]);
        }
        let output = curl.output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let made = ask("POST", "/nodes/pve/qemu", "vmid=110&name=other&memory=512");
    assert!(made.contains("qmcreate"), "{made}");
    lab.up().says(
        1,
        &[
            NOTHING,
            "VMID 110 is taken by `other` on pve",
            "infra did not make",
            "Choose another `vmid`",
        ],
    );
    assert_eq!(lab.model()["guests"]["110"]["config"]["name"], "other");
    let gone = ask("DELETE", "/nodes/pve/qemu/110", "");
    assert!(gone.contains("qmdestroy"), "{gone}");
    lab.recovers();
}

#[test]
fn an_api_that_fails_in_the_middle_is_survived_or_told() {
    let lab = Lab::new();
    // Reading is asked again where an answer breaks off; a creation whose answer is lost is looked for, never repeated.
    lab.fault(&[
        "api",
        "cut-answer",
        "--path",
        "/cluster/resources",
        "--method",
        "GET",
    ]);
    lab.fault(&[
        "api",
        "drop-after",
        "--path",
        "/nodes/pve/qemu",
        "--method",
        "POST",
    ]);
    lab.fault(&[
        "api",
        "fail-task",
        "--path",
        "/nodes/pve/storage/local/download-url",
        "--text",
        "download failed: exit code 4",
    ]);
    lab.up().says(
        6,
        &[
            "failed: pve: image debian-13",
            "download failed: exit code 4",
            "Now true:",
            "Run `infra --lab up` to go on",
        ],
    );
    lab.up().says(0, &["Done."]);
    let waiting = lab.report();
    assert_eq!(
        waiting["api"],
        serde_json::json!([]),
        "every fault met its request"
    );
    let guests = lab.model()["guests"].as_object().expect("guests").len();
    assert_eq!(guests, 2, "no guest was made twice");
    lab.settled();

    lab.fault(&[
        "api",
        "status",
        "--code",
        "500",
        "--text",
        "got no worker upid",
        "--times",
        "3",
        "--method",
        "GET",
        // Many questions go out at once; one of them that hides nothing else.
        "--path",
        "/nodes/pve/firewall/options",
    ]);
    lab.up().says(
        6,
        &[
            "could not be read",
            "got no worker upid",
            "Run the command again",
        ],
    );
    lab.recovers();
}
