//! Where the copies of a job go, and that they do not lie in what they are copies of.

use super::{Noun, Scope, scope::or};
use crate::inventory::{
    codes,
    document::{Backup, BackupRepository, BackupS3, BackupSsh},
    word::AbsolutePath,
    written::At,
};
use crate::model::{
    backup::{BackupJob, Repository, S3Place, SshPlace},
    desired::Desired,
    ids::{DatasetName, HostName},
};

const SSH_PORT: u16 = 22;

/// Reads a repository.
pub(super) fn repository(
    raw: &Backup,
    host: &HostName,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<Repository> {
    let at = &raw.repository;
    let place = at.value.as_ref()?;
    let given = [
        place.dataset.is_some() || place.path.is_some(),
        place.ssh.is_some(),
        place.s3.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        scope
            .error(codes::ONE_OF, "a repository is at one place")
            .at(at.span, "none, or several")
            .help("write one of `dataset`, `path`, `ssh` and `s3`");
        return None;
    }
    if let Some(ssh) = place.ssh.as_ref().and_then(|at| at.value.as_ref()) {
        return behind_ssh(ssh, scope).map(Repository::Ssh);
    }
    if let Some(s3) = &place.s3 {
        return s3
            .value
            .as_ref()
            .and_then(|s3| bucket(s3, scope))
            .map(Repository::S3);
    }
    local(place, host, desired, scope)
}

fn local(
    place: &BackupRepository,
    host: &HostName,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> Option<Repository> {
    let path = place.path.as_ref();
    let Some(dataset) = &place.dataset else {
        let at = path?;
        return match at.value.as_deref()?.parse::<AbsolutePath>() {
            Ok(path) => Some(Repository::Path {
                dataset: dataset_of(&path.0, host, desired),
                path: path.0,
            }),
            Err(error) => {
                scope
                    .error(codes::INVALID_PATH, error.to_string())
                    .at(at.span, "not a path");
                None
            }
        };
    };
    let name = scope.refer::<DatasetName>(Noun::Dataset, dataset)?;
    let known = desired.datasets.get(&name)?;
    let mount = known
        .properties
        .get("mountpoint")
        .filter(|at| at.starts_with('/') && known.host == *host);
    let Some(mount) = mount else {
        scope
            .error(
                codes::BACKUP_REPOSITORY,
                format!("`{name}` is not mounted on `{host}`"),
            )
            .at(dataset.span, "this dataset")
            .help("take a dataset of the job's own host, with a mount point");
        return None;
    };
    let inner = match path {
        None => String::new(),
        Some(at) => {
            let text = at.value.as_deref()?;
            let inside = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !inside || text.contains('\n') {
                scope
                    .error(
                        codes::INVALID_PATH,
                        format!("`{text}` is not a path inside the dataset"),
                    )
                    .at(at.span, "not inside")
                    .help("write a relative path such as `restic`");
                return None;
            }
            format!("/{text}")
        }
    };
    Some(Repository::Path {
        path: format!("{}{inner}", mount.trim_end_matches('/')),
        dataset: Some(name),
    })
}

/// The dataset of the inventory that a path of a host lies on.
fn dataset_of(path: &str, host: &HostName, desired: &Desired) -> Option<DatasetName> {
    let own = desired
        .datasets
        .values()
        .filter(|dataset| dataset.host == *host)
        .filter_map(|dataset| Some((dataset.properties.get("mountpoint")?, &dataset.name)));
    let mounted = desired
        .guests
        .get(host)
        .into_iter()
        .flat_map(|guest| guest.mounts.iter().map(|mount| (&mount.at, &mount.dataset)));
    own.chain(mounted)
        .filter(|(at, _)| is_below(path, at))
        .max_by_key(|(at, _)| at.len())
        .map(|(_, name)| name.clone())
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn behind_ssh(raw: &BackupSsh, scope: &mut Scope<'_>) -> Option<SshPlace> {
    let key = scope.refer(Noun::Secret, &raw.key);
    let host = plain(&raw.host, scope);
    let user = plain(&raw.user, scope);
    let path = raw.path.value.clone()?;
    if path.is_empty() || path.contains(['\n', ' ', ':']) {
        scope
            .error(
                codes::INVALID_PATH,
                format!("`{path}` is not a path that can be used here"),
            )
            .at(raw.path.span, "no spaces, no `:`");
        return None;
    }
    let host_key = raw.host_key.value.clone()?;
    let words: Vec<&str> = host_key.split_whitespace().collect();
    let is_key = matches!(words.as_slice(), [kind, data, ..]
        if (kind.starts_with("ssh-") || kind.starts_with("ecdsa-")) && data.starts_with("AAAA"));
    if !is_key {
        scope
            .error(
                codes::INVALID_SSH_KEY,
                "this is not the public key of a server",
            )
            .at(raw.host_key.span, "expected `ssh-ed25519 AAAA...`")
            .help("`ssh-keyscan` prints it behind the server's name; compare it with what the provider publishes");
        return None;
    }
    Some(SshPlace {
        user: user?,
        host: host?,
        port: or(&raw.port, SSH_PORT),
        path,
        key: key?,
        host_key: words[..2].join(" "),
    })
}

/// A login or a server's name, which become part of an address.
fn plain(at: &At<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = at.value.as_deref()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) {
        scope
            .error(codes::INVALID_NAME, format!("`{text}` cannot be used here"))
            .at(at.span, "letters, digits, `-`, `_` and `.`");
        return None;
    }
    Some(text.to_owned())
}

fn bucket(raw: &BackupS3, scope: &mut Scope<'_>) -> Option<S3Place> {
    let access_key = scope.refer(Noun::Secret, &raw.access_key);
    let secret_key = scope.refer(Noun::Secret, &raw.secret_key);
    let url = raw.url.value.clone()?;
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let has_bucket = rest
        .split_once('/')
        .is_some_and(|(host, bucket)| !host.is_empty() && !bucket.is_empty());
    if !has_bucket || url.contains([' ', '\n', '@', '?']) {
        scope
            .error(codes::INVALID_URL, format!("`{url}` is not a bucket"))
            .at(raw.url.span, "expected `https://SERVER/BUCKET/PATH`");
        return None;
    }
    Some(S3Place {
        url,
        access_key: access_key?,
        secret_key: secret_key?,
    })
}

/// A repository lies outside of what it backs up, and drills restore to where nothing lives.
pub(super) fn apart(job: &BackupJob, raw: &Backup, desired: &Desired, scope: &mut Scope<'_>) {
    let taken = taken(job, desired);
    if let Repository::Path { path, dataset } = &job.repository {
        let dataset_inside = dataset.as_ref().filter(|name| job.takes(name));
        let path_inside = taken.iter().find(|(top, _)| is_below(path, top));
        if let Some(name) = dataset_inside {
            scope
                .error(
                    codes::BACKUP_REPOSITORY,
                    format!("the repository lies on `{name}`, which this job backs up"),
                )
                .at(raw.repository.span, "it would be a copy of itself")
                .help("take a dataset of another zpool, or at least one that the job does not back up");
        } else if let Some((top, _)) = path_inside {
            scope
                .error(
                    codes::BACKUP_REPOSITORY,
                    format!("the repository lies in `{top}`, which this job backs up"),
                )
                .at(raw.repository.span, "it would be a copy of itself")
                .help("take another disk");
        } else if let Some(name) = dataset
            && job.same_zpool.is_none()
            && let Some(source) = job.datasets.iter().find(|one| one.zpool() == name.zpool())
        {
            scope
                .error(
                    codes::BACKUP_REPOSITORY,
                    format!("`{source}` and its backup are both in the zpool `{}`", name.zpool()),
                )
                .at(raw.repository.span, "what takes the zpool takes both")
                .help("take another zpool, `ssh` or `s3`; or say why it must do: `same_zpool: REASON`");
        }
    }
    let span = raw.scratch.as_ref().map(|at| at.span);
    for (top, what) in taken.iter().chain(&used(job, desired)) {
        if let Some(span) = span
            && (is_below(&job.scratch, top) || is_below(top, &job.scratch))
        {
            scope
                .error(
                    codes::RESTORE_TARGET,
                    format!(
                        "drills would restore to `{}`, where {what} lives",
                        job.scratch
                    ),
                )
                .at(span, "live data")
                .help("take a directory that holds nothing else: `/var/lib/infra/scratch`");
            break;
        }
    }
}

/// Where what the job backs up lives on its host, and what it is.
fn taken(job: &BackupJob, desired: &Desired) -> Vec<(String, String)> {
    let datasets = desired
        .datasets
        .values()
        .filter(|dataset| dataset.host == job.host && job.takes(&dataset.name))
        .filter_map(|dataset| {
            let at = dataset.properties.get("mountpoint")?;
            at.starts_with('/')
                .then(|| (at.clone(), format!("`{}`", dataset.name)))
        });
    let paths = job
        .paths
        .iter()
        .map(|path| (path.clone(), format!("`{path}`")));
    datasets.chain(paths).collect()
}

/// Where else on the job's host something lives that no restore may touch.
fn used(job: &BackupJob, desired: &Desired) -> Vec<(String, String)> {
    let stacks = desired
        .stacks
        .values()
        .filter(|stack| stack.on == job.host)
        .flat_map(|stack| stack.mounts.values().map(move |at| (at, &stack.name)))
        .map(|(at, name)| (at.clone(), format!("the stack `{name}`")));
    let repository = match &job.repository {
        Repository::Path { path, .. } => Some((path.clone(), "the repository".to_owned())),
        Repository::Ssh(_) | Repository::S3(_) => None,
    };
    let mounted: Vec<&DatasetName> = desired
        .guests
        .values()
        .flat_map(|guest| guest.mounts.iter().map(|one| &one.dataset))
        .collect();
    let guests = desired
        .datasets
        .values()
        .filter(|dataset| dataset.host == job.host && mounted.contains(&&dataset.name))
        .filter_map(|dataset| {
            let at = dataset.properties.get("mountpoint")?;
            at.starts_with('/')
                .then(|| (at.clone(), format!("`{}` of a guest", dataset.name)))
        });
    stacks.chain(guests).chain(repository).collect()
}
