//! restic's JSON -> facts. Pure. What it looks like was captured from restic 0.18.0.

use crate::providers::{
    backup::{BackupError, Damage, Forgotten, Returned, Snapshot, Summary},
    shell::Output,
};
use serde::Deserialize;

#[expect(
    clippy::needless_pass_by_value,
    reason = "it takes what `map_err` hands over"
)]
fn garbled(why: impl ToString) -> BackupError {
    BackupError::Garbled {
        program: "restic".to_owned(),
        why: why.to_string(),
    }
}

/// `restic 0.18.0 compiled with ...` -> (0, 18).
pub fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.strip_prefix("restic ")?.split_whitespace().next()?;
    let mut parts = number.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The last words of a failed command: its own message, else what it wrote.
pub(super) fn said(output: &Output) -> String {
    #[derive(Deserialize)]
    struct Message {
        message_type: String,
        #[serde(default)]
        message: String,
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let messages: Vec<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.message_type == "exit_error" || message.message_type == "error")
        .map(|message| message.message.trim().to_owned())
        .filter(|message| !message.is_empty())
        .collect();
    match messages.last() {
        Some(last) => last.clone(),
        None => output.complaint(),
    }
}

/// What an exit code means. 0 is nobody's error.
pub(super) fn outcome(doing: &str, place: &str, output: &Output) -> Result<(), BackupError> {
    match output.code {
        0 if output.signal.is_none() => Ok(()),
        10 => Err(BackupError::NoRepository {
            place: place.to_owned(),
        }),
        11 => Err(BackupError::Locked { said: said(output) }),
        12 => Err(BackupError::Password),
        code => Err(BackupError::Engine {
            doing: doing.to_owned(),
            code,
            said: said(output),
        }),
    }
}

/// The summary among what `backup` wrote.
pub(super) fn summary(output: &Output) -> Result<Summary, BackupError> {
    #[derive(Deserialize)]
    struct Said {
        snapshot_id: String,
        total_files_processed: u64,
        total_bytes_processed: u64,
        data_added: u64,
    }
    let text = output.text();
    let line = text
        .lines()
        .rfind(|line| line.contains("\"message_type\":\"summary\""))
        .ok_or_else(|| garbled("there is no summary"))?;
    let said: Said = serde_json::from_str(line).map_err(garbled)?;
    Ok(Summary {
        id: said.snapshot_id,
        files: said.total_files_processed,
        bytes: said.total_bytes_processed,
        added: said.data_added,
    })
}

/// Sources that were passed over: restic still ends with 0.
pub(super) fn skipped(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| line.strip_suffix(" does not exist, skipping"))
        .map(str::to_owned)
        .collect()
}

pub(super) fn snapshots(text: &str) -> Result<Vec<Snapshot>, BackupError> {
    let text = text.trim();
    // An empty list is `null` in some versions.
    let all: Option<Vec<Snapshot>> = serde_json::from_str(text).map_err(garbled)?;
    Ok(all.unwrap_or_default())
}

pub(super) fn forgotten(text: &str) -> Result<Forgotten, BackupError> {
    #[derive(Deserialize)]
    struct Group {
        #[serde(default)]
        remove: Option<Vec<Snapshot>>,
        #[serde(default)]
        keep: Option<Vec<Snapshot>>,
        #[serde(default)]
        reasons: Option<Vec<Reason>>,
    }
    #[derive(Deserialize)]
    struct Reason {
        snapshot: Snapshot,
        matches: Vec<String>,
    }
    let mut out = Forgotten::default();
    let line = text
        .lines()
        .find(|line| line.starts_with('[') || line.trim() == "null");
    // Nothing matched: there is no list at all.
    let Some(line) = line else { return Ok(out) };
    let groups: Option<Vec<Group>> = serde_json::from_str(line).map_err(garbled)?;
    for group in groups.unwrap_or_default() {
        out.removed.extend(group.remove.unwrap_or_default());
        let reasons = group.reasons.unwrap_or_default();
        for kept in group.keep.unwrap_or_default() {
            let why = reasons
                .iter()
                .find(|reason| reason.snapshot.id == kept.id || reason.snapshot.time == kept.time)
                .map(|reason| reason.matches.clone());
            out.kept.push((kept, why.unwrap_or_default()));
        }
    }
    Ok(out)
}

/// What `check` found; none when the repository is whole.
pub(super) fn damage(output: &Output) -> Option<Damage> {
    #[derive(Deserialize)]
    struct Verdict {
        num_errors: u64,
        broken_packs: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct Message {
        message_type: String,
        #[serde(default)]
        message: String,
    }
    let text = output.text();
    let verdict: Option<Verdict> = text
        .lines()
        .filter(|line| line.contains("\"message_type\":\"summary\""))
        .find_map(|line| serde_json::from_str(line).ok());
    let errors = verdict.as_ref().map_or(0, |verdict| verdict.num_errors);
    if output.is_success() && errors == 0 && verdict.is_some() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.message_type == "error")
        .map(|message| message.message.trim().to_owned())
        .collect();
    Some(Damage {
        errors: errors.max(1),
        packs: verdict
            .and_then(|verdict| verdict.broken_packs)
            .unwrap_or_default(),
        said,
    })
}

/// What a restore brought: files and folders, bytes.
pub(super) fn restored(text: &str) -> Result<Returned, BackupError> {
    #[expect(clippy::struct_field_names, reason = "restic's own words")]
    #[derive(Deserialize)]
    struct Restored {
        #[serde(default)]
        total_files: u64,
        #[serde(default)]
        files_restored: u64,
        #[serde(default)]
        total_bytes: u64,
        #[serde(default)]
        bytes_restored: u64,
        #[serde(default)]
        files_skipped: u64,
        #[serde(default)]
        bytes_skipped: u64,
    }
    let line = text
        .lines()
        .rfind(|line| line.contains("\"message_type\":\"summary\""))
        .ok_or_else(|| garbled("there is no summary"))?;
    let all: Restored = serde_json::from_str(line).map_err(garbled)?;
    // Where nothing matched restic ends with 0 and counts nothing.
    // What is there already and alike is skipped, and counted apart.
    if all.total_files + all.files_skipped == 0 {
        return Err(BackupError::Unproven {
            why: "nothing by this name is in the backup".to_owned(),
        });
    }
    if all.files_restored < all.total_files || all.bytes_restored < all.total_bytes {
        return Err(BackupError::Unproven {
            why: format!(
                "{} of {} files and {} of {} bytes came back",
                all.files_restored, all.total_files, all.bytes_restored, all.total_bytes
            ),
        });
    }
    Ok(Returned {
        entries: all.total_files + all.files_skipped,
        bytes: all.total_bytes + all.bytes_skipped,
    })
}

/// Every path below a folder, relative to it. Nothing at all is no answer: the folder itself is always listed.
pub(super) fn paths(text: &str, folder: &str) -> Result<Vec<String>, BackupError> {
    #[derive(Deserialize)]
    struct Node {
        #[serde(default)]
        message_type: String,
        #[serde(default)]
        path: String,
    }
    let lead = format!("{}/", folder.trim_end_matches('/'));
    let (mut out, mut has_folder) = (Vec::new(), false);
    for line in text.lines() {
        let node: Node = serde_json::from_str(line).map_err(garbled)?;
        if node.message_type != "node" {
            continue;
        }
        has_folder |= node.path == folder;
        if let Some(inner) = node.path.strip_prefix(&lead) {
            out.push(inner.to_owned());
        }
    }
    if has_folder {
        Ok(out)
    } else {
        Err(garbled(format!("{folder} is not in the list")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Captured from restic 0.18.0 of Debian 13.
    const SUMMARY: &str = r#"{"message_type":"summary","files_new":3,"files_changed":0,"files_unmodified":0,"dirs_new":3,"dirs_changed":0,"dirs_unmodified":0,"data_blobs":3,"tree_blobs":4,"data_added":2256,"data_added_packed":1516,"total_files_processed":3,"total_bytes_processed":6,"total_duration":0.861894536,"backup_start":"2026-11-30T14:30:59.009133239Z","backup_end":"2026-11-30T14:30:59.871027775Z","snapshot_id":"515dddb4b78d78a2ad1ba536e8a218194ac942723b2c71d6780c27e0be0c9cea"}"#;
    const LOCKED: &str = r#"{"message_type":"exit_error","code":11,"message":"unable to create lock in backend: repository is already locked by PID 28321 on vm by root (UID 0, GID 0)\nlock was created at 2026-11-30 14:31:11 (2.671539951s ago)\nstorage ID 84f975b7\nthe `unlock` command can be used to remove stale locks"}"#;
    const FULL: &str = "Save(<data/3b291b579a>) failed: write /tmp/tiny/r/data/3b/3b291b57-tmp-3296242507: no space left on device\n{\"message_type\":\"exit_error\",\"code\":1,\"message\":\"Fatal: unable to save snapshot: write /tmp/tiny/r/data/3b/3b291b57-tmp-3296242507: no space left on device\"}";
    const BROKEN: &str = r#"{"message_type":"summary","num_errors":2,"broken_packs":["357f03424254fb9a6ebc137eb646da03fd88bdd0ea516f3f73745427d1d6feea"],"suggest_repair_index":false,"suggest_prune":false}"#;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output {
            code,
            stdout: stdout.into(),
            stderr: stderr.into(),
            ..Output::default()
        }
    }

    #[test]
    fn a_summary_is_found_and_its_absence_is_told() {
        let found = summary(&output(0, SUMMARY, "")).expect("one");
        assert_eq!((found.files, found.added), (3, 2256));
        assert!(summary(&output(0, "", "")).is_err());
    }

    #[test]
    fn exit_codes_are_told_apart() {
        let of = |code, said: &str| outcome("back up", "/srv/r", &output(code, "", said));
        assert!(of(0, "").is_ok());
        assert!(matches!(of(10, ""), Err(BackupError::NoRepository { .. })));
        assert!(
            matches!(of(11, LOCKED), Err(BackupError::Locked { said }) if said.contains("PID 28321"))
        );
        assert!(matches!(of(12, ""), Err(BackupError::Password)));
        assert!(matches!(
            of(3, ""),
            Err(BackupError::Engine { code: 3, .. })
        ));
        let full = of(1, FULL).expect_err("full");
        assert!(full.to_string().contains("no space left"), "{full}");
        assert!(full.hint().is_some());
    }

    #[test]
    fn a_source_that_does_not_exist_is_seen_behind_an_exit_of_0() {
        let said = output(0, SUMMARY, "/nope does not exist, skipping\n");
        assert_eq!(skipped(&said), ["/nope"]);
    }

    #[test]
    fn damage_is_counted_and_a_check_without_a_verdict_is_no_proof() {
        let whole = r#"{"message_type":"summary","num_errors":0,"broken_packs":null,"suggest_repair_index":false,"suggest_prune":false}"#;
        assert_eq!(damage(&output(0, whole, "")), None);
        let found = damage(&output(1, BROKEN, "")).expect("damage");
        assert_eq!((found.errors, found.packs.len()), (2, 1));
        assert!(damage(&output(0, "", "")).is_some());
    }

    #[test]
    fn a_restore_of_nothing_is_a_failure() {
        assert!(restored(r#"{"message_type":"summary"}"#).is_err());
        let all = r#"{"message_type":"summary","total_files":7,"files_restored":7,"total_bytes":6,"bytes_restored":6}"#;
        let back = restored(all).expect("all");
        assert_eq!((back.entries, back.bytes), (7, 6));
        let again = r#"{"message_type":"summary","total_files":1,"files_restored":1,"files_skipped":1,"total_bytes":2,"bytes_restored":2,"bytes_skipped":2}"#;
        let back = restored(again).expect("one of two was alike");
        assert_eq!((back.entries, back.bytes), (2, 4));
        let nothing = r#"{"message_type":"summary","files_skipped":2,"bytes_skipped":4}"#;
        assert_eq!(restored(nothing).expect("both were alike").entries, 2);
        let part = r#"{"message_type":"summary","total_files":7,"files_restored":5,"total_bytes":6,"bytes_restored":2}"#;
        assert!(restored(part).is_err());
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version("restic 0.18.0 compiled with go1.24.4 on linux/amd64"),
            Some((0, 18))
        );
        assert_eq!(
            version("restic 0.14.0-dev (compiled manually)"),
            Some((0, 14))
        );
        assert_eq!(version("zsh: command not found"), None);
    }
}
