//! restic on a job's host.

use super::{
    command::{self, Tags},
    parse,
};
use crate::model::{
    backup::BackupJob, ids::SystemName, retention::Retention, secret::SecretValues,
    snapshot::SnapshotId,
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead, CopiesWrite, Counted, Damage, Forgotten, Invocation, Ran,
        Returned, Snapshot, Summary,
    },
    shell::{Output, Shell},
};

/// Exit codes of their own for a missing repository, a lock and a wrong password came with 0.17.
const LEAST: (u32, u32) = (0, 17);

/// restic for one job.
pub struct Restic<'a, S> {
    shell: &'a S,
    job: &'a BackupJob,
    tags: Tags,
    around: Invocation,
}

impl<'a, S: Shell> Restic<'a, S> {
    /// restic with a job's repository and secrets.
    ///
    /// # Errors
    /// A secret without a value.
    pub fn new(
        shell: &'a S,
        system: &SystemName,
        job: &'a BackupJob,
        values: &SecretValues,
    ) -> Result<Self, BackupError> {
        Ok(Self {
            shell,
            job,
            tags: Tags::of(system, &job.name),
            around: command::environment(job, values)?,
        })
    }

    async fn run(&self, argv: Vec<String>) -> Result<Output, BackupError> {
        let name = self.job.name.as_str();
        Ok(self.around.then(argv).run(self.shell, name).await?.output)
    }

    /// Runs it, and once more when only a dead program's lock was in the way.
    async fn asked(&self, doing: &str, argv: Vec<String>) -> Result<Output, BackupError> {
        let place = self.job.repository.to_string();
        let output = self.run(argv.clone()).await?;
        match parse::outcome(doing, &place, &output) {
            Ok(()) => Ok(output),
            Err(BackupError::Locked { .. }) => {
                self.run(command::unlock(self.job)).await?;
                let output = self.run(argv).await?;
                parse::outcome(doing, &place, &output).map(|()| output)
            }
            Err(error) => Err(error),
        }
    }

    async fn list_tag(&self, tag: &str) -> Result<Vec<Snapshot>, BackupError> {
        let output = self
            .asked("list snapshots", command::snapshots(self.job, tag))
            .await?;
        let mut all = parse::snapshots(&output.text())?;
        // Exactly ours: restic's own filter is trusted no further than that.
        all.retain(|one| one.tags.iter().any(|own| own == tag));
        all.sort_by(|a, b| a.time.cmp(&b.time));
        Ok(all)
    }
}

impl<S: Shell> CopiesRead for Restic<'_, S> {
    async fn ready(&self) -> Result<(), BackupError> {
        let output = self.run(command::version()).await?;
        let text = output.text();
        if parse::version(&text).is_some_and(|version| version >= LEAST) {
            return Ok(());
        }
        Err(BackupError::Program {
            program: "restic".to_owned(),
            host: self.shell.host().to_string(),
            why: format!(
                "it is `{}`, and {}.{} is needed",
                text.trim(),
                LEAST.0,
                LEAST.1
            ),
        })
    }

    async fn open(&self) -> Result<(), BackupError> {
        self.asked("open the repository", command::probe(self.job))
            .await
            .map(drop)
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        self.list_tag(&self.tags.good).await
    }

    async fn check(&self, part: Option<&str>) -> Result<Option<Damage>, BackupError> {
        let argv = command::check(self.job, part);
        let mut output = self.run(argv.clone()).await?;
        if output.code == 11 {
            self.run(command::unlock(self.job)).await?;
            output = self.run(argv).await?;
        }
        match parse::outcome(
            "check the repository",
            &self.job.repository.to_string(),
            &output,
        ) {
            Ok(()) | Err(BackupError::Engine { code: 1, .. }) => Ok(parse::damage(&output)),
            Err(error) => Err(error),
        }
    }

    async fn restore(
        &self,
        id: &str,
        folder: &str,
        inner: Option<&str>,
        target: &str,
    ) -> Result<Returned, BackupError> {
        let argv = command::restore(self.job, id, folder, inner, target);
        let output = self.asked("restore", argv).await?;
        parse::restored(&output.text())
    }

    async fn paths(&self, id: &str, folder: &str) -> Result<Vec<String>, BackupError> {
        let output = self
            .asked("list files", command::list(self.job, id, folder))
            .await?;
        parse::paths(&output.text(), folder)
    }
}

impl<S: Shell> CopiesWrite for Restic<'_, S> {
    async fn init(&self) -> Result<(), BackupError> {
        self.asked("make the repository", command::init(self.job))
            .await
            .map(drop)
    }

    async fn backup(
        &self,
        mounts: &[(SnapshotId, String)],
        roots: &[String],
    ) -> Result<(Summary, Vec<Counted>), BackupError> {
        let place = self.job.repository.to_string();
        let mut invocation = self
            .around
            .then(command::backup(self.job, &self.tags, roots));
        invocation.mounts = mounts.to_vec();
        invocation.needs = roots.to_vec();
        let name = self.job.name.as_str();
        let mut ran: Ran = invocation.run(self.shell, name).await?;
        if ran.output.code == 11 {
            self.run(command::unlock(self.job)).await?;
            ran = invocation.run(self.shell, name).await?;
        }
        parse::outcome("back up", &place, &ran.output)?;
        let skipped = parse::skipped(&ran.output);
        if !skipped.is_empty() {
            return Err(BackupError::Unproven {
                why: format!("restic passed over {}", skipped.join(", ")),
            });
        }
        Ok((parse::summary(&ran.output)?, ran.counts))
    }

    async fn prove(&self, id: &str, roots: &[String]) -> Result<Snapshot, BackupError> {
        let unproven = |why: String| BackupError::Unproven { why };
        let there = self.list_tag(&self.tags.unproven).await?;
        let found = there
            .iter()
            .find(|one| one.id == id)
            .ok_or_else(|| unproven(format!("snapshot {id} is not in the repository")))?;
        if let Some(root) = roots.iter().find(|root| !found.paths.contains(root)) {
            return Err(unproven(format!("{root} is not in snapshot {id}")));
        }
        self.asked(
            "mark the snapshot as good",
            command::prove(self.job, &self.tags, id),
        )
        .await?;
        let good = self.list_tag(&self.tags.good).await?;
        good.into_iter()
            .find(|one| one.id == id || one.original.as_deref() == Some(id))
            .ok_or_else(|| unproven(format!("snapshot {id} was marked and is not found again")))
    }

    async fn forget(&self, keep: &Retention, look: bool) -> Result<Forgotten, BackupError> {
        let output = self
            .asked(
                "apply the retention",
                command::forget(self.job, &self.tags, keep, look),
            )
            .await?;
        let done = parse::forgotten(&output.text())?;
        if !look {
            let more = self
                .asked(
                    "forget unproven snapshots",
                    command::forget_unproven(self.job, &self.tags),
                )
                .await?;
            let more = parse::forgotten(&more.text())?;
            if !done.removed.is_empty() || !more.removed.is_empty() {
                self.asked("free what nothing uses", command::prune(self.job))
                    .await?;
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
pub(in crate::providers::restic) mod tests {
    use super::*;
    use crate::model::backup::{Engine, Repository};

    /// A job.
    pub(in crate::providers::restic) fn job() -> BackupJob {
        BackupJob {
            name: "nightly".parse().expect("valid"),
            host: "pve".parse().expect("valid"),
            engine: Engine::Restic,
            repository: Repository::Path {
                path: "/srv/restic".to_owned(),
                dataset: None,
            },
            password: "password".parse().expect("valid"),
            datasets: vec!["tank/photos".parse().expect("valid")],
            paths: Vec::new(),
            stacks: Vec::new(),
            excludes: Vec::new(),
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
}
