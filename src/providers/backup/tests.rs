//! The scripts in a real `sh`.

#![expect(clippy::disallowed_methods, reason = "lays out what the scripts find")]

use super::{
    BackupError, Invocation, Record, aside, aside_back, compare, dump, export, last, present,
    remember,
    stand::{Stand, block_on},
    tidy,
};
use crate::model::{
    backup::{Database, DatabaseEngine, Export, ExportOf},
    ids::StackName,
    snapshot::SnapshotId,
};
use std::{fs, os::unix::fs::PermissionsExt};

fn stack() -> StackName {
    "immich".parse().expect("valid")
}

fn postgres() -> Database {
    Database {
        engine: DatabaseEngine::Postgres,
        service: "database".to_owned(),
        name: "immich".to_owned(),
        user: "immich".to_owned(),
        password_file: None,
        assertions: Vec::new(),
    }
}

/// A container with a Postgres whose dump is text; one that cannot be read ends within a row: `DUMP` is what `pg_dump` writes, `CODE` how it ends.
const POSTGRES: &str = r#"
case "$*" in
ps*) echo abc ;;
*SHOW*) echo '17.6 (Debian 17.6-0+deb13u1)' ;;
*--version*) echo "pg_dump (PostgreSQL) ${TOOL-17.6 (Debian 17.6-0+deb13u1)}" ;;
*pg_dump*) printf %s "${DUMP-whole}"; exit "${CODE-0}" ;;
*--list*) cat >/dev/null; echo '3374; 0 16386 TABLE DATA public assets immich'; exit "${LIST-0}" ;;
*--data-only*) cat >/dev/null; printf 'COPY public.assets (id) FROM stdin;\n1\n2\n3'; [ -n "${READ-}" ] || printf '\n\\.\n'; exit "${READ-0}" ;;
esac
"#;

fn with(settings: &str) -> String {
    format!("{settings}\n{POSTGRES}")
}

fn dumped(settings: &str) -> (Stand, Result<super::Dumped, BackupError>) {
    let stand = Stand::new(&[("docker", &with(settings))]);
    let path = stand.file("dumps/immich/database.pgdump");
    let result = block_on(dump(&stand, &stack(), &postgres(), &path));
    (stand, result)
}

#[test]
fn a_dump_appears_when_it_was_read_back_and_is_nobody_elses_to_read() {
    let (stand, result) = dumped("");
    let facts = result.expect("whole");
    assert_eq!((facts.items, facts.rows, facts.bytes), (1, Some(3), 5));
    let path = stand.file("dumps/immich/database.pgdump");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).expect("there"), "whole");
}

#[test]
fn a_dump_that_is_not_whole_leaves_the_one_before_it() {
    for (settings, word) in [
        ("CODE=1", "pg_dump:"),
        ("DUMP=", "wrote nothing"),
        ("LIST=1", "pg_restore --list"),
        ("READ=1", "cannot read the dump"),
        ("TOOL=16.2", "the server is 17.6"),
    ] {
        let stand = Stand::new(&[("docker", &with(settings))]);
        let path = stand.path().join("dumps/database.pgdump");
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, "the last good one").expect("written");
        let text = path.display().to_string();
        let error = block_on(dump(&stand, &stack(), &postgres(), &text)).expect_err(settings);
        assert!(error.to_string().contains(word), "{settings}: {error}");
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "the last good one"
        );
        let names: Vec<_> = fs::read_dir(path.parent().expect("a folder"))
            .expect("read")
            .collect();
        assert_eq!(names.len(), 1, "{settings} leaves nothing behind");
    }
}

#[test]
fn a_container_that_does_not_run_is_told() {
    let stand = Stand::new(&[("docker", "exit 0")]);
    let error = block_on(dump(&stand, &stack(), &postgres(), &stand.file("d"))).expect_err("none");
    assert!(
        error.to_string().contains("no container of database"),
        "{error}"
    );
}

#[test]
fn an_export_of_paths_is_a_tar_and_one_without_files_is_refused() {
    let stand = Stand::new(&[]);
    let folder = stand.path().join("proxy");
    fs::create_dir_all(folder.join("inner")).expect("made");
    let of = |paths: Vec<String>| Export {
        name: "configuration".to_owned(),
        what: ExportOf::Paths(paths),
    };
    let there = vec![folder.display().to_string()];
    let path = stand.file("out.tar");
    let empty = block_on(export(&stand, &stack(), &of(there.clone()), &path));
    assert!(
        empty
            .expect_err("empty")
            .to_string()
            .contains("there is no file in it")
    );
    fs::write(folder.join("inner/a"), "one").expect("written");
    let facts = block_on(export(&stand, &stack(), &of(there), &path)).expect("whole");
    assert_eq!(facts.items, 1);
    let missing = block_on(export(
        &stand,
        &stack(),
        &of(vec!["/nope".to_owned()]),
        &path,
    ));
    assert!(
        missing
            .expect_err("missing")
            .to_string()
            .contains("/nope does not exist")
    );
}

#[test]
fn secrets_are_there_while_the_program_runs_and_gone_afterwards() {
    let stand = Stand::new(&[(
        "restic",
        "cat \"$INFRA_BACKUP_SECRET/key\"; echo \"$RESTIC_PASSWORD\"",
    )]);
    let invocation = Invocation {
        argv: vec!["restic".to_owned()],
        environment: vec![("RESTIC_PASSWORD".to_owned(), "a canary".to_owned())],
        files: vec![("key".to_owned(), b"line one\nline two\n".to_vec())],
        ..Invocation::default()
    };
    let ran = block_on(invocation.run(&stand, "nightly")).expect("runs");
    assert_eq!(ran.output.text(), "line one\nline two\na canary\n");
    assert!(!stand.path().join("run/nightly/secret").exists());
    let lines = Invocation {
        environment: vec![("RESTIC_PASSWORD".to_owned(), "two\nlines".to_owned())],
        ..invocation
    };
    assert!(matches!(
        lines.command("nightly"),
        Err(BackupError::Secret { .. })
    ));
}

#[test]
fn what_ssh_said_is_told_when_the_program_fails() {
    let script =
        "echo 'Host key verification failed.' >\"$INFRA_BACKUP_SECRET/ssh.log\"; exit ${CODE-81}";
    for (settings, word) in [("", "Host key verification failed."), ("CODE=0", "")] {
        let stand = Stand::new(&[("borg", &format!("{settings}\n{script}"))]);
        let invocation = Invocation {
            argv: vec!["borg".to_owned()],
            ..Invocation::default()
        };
        let ran = block_on(invocation.run(&stand, "nightly")).expect("it ran");
        assert_eq!(String::from_utf8_lossy(&ran.output.stderr), word);
    }
}

#[test]
fn what_cannot_be_mounted_or_is_missing_is_no_run() {
    let stand = Stand::new(&[
        (
            "mount",
            "echo 'cannot open: dataset does not exist' >&2; exit 1",
        ),
        ("restic", "echo ran"),
    ]);
    let at = stand.file("run/nightly/data/tank/photos/@");
    let snapshot =
        SnapshotId::parse("tank/photos@infra_backup-nightly_20261130T023000Z").expect("valid");
    let invocation = Invocation {
        argv: vec!["restic".to_owned()],
        mounts: vec![(snapshot, at)],
        ..Invocation::default()
    };
    let error = block_on(invocation.run(&stand, "nightly")).expect_err("not mounted");
    assert!(
        error
            .to_string()
            .contains("cannot mount tank/photos@infra_backup"),
        "{error}"
    );
    let needs = Invocation {
        mounts: Vec::new(),
        needs: vec!["/nope".to_owned()],
        ..invocation
    };
    let error = block_on(needs.run(&stand, "nightly")).expect_err("missing");
    assert!(
        error.to_string().contains("/nope does not exist"),
        "{error}"
    );
}

#[test]
fn dumps_and_the_mark_of_a_dataset_are_no_files_of_the_owners() {
    let stand = Stand::new(&[("restic", "exit 0")]);
    let kept = [(".infra-dataset", "tank/photos"), (".infra-dumps/a/d", "1")];
    let emptied = laid(&stand, "emptied", &kept);
    let full = laid(&stand, "full", &kept);
    laid(
        &stand,
        "full",
        &[("2024/.infra-dataset", "a photo"), ("b", "2")],
    );
    let invocation = Invocation {
        argv: vec!["restic".to_owned()],
        needs: vec![emptied.clone(), full.clone()],
        ..Invocation::default()
    };
    let counts = block_on(invocation.run(&stand, "nightly"))
        .expect("run")
        .counts;
    let all: Vec<_> = counts
        .iter()
        .map(|one| (one.path.as_str(), one.files, one.owners))
        .collect();
    assert_eq!(all, [(emptied.as_str(), 2, 0), (full.as_str(), 4, 2)]);
}

#[test]
fn a_record_is_read_as_it_was_kept() {
    let stand = Stand::new(&[]);
    fs::create_dir(stand.path().join("metrics")).expect("made");
    assert_eq!(block_on(last(&stand, "nightly")).expect("asked"), None);
    let record = Record {
        job: "nightly".to_owned(),
        snapshot: "c796".to_owned(),
        at: 1_796_000_000,
        files: 10_000,
        ..Record::default()
    };
    block_on(remember(&stand, &record)).expect("kept");
    assert_eq!(
        block_on(last(&stand, "nightly")).expect("asked"),
        Some(record)
    );
    let metrics = fs::read_to_string(stand.path().join("metrics/infra_backup_nightly.prom"));
    assert!(
        metrics
            .expect("written")
            .contains("infra_backup_files{job=\"nightly\"} 10000\n")
    );
}

/// A folder with files of a name and a content each.
fn laid(stand: &Stand, folder: &str, files: &[(&str, &str)]) -> String {
    let path = stand.path().join(folder);
    for (name, text) in files {
        let file = path.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    path.display().to_string()
}

#[test]
fn what_lives_is_moved_aside_and_comes_back() {
    let stand = Stand::new(&[]);
    let path = laid(&stand, "data", &[("a", "1"), ("sub/b", "2")]);
    let kept = block_on(aside(&stand, &path, "t1")).expect("moved");
    assert_eq!(kept, Some(format!("{path}.infra-before-t1")));
    laid(&stand, "data", &[("half", "3")]);
    block_on(aside_back(&stand, &path, "t1")).expect("undone");
    assert_eq!(
        fs::read_to_string(format!("{path}/sub/b")).expect("back"),
        "2"
    );
    assert!(fs::metadata(format!("{path}/half")).is_err());
    let nothing = block_on(aside(&stand, &stand.file("none"), "t1"));
    assert_eq!(nothing.expect("nothing to move"), None);
    laid(&stand, "data.infra-before-t1", &[("x", "")]);
    assert!(
        block_on(aside(&stand, &path, "t1")).is_err(),
        "the name is taken"
    );
}

/// In a mount namespace of its own: a tmpfs with a file, and another one in it.
fn with_mounts(stand: &Stand, script: &str) -> Option<String> {
    let path = stand.path().join("data");
    fs::create_dir_all(&path).expect("made");
    let aside = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/providers/backup/scripts/aside.sh"
    );
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-euc", script, "sh"])
        .arg(&path)
        .arg(aside)
        .output()
        .expect("unshare is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("Operation not permitted") {
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn nothing_is_moved_where_a_mount_lies_inside() {
    let stand = Stand::new(&[]);
    let script = "mount -t tmpfs none \"$1\"; echo 1 >\"$1/a\"; mkdir \"$1/in side\"
        mount -t tmpfs none \"$1/in side\"; echo 2 >\"$1/in side/b\"
        code=0; sh \"$2\" \"$1\" t1 2>&1 || code=$?
        echo \"exit $code\"; ls -A \"$1\"; umount \"$1/in side\"
        code=0; sh \"$2\" \"$1\" t1 || code=$?
        echo \"exit $code\"; ls -A \"$1\"
        sh \"$2\" \"$1\" t1 back; ls -A \"$1\"";
    let Some(text) = with_mounts(&stand, script) else {
        return;
    };
    let (first, rest) = text.split_once("exit 65\n").expect(&text);
    assert!(first.contains("in side is mounted in"), "{first}");
    let (before, rest) = rest.split_once("exit 0\n").expect(&text);
    assert!(before.starts_with("a\nin side\n"), "{before}");
    assert_eq!(rest, ".infra-before-t1\na\nin side\n", "away and back");
}

#[test]
fn what_cannot_be_moved_as_a_whole_stays_where_it_is() {
    let stand = Stand::new(&[]);
    // `mv` moves one entry and fails at the next, as at one that is busy.
    laid(
        &stand,
        "bin",
        &[(
            "mv",
            "#!/bin/sh\ncase $2 in *.infra-before-t1) /bin/mv -t \"$2\" -- \"$4\"; exit 1 ;; esac\nexec /bin/mv \"$@\"\n",
        )],
    );
    let script = "chmod +x \"${1%data}bin/mv\"
        mount -t tmpfs none \"$1\"; echo 1 >\"$1/a\"; echo 2 >\"$1/b\"
        code=0; PATH=${1%data}bin:$PATH sh \"$2\" \"$1\" t1 2>&1 || code=$?
        echo \"exit $code\"; ls -A \"$1\"";
    let Some(text) = with_mounts(&stand, script) else {
        return;
    };
    assert_eq!(text, "exit 66\na\nb\n", "all of it is there");
}

#[test]
fn a_restored_sqlite_file_never_lies_beside_the_log_of_the_former_one() {
    let stand = Stand::new(&[]);
    let made = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t(a)'); c.execute('insert into t values(1)'); c.commit()";
    let (live, dump) = (stand.file("live.db"), stand.file("dump.db"));
    for path in [&live, &dump] {
        let ran = std::process::Command::new("python3")
            .args(["-c", made, path])
            .status();
        assert!(ran.expect("python3 is there").success());
    }
    fs::write(format!("{live}-wal"), "of the former file").expect("written");
    // Killed where the new file would take its place.
    laid(&stand, "bin", &[("mv", "#!/bin/sh\nkill -9 $PPID\n")]);
    let script = "chmod +x \"$1/mv\"; PATH=$1:$PATH exec sh \"$2\" live app app sqlite \"$3\" '' '' \"$4\" t1 1 -";
    let load = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/providers/backup/scripts/load.sh"
    );
    let ended = std::process::Command::new("sh")
        .args(["-euc", script, "sh", &stand.file("bin"), load])
        .args([&live, &dump])
        .stdin(std::process::Stdio::null())
        .status()
        .expect("sh is there");
    assert!(!ended.success());
    assert!(fs::metadata(format!("{live}-wal")).is_err(), "it has gone");
    assert!(fs::metadata(&live).is_ok());
    let kept = fs::read(format!("{live}.before-t1-wal")).expect("kept");
    assert_eq!(kept, b"of the former file");
}

#[test]
fn only_what_is_named_goes_whatever_its_name() {
    let stand = Stand::new(&[]);
    let path = laid(
        &stand,
        "data",
        &[
            ("keep", "1"),
            ("x/y/f", "2"),
            ("a\nb", "3"),
            ("z/more", "4"),
        ],
    );
    let live = block_on(present(&stand, &path)).expect("listed");
    assert_eq!(live.len(), 7, "{live:?}");
    let extra = ["z", "x/y/f", "x/y", "x", "a\nb"].map(str::to_owned);
    block_on(tidy(&stand, &path, &extra)).expect("done");
    let mut left = block_on(present(&stand, &path)).expect("listed");
    left.sort();
    assert_eq!(
        left,
        ["keep", "z", "z/more"],
        "a directory that holds something stays"
    );
}

#[test]
fn a_comparison_sees_what_differs_and_what_is_missing() {
    let stand = Stand::new(&[]);
    let files = [("a", "1"), ("b", "2"), ("odd\nname", "3")];
    let back = laid(&stand, "back", &files);
    let live = laid(&stand, "live", &files);
    laid(&stand, "live", &[("cache/c", "left out"), ("only", "here")]);
    fs::write(format!("{back}/a"), "X").expect("written");
    // Everything is older than that.
    let moment = 4_000_000_000;
    let out = ["cache".to_owned()];
    let found = block_on(compare(&stand, &back, &live, moment, &out)).expect("compared");
    assert_eq!((found.files, found.alike, found.changed), (3, 2, 0));
    assert_eq!(found.missing, ["./only"]);
    assert_eq!(found.differ, ["./a"]);
    // Everything has changed since: nothing can be said of it.
    let found = block_on(compare(&stand, &back, &live, 0, &out)).expect("compared");
    assert_eq!((found.alike, found.changed), (0, 3));
    assert!(found.missing.is_empty() && found.differ.is_empty());
}
