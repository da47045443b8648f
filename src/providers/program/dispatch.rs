//! One program or the other.

use crate::model::{
    backup::{BackupJob, Engine},
    ids::SystemName,
    retention::Retention,
    secret::SecretValues,
    snapshot::SnapshotId,
};
use crate::providers::{
    backup::{
        BackupError, CopiesRead, CopiesWrite, Counted, Damage, Forgotten, Returned, Snapshot,
        Summary,
    },
    borg::Borg,
    restic::Restic,
    shell::Shell,
};

/// The program that a job names.
pub enum Program<'a, S> {
    /// restic.
    Restic(Restic<'a, S>),
    /// borg.
    Borg(Borg<'a, S>),
}

impl<'a, S: Shell> Program<'a, S> {
    /// A job's program with its repository and secrets.
    ///
    /// # Errors
    /// A secret without a value.
    pub fn of(
        shell: &'a S,
        system: &SystemName,
        job: &'a BackupJob,
        values: &SecretValues,
    ) -> Result<Self, BackupError> {
        Ok(match job.engine {
            Engine::Restic => Self::Restic(Restic::new(shell, system, job, values)?),
            Engine::Borg => Self::Borg(Borg::new(shell, system, job, values)?),
        })
    }
}

/// The same question to whichever it is.
macro_rules! both {
    ($program:expr, $one:ident => $call:expr) => {
        match $program {
            Program::Restic($one) => $call.await,
            Program::Borg($one) => $call.await,
        }
    };
}

impl<S: Shell> CopiesRead for Program<'_, S> {
    async fn ready(&self) -> Result<(), BackupError> {
        both!(self, one => one.ready())
    }

    async fn open(&self) -> Result<(), BackupError> {
        both!(self, one => one.open())
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        both!(self, one => one.snapshots())
    }

    async fn check(&self, part: Option<&str>) -> Result<Option<Damage>, BackupError> {
        both!(self, one => one.check(part))
    }

    async fn restore(
        &self,
        id: &str,
        folder: &str,
        inner: Option<&str>,
        target: &str,
    ) -> Result<Returned, BackupError> {
        both!(self, one => one.restore(id, folder, inner, target))
    }

    async fn paths(&self, id: &str, folder: &str) -> Result<Vec<String>, BackupError> {
        both!(self, one => one.paths(id, folder))
    }
}

impl<S: Shell> CopiesWrite for Program<'_, S> {
    async fn init(&self) -> Result<(), BackupError> {
        both!(self, one => one.init())
    }

    async fn backup(
        &self,
        mounts: &[(SnapshotId, String)],
        roots: &[String],
    ) -> Result<(Summary, Vec<Counted>), BackupError> {
        both!(self, one => one.backup(mounts, roots))
    }

    async fn prove(&self, id: &str, roots: &[String]) -> Result<Snapshot, BackupError> {
        both!(self, one => one.prove(id, roots))
    }

    async fn forget(&self, keep: &Retention, look: bool) -> Result<Forgotten, BackupError> {
        both!(self, one => one.forget(keep, look))
    }
}
