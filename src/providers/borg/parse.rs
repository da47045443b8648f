//! borg's JSON -> facts. Pure.

use crate::providers::{
    backup::{BackupError, Counts, Damage, Forgotten, Returned, Snapshot, Summary},
    shell::Output,
};
use serde::Deserialize;

#[expect(
    clippy::needless_pass_by_value,
    reason = "it takes what `map_err` hands over"
)]
fn garbled(why: impl ToString) -> BackupError {
    BackupError::Garbled {
        program: "borg".to_owned(),
        why: why.to_string(),
    }
}

/// `borg 1.4.0` -> (1, 4).
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.strip_prefix("borg ")?.split_whitespace().next()?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    levelname: String,
    #[serde(default)]
    message: String,
}

/// What borg logged of a kind and worse.
fn logged(output: &Output, levels: &[&str]) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| levels.contains(&message.levelname.as_str()))
        .map(|message| message.message.trim().to_owned())
        .collect()
}

const BAD: [&str; 2] = ["ERROR", "CRITICAL"];

/// Its own last message, with what a server said before it and SSH after it; else what it wrote.
fn said(output: &Output) -> String {
    let mut all = logged(output, &["WARNING", "ERROR", "CRITICAL"]);
    if all.is_empty() {
        return output.complaint();
    }
    all.drain(..all.len().saturating_sub(3));
    let text = String::from_utf8_lossy(&output.stderr);
    let plain = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('{'));
    all.extend(plain.filter(|line| !line.is_empty()).map(str::to_owned));
    all[all.len().saturating_sub(5)..].join("; ")
}

/// What an exit code means, as `BORG_EXIT_CODES=modern` has them. 0 is nobody's error.
pub(super) fn outcome(doing: &str, place: &str, output: &Output) -> Result<(), BackupError> {
    match output.code {
        0 if output.signal.is_none() => Ok(()),
        // No such directory; one that is no repository.
        13 | 15 => Err(BackupError::NoRepository {
            place: place.to_owned(),
        }),
        // None given, wrong, wrong too often.
        50..=53 => Err(BackupError::Password),
        70..=75 => Err(BackupError::Locked { said: said(output) }),
        100..=127 => Err(BackupError::Unproven {
            why: format!("borg warned: {}", said(output)),
        }),
        code => Err(BackupError::Engine {
            doing: doing.to_owned(),
            code,
            said: said(output),
        }),
    }
}

#[derive(Deserialize)]
struct Stats {
    nfiles: u64,
    original_size: u64,
    deduplicated_size: u64,
}

#[derive(Deserialize)]
struct Archive {
    name: String,
    #[serde(default)]
    start: String,
    #[serde(default)]
    command_line: Vec<String>,
    #[serde(default)]
    hostname: String,
    stats: Option<Stats>,
}

impl Archive {
    fn snapshot(self) -> Snapshot {
        // Naive and UTC, because `TZ` says so.
        let time = format!("{}Z", self.start.split('.').next().unwrap_or_default());
        let at = self
            .command_line
            .iter()
            .position(|word| word.starts_with("::"));
        let paths = at.map(|at| self.command_line[at + 1..].to_vec());
        Snapshot {
            id: self.name,
            original: None,
            time,
            paths: paths.unwrap_or_default(),
            hostname: self.hostname,
            tags: Vec::new(),
            summary: self.stats.map(|stats| Counts {
                total_files_processed: stats.nfiles,
                total_bytes_processed: stats.original_size,
            }),
        }
    }
}

/// What `create --json` came to.
pub(super) fn summary(text: &str) -> Result<Summary, BackupError> {
    #[derive(Deserialize)]
    struct Created {
        archive: Archive,
    }
    let created: Created = serde_json::from_str(text).map_err(garbled)?;
    let stats = created
        .archive
        .stats
        .ok_or_else(|| garbled("there are no counts"))?;
    Ok(Summary {
        id: created.archive.name,
        files: stats.nfiles,
        bytes: stats.original_size,
        added: stats.deduplicated_size,
    })
}

#[derive(Deserialize)]
struct Archives {
    archives: Vec<Archive>,
}

/// `list --json` and `info --json`.
pub(super) fn archives(text: &str) -> Result<Vec<Snapshot>, BackupError> {
    let all: Archives = serde_json::from_str(text).map_err(garbled)?;
    Ok(all.archives.into_iter().map(Archive::snapshot).collect())
}

/// What `prune --list` keeps and lets go.
pub(super) fn pruned(output: &Output) -> Forgotten {
    let snapshot = |rest: &str| {
        // `NAME WEEKDAY, 2026-11-30 17:35:06 [ID]`.
        let (name, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let time = rest
            .split_once(", ")
            .and_then(|(_, rest)| rest.split_once(" ["))
            .map(|(time, _)| format!("{}Z", time.trim().replace(' ', "T")));
        Snapshot {
            id: name.to_owned(),
            original: None,
            time: time.unwrap_or_default(),
            paths: Vec::new(),
            hostname: String::new(),
            tags: Vec::new(),
            summary: None,
        }
    };
    let mut out = Forgotten::default();
    for line in logged(output, &["INFO"]) {
        if let Some(rest) = line.strip_prefix("Keeping archive (rule: ")
            && let Some((why, rest)) = rest.split_once("):")
        {
            out.kept.push((snapshot(rest), vec![why.to_owned()]));
        } else if let Some(rest) = line.strip_prefix("Would prune:") {
            out.removed.push(snapshot(rest));
        } else if line.starts_with("Pruning archive (")
            && let Some((_, rest)) = line.split_once("):")
        {
            out.removed.push(snapshot(rest));
        }
    }
    out
}

/// What `check` found; none when the repository is whole.
pub(super) fn damage(output: &Output) -> Option<Damage> {
    if output.is_success() {
        return None;
    }
    let said = logged(output, &BAD);
    Some(Damage {
        errors: u64::try_from(said.len()).unwrap_or(u64::MAX).max(1),
        packs: Vec::new(),
        said,
    })
}

#[derive(Deserialize)]
struct Item {
    path: String,
    size: u64,
    #[serde(rename = "type")]
    kind: String,
}

/// The items of `list --json-lines`: relative paths below a folder, and what they come to.
pub(super) fn items(text: &str, folder: &str) -> Result<(Vec<String>, Returned), BackupError> {
    let folder = folder.trim_matches('/');
    let lead = format!("{folder}/");
    let (mut paths, mut sum) = (Vec::new(), Returned::default());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let item: Item = serde_json::from_str(line).map_err(garbled)?;
        sum.entries += 1;
        if item.kind == "-" {
            sum.bytes += item.size;
        }
        if let Some(inner) = item.path.strip_prefix(&lead) {
            paths.push(inner.to_owned());
        }
    }
    if sum.entries == 0 {
        return Err(BackupError::Unproven {
            why: "nothing by this name is in the backup".to_owned(),
        });
    }
    Ok((paths, sum))
}
