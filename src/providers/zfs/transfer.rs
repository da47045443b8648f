//! Sending snapshots from one dataset to another: the words of both commands, and what came of them.

use super::error::ZfsError;
use crate::model::{
    ids::{DatasetName, SnapshotName},
    snapshot::SnapshotId,
};
use crate::providers::shell::{Command, Output, Shell};
use std::time::Duration;

/// Name of the script that sends from one dataset to another on one host. Arguments: how many words the sending command
/// has, then those of `zfs send` and of `zfs receive`.
pub const TRANSFER_SCRIPT: &str = "infra-zfs-transfer";

const TRANSFER: &str = include_str!("scripts/transfer.sh");

/// Terabytes over a slow line.
const PATIENCE: Duration = Duration::from_hours(24 * 14);

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// All of a snapshot.
    Full {
        /// Snapshot.
        snapshot: SnapshotId,
        /// As it lies on the disk, encrypted.
        raw: bool,
    },
    /// What has changed since a base.
    Incremental {
        /// `@snapshot` or `#bookmark` of the same dataset.
        base: String,
        /// Snapshot.
        snapshot: SnapshotId,
        /// With the snapshots between.
        through: bool,
        /// As it lies on the disk, encrypted.
        raw: bool,
    },
    /// What an interrupted receive still lacks.
    Resume {
        /// Its token.
        token: String,
    },
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Both commands ended well.
    Arrived,
    /// The stream was cut; the far side kept what it had, and can go on.
    Cut {
        /// What was said.
        said: String,
    },
    /// The token is of no use any more.
    TokenRejected {
        /// What was said.
        said: String,
    },
    /// One of them refused.
    Refused {
        /// What was said.
        said: String,
    },
}

/// The words of `zfs send`. Blocks go as they are: large, compressed, embedded.
pub fn send(sending: &Sending) -> Command {
    let mut words: Vec<String> = vec!["zfs".to_owned(), "send".to_owned()];
    let raw = |words: &mut Vec<String>, raw: bool| {
        words.push(if raw { "-w" } else { "-Lce" }.to_owned());
    };
    match sending {
        Sending::Full {
            snapshot,
            raw: is_raw,
        } => {
            raw(&mut words, *is_raw);
            words.push(snapshot.to_string());
        }
        Sending::Incremental {
            base,
            snapshot,
            through,
            raw: is_raw,
        } => {
            raw(&mut words, *is_raw);
            words.push(if *through { "-I" } else { "-i" }.to_owned());
            words.push(if base.starts_with('#') {
                format!("{}{base}", snapshot.dataset)
            } else {
                base.clone()
            });
            words.push(snapshot.to_string());
        }
        Sending::Resume { token } => words.extend(["-t".to_owned(), token.clone()]),
    }
    Command::new(words).timeout(PATIENCE)
}

/// The words of `zfs receive`: never by force, never mounted, resumable. A replica that is made is nobody's to write into.
pub fn receive(target: &DatasetName, is_new: bool) -> Command {
    let mut words = vec!["zfs", "receive", "-s", "-u"];
    if is_new {
        words.extend(["-o", "readonly=on", "-o", "canmount=noauto"]);
    }
    words.push(target.as_str());
    Command::new(words).timeout(PATIENCE)
}

/// What came of both commands.
pub fn ending(sending: &Sending, sent: &Output, received: &Output) -> Ending {
    if sent.is_success() && received.is_success() {
        return Ending::Arrived;
    }
    let both: Vec<String> = [sent, received]
        .iter()
        .filter(|output| !output.is_success())
        .map(|output| output.complaint().trim().to_owned())
        .filter(|said| !said.is_empty())
        .collect();
    ended(sending, both.join("\n"))
}

fn ended(sending: &Sending, said: String) -> Ending {
    let is_resume = matches!(sending, Sending::Resume { .. });
    if is_resume && !said.contains("Partially received snapshot is saved") {
        return Ending::TokenRejected { said };
    }
    if said.contains("Partially received snapshot is saved") {
        return Ending::Cut { said };
    }
    Ending::Refused { said }
}

/// Sends from one dataset to another on the host of a shell; the data stay there.
pub async fn on_one_host<S: Shell>(
    shell: &S,
    sending: &Sending,
    target: &DatasetName,
    is_new: bool,
) -> Result<Ending, ZfsError> {
    let (send, receive) = (send(sending), receive(target, is_new));
    let words = send.argv.iter().skip(1);
    let count = words.len().to_string();
    let command = Command::script(TRANSFER_SCRIPT, TRANSFER)
        .args([count])
        .args(words.chain(receive.argv.iter().skip(1)).cloned())
        .timeout(PATIENCE);
    let output = shell.run(command).await?;
    let text = output.text();
    let code = |side: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| {
            line.strip_prefix(&format!("==zfs {side} "))?
                .trim()
                .parse::<i32>()
                .ok()
        })
    };
    match (code("send"), code("receive")) {
        (Some(0), Some(0)) => Ok(Ending::Arrived),
        (Some(_), Some(_)) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Ok(ended(sending, said))
        }
        (None, _) | (_, None) => Err(ZfsError::Garbled {
            host: shell.host().to_string(),
            why: format!("{TRANSFER_SCRIPT} answered `{}`", text.trim()),
        }),
    }
}

/// What the far side says about an existing dataset: the token of an interrupted receive, and the bytes written since a
/// snapshot.
pub async fn far_state<S: Shell>(
    shell: &S,
    dataset: &DatasetName,
    since: Option<&SnapshotName>,
) -> Result<(Option<String>, Option<u64>), ZfsError> {
    let mut properties = "receive_resume_token".to_owned();
    if let Some(since) = since {
        properties.push_str(",written@");
        properties.push_str(since.as_str());
    }
    let command = Command::new(["zfs", "get", "-Hp", "-o", "property,value"])
        .args([properties.as_str(), dataset.as_str()]);
    let text = shell.demand(command).await?.text();
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(property, _)| property.starts_with(name))
            .map(|(_, value)| value)
            .filter(|value| *value != "-")
    };
    let token = value("receive_resume_token").map(str::to_owned);
    let written = match (since, value("written@")) {
        (None, _) => None,
        (Some(_), Some(bytes)) => Some(bytes.parse().map_err(|_| ZfsError::Garbled {
            host: shell.host().to_string(),
            why: format!("zfs get answered `{}`", text.trim()),
        })?),
        (Some(since), None) => {
            return Err(ZfsError::Garbled {
                host: shell.host().to_string(),
                why: format!("zfs get does not say what was written since {dataset}@{since}"),
            });
        }
    };
    Ok((token, written))
}

/// Forgets what an interrupted receive left. Nothing that has arrived whole is touched.
pub async fn abort<S: Shell>(shell: &S, dataset: &DatasetName) -> Result<(), ZfsError> {
    shell
        .demand(Command::new(["zfs", "receive", "-A", dataset.as_str()]))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        command.argv.join(" ")
    }

    fn id(text: &str) -> SnapshotId {
        SnapshotId::parse(text).expect("valid")
    }

    #[test]
    fn a_bookmark_is_named_with_its_dataset_and_force_is_never_used() {
        let sending = Sending::Incremental {
            base: "#infra-replica-b-1".to_owned(),
            snapshot: id("tank/photos@s"),
            through: false,
            raw: true,
        };
        assert_eq!(
            words(&send(&sending)),
            "zfs send -w -i tank/photos#infra-replica-b-1 tank/photos@s"
        );
        let target = DatasetName::new("backup/photos").expect("valid");
        assert_eq!(
            words(&receive(&target, false)),
            "zfs receive -s -u backup/photos"
        );
        assert_eq!(
            words(&receive(&target, true)),
            "zfs receive -s -u -o readonly=on -o canmount=noauto backup/photos"
        );
    }

    #[test]
    fn endings_are_told_apart_by_what_zfs_really_says() {
        let full = Sending::Full {
            snapshot: id("tank/media@all3"),
            raw: false,
        };
        let failed = |said: &str| Output {
            code: 1,
            stderr: said.as_bytes().to_vec(),
            ..Output::default()
        };
        let cut = "cannot receive new filesystem stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\nA resuming stream can be generated on the sending system by running:\n    zfs send -t 1-a9";
        assert!(matches!(
            ending(&full, &Output::default(), &failed(cut)),
            Ending::Cut { .. }
        ));
        let corrupt = "cannot resume send: resume token is corrupt (payload is not hex-encoded)";
        let resume = Sending::Resume {
            token: "1-deadbeef-00-xx".to_owned(),
        };
        assert!(matches!(
            ending(
                &resume,
                &failed(corrupt),
                &failed("cannot receive: failed to read from stream")
            ),
            Ending::TokenRejected { .. }
        ));
        let modified = "cannot receive incremental stream: destination backup/media has been modified\nsince most recent snapshot";
        assert_eq!(
            ending(&full, &Output::default(), &failed(modified)),
            Ending::Refused {
                said: modified.to_owned()
            }
        );
    }
}
