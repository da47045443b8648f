//! `kill -9` after every kind of journal step: the next run goes on from there, and nothing is made twice.

use crate::lab::{Lab, told};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Child,
};

/// What was written of an entry: its kind and the kind of its change, without names.
type Moment = (String, String);

/// `pve: guest 110 intranet first-boot seed` -> `guest seed`; `intranet: stack immich` -> `stack`.
fn kind_of(change: &str) -> String {
    let what = change.split_once(": ").map_or(change, |(_, what)| what);
    let first = what.split(' ').next().unwrap_or_default();
    let last = what.split(' ').next_back().unwrap_or_default();
    match (first, last) {
        ("guest", "seed" | "power" | "scsi0") | ("dataset", "directories") => {
            format!("{first} {last}")
        }
        _ => first.to_owned(),
    }
}

/// The moments in a journal, in order. A torn last line is none.
fn moments(text: &str) -> Vec<Moment> {
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut steps: Vec<(Value, String)> = Vec::new();
    let mut out = Vec::new();
    for entry in entries {
        let word = entry["entry"].as_str().unwrap_or_default().to_owned();
        if word == "started" {
            let change = entry["changes"][0].as_str().unwrap_or_default();
            steps.push((entry["step"].clone(), kind_of(change)));
        }
        if word == "end" {
            break;
        }
        let kind = steps
            .iter()
            .find(|(step, _)| *step == entry["step"])
            .map(|(_, kind)| kind.clone())
            .unwrap_or_default();
        out.push((word, kind));
    }
    out
}

/// The kinds of the steps that a killed run had begun and not ended.
fn in_flight(lab: &Lab) -> BTreeSet<String> {
    let text = fs::read_to_string(lab.journal()).expect("a journal");
    let mut open = BTreeMap::new();
    for entry in text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let step = entry["step"].to_string();
        match entry["entry"].as_str() {
            Some("started") => {
                let change = entry["changes"][0].as_str().unwrap_or_default();
                open.insert(step, kind_of(change));
            }
            Some("done" | "failed") => {
                open.remove(&step);
            }
            _ => {}
        }
    }
    open.into_values().collect()
}

/// Kills the run at the first moment that was not killed at yet; none when it came to its end.
fn kill_at_something_new(
    lab: &Lab,
    run: &mut Child,
    seen: &mut BTreeSet<Moment>,
) -> Option<Moment> {
    let old = fs::read_to_string(lab.journal()).unwrap_or_default();
    loop {
        let ended = run.try_wait().expect("asked").is_some();
        let text = fs::read_to_string(lab.journal()).unwrap_or_default();
        if text != old
            && let Some(new) = moments(&text)
                .into_iter()
                .find(|moment| !seen.contains(moment))
        {
            if ended {
                return None;
            }
            run.kill().expect("killed");
            seen.insert(new.clone());
            return Some(new);
        }
        if ended {
            return None;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_run_that_is_killed_at_any_kind_of_step_is_taken_up_by_the_next() {
    let clean = Lab::running();
    // Slow enough that a kill meets a step in the middle.
    let lab = Lab::with_clock("0.15");
    lab.fault(&["host", "pve", "slow", "--seconds", "0.1"]);
    let (mut seen, mut caught) = (BTreeSet::new(), BTreeSet::new());
    let mut taken_over = 0;
    let mut killed = 0;
    let last = loop {
        let mut run = lab.begin();
        let at = kill_at_something_new(&lab, &mut run, &mut seen);
        let ran = told(&run.wait_with_output().expect("waited"));
        if killed > 0 {
            // The one before left its lock behind, and what is done with it is said.
            taken_over += usize::from(ran.text.contains("Its lock is taken over"));
        }
        if at.is_none() {
            break ran;
        }
        caught.extend(in_flight(&lab));
        killed += 1;
        assert!(killed < 100, "it never comes to an end: {seen:?}");
    };
    last.says(0, &["needs real guests"]);
    lab.settled();
    for kind in [
        "file",
        "sysctl",
        "unit",
        "dataset",
        "dataset directories",
        "directory",
        "image",
        "guest",
        "guest seed",
        "guest scsi0",
        "guest power",
        "packages",
        "ufw",
        "stack",
        "firewall",
    ] {
        let was_hit = seen.iter().any(|(_, of)| of == kind) || caught.contains(kind);
        assert!(was_hit, "no kill at {kind}: {seen:?}, {caught:?}");
    }
    for entry in ["run", "started", "task", "done"] {
        assert!(
            seen.iter().any(|(word, _)| word == entry),
            "no kill at {entry}: {seen:?}"
        );
    }
    assert_eq!(
        taken_over, killed,
        "each rerun says what it does with the dead run's lock"
    );
    same_world(&clean, &lab);
}

/// Killing and rerunning ends where a run that nobody disturbed ends.
fn same_world(clean: &Lab, lab: &Lab) {
    let (clean, lab) = (clean.model(), lab.model());
    let names = |model: &Value| -> Vec<String> {
        let guests = model["guests"].as_object().expect("guests");
        guests
            .values()
            .map(|guest| guest["config"]["name"].to_string())
            .collect()
    };
    assert_eq!(names(&clean), names(&lab), "no guest twice");
    assert_eq!(
        clean["storages"]["volumes"]
            .as_object()
            .map(serde_json::Map::len),
        lab["storages"]["volumes"]
            .as_object()
            .map(serde_json::Map::len),
        "no disk twice"
    );
    let rules = |model: &Value| model["firewall"].to_string().matches("\"action\"").count();
    assert!(rules(&clean) > 10, "the firewall was looked at");
    assert_eq!(rules(&clean), rules(&lab), "no rule twice");
}
