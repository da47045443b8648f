//! Intent -> arguments and environment. Pure.

use crate::model::{
    backup::{BackupJob, RUN, Repository},
    ids::{BackupName, SystemName},
    retention::Retention,
    secret::SecretValues,
};
use crate::providers::backup::{
    BackupError, Invocation, SECRETS, SSH_LOG, exposed, ssh_files, ssh_options,
};

/// How our archives are told from others'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// What proven ones begin with.
    pub(super) good: String,
    /// What those begin with whose run has not proven them.
    pub(super) unproven: String,
}

impl Names {
    pub(super) fn of(system: &SystemName, job: &BackupName) -> Self {
        Self {
            good: format!("infra.{system}.{job}-"),
            unproven: format!("infra-unproven.{system}.{job}-"),
        }
    }
}

/// Where borg keeps what it knows of repositories.
const BASE: &str = "/var/lib/infra/borg";

/// The surroundings of every command of a job.
pub(super) fn environment(
    job: &BackupJob,
    values: &SecretValues,
) -> Result<Invocation, BackupError> {
    let mut out = Invocation::default();
    let mut set = |name: &str, value: &str| {
        out.environment.push((name.to_owned(), value.to_owned()));
    };
    set("BORG_PASSPHRASE", exposed(values, &job.password)?);
    set("BORG_BASE_DIR", BASE);
    // A code of its own for each kind of failure.
    set("BORG_EXIT_CODES", "modern");
    // Nobody is there to answer; moving a repository is the owner's to allow.
    set("BORG_RELOCATED_REPO_ACCESS_IS_OK", "no");
    set("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "no");
    // borg prints times without a zone.
    set("TZ", "UTC");
    set("TMPDIR", "/var/tmp");
    match &job.repository {
        Repository::Path { path, .. } => set("BORG_REPO", path),
        Repository::Ssh(place) => {
            let path = match place.path.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None => format!("./{}", place.path),
            };
            set(
                "BORG_REPO",
                &format!("ssh://{}@{}:{}/{path}", place.user, place.host, place.port),
            );
            let folder = format!("{RUN}/{}/{SECRETS}", job.name);
            // borg closes before it has read why SSH ended: SSH writes that into a file.
            let log = format!("{folder}/{SSH_LOG}");
            set(
                "BORG_RSH",
                &format!("ssh {} -E {log}", ssh_options(&folder)),
            );
            out.files = ssh_files(place, exposed(values, &place.key)?);
        }
        Repository::S3(_) => {
            return Err(BackupError::Program {
                program: "borg".to_owned(),
                host: job.host.to_string(),
                why: "it speaks no S3".to_owned(),
            });
        }
    }
    Ok(out)
}

/// So many seconds another borg may hold the repository.
const PATIENCE: &str = "10";

fn borg(words: &[&str]) -> Vec<String> {
    ["borg", "--log-json", "--lock-wait", PATIENCE]
        .iter()
        .chain(words)
        .map(|&word| word.to_owned())
        .collect()
}

pub(super) fn version() -> Vec<String> {
    vec!["borg".to_owned(), "--version".to_owned()]
}

pub(super) fn probe() -> Vec<String> {
    borg(&["list", "--short", "--last", "1"])
}

pub(super) fn init() -> Vec<String> {
    borg(&[
        "init",
        "--encryption",
        "repokey-blake2",
        "--make-parent-dirs",
    ])
}

pub(super) fn create(job: &BackupJob, archive: &str, roots: &[String]) -> Vec<String> {
    let mut out = borg(&[
        "create",
        "--json",
        "--compression",
        "auto,zstd",
        // Snapshots have another device every night; their inodes may be told anew as well.
        "--files-cache",
        "ctime,size",
    ]);
    for pattern in &job.excludes {
        out.extend(["--exclude".to_owned(), exclude(pattern)]);
    }
    out.push(format!("::{archive}"));
    out.extend(roots.iter().cloned());
    out
}

/// A relative pattern means any depth, as with restic.
fn exclude(pattern: &str) -> String {
    let has_style = pattern
        .split_once(':')
        .is_some_and(|(style, _)| matches!(style, "fm" | "sh" | "re" | "pp" | "pf"));
    if has_style {
        pattern.to_owned()
    } else if let Some(absolute) = pattern.strip_prefix('/') {
        format!("sh:{absolute}")
    } else {
        format!("sh:**/{pattern}")
    }
}

/// Names of ours and nobody else's: `nightly-*` would find the archives of a job `nightly-photos` too.
fn glob(lead: &str) -> String {
    let digits = |count| "[0-9]".repeat(count);
    format!("{lead}{}T{}Z", digits(8), digits(6))
}

pub(super) fn archives(lead: &str) -> Vec<String> {
    let glob = glob(lead);
    borg(&["list", "--json", "--glob-archives", &glob])
}

pub(super) fn info(archive: &str) -> Vec<String> {
    borg(&["info", "--json", &format!("::{archive}")])
}

pub(super) fn rename(from: &str, to: &str) -> Vec<String> {
    borg(&["rename", &format!("::{from}"), to])
}

pub(super) fn prune(lead: &str, keep: &Retention, look: bool) -> Vec<String> {
    let glob = glob(lead);
    let mut out = borg(&["prune", "--list", "--glob-archives", &glob]);
    let counts = [
        ("--keep-last", keep.last),
        ("--keep-hourly", keep.hourly),
        ("--keep-daily", keep.daily),
        ("--keep-weekly", keep.weekly),
        ("--keep-monthly", keep.monthly),
        ("--keep-yearly", keep.yearly),
    ];
    for (word, count) in counts {
        if count > 0 {
            out.extend([word.to_owned(), count.to_string()]);
        }
    }
    if look {
        out.push("--dry-run".to_owned());
    }
    out
}

/// Unproven archives are kept for a look, the newest three.
pub(super) fn prune_unproven(lead: &str) -> Vec<String> {
    let glob = glob(lead);
    borg(&[
        "prune",
        "--list",
        "--glob-archives",
        &glob,
        "--keep-last",
        "3",
    ])
}

pub(super) fn compact() -> Vec<String> {
    borg(&["compact"])
}

/// borg always reads every segment and its sums; `100%` decrypts the data as well.
pub(super) fn check(part: Option<&str>) -> Vec<String> {
    match part {
        Some("100%") => borg(&["check", "--verify-data"]),
        Some(_) | None => borg(&["check"]),
    }
}

/// A path as an archive knows it.
pub(super) fn stored(folder: &str, inner: Option<&str>) -> String {
    let folder = folder.trim_matches('/');
    match inner.map(|inner| inner.trim_matches('/')) {
        None | Some("") => folder.to_owned(),
        Some(inner) => format!("{folder}/{inner}"),
    }
}

pub(super) fn list(archive: &str, path: &str) -> Vec<String> {
    // `pp:`: the path itself and what is below, whatever characters it has.
    borg(&[
        "list",
        "--json-lines",
        &format!("::{archive}"),
        &format!("pp:{path}"),
    ])
}

pub(super) fn extract(archive: &str, folder: &str, path: &str) -> Vec<String> {
    let parts = folder.split('/').filter(|part| !part.is_empty());
    let strip = parts.count().to_string();
    borg(&[
        "extract",
        "--numeric-ids",
        "--strip-components",
        &strip,
        &format!("::{archive}"),
        &format!("pp:{path}"),
    ])
}
