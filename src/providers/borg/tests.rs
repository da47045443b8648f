//! borg's arguments, and what borg 1.4.0 of Debian 13 was seen to answer.

use super::{
    Borg,
    command::{self, Names},
    parse,
};
use crate::model::{
    backup::{BackupJob, Engine, Repository, S3Place, SshPlace},
    retention::Retention,
    secret::SecretValues,
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead as _,
        stand::{Stand, block_on},
    },
    shell::Output,
};

fn job() -> BackupJob {
    BackupJob {
        name: "nightly".parse().expect("valid"),
        host: "pve".parse().expect("valid"),
        engine: Engine::Borg,
        repository: Repository::Path {
            path: "/srv/borg".to_owned(),
            dataset: None,
        },
        password: "password".parse().expect("valid"),
        datasets: vec!["tank/photos".parse().expect("valid")],
        paths: Vec::new(),
        stacks: Vec::new(),
        excludes: vec!["immich/model-cache".to_owned(), "re:^x".to_owned()],
        schedule: "daily".parse().expect("valid"),
        keep: Retention {
            last: 0,
            hourly: 0,
            daily: 14,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            guards: None,
        },
        order: 1,
        scratch: "/var/lib/infra/scratch".to_owned(),
        drill: None,
        same_zpool: None,
    }
}

fn values() -> SecretValues {
    let mut values = SecretValues::default();
    for (name, value) in [("password", "canary-one"), ("box_key", "canary-two")] {
        values.insert(name.parse().expect("valid"), value.to_owned().into());
    }
    values
}

fn output(code: i32, stdout: &str, stderr: &str) -> Output {
    Output {
        code,
        stdout: stdout.into(),
        stderr: stderr.into(),
        ..Output::default()
    }
}

const CREATED: &str = r#"{"archive": {"command_line": ["/usr/bin/borg", "--log-json", "create", "--json", "::infra-unproven.home.nightly-20261130T143059Z", "/tmp/src/a/@"], "duration": 0.197644, "end": "2026-11-30T17:34:53.000000", "id": "869deeb2", "limits": {"max_archive_size": 2.6369146401167032e-05}, "name": "infra-unproven.home.nightly-20261130T143059Z", "start": "2026-11-30T17:34:53.000000", "stats": {"compressed_size": 648, "deduplicated_size": 648, "nfiles": 2, "original_size": 595}}, "cache": {"path": "/x", "stats": {"total_chunks": 4}}, "encryption": {"mode": "repokey-blake2"}, "repository": {"id": "5f9a", "last_modified": "2026-11-30T17:34:53.000000", "location": "/tmp/r"}}"#;
const ITEMS: &str = r#"{"type": "d", "mode": "drwxr-xr-x", "user": "root", "group": "root", "uid": 0, "gid": 0, "path": "tmp/src/a/@", "healthy": true, "source": "", "linktarget": "", "flags": 0, "size": 0, "mtime": "2026-11-30T17:33:45.023157"}
{"type": "d", "mode": "drwxr-xr-x", "user": "root", "group": "root", "uid": 0, "gid": 0, "path": "tmp/src/a/@/sub", "healthy": true, "source": "", "linktarget": "", "flags": 0, "size": 0, "mtime": "2026-11-30T17:33:45.023157"}
{"type": "-", "mode": "-rw-r--r--", "user": "root", "group": "root", "uid": 0, "gid": 0, "path": "tmp/src/a/@/sub/f2", "healthy": true, "source": "", "linktarget": "", "flags": 0, "size": 5, "mtime": "2026-11-30T17:33:45.023157"}
{"type": "l", "mode": "lrwxrwxrwx", "user": "root", "group": "root", "uid": 0, "gid": 0, "path": "tmp/src/a/@/l", "healthy": true, "source": "f1", "linktarget": "f1", "flags": 0, "size": 2, "mtime": "2026-11-30T17:33:45.023157"}
"#;
const PRUNED: &str = r#"{"type": "log_message", "time": 1796060108.565893, "message": "Keeping archive (rule: daily #1):            infra.home.nightly-20261130T143159Z Mon, 2026-11-30 17:35:06 [257151a8]", "levelname": "INFO", "name": "borg.output.list"}
{"type": "log_message", "time": 1796060108.5764189, "message": "Would prune:                                 infra.home.nightly-20261130T143059Z Mon, 2026-11-30 17:34:53 [9baf868d]", "levelname": "INFO", "name": "borg.output.list"}
{"type": "log_message", "time": 1796060110.4580398, "message": "Pruning archive (1/1):                       infra.home.nightly-20261129T143059Z Sun, 2026-11-29 17:34:53 [9baf868d]", "levelname": "INFO", "name": "borg.output.list"}"#;
const LOCKED: &str = r#"{"type": "log_message", "time": 1796060070.0488508, "message": "Failed to create/acquire the lock /tmp/r/lock.exclusive (timeout).", "levelname": "ERROR", "name": "borg.archiver", "msgid": "LockTimeout"}"#;
const CLOSED: &str = r#"{"type": "log_message", "time": 1796060070.0488508, "message": "Connection closed by remote host. Is borg working on the server?", "levelname": "ERROR", "name": "borg.archiver", "msgid": "ConnectionClosedWithHint"}
Host key verification failed."#;
const MISSING: &str = r#"{"type": "log_message", "time": 1796060094.488456, "message": "/nope: stat: [Errno 2] No such file or directory: '/nope'", "levelname": "WARNING", "name": "borg.archiver", "msgid": "BackupFileNotFoundError"}"#;
const BROKEN: &str = r#"{"type": "log_message", "time": 1796060075.2552958, "message": "Data integrity error: Segment entry checksum mismatch [segment 2, offset 185]", "levelname": "ERROR", "name": "borg.repository"}
{"type": "log_message", "time": 1796060075.303326, "message": "Finished full repository check, errors found.", "levelname": "ERROR", "name": "borg.repository"}"#;

#[test]
fn exit_codes_are_told_apart() {
    let of = |code, said: &str| parse::outcome("back up", "/srv/r", &output(code, "", said));
    assert!(of(0, "").is_ok());
    assert!(matches!(of(13, ""), Err(BackupError::NoRepository { .. })));
    assert!(matches!(of(15, ""), Err(BackupError::NoRepository { .. })));
    assert!(matches!(of(52, ""), Err(BackupError::Password)));
    assert!(
        matches!(of(73, LOCKED), Err(BackupError::Locked { said }) if said.contains("timeout"))
    );
    let warned = of(107, MISSING).expect_err("a warning is a failure");
    assert!(warned.to_string().contains("/nope"), "{warned}");
    let closed = of(81, CLOSED).expect_err("no connection");
    assert!(matches!(closed, BackupError::Engine { code: 81, .. }));
    assert!(
        closed.to_string().contains("Host key verification failed"),
        "{closed}"
    );
}

#[test]
fn answers_are_read() {
    let summary = parse::summary(CREATED).expect("counts");
    assert_eq!((summary.files, summary.bytes, summary.added), (2, 595, 648));
    assert!(parse::summary("").is_err());
    let (paths, sum) = parse::items(ITEMS, "/tmp/src/a/@").expect("items");
    assert_eq!(paths, ["sub", "sub/f2", "l"]);
    assert_eq!((sum.entries, sum.bytes), (4, 5));
    assert!(parse::items("", "/tmp").is_err(), "nothing is no answer");
    let done = parse::pruned(&output(0, "", PRUNED));
    assert_eq!(done.kept[0].0.id, "infra.home.nightly-20261130T143159Z");
    assert_eq!(done.kept[0].0.time, "2026-11-30T17:35:06Z");
    assert_eq!(done.kept[0].1, ["daily #1"]);
    assert_eq!(done.removed.len(), 2);
    assert_eq!(parse::damage(&output(0, "", "")), None);
    let damage = parse::damage(&output(1, "", BROKEN)).expect("damage");
    assert_eq!(damage.errors, 2);
    assert_eq!(parse::version("borg 1.4.0"), Some((1, 4)));
}

#[test]
fn no_secret_is_an_argument_and_a_server_is_known_by_its_key() {
    let mut job = job();
    job.repository = Repository::Ssh(SshPlace {
        user: "u1".to_owned(),
        host: "box.example.org".to_owned(),
        port: 23,
        path: "backups/home".to_owned(),
        key: "box_key".parse().expect("valid"),
        host_key: "ssh-ed25519 AAAAC3".to_owned(),
    });
    let all = command::environment(&job, &values()).expect("complete");
    let of = |name: &str| {
        let found = all.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(
        of("BORG_REPO"),
        "ssh://u1@box.example.org:23/./backups/home"
    );
    assert!(of("BORG_RSH").contains("StrictHostKeyChecking=yes"));
    let argv = command::create(&job, "infra-unproven.home.nightly-x", &["/x".to_owned()]);
    let shown = all
        .then(argv.clone())
        .command("nightly")
        .expect("one line each");
    assert!(!shown.argv.join(" ").contains("canary"));
    assert!(argv.contains(&"sh:**/immich/model-cache".to_owned()));
    assert!(argv.contains(&"re:^x".to_owned()));
    job.repository = Repository::S3(S3Place {
        url: "https://s3.example.org/b".to_owned(),
        access_key: "box_key".parse().expect("valid"),
        secret_key: "box_key".parse().expect("valid"),
    });
    assert!(
        command::environment(&job, &values()).is_err(),
        "borg has no S3"
    );
}

#[test]
fn the_archives_of_a_job_whose_name_goes_on_are_not_touched() {
    let names = Names::of(
        &"home".parse().expect("valid"),
        &"nightly".parse().expect("valid"),
    );
    let argv = command::prune(&names.good, &job().keep, true).join(" ");
    assert!(argv.contains("infra.home.nightly-[0-9]"), "{argv}");
    assert!(!argv.contains('*'), "{argv}");
    assert!(argv.ends_with("--keep-daily 14 --dry-run"), "{argv}");
    let stand = Stand::new(&[(
        "borg",
        r#"echo '{"archives": [{"name": "infra.home.nightly-photos-20261130T143059Z", "start": "2026-11-30T17:34:53.000000"}, {"name": "infra.home.nightly-20261130T143059Z", "start": "2026-11-30T17:34:53.000000"}]}'"#,
    )]);
    let (job, values, system) = (job(), values(), "home".parse().expect("valid"));
    let borg = Borg::new(&stand, &system, &job, &values).expect("complete");
    let found = block_on(borg.snapshots()).expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, "infra.home.nightly-20261130T143059Z");
    assert_eq!(found[0].time, "2026-11-30T17:34:53Z");
}

#[test]
fn what_comes_back_lands_where_it_lay() {
    assert_eq!(
        command::stored("/run/x/@", Some("/2024/a.jpg")),
        "run/x/@/2024/a.jpg"
    );
    let argv = command::extract("a", "/run/x/@", "run/x/@/2024/a.jpg");
    assert!(
        argv.windows(2)
            .any(|pair| pair == ["--strip-components", "3"])
    );
    let argv = command::extract("a", "/", "srv/data");
    assert!(
        argv.windows(2)
            .any(|pair| pair == ["--strip-components", "0"])
    );
    assert!(argv.contains(&"pp:srv/data".to_owned()));
}
