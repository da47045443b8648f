//! What came of a job, and of a night, in words.

use crate::model::nights::Job;
use crate::view::words::{count, duration};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// So many lines of a job are told; the rest is in its own verb.
const LINES: usize = 20;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    /// Everything is as it should be.
    Well,
    /// The inventory asks for nothing of the kind.
    Skipped,
    /// It did not, or something is not as it should be.
    Failed,
}

/// A number for Prometheus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Gauge {
    /// Without `infra_`.
    pub(super) name: String,
    pub(super) help: String,
    /// Label pairs beside the system's.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: i64,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    pub(super) job: Job,
    pub(super) end: End,
    /// The exit code of the verb by itself.
    pub(super) exit: u8,
    pub(super) lines: Vec<String>,
    pub(super) milliseconds: u64,
    #[serde(skip)]
    pub(super) gauges: Vec<Gauge>,
}

impl Outcome {
    pub(super) fn failed(&self) -> bool {
        self.end == End::Failed
    }

    /// One job, with what it said.
    pub(super) fn text(&self) -> String {
        let (sign, note) = match self.end {
            End::Well => ("ok", String::new()),
            End::Skipped => ("--", String::new()),
            End::Failed => ("FAILED", format!(" (exit {})", self.exit)),
        };
        let took = duration(self.milliseconds);
        let mut out = format!("{sign:6} {}{note}, {took}\n", self.job);
        for line in self.lines.iter().take(LINES) {
            let _ = writeln!(out, "         {line}");
        }
        if self.lines.len() > LINES {
            let more = count(self.lines.len() - LINES, "more line", "more lines");
            let _ = writeln!(out, "         and {more}");
        }
        out
    }
}

/// The one line about a whole night.
pub(super) fn title(system: &str, outcomes: &[Outcome]) -> String {
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.failed())
        .map(|outcome| outcome.job.word())
        .collect();
    if failed.is_empty() {
        let done = outcomes.iter().filter(|o| o.end == End::Well).count();
        format!(
            "{system}: the night is well, {}",
            count(done, "job", "jobs")
        )
    } else {
        format!("{system}: failed in the night: {}", failed.join(", "))
    }
}

/// What failed first, then the rest in order.
pub(super) fn summary(outcomes: &[Outcome], where_and_when: &str) -> String {
    let failed = outcomes.iter().filter(|outcome| outcome.failed());
    let others = outcomes.iter().filter(|outcome| !outcome.failed());
    let mut out: String = failed.chain(others).map(Outcome::text).collect();
    let _ = writeln!(out, "\n{where_and_when}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(job: Job, end: End, lines: &[&str]) -> Outcome {
        Outcome {
            job,
            end,
            exit: u8::from(end == End::Failed),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            milliseconds: 1_200,
            gauges: Vec::new(),
        }
    }

    #[test]
    fn what_failed_comes_first_and_is_in_the_title() {
        let outcomes = [
            outcome(Job::Snapshot, End::Well, &["pve: 4 datasets"]),
            outcome(Job::Replicate, End::Skipped, &[]),
            outcome(Job::Drift, End::Failed, &["intranet: file /etc/motd"]),
        ];
        assert_eq!(title("home", &outcomes), "home: failed in the night: drift");
        assert_eq!(
            title("home", &outcomes[..2]),
            "home: the night is well, 1 job"
        );
        assert_eq!(
            summary(&outcomes, "On pve."),
            "FAILED drift (exit 1), 1.2 s\n         intranet: file /etc/motd\nok     snapshot, 1.2 s\n         \
             pve: 4 datasets\n--     replicate, 1.2 s\n\nOn pve.\n"
        );
        let long = outcome(Job::Drift, End::Failed, &["x"; 25]);
        assert!(
            long.text().ends_with("and 5 more lines\n"),
            "{}",
            long.text()
        );
    }
}
