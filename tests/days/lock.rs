//! One run at a time, and a run that is interrupted.

use crate::lab::{Lab, ended, told};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Child,
};

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it runs");
}

/// Waits until the file holds these words; the other process is at work on it.
fn until(lab: &Lab, child: &mut Child, words: &str) {
    loop {
        let text = fs::read_to_string(lab.journal()).unwrap_or_default();
        if text.contains(words) {
            return;
        }
        assert!(
            child.try_wait().expect("asked").is_none(),
            "it ended before it wrote `{words}`"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_second_run_is_refused_with_who_and_when() {
    let lab = Lab::new();
    lab.fault(&["host", "pve", "slow", "--seconds", "0.3"]);
    let mut first = lab.begin();
    until(&lab, &mut first, "\"started\"");
    lab.up().says(
        7,
        &[
            "tester@",
            "has been running `infra up (media-server-home)` since 20",
            "Wait until that run has ended",
        ],
    );

    // Another machine knows nothing of our local lock; the node's own refuses it.
    let elsewhere = lab.path("elsewhere");
    fs::create_dir_all(&elsewhere).expect("made");
    fs::copy(lab.path("lab/serve.pid"), elsewhere.join("serve.pid")).expect("copied");
    let mut state = lab.state();
    state["folder"] = elsewhere.to_string_lossy().into();
    fs::write(elsewhere.join("state.json"), state.to_string()).expect("written");
    ended(lab.command_in(&elsewhere, &["--lab", "up", "--yes"])).says(
        7,
        &[
            "tester@",
            "has been running `infra up (media-server-home)` since 20",
        ],
    );

    told(&first.wait_with_output().expect("waited")).says(0, &["Done."]);
    lab.fault(&["clear"]);
    lab.settled();
}

#[test]
fn ctrl_c_lets_running_steps_end_and_a_rerun_converges() {
    let lab = Lab::new();
    let mut run = lab.begin();
    until(&lab, &mut run, "\"done\"");
    signal(&run, Signal::INT);
    told(&run.wait_with_output().expect("waited")).says(
        130,
        &[
            "Now true:",
            "0 failed",
            "not begun",
            "Run `infra --lab up` to go on from here",
        ],
    );
    lab.recovers();

    // While it only looks, it ends at once and gives the lock back.
    lab.fault(&[
        "api",
        "delay",
        "--path",
        "/cluster/resources",
        "--seconds",
        "2000",
    ]);
    let run = lab.begin();
    while lab.report()["api"] != serde_json::json!([]) {
        std::thread::yield_now();
    }
    signal(&run, Signal::INT);
    told(&run.wait_with_output().expect("waited")).says(130, &["interrupted while only looking"]);
    let ran = lab.up();
    ran.says(0, &["Nothing to change"]);
    assert!(
        !ran.text.contains("lock"),
        "the lock was given back:\n{}",
        ran.text
    );
}

/// The lock files in the lab's own state whose folder has this name.
fn locks(lab: &Lab, folder: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut left = vec![lab.path("")];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at)
            .expect("a folder")
            .map(|one| one.expect("an entry").path())
        {
            if entry.is_dir() {
                left.push(entry);
            } else if entry.ends_with(format!("{folder}/lock")) {
                out.push(entry);
            }
        }
    }
    out
}

#[test]
fn a_backup_a_drill_and_a_restore_keep_each_other_out() {
    let lab = Lab::new();
    let restore = [
        "--lab",
        "backup",
        "restore",
        "appdata",
        "--live",
        "--confirm",
        "appdata",
    ];
    // A scripted host has no restic: whatever begins ends there, behind its locks.
    for verb in [
        &restore[..],
        &["--lab", "backup", "run"],
        &["--lab", "backup", "drill"],
    ] {
        lab.run(verb).says(1, &["error: failed to"]);
    }
    for job in ["appdata", "library"] {
        let held = locks(&lab, job);
        let [path] = held.as_slice() else {
            panic!("{held:?}");
        };
        let file = File::open(path).expect("opened");
        file.lock().expect("nobody has it");
        let busy = [
            "has been running `infra backup",
            "Wait until that run has ended",
        ];
        // Of another job as well: both may hold what comes back.
        lab.run(&restore).says(7, &busy);
        lab.run(&[
            "--lab",
            "backup",
            "restore",
            "host/intranet",
            "--live",
            "--confirm",
            "intranet",
        ])
        .says(7, &busy);
        lab.run(&["--lab", "backup", "run", job]).says(7, &busy);
        lab.run(&["--lab", "backup", "drill", job]).says(7, &busy);
        lab.run(&["--lab", "nightly", "--job", "backup", "--wait", "0"])
            .says(1, &["FAILED backup", "has been running `infra backup"]);
    }
    // Nothing that was refused left a lock behind.
    lab.run(&restore).says(1, &["error: failed to"]);
}
