//! Tasks: their ids, their states, and how long to wait between two looks.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// The id of a task. It names the node that runs it; only that node knows the task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upid(String);

/// Why a text is not a UPID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task id (UPID:node:pid:pstart:starttime:type:id:user:)")]
pub struct InvalidUpid(pub String);

impl Upid {
    /// The node that runs the task.
    pub fn node(&self) -> &str {
        self.part(1)
    }

    /// The type: `qmcreate`, `qmstart`, `download` ...
    pub fn kind(&self) -> &str {
        self.part(5)
    }

    /// What it works on: a VMID, a file name, or nothing (`imgcopy`).
    pub fn subject(&self) -> &str {
        self.part(6)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of the parts between the colons; all nine are there, or this is no UPID.
    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

impl FromStr for Upid {
    type Err = InvalidUpid;

    fn from_str(text: &str) -> Result<Self, InvalidUpid> {
        let invalid = || InvalidUpid(text.to_owned());
        let hex = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let parts: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, starttime, kind, _, user, ""] = parts.as_slice() else {
            return Err(invalid());
        };
        let is_node = !node.is_empty()
            && node.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !node.starts_with('-');
        // After 497 days of uptime `pstart` has nine digits.
        let numbers = hex(pid, 8..=8) && hex(pstart, 8..=9) && hex(starttime, 8..=8);
        if !is_node
            || !numbers
            || kind.is_empty()
            || user.is_empty()
            || text.contains(char::is_whitespace)
        {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Upid {
    type Error = InvalidUpid;
    fn try_from(text: String) -> Result<Self, InvalidUpid> {
        text.parse()
    }
}

impl From<Upid> for String {
    fn from(upid: Upid) -> Self {
        upid.0
    }
}

/// What a task is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStatus {
    /// It runs.
    Running,
    /// It ended well.
    Done(TaskEnd),
    /// It ended badly; the text is its `exitstatus`.
    Failed(String),
    /// It ended, and the node does not know how (`unexpected status`): look at what it was to change.
    Unknown,
}

/// How a task ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEnd {
    /// Warnings in its log, 0 for `OK`.
    pub warnings: u32,
}

impl TaskStatus {
    /// Reads `status` and `exitstatus` as the task list gives them.
    pub(super) fn read(status: &str, exit: Option<&str>) -> Self {
        match (status, exit.map(str::trim)) {
            ("running", _) => Self::Running,
            (_, None | Some("" | "unexpected status")) => Self::Unknown,
            (_, Some("OK")) => Self::Done(TaskEnd { warnings: 0 }),
            (_, Some(text)) => match text.strip_prefix("WARNINGS: ").and_then(|n| n.parse().ok()) {
                Some(warnings) => Self::Done(TaskEnd { warnings }),
                None => Self::Failed(text.to_owned()),
            },
        }
    }
}

/// How long to wait between two looks, or two tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub cap: Duration,
    /// Factor on every wait; the lab's clock. 1 is real time.
    pub scale: f64,
}

impl Pace {
    /// Looking at a task: most of a homelab's tasks end within a second, downloads take minutes.
    pub const TASK: Self = Self {
        first: Duration::from_millis(100),
        cap: Duration::from_secs(1),
        scale: 1.0,
    };
    /// Trying again after a passing failure: longer than a daemon's restart in five tries.
    pub const RETRY: Self = Self {
        first: Duration::from_millis(250),
        cap: Duration::from_secs(4),
        scale: 1.0,
    };

    /// The same with another factor. A factor that is not a positive number counts as 1.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 {
            scale
        } else {
            1.0
        };
        Self { scale, ..self }
    }

    /// The wait after `round` looks, counted from 0: half as much again each time, up to the cap.
    pub fn wait(&self, round: u32) -> Duration {
        let grown =
            self.first.as_secs_f64() * 1.5_f64.powi(i32::try_from(round.min(64)).unwrap_or(64));
        let capped = grown.min(self.cap.as_secs_f64());
        Duration::from_secs_f64(capped * self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_knows_its_node_and_its_subject() {
        let text = "UPID:pve:000000DD:000938FA:6B008433:download:debian-13.qcow2:root@pam!test:";
        let upid: Upid = text.parse().expect("recorded with PVE 9.2.11");
        assert_eq!(
            (upid.node(), upid.kind(), upid.subject()),
            ("pve", "download", "debian-13.qcow2")
        );
        assert_eq!(upid.to_string(), text);
        let without_subject = "UPID:pve:000000EF:00093994:6B008435:imgcopy::root@pam!test:";
        assert_eq!(
            without_subject.parse::<Upid>().expect("recorded").subject(),
            ""
        );
        let long_uptime = "UPID:pve-2:0013A2B4:1A2B3C4D5:66F00000:qmstart:110:root@pam:";
        assert!(
            long_uptime.parse::<Upid>().is_ok(),
            "pstart has nine digits after 497 days"
        );
    }

    #[test]
    fn a_text_that_would_name_another_path_is_no_upid() {
        for text in [
            "",
            "OK",
            "UPID:pve:1:2:3:qmstart:1:root@pam:",
            "UPID:../x:000000DD:000938FA:6B008433:qmstart:1:root@pam:",
            "UPID:pve:000000DD:000938FA:6B008433:qmstart:1:root@pam",
            "UPID:pve:000000DD:000938FA:6B008433:qm start:1:root@pam:",
        ] {
            assert!(text.parse::<Upid>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_end_of_a_task_has_its_own_meaning() {
        let read = TaskStatus::read;
        assert_eq!(read("running", None), TaskStatus::Running);
        assert_eq!(
            read("stopped", Some("OK")),
            TaskStatus::Done(TaskEnd { warnings: 0 })
        );
        assert_eq!(
            read("stopped", Some("WARNINGS: 2")),
            TaskStatus::Done(TaskEnd { warnings: 2 })
        );
        assert_eq!(
            read("stopped", Some("unexpected status")),
            TaskStatus::Unknown
        );
        assert_eq!(read("stopped", None), TaskStatus::Unknown);
        let failed = TaskStatus::Failed("VM 100 already running".to_owned());
        assert_eq!(read("stopped", Some("VM 100 already running")), failed);
    }

    #[test]
    fn waits_grow_to_the_cap_and_follow_the_clock_factor() {
        let pace = Pace::TASK;
        assert_eq!(pace.wait(0), Duration::from_millis(100));
        assert_eq!(pace.wait(1), Duration::from_millis(150));
        assert_eq!(pace.wait(1000), Duration::from_secs(1));
        assert_eq!(pace.scaled(0.1).wait(1000), Duration::from_millis(100));
        assert_eq!(pace.scaled(f64::NAN).wait(0), Duration::from_millis(100));
    }
}
