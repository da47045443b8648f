//! Values of secrets are in the encrypted file and on the hosts that need them, and in nothing else that infra writes or says.

use crate::lab::{Lab, ended};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const CANARIES: &[(&str, &str)] = &[
    ("restic_password", "canary-restic-5f1c0d"),
    ("immich_db_password", "canary-immich-77aa31"),
    ("grafana_admin_password", "canary-grafana-0be94c"),
];

fn is_told(text: &str) -> Option<&'static str> {
    CANARIES.iter().map(|(_, value)| *value).find(|value| {
        let coded = STANDARD.encode(value);
        text.contains(value) || text.contains(&coded[..16])
    })
}

fn below(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("there").file_type();
        if kind.is_dir() {
            below(&path, out);
        } else if kind.is_file() {
            out.push(path);
        }
    }
}

#[test]
fn no_value_of_a_secret_is_said_or_kept() {
    let lab = Lab::new();
    let editor = lab.path("typing.sh");
    let lines: Vec<String> = CANARIES
        .iter()
        .map(|(name, value)| format!("sed -i 's/^{name}:.*/{name}: {value}/' \"$1\""))
        .collect();
    fs::write(&editor, format!("#!/bin/sh\n{}\n", lines.join("\n"))).expect("written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("executable");
    let mut edit = lab.command(&["secrets", "edit"]);
    edit.env("EDITOR", &editor);
    let edited = ended(edit);
    fs::remove_file(&editor).expect("removed");
    if edited.text.contains("file system in memory") {
        eprintln!("skipped: nothing is in memory here");
        return;
    }
    edited.says(0, &["Changed in secrets.age"]);
    let runs: &[&[&str]] = &[
        &["check"],
        &["secrets", "list"],
        &["--json", "secrets", "list"],
        &["stack", "list"],
        &["--lab", "-v", "plan", "--out", "plan.json"],
        &["--lab", "-v", "up", "--yes"],
        &["--lab", "--json", "plan"],
        &["--lab", "status"],
        &["--lab", "-v", "verify"],
        &["--lab", "stack", "status"],
        &["--lab", "stack", "history", "immich"],
        &["--lab", "stack", "logs", "immich"],
        &["--lab", "stack", "update"],
        &["--lab", "-v", "stack", "plan"],
        &["--lab", "-v", "stack", "deploy", "--yes"],
        &["--lab", "stack", "rollback", "immich", "--yes"],
    ];
    for args in runs {
        let ran = lab.run(args);
        assert!(ran.text.len() > 10, "{args:?} says something");
        assert_eq!(is_told(&ran.text), None, "{args:?}: {}", ran.text);
    }
    let mut files = Vec::new();
    below(lab.path("").as_path(), &mut files);
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    for wanted in [
        "plan.json",
        "journal",
        "receipts",
        "secrets.age",
        "state.json",
    ] {
        assert!(
            names.iter().any(|name| name.contains(wanted)),
            "{wanted} is looked through"
        );
    }
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).expect("readable")).into_owned();
        assert_eq!(is_told(&text), None, "{}", file.display());
    }
}
