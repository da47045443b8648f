//! Intent -> arguments and environment. Pure.

use crate::model::{
    backup::{BackupJob, RUN, Repository},
    ids::{BackupName, SystemName},
    retention::Retention,
    secret::SecretValues,
};
use crate::providers::backup::{BackupError, Invocation, SECRETS, exposed, ssh_files, ssh_options};

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

/// The surroundings of every command of a job.
///
/// # Errors
/// A secret without a value.
pub fn environment(job: &BackupJob, values: &SecretValues) -> Result<Invocation, BackupError> {
    let mut out = Invocation::default();
    let mut set = |name: &str, value: &str| {
        out.environment.push((name.to_owned(), value.to_owned()));
    };
    set("RESTIC_PASSWORD", exposed(values, &job.password)?);
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
            let key = exposed(values, &place.key)?;
            out.files = ssh_files(place, key);
        }
        Repository::S3(place) => {
            set("RESTIC_REPOSITORY", &format!("s3:{}", place.url));
            set("AWS_ACCESS_KEY_ID", exposed(values, &place.access_key)?);
            set("AWS_SECRET_ACCESS_KEY", exposed(values, &place.secret_key)?);
        }
    }
    Ok(out)
}

/// `restic` with what every command of a job has.
fn restic(job: &BackupJob, words: &[&str]) -> Vec<String> {
    let mut out = vec!["restic".to_owned()];
    if let Repository::Ssh(_) = &job.repository {
        let folder = format!("{RUN}/{}/{SECRETS}", job.name);
        out.extend([
            "-o".to_owned(),
            format!("sftp.args={}", ssh_options(&folder)),
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
    use crate::model::backup::{S3Place, SshPlace};

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

    #[test]
    fn a_bucket_is_an_address_and_its_keys_are_environment() {
        let mut job = crate::providers::restic::client::tests::job();
        job.repository = Repository::S3(S3Place {
            url: "https://s3.example.org/bucket/home".to_owned(),
            access_key: "access".parse().expect("valid"),
            secret_key: "secret".parse().expect("valid"),
        });
        let mut values = SecretValues::default();
        for (name, value) in [("password", "one"), ("access", "two"), ("secret", "three")] {
            values.insert(name.parse().expect("valid"), value.to_owned().into());
        }
        let all = environment(&job, &values).expect("complete");
        let of = |name: &str| {
            let found = all.environment.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            of("RESTIC_REPOSITORY"),
            Some("s3:https://s3.example.org/bucket/home")
        );
        assert_eq!(of("AWS_ACCESS_KEY_ID"), Some("two"));
        assert_eq!(of("AWS_SECRET_ACCESS_KEY"), Some("three"));
        let argv = probe(&job).join(" ");
        assert!(!argv.contains("two") && !argv.contains("three"), "{argv}");
    }
}
