//! Secrets on the command line: their values are seen by an editor in memory and by nobody else.

use crate::folder::Folder;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const CANARY: &str = "canary-6fc1b0-hunter2";

fn flagship() -> Folder {
    let folder = Folder::new();
    let said = folder.run(&["init", "media-server-home"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    folder
}

/// Whether text may be kept in memory here; a machine without /dev/shm cannot edit, and says so.
fn has_memory() -> bool {
    let said = Command::new("stat")
        .args(["-f", "-c", "%T", "/dev/shm"])
        .output();
    let is_tmpfs = said.is_ok_and(|output| output.stdout.starts_with(b"tmpfs"));
    if !is_tmpfs {
        println!("skipped: /dev/shm is no tmpfs here");
    }
    is_tmpfs
}

fn editor(folder: &Folder, text: &str) -> String {
    let path = folder.path().join("editor.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path.display().to_string()
}

/// Every file below a folder that holds the text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            out.extend(holding(&path, text));
        } else {
            let bytes = fs::read(&path).expect("readable");
            if String::from_utf8_lossy(&bytes).contains(text) {
                out.push(path);
            }
        }
    }
    out
}

#[test]
fn the_list_names_users_and_no_value() {
    let folder = flagship();
    let said = folder.run(&["secrets", "list"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    for words in [
        "immich_db_password",
        "stack immich (secrets/db_password)",
        "the Proxmox API",
        "$INFRA_PROXMOX_TOKEN",
        "is not set",
        "there",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let json = folder.run(&["secrets", "list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let of = |name: &str| {
        let rows = rows["secrets"].as_array().expect("rows");
        rows.iter()
            .find(|row| row["name"] == name)
            .cloned()
            .expect("listed")
    };
    assert_eq!(of("restic_password")["has_value"], true);
    assert_eq!(of("proxmox_token")["has_value"], false);
}

#[test]
fn an_editor_sees_the_values_in_memory_and_no_disk_does() {
    if !has_memory() {
        return;
    }
    let folder = flagship();
    let seen = folder.path().join("seen");
    let text = format!(
        "stat -c '%a %n' \"$1\" > {0}\nstat -f -c %T \"$1\" >> {0}\nsed -i 's/^restic_password:.*/restic_password: {CANARY}/' \"$1\"",
        seen.display()
    );
    let editor = editor(&folder, &text);
    let said = folder.run_with(&["secrets", "edit"], &[("EDITOR", &editor)]);
    assert_eq!(said.code, 0, "{}", said.talk);
    assert_eq!(said.out, "Changed in secrets.age: restic_password.\n");
    assert!(
        said.talk.contains("infra stack deploy restic"),
        "{}",
        said.talk
    );
    let seen = fs::read_to_string(seen).expect("the editor ran");
    let (mode, path) = seen
        .lines()
        .next()
        .and_then(|line| line.split_once(' '))
        .expect("a line");
    assert_eq!((mode, seen.lines().nth(1)), ("600", Some("tmpfs")));
    assert!(!Path::new(path).exists(), "{path}");
    // The script that stands in for a person's typing is the only file with the value.
    let found = holding(folder.path(), CANARY);
    assert_eq!(found, [folder.path().join("editor.sh")]);
    let said = folder.run_with(&["secrets", "edit"], &[("EDITOR", "true")]);
    assert!(said.talk.contains("Nothing was changed"), "{}", said.talk);
}

#[test]
fn what_an_editor_leaves_broken_changes_nothing() {
    if !has_memory() {
        return;
    }
    let folder = flagship();
    let file = folder
        .path()
        .join("inventory/media-server-home/secrets.age");
    let before = fs::read(&file).expect("secrets");
    let bad = editor(&folder, &format!("printf 'a: b\\n{CANARY}: [\\n' > \"$1\""));
    let said = folder.run_with(&["secrets", "edit"], &[("EDITOR", &bad)]);
    assert_eq!(said.code, 1, "{}", said.talk);
    assert!(
        said.talk.contains("line ") && !said.talk.contains(CANARY),
        "{}",
        said.talk
    );
    let said = folder.run_with(&["secrets", "edit"], &[("EDITOR", "false")]);
    assert_eq!(said.code, 1, "{}", said.talk);
    assert_eq!(fs::read(&file).expect("secrets"), before);
}

#[test]
fn a_run_that_is_ended_while_the_editor_is_open_leaves_no_text() {
    if !has_memory() {
        return;
    }
    let folder = flagship();
    let told = folder.path().join("told");
    let made = Command::new("mkfifo").arg(&told).status().expect("mkfifo");
    assert!(made.success());
    // The one end of the pipe is open before the other is read: nobody has to wait for a time.
    let editor = editor(
        &folder,
        &format!("printf %s \"$1\" > {}\nexec sleep 600", told.display()),
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_infra"))
        .args(["secrets", "edit"])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .env("EDITOR", editor)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("infra runs");
    let path = PathBuf::from(fs::read_to_string(&told).expect("the editor's word"));
    assert!(path.exists());
    let ended = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(ended.expect("kill").success());
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(!path.exists() && !path.parent().expect("a folder").exists());
}

#[test]
fn generated_values_are_made_again_and_their_users_named() {
    let folder = flagship();
    let file = folder
        .path()
        .join("inventory/media-server-home/secrets.age");
    let before = fs::read(&file).expect("secrets");
    let said = folder.run(&["secrets", "rotate", "immich_db_password"]);
    assert_eq!(said.code, 2, "{}", said.talk);
    assert_eq!(fs::read(&file).expect("secrets"), before);
    let said = folder.run(&[
        "secrets",
        "rotate",
        "--yes",
        "immich_db_password",
        "proxy_key",
    ]);
    assert_eq!(said.code, 0, "{}", said.talk);
    assert_eq!(
        said.out,
        "New values: immich_db_password, proxy_cert, proxy_key.\n"
    );
    assert!(
        said.talk.contains("infra stack deploy immich proxy"),
        "{}",
        said.talk
    );
    assert!(said.talk.contains("as databases do"), "{}", said.talk);
    assert_ne!(fs::read(&file).expect("secrets"), before);
    let said = folder.run(&["secrets", "rotate", "--yes", "proxmox_token"]);
    assert!(
        said.code == 2 && said.talk.contains("INFRA_PROXMOX_TOKEN"),
        "{}",
        said.talk
    );
}
