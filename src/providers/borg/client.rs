//! borg on a job's host.

use super::{
    command::{self, Names},
    parse,
};
use crate::model::{
    backup::BackupJob, ids::SystemName, retention::Retention, secret::SecretValues,
    snapshot::SnapshotId,
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead, CopiesWrite, Counted, Damage, Forgotten, Invocation, Returned,
        Snapshot, Summary,
    },
    shell::{Output, Shell},
};

/// Exit codes of their own for what went wrong came with 1.4.
const LEAST: (u32, u32) = (1, 4);

/// borg for one job.
pub struct Borg<'a, S> {
    shell: &'a S,
    job: &'a BackupJob,
    names: Names,
    around: Invocation,
}

impl<'a, S: Shell> Borg<'a, S> {
    /// borg with a job's repository and secrets.
    ///
    /// # Errors
    /// A secret without a value, or a place that borg cannot use.
    pub fn new(
        shell: &'a S,
        system: &SystemName,
        job: &'a BackupJob,
        values: &SecretValues,
    ) -> Result<Self, BackupError> {
        Ok(Self {
            shell,
            job,
            names: Names::of(system, &job.name),
            around: command::environment(job, values)?,
        })
    }

    async fn run(&self, argv: Vec<String>) -> Result<Output, BackupError> {
        let name = self.job.name.as_str();
        Ok(self.around.then(argv).run(self.shell, name).await?.output)
    }

    async fn asked(&self, doing: &str, argv: Vec<String>) -> Result<Output, BackupError> {
        let output = self.run(argv).await?;
        parse::outcome(doing, &self.job.repository.to_string(), &output)?;
        Ok(output)
    }

    /// Archives whose names begin with a lead, oldest first.
    async fn list(&self, lead: &str) -> Result<Vec<Snapshot>, BackupError> {
        let output = self.asked("list archives", command::archives(lead)).await?;
        let mut all = parse::archives(&output.text())?;
        // Exactly ours: `a*` would find the archives of `a` and of `a-b` alike.
        all.retain(|one| one.id.strip_prefix(lead).is_some_and(is_stamp));
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }
}

/// `20261130T023000Z`: what follows a lead in names of ours.
fn is_stamp(text: &str) -> bool {
    text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

impl<S: Shell> CopiesRead for Borg<'_, S> {
    async fn ready(&self) -> Result<(), BackupError> {
        let output = self.run(command::version()).await?;
        let text = output.text();
        if parse::version(text.trim()).is_some_and(|version| version >= LEAST) {
            return Ok(());
        }
        Err(BackupError::Program {
            program: "borg".to_owned(),
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
        self.asked("open the repository", command::probe())
            .await
            .map(drop)
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        self.list(&self.names.good).await
    }

    async fn check(&self, part: Option<&str>) -> Result<Option<Damage>, BackupError> {
        let output = self.run(command::check(part)).await?;
        let place = self.job.repository.to_string();
        match parse::outcome("check the repository", &place, &output) {
            Ok(()) | Err(BackupError::Engine { code: 1, .. } | BackupError::Unproven { .. }) => {
                Ok(parse::damage(&output))
            }
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
        let path = command::stored(folder, inner);
        let listed = self
            .asked("list files", command::list(id, &path))
            .await?
            .text();
        let (_, sum) = parse::items(&listed, folder)?;
        let mut invocation = self.around.then(command::extract(id, folder, &path));
        invocation.within = Some(target.to_owned());
        let ran = invocation.run(self.shell, self.job.name.as_str()).await?;
        parse::outcome("restore", &self.job.repository.to_string(), &ran.output)?;
        Ok(sum)
    }

    async fn paths(&self, id: &str, folder: &str) -> Result<Vec<String>, BackupError> {
        let argv = command::list(id, &command::stored(folder, None));
        let listed = self.asked("list files", argv).await?.text();
        Ok(parse::items(&listed, folder)?.0)
    }
}

impl<S: Shell> CopiesWrite for Borg<'_, S> {
    async fn init(&self) -> Result<(), BackupError> {
        self.asked("make the repository", command::init())
            .await
            .map(drop)
    }

    async fn backup(
        &self,
        mounts: &[(SnapshotId, String)],
        roots: &[String],
    ) -> Result<(Summary, Vec<Counted>), BackupError> {
        // borg puts its own clock in.
        let archive = format!("{}{{utcnow:%Y%m%dT%H%M%SZ}}", self.names.unproven);
        let mut invocation = self.around.then(command::create(self.job, &archive, roots));
        invocation.mounts = mounts.to_vec();
        invocation.needs = roots.to_vec();
        let ran = invocation.run(self.shell, self.job.name.as_str()).await?;
        parse::outcome("back up", &self.job.repository.to_string(), &ran.output)?;
        Ok((parse::summary(&ran.output.text())?, ran.counts))
    }

    async fn prove(&self, id: &str, roots: &[String]) -> Result<Snapshot, BackupError> {
        let unproven = |why: String| BackupError::Unproven { why };
        let there = self.asked("look at the archive", command::info(id)).await?;
        let found = parse::archives(&there.text())?;
        let found = found
            .iter()
            .find(|one| one.id == id)
            .ok_or_else(|| unproven(format!("archive {id} is not in the repository")))?;
        if let Some(root) = roots.iter().find(|root| !found.paths.contains(root)) {
            return Err(unproven(format!("{root} is not in archive {id}")));
        }
        let stamp = id.strip_prefix(&self.names.unproven).unwrap_or_default();
        let good = format!("{}{stamp}", self.names.good);
        self.asked("mark the archive as good", command::rename(id, &good))
            .await?;
        let all = self.list(&self.names.good).await?;
        all.into_iter()
            .find(|one| one.id == good)
            .ok_or_else(|| unproven(format!("archive {id} was renamed and is not found again")))
    }

    async fn forget(&self, keep: &Retention, look: bool) -> Result<Forgotten, BackupError> {
        let argv = command::prune(&self.names.good, keep, look);
        let output = self.asked("apply the retention", argv).await?;
        let done = parse::pruned(&output);
        if !look {
            let argv = command::prune_unproven(&self.names.unproven);
            let more = self.asked("forget unproven archives", argv).await?;
            if !done.removed.is_empty() || !parse::pruned(&more).removed.is_empty() {
                self.asked("free what nothing uses", command::compact())
                    .await?;
            }
        }
        Ok(done)
    }
}
