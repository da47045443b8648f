//! The proven copies of jobs, by what they say of themselves.

use super::choice::{records, shell, told};
use crate::backup::{Copy, Held};
use crate::cli::{exit, failure::Failure, session::Session};
use crate::model::{
    backup::{BackupJob, STAGE},
    ids::DatasetName,
};
use crate::providers::{
    backup::{BackupError, CopiesRead as _, MANIFEST, Manifest, Record, Snapshot, Source, remove},
    program::Program,
    ssh::SshHost,
};

/// A job's copy, and what its host remembers of the last success.
pub(super) struct Found {
    pub(super) copy: Copy,
    pub(super) snapshot: Snapshot,
    pub(super) record: Option<Record>,
}

/// `20261130t174713`: makes names unique, in databases as well.
pub(super) fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dt%H%M%S").to_string()
}

/// The newest proven copy of a job, or the one whose id begins so.
pub(super) async fn found(
    session: &Session,
    job: &BackupJob,
    id: Option<&str>,
) -> Result<Found, Failure> {
    let shell = shell(session, job)?;
    let copies = Program::of(shell, &session.desired.system, job, &session.world.secrets)
        .map_err(|error| told(&error))?;
    let record = match records(&[job], &session.hosts).await.remove(&job.name) {
        Some(record) => record?,
        None => None,
    };
    let all = copies.snapshots().await.map_err(|error| {
        let failure = told(&error);
        if record.is_none() && matches!(error, BackupError::NoRepository { .. }) {
            failure.hint(format!(
                "The backup {} has never succeeded: there is nothing to bring back.",
                job.name
            ))
        } else {
            failure
        }
    })?;
    let snapshot = chosen(job, id, all)?;
    let (at, sources) = sources(&copies, shell, job, &snapshot, record.as_ref()).await?;
    let held = |source: Source| Held {
        name: source.name,
        path: source.path,
        sha256: source.sha256,
        rows: source.rows,
        extensions: source.extensions,
    };
    Ok(Found {
        copy: Copy {
            job: job.name.clone(),
            snapshot: snapshot.id.clone(),
            at,
            sources: sources.into_iter().map(held).collect(),
        },
        snapshot,
        record,
    })
}

fn chosen(job: &BackupJob, id: Option<&str>, mut all: Vec<Snapshot>) -> Result<Snapshot, Failure> {
    let Some(id) = id else {
        return all.pop().ok_or_else(|| {
            Failure::new(
                exit::FAILED,
                format!("the repository holds no proven copy of {}", job.name),
            )
            .hint("`infra backup run` makes one; `infra backup list` shows what there is.")
        });
    };
    all.retain(|one| id.len() >= 4 && one.id.starts_with(id));
    match all.pop() {
        Some(one) if all.is_empty() => Ok(one),
        Some(_) => Err(Failure::new(
            exit::USAGE,
            format!("several snapshots begin with `{id}`"),
        )),
        None => Err(Failure::new(
            exit::USAGE,
            format!("no proven snapshot of this job begins with `{id}`"),
        )
        .hint("`infra backup list` shows them; four characters at least.")),
    }
}

/// What a copy holds: by its own manifest, else by the record of its success, else by the paths that it was told to take.
async fn sources(
    copies: &Program<'_, SshHost>,
    shell: &SshHost,
    job: &BackupJob,
    snapshot: &Snapshot,
    record: Option<&Record>,
) -> Result<(i64, Vec<Source>), Failure> {
    let place = format!(
        "{STAGE}/back/manifest-{}-{:08x}",
        job.name,
        rand::random::<u32>()
    );
    let inner = format!("/{MANIFEST}");
    let came = copies
        .restore(&snapshot.id, &job.stage(), Some(&inner), &place)
        .await;
    let manifest = match came {
        Ok(_) => Manifest::read(shell, &format!("{place}/{MANIFEST}"))
            .await
            .map(Some),
        // Older copies have none.
        Err(BackupError::Unproven { .. } | BackupError::Engine { code: 1, .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let _ = remove(shell, &place).await;
    if let Some(manifest) = manifest.map_err(|error| told(&error))? {
        return Ok((manifest.at, manifest.sources));
    }
    if let Some(record) = record.filter(|record| record.snapshot == snapshot.id) {
        return Ok((record.at, record.sources.clone()));
    }
    let at = snapshot.time.parse::<jiff::Timestamp>();
    let lead = format!("{}/data/", job.run_folder());
    let named = snapshot
        .paths
        .iter()
        .filter(|path| **path != job.stage())
        .map(|path| {
            let dataset = path
                .strip_prefix(&lead)
                .and_then(|rest| rest.strip_suffix("/@"))
                .filter(|name| DatasetName::new(*name).is_ok());
            Source {
                name: dataset.unwrap_or(path).to_owned(),
                path: path.clone(),
                ..Source::default()
            }
        });
    Ok((at.map_or(0, jiff::Timestamp::as_second), named.collect()))
}
