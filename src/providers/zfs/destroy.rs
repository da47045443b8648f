//! Destroying snapshots in batches, and what to do when one of a batch cannot go.
//!
//! One channel program destroys what a zpool loses, and tells what stays. For the words of why, and where programs are not to
//! be had: ZFS destroys all of `dataset@a,b,c` or none of it. So: all at once; then without those that it named; then one by
//! one. That is three round trips, however many datasets and snapshots there are.

use super::error::ZfsError;
use crate::model::{
    ids::{DatasetName, SnapshotName},
    snapshot::SnapshotId,
};
use crate::providers::shell::{Command, Output, Shell};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

const SCRIPT: &str = include_str!("scripts/destroy.sh");

/// Name of the script that destroys snapshots. Input: lines `DATASET@NAME[,NAME...]`; output: a line
/// `==zfs exit CODE WORDS` for each, then `==zfs end`.
pub const DESTROY_SCRIPT: &str = "infra-zfs-destroy";

/// Bytes of names in one `zfs destroy`. Linux takes 128 KiB in one argument.
const BATCH: usize = 64 << 10;

/// A thousand snapshots of a busy pool of spinning disks.
const PATIENCE: Duration = Duration::from_mins(30);

/// Waits for what is busy for a moment: another `zfs list`, a mount of `.zfs/snapshot` about to expire.
pub(super) const BUSY_PAUSE: Duration = Duration::from_secs(2);

/// What a destroy left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroyed {
    /// Snapshots that are not there any more.
    pub gone: Vec<SnapshotId>,
    /// Snapshots that could not go, with ZFS's words.
    pub left: Vec<(SnapshotId, String)>,
}

/// One `zfs destroy`.
type Batch = (DatasetName, Vec<SnapshotName>);

/// Destroys snapshots over a shell.
pub(super) async fn destroy<S: Shell>(
    shell: &S,
    snapshots: &[SnapshotId],
    pause: Duration,
) -> Result<Destroyed, ZfsError> {
    let mut done = Destroyed::default();
    let mut named = BTreeMap::new();
    let mut again = Vec::new();
    for (batch, answer) in round(shell, batches(snapshots)).await? {
        let blockers = named_in(&answer, &batch);
        match answer {
            Answer::Gone => done.gone.extend(ids(&batch)),
            Answer::Refused(said) if !blockers.is_empty() => {
                let (dataset, names) = batch;
                let (blocked, rest): (Vec<_>, Vec<_>) =
                    names.into_iter().partition(|name| blockers.contains(name));
                for name in blocked {
                    let id = SnapshotId {
                        dataset: dataset.clone(),
                        name,
                    };
                    named.insert(id, said.clone());
                }
                if !rest.is_empty() {
                    again.push((dataset, rest));
                }
            }
            Answer::Refused(_) => again.extend(singles(&batch)),
        }
    }
    let mut last = Vec::new();
    for (batch, answer) in round(shell, again).await? {
        match answer {
            Answer::Gone => done.gone.extend(ids(&batch)),
            Answer::Refused(_) if batch.1.len() > 1 => last.extend(singles(&batch)),
            Answer::Refused(said) => named.extend(ids(&batch).map(|id| (id, said.clone()))),
        }
    }
    // Held and cloned ones will not change their mind; one that was busy may.
    let (busy, left): (BTreeMap<_, _>, BTreeMap<_, _>) =
        named.into_iter().partition(|(_, said)| is_busy(said));
    done.left.extend(left);
    if !busy.is_empty() {
        tokio::time::sleep(pause).await;
    }
    last.extend(busy.into_keys().map(|id| (id.dataset, vec![id.name])));
    for (batch, answer) in round(shell, last).await? {
        match answer {
            Answer::Gone => done.gone.extend(ids(&batch)),
            Answer::Refused(said) => done.left.extend(ids(&batch).map(|id| (id, said.clone()))),
        }
    }
    done.gone.sort();
    done.left.sort();
    Ok(done)
}

/// What ZFS said to one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Gone,
    Refused(String),
}

/// Snapshots by dataset, in batches that fit into an argument.
fn batches(snapshots: &[SnapshotId]) -> Vec<Batch> {
    let unique: BTreeSet<&SnapshotId> = snapshots.iter().collect();
    let mut out: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    for id in unique {
        let length = id.name.as_str().len() + 1;
        match out.last_mut() {
            Some((dataset, names)) if *dataset == id.dataset && bytes + length <= BATCH => {
                names.push(id.name.clone());
                bytes += length;
            }
            _ => {
                out.push((id.dataset.clone(), vec![id.name.clone()]));
                bytes = id.dataset.as_str().len() + length;
            }
        }
    }
    out
}

fn singles(batch: &Batch) -> impl Iterator<Item = Batch> + use<> {
    let (dataset, names) = batch.clone();
    names
        .into_iter()
        .map(move |name| (dataset.clone(), vec![name]))
}

fn ids(batch: &Batch) -> impl Iterator<Item = SnapshotId> + use<> {
    let (dataset, names) = batch.clone();
    names.into_iter().map(move |name| SnapshotId {
        dataset: dataset.clone(),
        name,
    })
}

fn is_busy(said: &str) -> bool {
    said.contains("dataset is busy")
}

/// The snapshots of a batch that ZFS gave as its reason. They stand before the colon of a line `cannot destroy ...`.
fn named_in(answer: &Answer, batch: &Batch) -> BTreeSet<SnapshotName> {
    let Answer::Refused(said) = answer else {
        return BTreeSet::new();
    };
    let (dataset, names) = batch;
    said.split('\t')
        .filter_map(|line| line.strip_prefix("cannot destroy "))
        .filter_map(|line| {
            let line = line.strip_prefix("snapshot ").unwrap_or(line);
            let rest = line
                .trim_start_matches('\'')
                .strip_prefix(dataset.as_str())?
                .strip_prefix('@')?;
            // Names may hold colons and spaces, so the batch's own names are looked for, the longest first.
            let fits = |name: &&SnapshotName| {
                rest.strip_prefix(name.as_str())
                    .is_some_and(|after| after.starts_with(':') || after.starts_with("':"))
            };
            names
                .iter()
                .filter(fits)
                .max_by_key(|name| name.as_str().len())
                .cloned()
        })
        .collect()
}

async fn round<S: Shell>(shell: &S, batches: Vec<Batch>) -> Result<Vec<(Batch, Answer)>, ZfsError> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = String::new();
    for (dataset, names) in &batches {
        let names: Vec<&str> = names.iter().map(SnapshotName::as_str).collect();
        let _ = writeln!(input, "{dataset}@{}", names.join(","));
    }
    let command = Command::script(DESTROY_SCRIPT, SCRIPT)
        .stdin(input)
        .timeout(PATIENCE);
    let output = shell.run(command).await?;
    let answers = answers(&output, batches.len()).map_err(|why| ZfsError::Garbled {
        host: shell.host().to_string(),
        why,
    })?;
    for answer in &answers {
        if let Answer::Refused(said) = answer
            && (said.contains("modules are not loaded") || said.contains("not found"))
            && !said.contains("cannot")
        {
            return Err(ZfsError::NotThere {
                host: shell.host().to_string(),
                said: said.clone(),
            });
        }
    }
    Ok(batches.into_iter().zip(answers).collect())
}

/// One answer for each batch, or nothing is believed.
fn answers(output: &Output, wanted: usize) -> Result<Vec<Answer>, String> {
    let text = output.text();
    let mut answers = Vec::with_capacity(wanted);
    let mut is_whole = false;
    for line in text.lines() {
        if line == "==zfs end" {
            is_whole = true;
            continue;
        }
        let rest = line
            .strip_prefix("==zfs exit ")
            .ok_or_else(|| format!("unexpected line `{line}`"))?;
        let (code, said) = rest.split_once(' ').unwrap_or((rest, ""));
        // What is not there any more needs no destroying.
        let is_gone = code == "0" || said.contains("could not find any snapshots to destroy");
        answers.push(if is_gone {
            Answer::Gone
        } else {
            Answer::Refused(said.trim().to_owned())
        });
    }
    if is_whole && answers.len() == wanted {
        Ok(answers)
    } else {
        let complaint = output.complaint();
        Err(format!(
            "{} answers to {wanted} commands: {complaint}",
            answers.len()
        ))
    }
}
