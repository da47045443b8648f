//! Backups: jobs, repositories, and what stacks add to them.

use super::{
    calendar::Calendar,
    ids::{BackupName, DatasetName, HostName, SecretName, StackName},
    retention::Retention,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Where a job's snapshots are mounted while it runs: `<RUN>/<job>/data/tank/photos/@`. The path is the same every night:
/// engines find what is unchanged by it.
pub const RUN: &str = "/run/infra/backup";

/// Where dumps and exports wait that lie on no dataset of the job: `<STAGE>/<job>/stage`.
pub const STAGE: &str = "/var/lib/infra/backup";

/// The folder in a stack's dataset that holds its dumps.
pub const DUMPS: &str = ".infra-dumps";

/// One backup job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Its name in tags, paths and labels.
    pub name: BackupName,
    /// Where the engine runs: the host that owns the datasets.
    pub host: HostName,
    /// The program.
    pub engine: Engine,
    /// Where the copies go.
    pub repository: Repository,
    /// The repository's password.
    pub password: SecretName,
    /// Datasets, with every dataset below them.
    pub datasets: Vec<DatasetName>,
    /// Directories and files of the host.
    pub paths: Vec<String>,
    /// Stacks whose databases and exports go along.
    pub stacks: Vec<StackName>,
    /// The engine's own exclude patterns.
    pub excludes: Vec<String>,
    /// When it runs.
    pub schedule: Calendar,
    /// When a night proves that it comes back; none where only `infra backup drill` by hand does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Calendar>,
    /// What is kept.
    pub keep: Retention,
    /// Restored in this order, smallest first.
    pub order: u32,
    /// Where drills restore to.
    pub scratch: String,
    /// Why the repository may lie in the zpool that it backs up; none where it does not.
    pub same_zpool: Option<String>,
}

impl BackupJob {
    /// `<RUN>/<job>`.
    pub fn run_folder(&self) -> String {
        format!("{RUN}/{}", self.name)
    }

    /// Where a dataset's snapshot is mounted. `@` is in no dataset's name, so no child is ever in the way.
    pub fn mount_of(&self, dataset: &DatasetName) -> String {
        format!("{RUN}/{}/data/{dataset}/@", self.name)
    }

    /// Where dumps and exports wait that lie on no dataset of the job.
    pub fn stage(&self) -> String {
        format!("{STAGE}/{}/stage", self.name)
    }

    /// Whether a dataset goes along.
    pub fn takes(&self, dataset: &DatasetName) -> bool {
        self.datasets.iter().any(|top| dataset.is_within(top))
    }

    /// The secrets that its engine needs.
    pub fn secrets(&self) -> Vec<SecretName> {
        let mut out = vec![self.password.clone()];
        match &self.repository {
            Repository::Path { .. } => {}
            Repository::Ssh(place) => out.push(place.key.clone()),
            Repository::S3(place) => {
                out.extend([place.access_key.clone(), place.secret_key.clone()]);
            }
        }
        out
    }
}

/// The program that makes the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// restic.
    Restic,
    /// borg.
    Borg,
}

impl Engine {
    /// Its command.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restic => "restic",
            Self::Borg => "borg",
        }
    }

    /// Its Debian package.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Restic => "restic",
            Self::Borg => "borgbackup",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repository {
    /// A directory of the job's host.
    Path {
        /// Absolute path.
        path: String,
        /// The dataset that it lies on, where the inventory says so.
        dataset: Option<DatasetName>,
    },
    /// Over SSH, by SFTP.
    Ssh(SshPlace),
    /// An S3-compatible store.
    S3(S3Place),
}

/// A directory behind SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshPlace {
    /// Login.
    pub user: String,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path over there.
    pub path: String,
    /// The private key.
    pub key: SecretName,
    /// The server's public key, `ssh-ed25519 AAAA...`. There is no connection without it.
    pub host_key: String,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Place {
    /// `https://s3.example.org/bucket/path`.
    pub url: String,
    /// Access key.
    pub access_key: SecretName,
    /// Secret key.
    pub secret_key: SecretName,
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => f.write_str(path),
            Self::Ssh(place) => write!(
                f,
                "ssh://{}@{}:{}/{}",
                place.user,
                place.host,
                place.port,
                place.path.trim_start_matches('/')
            ),
            Self::S3(place) => f.write_str(&place.url),
        }
    }
}

/// What a backup takes of a stack beside the files on its datasets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StackBackup {
    /// Databases.
    pub databases: Vec<Database>,
    /// Configuration that is exported.
    pub exports: Vec<Export>,
}

impl StackBackup {
    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty() && self.exports.is_empty()
    }
}

/// A database of a stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Database {
    /// Kind.
    pub engine: DatabaseEngine,
    /// Compose service that it runs in.
    pub service: String,
    /// Name of the database; for SQLite the file's path on the host; empty for Redis.
    pub name: String,
    /// Who dumps it.
    pub user: String,
    /// File in the container that holds the password, where one is asked for.
    pub password_file: Option<String>,
    /// Queries that a restored one must answer with `t` or a number that is not 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<String>,
}

impl Database {
    /// The dump's file name.
    pub fn file(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        let dot = if name.is_empty() { "" } else { "." };
        format!("{}{dot}{name}.{}", self.service, self.engine.extension())
    }
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseEngine {
    /// PostgreSQL.
    Postgres,
    /// `MariaDB` and `MySQL`.
    Mariadb,
    /// A SQLite file.
    Sqlite,
    /// Redis and Valkey.
    Redis,
}

impl DatabaseEngine {
    /// Its word in the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
        }
    }

    /// What a dump's name ends with.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Postgres => "pgdump",
            Self::Mariadb => "sql",
            Self::Sqlite => "sqlite",
            Self::Redis => "rdb",
        }
    }
}

impl fmt::Display for DatabaseEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something of a stack that is written into one file: the output of a command, or a tar of paths of its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Export {
    /// File name.
    pub name: String,
    /// What is written.
    pub what: ExportOf,
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportOf {
    /// The output of a command in a container.
    Command {
        /// Compose service.
        service: String,
        /// Command.
        argv: Vec<String>,
    },
    /// A tar of paths of the stack's host.
    Paths(Vec<String>),
}

impl Export {
    /// The export's file name.
    pub fn file(&self) -> String {
        match self.what {
            ExportOf::Command { .. } => format!("{}.export", self.name),
            ExportOf::Paths(_) => format!("{}.tar", self.name),
        }
    }
}

/// Jobs in the order in which they are restored.
pub fn in_order(jobs: &BTreeMap<BackupName, BackupJob>) -> Vec<&BackupJob> {
    let mut out: Vec<_> = jobs.values().collect();
    out.sort_by_key(|job| (job.order, job.name.clone()));
    out
}
