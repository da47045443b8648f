//! The scripts in a real `sh`, with a stand-in for `zfs` that repeats what was recorded.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the scripts on this machine"
)]

use super::recorded::{Recorded, stdout};
use crate::model::{
    dataset::DatasetDirectory,
    ids::{DatasetName, HostName, ZpoolName},
};
use crate::providers::{
    shell::{Command, Outcome, Output, Shell, ShellError},
    zfs::{Zfs, ZfsError, ZfsRead, ZfsWrite},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;

/// A host whose `zfs` and `zpool` answer as a test wrote it into a folder.
pub(super) struct Stand {
    host: HostName,
    folder: TempDir,
}

impl Stand {
    /// Answers as shell text; `$folder` in it is [`Stand::path`], `$*` the arguments.
    pub(super) fn new(zfs: &str, zpool: &str) -> Self {
        let stand = Self {
            host: "pve".parse().expect("valid"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        for (name, body) in [("zfs.sh", zfs), ("zpool.sh", zpool)] {
            fs::write(stand.path().join(name), body).expect("written");
        }
        stand
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists")
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

impl Shell for Stand {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        // The stand-ins are files of the project: a test that wrote executables would race with other tests' forks.
        let stand_ins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zfs/stand-in");
        let mut child = std::process::Command::new(&command.argv[0])
            .args(&command.argv[1..])
            .env("PATH", format!("{stand_ins}:/usr/bin:/bin"))
            .env("STAND", self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh is there");
        // A script that has nothing to do with its input may end before it has read it.
        match child.stdin.take().expect("piped").write_all(&command.stdin) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.expect("a pipe"),
        }
        let output = child.wait_with_output().expect("it ends");
        let code = output.status.code().unwrap_or(-1);
        Ok(Output {
            code,
            signal: None,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).expect("valid")
}

#[tokio::test]
async fn facts_of_two_pools_come_in_one_round_and_a_missing_one_is_absent() {
    let stand = Stand::new(
        r#"case "$*" in *" tank") cat "$folder/get" ;; *) echo "cannot open 'nope': dataset does not exist" >&2; exit 1 ;; esac"#,
        r#"case "$*" in *" tank") printf 'tank\tONLINE\t1006632960\t1006166016\n' ;; *) echo "cannot open 'nope': no such pool" >&2; exit 1 ;; esac"#,
    );
    let kinds = "tank\ttype\tfilesystem\t-\ntank/my movies\ttype\tfilesystem\t-\ntank/vol\ttype\tvolume\t-\n";
    let rows = stdout("zfs get -Hp -r -o name,property,value,source compression tank");
    fs::write(stand.path().join("get"), format!("{kinds}{rows}")).expect("written");
    let pools = ["nope", "tank"].map(|name| ZpoolName::new(name).expect("valid"));
    let (datasets, zpools) = Zfs(&stand).facts(&pools).await.expect("well formed");
    assert_eq!(zpools.keys().collect::<Vec<_>>(), ["tank"]);
    assert_eq!(
        datasets[&dataset("tank/my movies")].properties["compression"].value,
        "lz4"
    );
    assert_eq!(datasets[&dataset("tank/vol")].kind, "volume");
}

#[tokio::test]
async fn facts_say_why_when_zfs_cannot_answer() {
    let text = "The ZFS modules are not loaded.";
    let broken = format!("echo '{text}' >&2; exit 1");
    let stand = Stand::new(&broken, &broken);
    let pools = [ZpoolName::new("tank").expect("valid")];
    let error = Zfs(&stand)
        .facts(&pools)
        .await
        .expect_err("nothing was read");
    assert!(error.to_string().contains(text), "{error}");
}

/// `zfs get` of a suspended pool waits for its disks: asked, it would hold up every look at the host.
#[tokio::test]
async fn a_suspended_pool_is_not_asked_about_its_datasets() {
    let stand = Stand::new(
        r#"printf '%s\n' "$*" >> "$folder/log"; exit 1"#,
        r"printf 'tank\tSUSPENDED\t-\t-\n'",
    );
    let pools = [ZpoolName::new("tank").expect("valid")];
    let (datasets, zpools) = Zfs(&stand).facts(&pools).await.expect("well formed");
    assert_eq!(zpools["tank"].health, "SUSPENDED");
    assert!(datasets.is_empty());
    assert!(!stand.path().join("log").exists(), "{}", stand.log());
}

const MOUNTED_AT_FOLDER: &str = r#"printf '%s\n' "$*" >> "$folder/log"
case "$*" in
*"value mounted "*) echo yes ;;
*"value mountpoint "*) echo "$folder/tank" ;;
esac"#;

#[tokio::test]
async fn a_dataset_is_created_with_its_properties_and_its_owner() {
    let stand = Stand::new(MOUNTED_AT_FOLDER, "");
    let properties = BTreeMap::from([("recordsize".to_owned(), "1M".to_owned())]);
    let system = "home".parse().expect("valid");
    Zfs(&stand)
        .create(&dataset("tank/my movies"), &system, &properties, None)
        .await
        .expect("nothing is in the way");
    let created = stand.log();
    assert!(
        created.ends_with("create -o recordsize=1M -o org.infra:system=home tank/my movies\n"),
        "{created}"
    );
}

#[tokio::test]
async fn a_dataset_is_not_created_over_files_that_it_would_hide() {
    let stand = Stand::new(MOUNTED_AT_FOLDER, "");
    let system = "home".parse().expect("valid");
    let inside = stand.path().join("tank/media");
    fs::create_dir_all(&inside).expect("made");
    Zfs(&stand)
        .create(&dataset("tank/media"), &system, &BTreeMap::new(), None)
        .await
        .expect("an empty directory is fine");
    fs::write(inside.join("photo.jpg"), "x").expect("written");
    let error = Zfs(&stand)
        .create(&dataset("tank/media"), &system, &BTreeMap::new(), None)
        .await;
    assert!(matches!(error, Err(ZfsError::NotEmpty { .. })), "{error:?}");
    let own = BTreeMap::from([("mountpoint".to_owned(), inside.display().to_string())]);
    let error = Zfs(&stand)
        .create(&dataset("tank/other"), &system, &own, None)
        .await;
    assert!(matches!(error, Err(ZfsError::NotEmpty { .. })), "{error:?}");
    let hidden = BTreeMap::from([("canmount".to_owned(), "off".to_owned())]);
    Zfs(&stand)
        .create(&dataset("tank/media"), &system, &hidden, None)
        .await
        .expect("it is not mounted, so it hides nothing");
}

#[tokio::test]
async fn a_set_that_succeeds_and_complains_is_not_done() {
    let share = "echo 'property may be set but unable to reshare filesystem' >&2";
    let stand = Stand::new(share, "");
    let properties = BTreeMap::from([("sharenfs".to_owned(), "on".to_owned())]);
    let error = Zfs(&stand).set(&dataset("tank/media"), &properties).await;
    assert!(matches!(error, Err(ZfsError::Partly { .. })), "{error:?}");
    assert!(matches!(
        Zfs(&stand)
            .set(&dataset("tank/media"), &BTreeMap::new())
            .await,
        Ok(Outcome::Unchanged)
    ));
}

/// A directory owned by whoever runs the test, so that the test needs no root.
fn directory(stand: &Path, path: &str, mode: u32) -> DatasetDirectory {
    let own = fs::metadata(stand).expect("it exists");
    DatasetDirectory {
        path: path.to_owned(),
        uid: own.uid(),
        gid: own.gid(),
        mode,
    }
}

#[tokio::test]
async fn directories_are_made_once_with_owner_and_mode() {
    let stand = Stand::new(MOUNTED_AT_FOLDER, "");
    let root = stand.path().join("tank");
    fs::create_dir(&root).expect("made");
    let wanted = [
        directory(&root, ".", 0o750),
        directory(&root, "my films/new", 0o2770),
    ];
    let name = dataset("tank");
    assert_eq!(
        Zfs(&stand)
            .make_directories(&name, &wanted)
            .await
            .expect("made"),
        Outcome::Changed
    );
    let mode = |path: &Path| fs::metadata(path).expect("it exists").mode() & 0o7777;
    assert_eq!(
        (mode(&root), mode(&root.join("my films/new"))),
        (0o750, 0o2770)
    );
    assert_eq!(
        Zfs(&stand)
            .make_directories(&name, &wanted)
            .await
            .expect("there"),
        Outcome::Unchanged
    );
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).expect("changed behind our back");
    assert_eq!(
        Zfs(&stand)
            .make_directories(&name, &wanted)
            .await
            .expect("repaired"),
        Outcome::Changed
    );
    assert_eq!(mode(&root), 0o750);
}

#[tokio::test]
async fn no_directory_is_made_outside_the_dataset() {
    let stand = Stand::new(MOUNTED_AT_FOLDER, "");
    let (root, outside) = (stand.path().join("tank"), stand.path().join("outside"));
    fs::create_dir(&root).expect("made");
    fs::create_dir(&outside).expect("made");
    let before = fs::metadata(&outside).expect("it exists").mode();
    symlink(&outside, root.join("link")).expect("linked");
    for path in [
        "../outside",
        "/outside",
        "a/../../outside",
        "link",
        "",
        "a//b",
    ] {
        let made = Zfs(&stand)
            .make_directories(&dataset("tank"), &[directory(&root, path, 0o777)])
            .await;
        assert!(
            matches!(made, Err(ZfsError::LeadsOut { .. })),
            "{path}: {made:?}"
        );
    }
    assert_eq!(fs::metadata(&outside).expect("it exists").mode(), before);
    assert!(!outside.join("in").exists());
}

#[tokio::test]
async fn directories_wait_for_the_mount() {
    let unmounted = MOUNTED_AT_FOLDER.replace("echo yes", "echo no");
    let stand = Stand::new(&unmounted, "");
    let wanted = [directory(&stand.path(), "a", 0o755)];
    let made = Zfs(&stand)
        .make_directories(&dataset("tank"), &wanted)
        .await;
    assert!(matches!(made, Err(ZfsError::NotMounted { .. })), "{made:?}");
    assert!(!stand.path().join("tank/a").exists());
}

#[tokio::test]
async fn a_survey_travels_packed_and_a_list_that_failed_says_why() {
    let answer = r#"case "$*" in
version\ -j) echo '{}' ;;
version) echo zfs-2.3.9-1 ;;
*" bad") echo 'cannot iterate filesystems: I/O error' >&2; exit 1 ;;
*) cat "$folder/list" ;;
esac"#;
    let pools = r#"case "$*" in *health*,*) printf '%s\tONLINE\t1006632960\t466944\t1006166016\t0\t2\n' "${*##* }" ;; status*) cat "$folder/status" ;; *) echo ONLINE ;; esac"#;
    let stand = Stand::new(answer, pools);
    let list = r#"{"output_version":{"command":"zfs list","vers_major":0,"vers_minor":1},"datasets":{"tank":{"name":"tank","type":"FILESYSTEM","pool":"tank","createtxg":"1","properties":{"guid":{"value":"7"},"creation":{"value":"1"},"used":{"value":"98304"}}}}}"#;
    fs::write(stand.path().join("list"), list).expect("written");
    let status = include_str!("../../../../tests/zfs/snapshots.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Recorded>(line).expect("a recorded command"))
        .find(|row| row.cmd == "zpool status -j tank")
        .expect("recorded");
    fs::write(stand.path().join("status"), status.stdout).expect("written");
    let tank = ZpoolName::new("tank").expect("valid");
    let survey = Zfs(&stand).survey(&[tank]).await.expect("well formed");
    assert_eq!(survey.datasets[&dataset("tank")].guid, 7);
    let bad = ZpoolName::new("bad").expect("valid");
    let error = Zfs(&stand).survey(&[bad]).await.expect_err("it failed");
    let said = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
        error.source()
    })
    .map(ToString::to_string)
    .collect::<Vec<_>>()
    .join(": ");
    assert!(
        said.contains("cannot iterate filesystems: I/O error"),
        "{said}"
    );
}
