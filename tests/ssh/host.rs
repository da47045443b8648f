//! Facts and changes on a real Debian: this machine, inside a temporary folder.

use crate::sshd::sshd;
use infra::{
    model::{facts::FactsRequest, ids::HostName, resource::Reaction},
    providers::{
        host::{
            DirectoryWrite, FileWrite, HostError, HostRead, HostWrite, UnitVerb,
            command::{WRITE_NAME, scripts},
        },
        shell::{Command, Output, Shell, ShellError},
    },
};
use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command as Process, Stdio},
};

/// Runs commands right here, as the user that runs the test.
struct Here {
    name: HostName,
    /// Words before every command.
    before: Vec<String>,
}

impl Here {
    fn new() -> Self {
        Self {
            name: crate::sshd::host("here"),
            before: Vec::new(),
        }
    }
}

impl Shell for Here {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let argv: Vec<&String> = self.before.iter().chain(&command.argv).collect();
        let mut child = Process::new(argv[0])
            .args(&argv[1..])
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A script that stops early closes its input.
        let _ = stdin.write_all(&command.stdin);
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            signal: None,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

fn own(path: &Path) -> (String, String) {
    let metadata = fs::metadata(path).expect("there");
    (metadata.uid().to_string(), metadata.gid().to_string())
}

fn file(folder: &Path, name: &str, mode: u32, bytes: &[u8]) -> FileWrite {
    let (owner, group) = own(folder);
    let path = folder.join(name).display().to_string();
    FileWrite {
        path,
        owner,
        group,
        mode,
        bytes: bytes.to_vec(),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

fn leftovers(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("readable");
    let names = names.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".infra")).collect()
}

#[test]
fn every_script_is_posix_and_clean() {
    let shellcheck = Process::new("shellcheck")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !shellcheck {
        writeln!(
            std::io::stderr(),
            "SKIPPED in part: shellcheck is not installed"
        )
        .expect("stderr");
    }
    let folder = tempfile::tempdir().expect("temp dir");
    for (name, text) in scripts() {
        let path = folder.path().join(name);
        fs::write(&path, &text).expect("written");
        let parsed = Process::new("sh")
            .arg("-n")
            .arg(&path)
            .output()
            .expect("sh runs");
        assert!(parsed.status.success(), "{name}: {parsed:?}");
        if shellcheck {
            let checked = Process::new("shellcheck")
                .args(["-s", "sh"])
                .arg(&path)
                .output()
                .expect("it runs");
            assert!(
                checked.status.success(),
                "{}",
                String::from_utf8_lossy(&checked.stdout)
            );
        }
    }
}

#[tokio::test]
async fn the_facts_of_this_machine_are_true() {
    let folder = tempfile::tempdir().expect("temp dir");
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a file"), "hello\n").expect("written");
    fs::set_permissions(at("a file"), fs::Permissions::from_mode(0o604)).expect("set");
    symlink("a file", at("link")).expect("linked");
    let request = FactsRequest {
        packages: vec!["dpkg".into(), "no-such-package".into()],
        paths: vec![
            at("a file"),
            at("link"),
            at("none"),
            folder.path().display().to_string(),
        ],
        sysctls: vec!["kernel.ostype".into(), "kernel.no.such".into()],
        zpools: vec!["no-such-pool".into()],
        docker: true,
        ufw: true,
        ..FactsRequest::default()
    };
    let facts = Here::new().facts(&request).await.expect("answered");
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("there");
    assert_eq!(facts.boot_id, boot_id.trim());
    assert!(
        facts.packages["dpkg"]
            .as_deref()
            .is_some_and(|v| v.starts_with("1.")),
        "{:?}",
        facts.packages
    );
    assert_eq!(facts.packages["no-such-package"], None);
    let stood = facts.paths[&at("a file")].as_ref().expect("it stands");
    assert_eq!((stood.kind.as_str(), stood.mode), ("file", 0o604));
    // sha256sum of `hello` and a line feed.
    let hash = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(stood.sha256.as_deref(), Some(hash));
    assert_eq!(
        (stood.uid.to_string(), stood.gid.to_string()),
        own(folder.path())
    );
    let link = facts.paths[&at("link")].as_ref().expect("it stands");
    assert_eq!(
        (link.kind.as_str(), link.target.as_deref()),
        ("link", Some("a file"))
    );
    assert_eq!(facts.paths[&at("none")], None);
    assert_eq!(facts.sysctls["kernel.ostype"].as_deref(), Some("Linux"));
    assert_eq!(facts.sysctls["kernel.no.such"], None);
    assert!(
        facts.mounts.contains_key("/proc"),
        "{:?}",
        facts.mounts.keys()
    );
}

#[tokio::test]
async fn a_question_that_no_line_can_hold_is_never_asked() {
    let request = FactsRequest {
        paths: vec!["/etc/a\npath /etc/b".into()],
        ..FactsRequest::default()
    };
    let refused = Here::new().facts(&request).await;
    assert!(
        matches!(refused, Err(HostError::Unspeakable { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_facts_and_files_of_a_host_take_one_exec_each_over_ssh() {
    let Some(sshd) = sshd("") else { return };
    let host = sshd.host();
    let path = sshd.path("over ssh").display().to_string();
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let written = file(sshd.folder.path(), "over ssh", 0o640, &bytes);
    host.write_files(&[written]).await.expect("written");
    let request = FactsRequest {
        paths: vec![path.clone()],
        ..FactsRequest::default()
    };
    let facts = host.facts(&request).await.expect("answered");
    assert_eq!(facts.paths[&path].as_ref().map(|p| p.mode), Some(0o640));
    assert!(fs::read(&path).expect("there") == bytes);
    assert_eq!((host.counts().connections, host.counts().execs), (1, 2));
}

#[tokio::test]
async fn files_are_written_whole_with_their_mode_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("temp dir");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("target"), "keep me").expect("written");
    symlink("target", at("was a link")).expect("linked");
    let files = [
        file(
            folder.path(),
            "binary",
            0o600,
            &(0..=255).collect::<Vec<u8>>(),
        ),
        file(folder.path(), "empty", 0o644, b""),
        // Content that looks like the next header, and does not end with a line feed.
        file(
            folder.path(),
            "tricky",
            0o755,
            b"0644 root root 3\n/etc/passwd\nabc",
        ),
        file(folder.path(), "new folder/deep/ spaced ", 0o440, b"x\n"),
        file(folder.path(), "was a link", 0o644, b"now a file"),
    ];
    Here::new().write_files(&files).await.expect("written");
    for written in &files {
        assert_eq!(
            fs::read(&written.path).expect("there"),
            written.bytes,
            "{written:?}"
        );
        assert_eq!(mode(Path::new(&written.path)), written.mode, "{written:?}");
    }
    assert_eq!(mode(&at("new folder/deep")), 0o755);
    assert!(
        fs::symlink_metadata(at("was a link"))
            .expect("there")
            .is_file()
    );
    assert_eq!(fs::read(at("target")).expect("there"), b"keep me");
    assert_eq!(leftovers(folder.path()), [""; 0]);
    assert!(
        !format!("{files:?}").contains("passwd"),
        "content is never shown"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_the_rest_is_left_alone() {
    let folder = tempfile::tempdir().expect("temp dir");
    fs::create_dir(folder.path().join("taken")).expect("made");
    let files = ["first", "taken", "last"].map(|name| file(folder.path(), name, 0o644, b"x"));
    let error = Here::new()
        .write_files(&files)
        .await
        .expect_err("one is a folder");
    let text = error.to_string();
    assert!(
        matches!(error, HostError::Files { .. }) && text.contains("/taken: "),
        "{text}"
    );
    assert!(folder.path().join("first").exists() && !folder.path().join("last").exists());
    assert_eq!(leftovers(folder.path()), [""; 0]);
    let mut stranger = file(folder.path(), "owned", 0o644, b"x");
    stranger.owner = "nobody-here".into();
    let error = Here::new()
        .write_files(&[stranger])
        .await
        .expect_err("no such user")
        .to_string();
    assert!(error.contains("invalid user"), "{error}");
    assert!(!folder.path().join("owned").exists());
}

#[tokio::test]
async fn content_that_ends_early_changes_nothing() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("file");
    fs::write(&path, "old").expect("written");
    let (owner, group) = own(folder.path());
    let (_, text) = scripts()
        .into_iter()
        .find(|(name, _)| *name == WRITE_NAME)
        .expect("there");
    let input = format!("0644 {owner} {group} 10\n{}\nshort", path.display());
    let output = Here::new()
        .run(Command::script(WRITE_NAME, &text).stdin(input))
        .await
        .expect("it ran");
    assert!(
        !output.is_success() && output.complaint().contains("the content ends early"),
        "{output:?}"
    );
    assert_eq!(fs::read(&path).expect("there"), b"old");
    assert_eq!(leftovers(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full_and_keeps_the_old_file() {
    if crate::sshd::own_name() != "root" {
        writeln!(std::io::stderr(), "SKIPPED: a small filesystem needs root").expect("stderr");
        return;
    }
    let folder = tempfile::tempdir().expect("temp dir");
    let mut shell = Here::new();
    let small = "mount -t tmpfs -o size=64k none \"$0\" && echo old >\"$0/file\" && \"$@\"; code=$?; \
                 cat \"$0/file\" >&2; ls -A \"$0\" >&2; exit $code";
    let at = folder.path().display().to_string();
    shell.before = ["unshare", "-m", "sh", "-c", small, &at]
        .map(str::to_owned)
        .into();
    let error = shell
        .write_files(&[file(folder.path(), "file", 0o644, &vec![b'x'; 200_000])])
        .await;
    let Err(HostError::DiskFull { complaint, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(
        complaint.contains("/file: ") && complaint.ends_with("old\nfile"),
        "{complaint}"
    );
}

#[tokio::test]
async fn directories_are_made_right_and_files_removed() {
    let folder = tempfile::tempdir().expect("temp dir");
    let (owner, group) = own(folder.path());
    let path = folder.path().join("one/two words");
    let directory = DirectoryWrite {
        path: path.display().to_string(),
        owner,
        group,
        mode: 0o2750,
    };
    let shell = Here::new();
    shell
        .make_directories(std::slice::from_ref(&directory))
        .await
        .expect("made");
    assert_eq!(
        (mode(&path), mode(&folder.path().join("one"))),
        (0o2750, 0o755)
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("set");
    shell
        .make_directories(&[directory])
        .await
        .expect("made right");
    assert_eq!(mode(&path), 0o2750);

    let doomed = folder.path().join("doomed");
    fs::write(&doomed, "").expect("written");
    for _ in 0..2 {
        shell
            .remove_file(&doomed.display().to_string())
            .await
            .expect("gone");
        assert!(!doomed.exists());
    }
    let error = shell
        .remove_file(&path.display().to_string())
        .await
        .expect_err("a folder stays");
    assert!(error.to_string().contains("Is a directory"), "{error}");
    assert!(matches!(
        shell.remove_file("relative").await,
        Err(HostError::Unspeakable { .. })
    ));
}

#[tokio::test]
async fn reactions_run_in_order_with_their_words_intact_until_one_fails() {
    let folder = tempfile::tempdir().expect("temp dir");
    let log = folder.path().join("log");
    let append = "printf '[%s]' \"$@\" >>\"$0\"; cat";
    let run = |words: &[&str]| {
        let at = log.display().to_string();
        let argv = ["sh", "-c", append, &at]
            .into_iter()
            .chain(words.iter().copied());
        Reaction::Run(argv.map(str::to_owned).collect())
    };
    let shell = Here::new();
    let words = ["a b", "c\nd", "$HOME", "'\"", ""];
    shell
        .react(&[run(&words), run(&["next"])])
        .await
        .expect("they run");
    assert_eq!(
        fs::read_to_string(&log).expect("there"),
        "[a b][c\nd][$HOME]['\"][][next]"
    );

    let fails = Reaction::Run(
        ["sh", "-c", "echo the reason >&2; exit 4"]
            .map(str::to_owned)
            .into(),
    );
    let error = shell
        .react(&[fails, run(&["never"])])
        .await
        .expect_err("it fails")
        .to_string();
    assert_eq!(error, "run sh on here: the reason");
    assert!(!fs::read_to_string(&log).expect("there").contains("never"));
}

#[tokio::test]
async fn steps_that_fail_say_which_and_why() {
    let shell = Here::new();
    let unit = (UnitVerb::Start, "infra-no-such.service".to_owned());
    let error = shell
        .set_units(&[unit])
        .await
        .expect_err("no such unit")
        .to_string();
    assert!(
        error.starts_with("start infra-no-such.service on here: "),
        "{error}"
    );
    let setting = ("kernel.no.such.key".to_owned(), "1".to_owned());
    let error = shell
        .set_sysctls(&[setting])
        .await
        .expect_err("no such key")
        .to_string();
    assert!(
        error.starts_with("sysctl kernel.no.such.key on here: "),
        "{error}"
    );
    shell.set_units(&[]).await.expect("nothing to do");
}
