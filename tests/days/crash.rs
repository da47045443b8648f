//! `kill -9` after every kind of journal step: the next run goes on from there, and nothing is made twice.
//!
//! `cargo test` kills a sample of what brings the flagship up from nothing; with `INFRA_KILLS=all` it has guests, disks and wishes for
//! every kind of operation that scripted hosts can carry out.

use crate::{
    kills::{Kills, Met, OPERATIONS, never},
    lab::{Lab, told},
};
use serde_json::Value;
use std::{fs, io::Write as _, process::Stdio};

/// What the flagship does not have.
const MORE: &str = "nodes:
  pve2: {address: 192.168.1.11}
images:
  golden:
    url: https://cloud.debian.org/images/golden.qcow2
    checksum: \"sha256:abababababababababababababababababababababababababababababababab\"
    template: {vmid: 9001, node: pve, storage: local-zfs, clone: full}
  own:
    file: own.qcow2
guests:
  copy:
    {vmid: 122, node: pve, image: golden, memory: 1GiB, disk: {storage: fast, size: 8GiB}, nics: [{zone: lan, address: 192.168.1.42}]}
  files:
    vmid: 123
    node: pve
    image: own
    memory: 1GiB
    pool: homelab
    disk: {storage: local-zfs, size: 8GiB}
    disks: {photos: {storage: local-zfs, size: 5GiB}}
    nics: [{zone: lan, address: 192.168.1.43}]
  nomad:
    {vmid: 124, node: pve, image: debian-13, memory: 1GiB, disk: {storage: local-zfs, size: 8GiB}, nics: [{zone: lan, address: 192.168.1.44}]}
";

/// File, what is in it, and what is wanted instead.
const OTHER_WISHES: &[(&str, &str, &str)] = &[
    ("more.yaml", "storage: fast", "storage: local-zfs"),
    (
        "more.yaml",
        "{vmid: 124, node: pve,",
        "{vmid: 124, node: pve2,",
    ),
    (
        "more.yaml",
        "{vmid: 122, node: pve,",
        "{vmid: 122, pool: homelab, node: pve,",
    ),
    ("guests.yaml", "memory: 2GiB", "memory: 3GiB"),
    ("storage.yaml", "profile: photos", "profile: backups"),
    (
        "system.yaml",
        "address: [192.168.1.10, 10.10.10.1]",
        "address: [192.168.1.10, 10.10.10.1]\n    bridges: {vmbr9: {}}",
    ),
];

/// How many labs are tried until every kind of step was met.
const LABS: usize = 4;

fn is_thorough() -> bool {
    std::env::var_os("INFRA_KILLS").is_some_and(|value| value == "all")
}

/// Kills and reruns until nothing differs. Every run is of a plan in a file, so that what it does is known.
fn killed_until_it_is_done(lab: &Lab, kills: &mut Kills) {
    let (mut was_killed, mut runs) = (false, 0);
    loop {
        lab.run(&["--lab", "plan", "--out", "agreed.json"])
            .says(0, &[]);
        let text = fs::read_to_string(lab.path("agreed.json")).expect("written");
        let plan: Value = serde_json::from_str(&text).expect("JSON");
        if plan["changes"].as_array().expect("a list").is_empty() {
            return;
        }
        let old = kills.before();
        let mut run = lab
            .command(&["--lab", "up", "agreed.json", "--yes"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let is_killed = kills.one(&mut run, &old, &plan);
        let ran = told(&run.wait_with_output().expect("waited"));
        if was_killed {
            // The one before left its lock behind, and what is done with it is said.
            assert!(ran.text.contains("Its lock is taken over"), "{}", ran.text);
        }
        if is_killed {
            kills.remember(&plan);
        }
        was_killed = is_killed;
        runs += 1;
        assert!(
            runs < 300,
            "it never comes to an end: {:?}\n{}",
            kills.at,
            ran.text
        );
    }
}

fn bring_up(thorough: bool, clock: &str) -> Lab {
    if !thorough {
        return Lab::with_clock(clock);
    }
    let lab = Lab::unbegun();
    let folder = lab.path("inventory/media-server-home");
    fs::write(folder.join("more.yaml"), MORE).expect("written");
    fs::write(folder.join("own.qcow2"), b"QFI\xfb, and nothing else").expect("written");
    // With a second image and a second node every guest has to name its own.
    let own = fs::read_to_string(folder.join("guests.yaml")).expect("guests");
    let named = own.replace(
        "    memory:",
        "    image: debian-13\n    node: pve\n    memory:",
    );
    fs::write(folder.join("guests.yaml"), named).expect("written");
    lab.begin_lab_at(clock);
    lab
}

fn wish_otherwise(lab: &Lab) {
    for (file, from, to) in OTHER_WISHES {
        let path = lab.path("inventory/media-server-home").join(file);
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "`{from}` is not in {file}");
        fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }
}

#[test]
fn a_run_that_is_killed_at_any_kind_of_step_is_taken_up_by_the_next() {
    let thorough = is_thorough();
    let clean = bring_up(thorough, "0.01");
    clean.up().says(0, &["Done."]);
    if thorough {
        wish_otherwise(&clean);
        clean.up().says(0, &["Done."]);
    }
    let all = [Met::Flagship, Met::Change, Met::Days];
    let times = if thorough { &all[..] } else { &all[..1] };
    let mut kills = Kills::of(&clean.journal(), !thorough);
    for _ in 0..LABS {
        in_a_new_lab(thorough, &clean, &mut kills);
        if kills.missing(times).is_empty() {
            break;
        }
    }
    assert_eq!(
        kills.missing(times),
        [""; 0],
        "{:?} {:?}",
        kills.at,
        kills.within
    );
    writeln!(
        std::io::stderr(),
        "{} kills, at {:?}; never at {}",
        kills.count,
        kills.at,
        never()
    )
    .expect("stderr");
}

/// From nothing to what `clean` is, killed wherever no run was killed before.
fn in_a_new_lab(thorough: bool, clean: &Lab, kills: &mut Kills) {
    // Slow enough that a kill meets a step in the middle.
    let lab = bring_up(thorough, "0.15");
    kills.go_on_in(&lab.journal());
    lab.fault(&["host", "pve", "slow", "--seconds", "0.1"]);
    // One step fails, so that a run is killed right after one did.
    let download = "/nodes/pve/storage/local/download-url";
    lab.fault(&[
        "api",
        "fail-task",
        "--path",
        download,
        "--text",
        "download failed",
    ]);
    killed_until_it_is_done(&lab, kills);
    if thorough {
        wish_otherwise(&lab);
        killed_until_it_is_done(&lab, kills);
    }
    lab.up().says(0, &["needs real guests"]);
    lab.settled();
    same_world(clean, &lab);
}

#[test]
fn no_operation_is_left_out_of_the_table() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/change.rs"));
    let source = source.expect("readable");
    let (_, rest) = source
        .split_once("pub enum Operation {")
        .expect("it is there");
    let (body, _) = rest.split_once("\n}").expect("it ends");
    let variants = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        name.starts_with(char::is_uppercase).then(|| {
            let word = name
                .split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default();
            let mut out = String::new();
            for (at, letter) in word.char_indices() {
                if letter.is_uppercase() && at > 0 {
                    out.push('_');
                }
                out.push(letter.to_ascii_lowercase());
            }
            out
        })
    });
    let known = OPERATIONS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(variants.collect::<Vec<_>>(), known.collect::<Vec<_>>());
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
