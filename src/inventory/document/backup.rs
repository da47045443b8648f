//! Backups as written: jobs of the inventory, and what a stack's manifest says of its databases.

use super::Retention;
use crate::inventory::{
    word::AbsolutePath,
    written::{At, May, Text},
};
use crate::model::calendar::Calendar;
use schemars::JsonSchema;
use serde::Deserialize;

/// A backup job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    /// Host that makes the copies: the one that owns the datasets.
    pub(crate) host: At<String>,
    /// `restic` unless given, or `borg`.
    pub(crate) engine: May<BackupEngine>,
    /// Where the copies go. Exactly one of `dataset`, `path`, `ssh` and `s3`.
    pub(crate) repository: At<BackupRepository>,
    /// Name of the secret that holds the repository's password.
    pub(crate) password: At<String>,
    /// Datasets of the inventory; all datasets inside go along, declared or not.
    pub(crate) datasets: May<Vec<At<String>>>,
    /// Directories and files of the host that lie on no dataset.
    pub(crate) paths: May<Vec<At<Text<AbsolutePath>>>>,
    /// Stacks whose databases are dumped and whose exports are made first, as their manifests say.
    pub(crate) stacks: May<Vec<At<String>>>,
    /// Patterns in the engine's own words of what is left out.
    pub(crate) exclude: May<Vec<At<String>>>,
    /// `hourly`, `daily 02:30`, `weekly sun 03:00`, `monthly 1 04:00` or `yearly 01-31 04:00`.
    pub(crate) schedule: At<Text<Calendar>>,
    /// When a night proves that the newest copy comes back, in the words of `schedule`; never by itself unless given.
    pub(crate) drill: May<Text<Calendar>>,
    /// How many are kept; two weeks of days, two months of weeks, a year of months and two years unless given.
    pub(crate) keep: May<Retention>,
    /// Its place when everything is restored, smallest first; 100 unless given.
    pub(crate) order: May<u32>,
    /// Where drills restore to; `/var/lib/infra/scratch` unless given.
    pub(crate) scratch: May<Text<AbsolutePath>>,
    /// Why the repository may lie in the same zpool as the data, and be lost together with them.
    pub(crate) same_zpool: May<String>,
}

/// The program that makes copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackupEngine {
    /// restic, from 0.17 on.
    Restic,
    /// borg, from 1.4 on.
    Borg,
}

/// Where copies go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupRepository {
    /// A dataset of the host; with `path` a directory in it.
    pub(crate) dataset: May<String>,
    /// A directory of the host; with `dataset` relative to its mount point.
    pub(crate) path: May<String>,
    /// A directory behind SSH: over SFTP with restic, with a borg over there with borg.
    pub(crate) ssh: May<BackupSsh>,
    /// A bucket of an S3-compatible store.
    pub(crate) s3: May<BackupS3>,
}

/// A directory behind SSH.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupSsh {
    /// Name or address of the server.
    pub(crate) host: At<String>,
    /// Login.
    pub(crate) user: At<String>,
    /// 22 unless given; a Storage Box has 23.
    pub(crate) port: May<u16>,
    /// Path over there; relative to the login's home unless it begins with `/`.
    pub(crate) path: At<String>,
    /// Name of the secret that holds the private key.
    pub(crate) key: At<String>,
    /// The server's public key, as `ssh-keyscan` prints it without the name: `ssh-ed25519 AAAA...`.
    pub(crate) host_key: At<String>,
}

/// A bucket of an S3-compatible store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupS3 {
    /// `https://s3.example.org/bucket/path`.
    pub(crate) url: At<String>,
    /// Name of the secret that holds the access key.
    pub(crate) access_key: At<String>,
    /// Name of the secret that holds the secret key.
    pub(crate) secret_key: At<String>,
}

/// What a backup takes of a stack beside the files on its datasets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestBackup {
    /// Databases, dumped before the files are copied.
    pub(crate) databases: May<Vec<At<ManifestDatabase>>>,
    /// Configuration that is exported into one file each.
    pub(crate) exports: May<Vec<At<ManifestExport>>>,
}

/// A database of a stack.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestDatabase {
    /// Kind.
    pub(crate) engine: At<ManifestEngine>,
    /// Compose service that it runs in.
    pub(crate) service: At<String>,
    /// Name of the database. Not needed for `redis` and `sqlite`.
    pub(crate) name: May<String>,
    /// Who dumps it; `postgres` or `root` unless given.
    pub(crate) user: May<String>,
    /// With `mariadb` and `redis`: file in the container that holds the password.
    pub(crate) password_file: May<Text<AbsolutePath>>,
    /// With `sqlite`: the file's path on the host; may contain `{{ mounts.NAME }}`.
    pub(crate) path: May<String>,
    /// Queries that a drill asks the restored database: each must answer `t` or a number that is not 0.
    pub(crate) assert: May<Vec<At<String>>>,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ManifestEngine {
    /// PostgreSQL.
    Postgres,
    /// `MariaDB` and `MySQL`.
    Mariadb,
    /// A SQLite file.
    Sqlite,
    /// Redis and Valkey.
    Redis,
}

/// Something that is exported: the output of a command, or paths of the host as a tar.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestExport {
    /// Name of the file.
    pub(crate) name: At<String>,
    /// With `argv`: the compose service that it runs in.
    pub(crate) service: May<String>,
    /// A command that writes the export to its standard output.
    pub(crate) argv: May<Vec<At<String>>>,
    /// Absolute paths of the host.
    pub(crate) paths: May<Vec<At<Text<AbsolutePath>>>>,
}
