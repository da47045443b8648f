//! The arrows between rooms, the length of files and the invariants of rooms.

#![expect(clippy::disallowed_methods, reason = "reads the sources it checks")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each room may use. Anything absent is forbidden. `docs/architecture.md` draws this table.
const ARROWS: &[(&str, &[&str])] = &[
    ("diagnostic", &[]),
    ("model", &["diagnostic"]),
    ("inventory", &["model", "diagnostic"]),
    ("builtin", &["model"]),
    ("secrets", &["model"]),
    ("firewall", &["model", "diagnostic"]),
    ("template", &["model", "diagnostic"]),
    ("adopt", &["model"]),
    ("backup", &["model"]),
    ("baseline", &["model", "firewall"]),
    ("release", &["model", "template", "diagnostic"]),
    ("retention", &["model"]),
    ("seed", &["model"]),
    ("replication", &["model"]),
    ("doctor", &["model"]),
    ("timers", &["model"]),
    (
        "plan",
        &[
            "model",
            "firewall",
            "template",
            "baseline",
            "release",
            "seed",
            "timers",
            "diagnostic",
        ],
    ),
    (
        "playbook",
        &["model", "plan", "baseline", "template", "diagnostic"],
    ),
    ("providers", &["model"]),
    ("observe", &["model", "plan", "providers"]),
    (
        "apply",
        &[
            "model",
            "plan",
            "providers",
            "backup",
            "replication",
            "seed",
        ],
    ),
    ("verify", &["model", "providers"]),
    ("lab", &["model"]),
    ("prove", &["model", "firewall", "lab"]),
    (
        "view",
        &[
            "model",
            "plan",
            "firewall",
            "diagnostic",
            "apply",
            "verify",
            "doctor",
        ],
    ),
    (
        "cli",
        &[
            "adopt",
            "backup",
            "diagnostic",
            "doctor",
            "model",
            "inventory",
            "builtin",
            "secrets",
            "firewall",
            "template",
            "baseline",
            "release",
            "retention",
            "seed",
            "replication",
            "plan",
            "playbook",
            "timers",
            "providers",
            "observe",
            "apply",
            "verify",
            "lab",
            "prove",
            "view",
        ],
    ),
    ("lib", &["cli"]),
    ("main", &["cli"]),
];

/// Inside `providers`: only these know another provider than `shell`.
const PROVIDER_ARROWS: &[(&str, &[&str])] = &[
    ("backup", &["shell"]),
    ("borg", &["backup", "shell"]),
    ("compose", &["shell"]),
    ("guard", &["shell"]),
    ("host", &["shell", "ufw", "zfs", "compose"]),
    ("local", &["shell"]),
    ("notify", &[]),
    ("program", &["backup", "borg", "restic", "shell"]),
    ("proxmox", &[]),
    ("restic", &["backup", "shell"]),
    ("shell", &[]),
    ("ssh", &["shell"]),
    ("ufw", &["shell"]),
    ("zfs", &["shell"]),
];

const LINE_CAP: usize = 500;

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("readable")
        .map(|e| e.expect("entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(
        paths.len() > 20,
        "the sources were not found under {}",
        root.display()
    );
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("utf-8");
            (
                path.strip_prefix(&root).expect("below src").to_owned(),
                text,
            )
        })
        .collect()
}

fn room(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .expect("not empty")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The words after `crate::` on a line, one for each mention, with the second segment.
fn mentions(line: &str) -> Vec<(String, String)> {
    let code = line.split("//").next().unwrap_or("");
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, found)| {
            let rest = &code[at + found.len()..];
            let mut parts = rest.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let first = parts.next().unwrap_or("").to_owned();
            parts.next();
            (first, parts.next().unwrap_or("").to_owned())
        })
        .collect()
}

#[test]
fn arrows_go_one_way() {
    let table: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(from, to)| (*from, to.iter().copied().collect()))
        .collect();
    let inner: BTreeMap<&str, BTreeSet<&str>> = PROVIDER_ARROWS
        .iter()
        .map(|(from, to)| (*from, to.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let from = room(&path);
        let Some(allowed) = table.get(from.as_str()) else {
            wrong.push(format!(
                "{}: room `{from}` is not in the table",
                path.display()
            ));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let place = format!("src/{}:{}", path.display(), number + 1);
            if line.contains("super::super::") || line.contains("crate::{") {
                wrong.push(format!("{place}: write the whole `crate::room::` path"));
            }
            for (to, second) in mentions(line) {
                let known = table.contains_key(to.as_str());
                if known && to != from && !allowed.contains(to.as_str()) {
                    wrong.push(format!("{place}: `{from}` may not use `{to}`"));
                }
                if from == "providers" && to == "providers" {
                    let inside = path.components().nth(1).expect("a room inside").as_os_str();
                    let inside = inside.to_string_lossy();
                    let inside = inside.trim_end_matches(".rs");
                    let allowed = inner.get(inside);
                    let ok = second == inside
                        || second.is_empty()
                        || allowed.is_some_and(|set| set.contains(second.as_str()));
                    if !ok {
                        wrong.push(format!(
                            "{place}: `providers::{inside}` may not use `{second}`"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for (path, text) in all() {
        let lines = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count();
        if lines > LINE_CAP {
            long.push(format!(
                "src/{}: {lines} lines without tests",
                path.display()
            ));
        }
    }
    assert!(long.is_empty(), "split these by noun:\n{}", long.join("\n"));
}

#[test]
fn every_room_states_an_invariant() {
    let mut silent = Vec::new();
    for (path, text) in all() {
        let is_room = path.file_name().is_some_and(|name| name == "mod.rs");
        if is_room && !text.lines().any(|line| line.starts_with("//! Invariant: ")) {
            silent.push(format!("src/{}", path.display()));
        }
    }
    assert!(
        silent.is_empty(),
        "no `//! Invariant:` line in\n{}",
        silent.join("\n")
    );
}

#[test]
fn nothing_is_named_for_having_no_home() {
    const HOMELESS: &[&str] = &[
        "utils", "util", "helpers", "common", "misc", "manager", "handler", "base", "core",
    ];
    for (path, _) in all() {
        for part in path.components() {
            let name = part.as_os_str().to_string_lossy();
            let stem = name.trim_end_matches(".rs");
            assert!(
                !HOMELESS.contains(&stem),
                "src/{} has no home",
                path.display()
            );
        }
    }
}

/// The public project runs every slow suite that the Makefile has.
#[test]
fn every_night_runs_every_suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("readable");
    let (makefile, workflow) = (read("Makefile"), read(".github/workflows/nightly.yml"));
    let line = |text: &'static str, of: &str| -> String {
        let found = of.lines().find_map(|line| line.trim().strip_prefix(text));
        found.unwrap_or_else(|| panic!("no `{text}`")).to_owned()
    };
    let wanted = line("SUITES := ", &makefile);
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let run = line("suite: [", &workflow);
    let run: Vec<&str> = run.trim_end_matches(']').split(", ").collect();
    assert_eq!(run, wanted);
    for suite in wanted {
        assert!(makefile.contains(&format!("nightly-{suite}")), "{suite}");
    }
}
