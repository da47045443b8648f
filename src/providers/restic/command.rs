//! Intent -> arguments and environment. Pure.

use crate::model::{
    backup::{BackupJob, RUN, Repository, SshPlace},
    ids::{BackupName, SystemName},
    retention::Retention,
    secret::SecretValues,
};
use crate::providers::backup::{BackupError, Invocation, SECRETS};

/// How our snapshots are told from others'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// Proven ones.
    pub good: String,
    /// Those whose run has not proven them: they never count, and never push a good one out.
    pub unproven: String,
}

impl Tags {
    /// The tags of a job.
    pub fn of(system: &SystemName, job: &BackupName) -> Self {
        Self {
            good: format!("infra:{system}/{job}"),
            unproven: format!("infra-unproven:{system}/{job}"),
        }
    }
}

/// Where restic keeps what it knows of a repository.
const CACHE: &str = "/var/cache/infra/restic";

fn value<'v>(
    values: &'v SecretValues,
    name: &crate::model::ids::SecretName,
) -> Result<&'v str, BackupError> {
    // The engine's environment is where it is needed.
    values.expose(name).ok_or_else(|| BackupError::Secret {
        name: name.to_string(),
        why: "it has no value".to_owned(),
    })
}

/// The surroundings of every command of a job.
///
/// # Errors
/// A secret without a value.
pub fn environment(job: &BackupJob, values: &SecretValues) -> Result<Invocation, BackupError> {
    let mut out = Invocation::default();
    let mut set = |name: &str, value: &str| {
        out.environment.push((name.to_owned(), value.to_owned()));
    };
    set("RESTIC_PASSWORD", value(values, &job.password)?);
    set("RESTIC_CACHE_DIR", CACHE);
    // Snapshots have another device number every night.
    set("RESTIC_FEATURES", "device-id-for-hardlinks=true");
    set("RESTIC_PROGRESS_FPS", "0.016666");
    set("TMPDIR", "/var/tmp");
    match &job.repository {
        Repository::Path { path, .. } => set("RESTIC_REPOSITORY", path),
        Repository::Ssh(place) => {
            // A relative path is one of the login's home; `sftp://` takes absolute ones behind a second slash.
            set(
                "RESTIC_REPOSITORY",
                &format!(
                    "sftp://{}@{}:{}/{}",
                    place.user, place.host, place.port, place.path
                ),
            );
            let key = value(values, &place.key)?;
            out.files = ssh_files(place, key);
        }
        Repository::S3(place) => {
            set("RESTIC_REPOSITORY", &format!("s3:{}", place.url));
            set("AWS_ACCESS_KEY_ID", value(values, &place.access_key)?);
            set("AWS_SECRET_ACCESS_KEY", value(values, &place.secret_key)?);
        }
    }
    Ok(out)
}

fn ssh_files(place: &SshPlace, key: &str) -> Vec<(String, Vec<u8>)> {
    let name = match place.port {
        22 => place.host.clone(),
        port => format!("[{}]:{port}", place.host),
    };
    vec![
        (
            "key".to_owned(),
            format!("{}\n", key.trim_end()).into_bytes(),
        ),
        (
            "known_hosts".to_owned(),
            format!("{name} {}\n", place.host_key).into_bytes(),
        ),
    ]
}

/// `restic` with what every command of a job has.
fn restic(job: &BackupJob, words: &[&str]) -> Vec<String> {
    let mut out = vec!["restic".to_owned()];
    if let Repository::Ssh(_) = &job.repository {
        let folder = format!("{RUN}/{}/{SECRETS}", job.name);
        out.extend([
            "-o".to_owned(),
            format!(
                "sftp.args=-i {folder}/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={folder}/known_hosts -o GlobalKnownHostsFile=/dev/null -o ServerAliveInterval=30 -o ServerAliveCountMax=4"
            ),
        ]);
    }
    out.extend(words.iter().map(|&word| word.to_owned()));
    out
}

pub(super) fn version() -> Vec<String> {
    vec!["restic".to_owned(), "version".to_owned()]
}

pub(super) fn probe(job: &BackupJob) -> Vec<String> {
    restic(job, &["--no-lock", "--no-cache", "cat", "config"])
}

pub(super) fn init(job: &BackupJob) -> Vec<String> {
    restic(job, &["init", "--json"])
}

/// Removes locks whose program is dead, and no others.
pub(super) fn unlock(job: &BackupJob) -> Vec<String> {
    restic(job, &["unlock"])
}

pub(super) fn backup(job: &BackupJob, tags: &Tags, roots: &[String]) -> Vec<String> {
    let host = job.host.to_string();
    let mut out = restic(
        job,
        &[
            "backup",
            "--json",
            "--quiet",
            "--tag",
            &tags.unproven,
            "--host",
            &host,
        ],
    );
    for pattern in &job.excludes {
        out.extend(["--exclude".to_owned(), pattern.clone()]);
    }
    out.push("--".to_owned());
    out.extend(roots.iter().cloned());
    out
}

pub(super) fn snapshots(job: &BackupJob, tag: &str) -> Vec<String> {
    restic(job, &["snapshots", "--json", "--no-lock", "--tag", tag])
}

/// Makes an unproven snapshot a good one.
pub(super) fn prove(job: &BackupJob, tags: &Tags, id: &str) -> Vec<String> {
    restic(job, &["tag", "--set", &tags.good, id])
}

pub(super) fn forget(job: &BackupJob, tags: &Tags, keep: &Retention, look: bool) -> Vec<String> {
    let mut out = restic(
        job,
        &[
            "forget",
            "--json",
            "--tag",
            &tags.good,
            "--group-by",
            "host",
        ],
    );
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

/// Unproven snapshots are kept for a look, the newest three.
pub(super) fn forget_unproven(job: &BackupJob, tags: &Tags) -> Vec<String> {
    restic(
        job,
        &[
            "forget",
            "--json",
            "--tag",
            &tags.unproven,
            "--group-by",
            "host",
            "--keep-last",
            "3",
        ],
    )
}

pub(super) fn prune(job: &BackupJob) -> Vec<String> {
    restic(job, &["prune"])
}

pub(super) fn check(job: &BackupJob, subset: Option<&str>) -> Vec<String> {
    let mut out = restic(job, &["check", "--json", "--no-cache"]);
    match subset {
        None => {}
        Some("100%") => out.push("--read-data".to_owned()),
        Some(part) => out.push(format!("--read-data-subset={part}")),
    }
    out
}

pub(super) fn list(job: &BackupJob, id: &str, path: &str) -> Vec<String> {
    restic(job, &["ls", "--json", "--no-lock", "--recursive", id, path])
}

/// `ID:FOLDER`'s files below a target. Without the cache: what is proven is what the repository holds.
pub(super) fn restore(
    job: &BackupJob,
    id: &str,
    folder: &str,
    include: Option<&str>,
    target: &str,
) -> Vec<String> {
    let from = format!("{id}:{folder}");
    let mut out = restic(
        job,
        &[
            "restore",
            "--json",
            "--quiet",
            "--no-cache",
            "--no-lock",
            &from,
            "--target",
            target,
        ],
    );
    if let Some(include) = include {
        out.extend(["--include".to_owned(), include.to_owned()]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_is_about_our_own_tag_alone() {
        let job = crate::providers::restic::client::tests::job();
        let tags = Tags::of(&"home".parse().expect("valid"), &job.name);
        let words = forget(&job, &tags, &job.keep, true).join(" ");
        assert_eq!(
            words,
            "restic forget --json --tag infra:home/nightly --group-by host --keep-daily 14 --dry-run"
        );
        assert!(!forget_unproven(&job, &tags).contains(&tags.good));
    }

    #[test]
    fn no_secret_is_an_argument() {
        let mut job = crate::providers::restic::client::tests::job();
        job.repository = Repository::Ssh(SshPlace {
            user: "u1".to_owned(),
            host: "box.example.org".to_owned(),
            port: 23,
            path: "backups/home".to_owned(),
            key: "box_key".parse().expect("valid"),
            host_key: "ssh-ed25519 AAAAC3".to_owned(),
        });
        let mut values = SecretValues::default();
        values.insert(
            "password".parse().expect("valid"),
            "canary-one".to_owned().into(),
        );
        values.insert(
            "box_key".parse().expect("valid"),
            "canary-two".to_owned().into(),
        );
        let all = environment(&job, &values).expect("complete");
        let command = all
            .then(backup(
                &job,
                &Tags::of(&"home".parse().expect("valid"), &job.name),
                &["/x".to_owned()],
            ))
            .command("nightly")
            .expect("one line each");
        assert!(!command.argv.join(" ").contains("canary"));
        let input = String::from_utf8_lossy(&command.stdin).into_owned();
        assert!(input.contains("env RESTIC_PASSWORD=canary-one\n"));
        assert!(input.contains("canary-two\n"));
        assert!(input.contains("[box.example.org]:23 ssh-ed25519 AAAAC3\n"));
        assert!(!format!("{command:?}").contains("canary"));
    }
}
