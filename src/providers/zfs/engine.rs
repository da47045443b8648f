//! Reading and changing datasets over a shell.

use super::{
    border::{ZfsRead, ZfsWrite},
    destroy::{BUSY_PAUSE, Destroyed, destroy},
    error::ZfsError,
    facts::{FACTS, ZfsFacts, parse_facts},
    survey::{SURVEY, parse_survey},
};
use crate::model::{
    dataset::{DatasetDirectory, ZpoolPart},
    ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
    snapshot::{HoldFact, LONGEST, MARK, SnapshotId, Survey},
};
use crate::providers::shell::{Command, Outcome, Output, Shell};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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

/// Name of the script that surveys zpools. Arguments: the mark's property, then names of zpools or datasets.
pub const SURVEY_SCRIPT: &str = "infra-zfs-survey";

/// Name of the script that takes snapshots. Arguments: their name, then `-o property=value` pairs. Input: datasets,
/// one on each line.
pub const SNAPSHOT_SCRIPT: &str = "infra-zfs-snapshot";

/// Name of the script that holds and releases. Arguments: `hold` or `release`, and the tag. Input: snapshots, one on
/// each line. Output: `changed SNAPSHOT` lines.
pub const HOLD_SCRIPT: &str = "infra-zfs-hold";

/// Name of the script that lists holds. Input: snapshots, one on each line. Output: as `zfs holds -Hp`.
const HOLDS_SCRIPT: &str = "infra-zfs-holds";

/// Name of the script that makes a zpool. Arguments: its name, then words of `zpool create` with disks by their names in
/// `/dev/disk/by-id`. Exit 70 when it was refused before anything was written.
pub const CREATE_ZPOOL_SCRIPT: &str = "infra-zpool-create";

/// Name of the script that marks snapshots. Arguments: the property and the system. Input: snapshots, one on each line.
const MARK_SCRIPT: &str = "infra-zfs-mark";

const MARK_EACH: &str = include_str!("scripts/mark.sh");
const CREATE_ZPOOL: &str = include_str!("scripts/zpool-create.sh");
const SNAPSHOT: &str = include_str!("scripts/snapshot.sh");
const HOLDS: &str = include_str!("scripts/holds.sh");
const HOLD: &str = include_str!("scripts/hold.sh");
const CREATE: &str = include_str!("scripts/create.sh");
const DIRECTORIES: &str = include_str!("scripts/directories.sh");

/// Facts are read from what ZFS has in memory.
const PATIENCE: Duration = Duration::from_mins(2);

/// A change waits for the pool's next transaction group, which takes minutes on spinning disks that resilver. Giving up
/// earlier gains nothing: what was asked for happens all the same.
const CHANGE_PATIENCE: Duration = Duration::from_mins(10);

/// A disk of the largest kind, read from end to end.
const DISK_PATIENCE: Duration = Duration::from_hours(24 * 7);

/// A hundred thousand snapshots on disks that sleep.
const LIST_PATIENCE: Duration = Duration::from_mins(15);

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
        parse_facts(&output.text()).map_err(|why| self.garbled(why))
    }

    async fn survey(&self, zpools: &[ZpoolName]) -> Result<Survey, ZfsError> {
        self.seen(zpools.iter().map(ZpoolName::as_str)).await
    }

    async fn dataset(&self, dataset: &DatasetName) -> Result<Survey, ZfsError> {
        self.seen([dataset.as_str()]).await
    }

    async fn holds(&self, snapshots: &[SnapshotId]) -> Result<Vec<HoldFact>, ZfsError> {
        let Some(first) = snapshots.first() else {
            return Ok(Vec::new());
        };
        let command = Command::script(HOLDS_SCRIPT, HOLDS).stdin(one_a_line(snapshots));
        let output = self.change(&first.dataset, command).await?;
        output
            .text()
            .lines()
            .map(|line| hold_fact(line).ok_or_else(|| format!("zfs holds answered `{line}`")))
            .collect::<Result<_, _>>()
            .map_err(|why| self.garbled(why))
    }
}

impl<S: Shell> ZfsWrite for Zfs<'_, S> {
    async fn create_zpool(&self, zpool: &ZpoolName, parts: &[ZpoolPart]) -> Result<(), ZfsError> {
        let words = parts.iter().flat_map(|part| {
            let disks = part.disks.iter().map(String::as_str);
            part.kind.word().into_iter().chain(disks)
        });
        let command = Command::script(CREATE_ZPOOL_SCRIPT, CREATE_ZPOOL)
            .args([zpool.as_str()])
            .args(words)
            .timeout(DISK_PATIENCE);
        let output = self.0.run(command).await?;
        if output.is_success() {
            return Ok(());
        }
        let host = self.0.host().as_str();
        Err(ZfsError::of(host, zpool.as_str(), &output))
    }

    async fn load_key(&self, dataset: &DatasetName, passphrase: &str) -> Result<Outcome, ZfsError> {
        let command =
            Command::new(["zfs", "load-key", dataset.as_str()]).stdin(one_line(passphrase));
        match self.change(dataset, command).await {
            Ok(_) => Ok(Outcome::Changed),
            Err(error) if error.to_string().contains("already loaded") => Ok(Outcome::Unchanged),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
        passphrase: Option<&str>,
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
            .args(options)
            .stdin(passphrase.map(one_line).unwrap_or_default());
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

    async fn snapshot(
        &self,
        datasets: &BTreeSet<DatasetName>,
        name: &SnapshotName,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ZfsError> {
        in_one_zpool(datasets, name)?;
        let Some(first) = datasets.first() else {
            return Ok(());
        };
        let pairs = properties
            .iter()
            .flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]);
        let lines = one_a_line(datasets);
        let command = Command::script(SNAPSHOT_SCRIPT, SNAPSHOT)
            .args([name.as_str()])
            .args(pairs)
            .stdin(lines);
        self.change(first, command).await.map(drop)
    }

    async fn destroy_snapshots(&self, snapshots: &[SnapshotId]) -> Result<Destroyed, ZfsError> {
        destroy(self.0, snapshots, BUSY_PAUSE).await
    }

    async fn hold(&self, tag: &str, snapshots: &[SnapshotId]) -> Result<Outcome, ZfsError> {
        self.tag("hold", tag, snapshots).await
    }

    async fn mark(&self, system: &SystemName, snapshots: &[SnapshotId]) -> Result<(), ZfsError> {
        let Some(first) = snapshots.first() else {
            return Ok(());
        };
        let command = Command::script(MARK_SCRIPT, MARK_EACH)
            .args([MARK, system.as_str()])
            .stdin(one_a_line(snapshots));
        // Thousands after a first copy.
        let output = self.0.run(command.timeout(LIST_PATIENCE)).await?;
        if output.is_success() {
            return Ok(());
        }
        let (host, dataset) = (self.0.host().as_str(), first.dataset.as_str());
        Err(ZfsError::of(host, dataset, &output))
    }

    async fn release(&self, tag: &str, snapshots: &[SnapshotId]) -> Result<Outcome, ZfsError> {
        self.tag("release", tag, snapshots).await
    }

    async fn bookmark(&self, snapshot: &SnapshotId, name: &SnapshotName) -> Result<(), ZfsError> {
        let bookmark = format!("{}#{name}", snapshot.dataset);
        let command = Command::new(["zfs".to_owned(), "bookmark".to_owned()])
            .args([snapshot.to_string(), bookmark]);
        self.change(&snapshot.dataset, command).await.map(drop)
    }

    async fn destroy_bookmark(
        &self,
        dataset: &DatasetName,
        name: &SnapshotName,
    ) -> Result<Outcome, ZfsError> {
        let command = Command::new(["zfs", "destroy"]).args([format!("{dataset}#{name}")]);
        match self.change(dataset, command).await {
            Ok(_) => Ok(Outcome::Changed),
            Err(ZfsError::NotFound { .. }) => Ok(Outcome::Unchanged),
            Err(error) => Err(error),
        }
    }

    async fn rollback(&self, snapshot: &SnapshotId) -> Result<(), ZfsError> {
        let command = Command::new(["zfs", "rollback"]).args([snapshot.to_string()]);
        self.change(&snapshot.dataset, command).await.map(drop)
    }

    async fn clone_snapshot(
        &self,
        snapshot: &SnapshotId,
        dataset: &DatasetName,
        system: &SystemName,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ZfsError> {
        let owner = [(OWNER.to_owned(), system.as_str().to_owned())];
        let options = properties
            .clone()
            .into_iter()
            .chain(owner)
            .flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]);
        let command = Command::new(["zfs", "clone"])
            .args(options)
            .args([snapshot.to_string(), dataset.to_string()]);
        self.change(dataset, command).await.map(drop)
    }
}

/// A passphrase as ZFS reads it where nobody types.
fn one_line(passphrase: &str) -> String {
    format!("{passphrase}\n")
}

fn one_a_line<T: ToString>(things: impl IntoIterator<Item = T>) -> String {
    let mut lines = String::new();
    for thing in things {
        lines.push_str(&thing.to_string());
        lines.push('\n');
    }
    lines
}

/// Snapshots of one name can be of one moment within a zpool only, and each name has its limit.
pub(super) fn in_one_zpool(
    datasets: &BTreeSet<DatasetName>,
    name: &SnapshotName,
) -> Result<(), ZfsError> {
    let zpool = datasets.first().map(DatasetName::zpool);
    if let Some(other) = datasets.iter().find(|one| Some(one.zpool()) != zpool) {
        let said = format!("{other} is in another zpool: they cannot be of one moment");
        return Err(invalid(other, said));
    }
    let too_long =
        |dataset: &&DatasetName| dataset.as_str().len() + 1 + name.as_str().len() > LONGEST;
    match datasets.iter().find(too_long) {
        None => Ok(()),
        Some(dataset) => {
            let said = format!("{dataset}@{name} would be longer than {LONGEST} bytes");
            Err(invalid(dataset, said))
        }
    }
}

fn invalid(dataset: &DatasetName, said: String) -> ZfsError {
    ZfsError::Invalid {
        dataset: dataset.to_string(),
        said,
    }
}

/// A line of `zfs holds -Hp`: snapshot, tag, seconds. Before 2.2 there is no `-p` and the time is for people.
fn hold_fact(line: &str) -> Option<HoldFact> {
    let mut fields = line.split('\t');
    let (snapshot, tag, since) = (fields.next()?, fields.next()?, fields.next()?);
    Some(HoldFact {
        snapshot: SnapshotId::parse(snapshot)?,
        tag: tag.to_owned(),
        since: since.trim().parse().ok(),
    })
}

impl<S: Shell> Zfs<'_, S> {
    async fn seen(&self, names: impl IntoIterator<Item = &str> + Send) -> Result<Survey, ZfsError> {
        let command = Command::script(SURVEY_SCRIPT, SURVEY)
            .args([MARK])
            .args(names)
            .timeout(LIST_PATIENCE);
        let output = self.0.demand(command).await?;
        // Borrowed where it is UTF-8, which is always: a hundred megabytes are not copied.
        parse_survey(&String::from_utf8_lossy(&output.stdout)).map_err(|why| self.garbled(why))
    }

    fn garbled(&self, why: String) -> ZfsError {
        ZfsError::Garbled {
            host: self.0.host().to_string(),
            why,
        }
    }

    async fn tag(
        &self,
        verb: &str,
        tag: &str,
        snapshots: &[SnapshotId],
    ) -> Result<Outcome, ZfsError> {
        let Some(first) = snapshots.first() else {
            return Ok(Outcome::Unchanged);
        };
        let lines = one_a_line(snapshots);
        let command = Command::script(HOLD_SCRIPT, HOLD)
            .args([verb, tag])
            .stdin(lines);
        let output = self.change(&first.dataset, command).await?;
        Ok(if output.stdout.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Changed
        })
    }

    /// Runs a command that changes something. One that succeeds and complains has done only a part.
    async fn change(&self, dataset: &DatasetName, command: Command) -> Result<Output, ZfsError> {
        let output = self.0.run(command.timeout(CHANGE_PATIENCE)).await?;
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
