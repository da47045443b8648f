//! Reading and changing datasets over a shell.

use super::{
    error::ZfsError,
    facts::{FACTS, ZfsFacts, parse_facts},
};
use crate::model::{
    dataset::DatasetDirectory,
    ids::{DatasetName, SystemName, ZpoolName},
};
use crate::providers::shell::{Command, Outcome, Output, Shell};
use std::{collections::BTreeMap, future::Future, time::Duration};

/// The user property that marks a dataset as made, or adopted, by a system.
pub const OWNER: &str = "org.infra:system";

/// Name of the script that reads facts: arguments are zpool names, output as documented at [`FACTS`].
pub const FACTS_SCRIPT: &str = "infra-zfs-facts";

/// Name of the script that creates one dataset. Arguments: dataset, then `inherit`, `-` or the path where it will be
/// mounted, then `-o property=value` pairs. Exit 64 when that path has something in it, else the exit of `zfs create`.
pub const CREATE_SCRIPT: &str = "infra-zfs-create";

/// Name of the script that makes directories in a mounted dataset. Argument: dataset. Input: lines `UID GID MODE PATH`
/// with an octal mode. Output: `changed PATH` lines. Exit 65 when it is not mounted, 66 when a path leads out of it.
pub const DIRECTORIES_SCRIPT: &str = "infra-zfs-directories";

const CREATE: &str = include_str!("scripts/create.sh");
const DIRECTORIES: &str = include_str!("scripts/directories.sh");

/// A busy pool of spinning disks takes its time to mount.
const PATIENCE: Duration = Duration::from_mins(2);

/// Looks at zpools and datasets.
pub trait ZfsRead: Send + Sync {
    /// Health of zpools, and all their datasets with all properties. A pool that is not imported is absent.
    fn facts(
        &self,
        zpools: &[ZpoolName],
    ) -> impl Future<Output = Result<ZfsFacts, ZfsError>> + Send;
}

/// Changes datasets. Nothing here destroys one.
pub trait ZfsWrite: Send + Sync {
    /// Creates a filesystem whose parent exists, with native properties and the mark of its system. Refuses a mount
    /// point that has something in it.
    fn create(
        &self,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Sets properties, all in one command. Nothing to set is no command.
    fn set(
        &self,
        dataset: &DatasetName,
        properties: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Lets a property come from the parent again.
    fn inherit(
        &self,
        dataset: &DatasetName,
        property: &str,
    ) -> impl Future<Output = Result<(), ZfsError>> + Send;

    /// Mounts a filesystem; a mounted one is fine.
    fn mount(
        &self,
        dataset: &DatasetName,
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;

    /// Makes directories inside a mounted filesystem, with owners and modes. The dataset's own is `.`.
    fn make_directories(
        &self,
        dataset: &DatasetName,
        directories: &[DatasetDirectory],
    ) -> impl Future<Output = Result<Outcome, ZfsError>> + Send;
}

/// ZFS on the host of a shell.
#[derive(Debug, Clone, Copy)]
pub struct Zfs<'a, S>(pub &'a S);

impl<S: Shell> ZfsRead for Zfs<'_, S> {
    async fn facts(&self, zpools: &[ZpoolName]) -> Result<ZfsFacts, ZfsError> {
        let text = format!("{FACTS}\nfacts_zfs \"$@\"\n");
        let names = zpools.iter().map(ZpoolName::as_str);
        let output = self
            .0
            .demand(
                Command::script(FACTS_SCRIPT, &text)
                    .args(names)
                    .timeout(PATIENCE),
            )
            .await?;
        parse_facts(&output.text()).map_err(|why| ZfsError::Garbled {
            host: self.0.host().to_string(),
            why,
        })
    }
}

impl<S: Shell> ZfsWrite for Zfs<'_, S> {
    async fn create(
        &self,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ZfsError> {
        let is_mounted = properties.get("canmount").is_none_or(|value| value == "on");
        let mount_point = match properties.get("mountpoint") {
            _ if !is_mounted => "-",
            None => "inherit",
            Some(path) if path.starts_with('/') => path,
            Some(_) => "-",
        };
        let owner = (OWNER.to_owned(), system.as_str().to_owned());
        let pairs = properties
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .chain([owner]);
        let options = pairs.flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]);
        let command = Command::script(CREATE_SCRIPT, CREATE)
            .args([dataset.as_str(), mount_point])
            .args(options);
        self.change(dataset, command).await.map(drop)
    }

    async fn set(
        &self,
        dataset: &DatasetName,
        properties: &BTreeMap<String, String>,
    ) -> Result<Outcome, ZfsError> {
        if properties.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let pairs = properties
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let command = Command::new(["zfs", "set"])
            .args(pairs)
            .args([dataset.as_str()]);
        self.change(dataset, command)
            .await
            .map(|_| Outcome::Changed)
    }

    async fn inherit(&self, dataset: &DatasetName, property: &str) -> Result<(), ZfsError> {
        let command = Command::new(["zfs", "inherit", property, dataset.as_str()]);
        self.change(dataset, command).await.map(drop)
    }

    async fn mount(&self, dataset: &DatasetName) -> Result<Outcome, ZfsError> {
        match self
            .change(dataset, Command::new(["zfs", "mount", dataset.as_str()]))
            .await
        {
            Ok(_) => Ok(Outcome::Changed),
            Err(ZfsError::Busy { said, .. }) if said.contains("already mounted") => {
                Ok(Outcome::Unchanged)
            }
            Err(error) => Err(error),
        }
    }

    async fn make_directories(
        &self,
        dataset: &DatasetName,
        directories: &[DatasetDirectory],
    ) -> Result<Outcome, ZfsError> {
        if directories.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let lines = directories.iter().map(|directory| line(dataset, directory));
        let input: String = lines.collect::<Result<_, ZfsError>>()?;
        let command = Command::script(DIRECTORIES_SCRIPT, DIRECTORIES)
            .args([dataset.as_str()])
            .stdin(input);
        let output = self.change(dataset, command).await?;
        let changed = output
            .text()
            .lines()
            .any(|line| line.starts_with("changed "));
        Ok(if changed {
            Outcome::Changed
        } else {
            Outcome::Unchanged
        })
    }
}

impl<S: Shell> Zfs<'_, S> {
    /// Runs a command that changes something. One that succeeds and complains has done only a part.
    async fn change(&self, dataset: &DatasetName, command: Command) -> Result<Output, ZfsError> {
        let output = self.0.run(command.timeout(PATIENCE)).await?;
        if !output.is_success() {
            return Err(ZfsError::of(
                self.0.host().as_str(),
                dataset.as_str(),
                &output,
            ));
        }
        let complained = String::from_utf8_lossy(&output.stderr)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if complained.is_empty() {
            return Ok(output);
        }
        Err(ZfsError::Partly {
            dataset: dataset.to_string(),
            said: complained,
        })
    }
}

/// One line of the script's input. The path stays inside the dataset and on its line.
fn line(dataset: &DatasetName, directory: &DatasetDirectory) -> Result<String, ZfsError> {
    let path = directory.path.trim_matches('/');
    let is_inside = path == "." || path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_inside || path.contains('\n') || directory.path.starts_with('/') {
        let said = format!("`{}` is not a path inside the dataset", directory.path);
        return Err(ZfsError::LeadsOut {
            dataset: dataset.to_string(),
            said,
        });
    }
    Ok(format!(
        "{} {} {:o} {path}\n",
        directory.uid, directory.gid, directory.mode
    ))
}
