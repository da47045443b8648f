//! What is remembered of the nights: for the metrics, never for a decision.

use super::outcome::{End, Gauge, Outcome};
use crate::model::nights::Job;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

const FILE: &str = "nights.json";
const TOLD: &str = "told";

/// How something went the last time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Last {
    /// Seconds since 1970.
    pub(super) run: i64,
    pub(super) success: Option<i64>,
    pub(super) milliseconds: u64,
    pub(super) well: bool,
    #[serde(default)]
    pub(super) gauges: Vec<Gauge>,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) night: Option<Last>,
    pub(super) jobs: BTreeMap<Job, Last>,
    /// How often somebody could not be told in the last run.
    #[serde(default)]
    pub(super) unheard: usize,
}

impl Memory {
    /// Reads it. What cannot be read is begun anew: it decides nothing.
    pub(super) fn read(state: &Path) -> Self {
        std::fs::read_to_string(state.join(FILE))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Writes it, whole.
    pub(super) fn write(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        replace(&state.join(FILE), &text)
    }

    /// Takes in what came of a job.
    pub(super) fn job(&mut self, outcome: &Outcome, now: i64) {
        // What was skipped did not succeed; it has no number at all.
        if outcome.end == End::Skipped {
            self.jobs.remove(&outcome.job);
            return;
        }
        let last = self.jobs.entry(outcome.job).or_default();
        *last = Last {
            run: now,
            success: if outcome.failed() {
                last.success
            } else {
                Some(now)
            },
            milliseconds: outcome.milliseconds,
            well: !outcome.failed(),
            gauges: outcome.gauges.clone(),
        };
    }

    /// Takes in what came of a whole night.
    pub(super) fn night(&mut self, well: bool, milliseconds: u64, now: i64) {
        let before = self.night.take().unwrap_or_default();
        self.night = Some(Last {
            run: now,
            success: if well { Some(now) } else { before.success },
            milliseconds,
            well,
            gauges: Vec::new(),
        });
    }

    /// In Prometheus' text format.
    pub(super) fn metrics(&self, system: &str) -> String {
        let mut rows: BTreeMap<(&str, &str), Vec<(String, String)>> = BTreeMap::new();
        let own = [("system".to_owned(), system.to_owned())];
        let mut add = |name, help, labels: &[(String, String)], value: String| {
            let all: Vec<(String, String)> = own.iter().chain(labels).cloned().collect();
            let row = (labelled(&all), value);
            let rows = rows.entry((name, help)).or_default();
            // One value each: a job that told it before another one was given it has the older one.
            rows.retain(|(labels, _)| *labels != row.0);
            rows.push(row);
        };
        let nights = self.night.iter().map(|last| ("night", Vec::new(), last));
        let jobs = self.jobs.iter().map(|(job, last)| {
            let label = ("name".to_owned(), job.word().to_owned());
            ("job", vec![label], last)
        });
        for (what, labels, last) in nights.chain(jobs) {
            let [run, success, well, took] = names(what);
            add(run.0, run.1, &labels, last.run.to_string());
            if let Some(at) = last.success {
                add(success.0, success.1, &labels, at.to_string());
            }
            add(well.0, well.1, &labels, u8::from(last.well).to_string());
            let seconds = format!(
                "{}.{:03}",
                last.milliseconds / 1000,
                last.milliseconds % 1000
            );
            add(took.0, took.1, &labels, seconds);
            for gauge in &last.gauges {
                let value = gauge.value.to_string();
                add(
                    gauge.name.as_str(),
                    gauge.help.as_str(),
                    &gauge.labels,
                    value,
                );
            }
        }
        let unheard = self.unheard.to_string();
        add(
            "notify_failures",
            "How often somebody could not be told in the last run.",
            &[],
            unheard,
        );
        let mut out = String::new();
        for ((name, help), rows) in rows {
            let _ = writeln!(out, "# HELP infra_{name} {help}\n# TYPE infra_{name} gauge");
            for (labels, value) in rows {
                let _ = writeln!(out, "infra_{name}{{{labels}}} {value}");
            }
        }
        out
    }
}

type Name = (&'static str, &'static str);

fn names(what: &str) -> [Name; 4] {
    if what == "night" {
        [
            (
                "night_last_run_timestamp_seconds",
                "When the last night ended.",
            ),
            (
                "night_last_success_timestamp_seconds",
                "When the last night ended in which nothing failed.",
            ),
            ("night_success", "1 when nothing failed in the last night."),
            ("night_duration_seconds", "How long the last night took."),
        ]
    } else {
        [
            (
                "job_last_run_timestamp_seconds",
                "When a nightly job ended.",
            ),
            (
                "job_last_success_timestamp_seconds",
                "When a nightly job last ended well.",
            ),
            ("job_success", "1 when a nightly job ended well."),
            ("job_duration_seconds", "How long a nightly job took."),
        ]
    }
}

fn labelled(pairs: &[(String, String)]) -> String {
    let escaped = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', " ")
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
        .collect();
    pairs.join(",")
}

/// A file that is never seen half-written.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}

/// Remembers that the run with this id has told of its failure.
pub(super) fn tell(state: &Path, run: &str) -> io::Result<()> {
    replace(&state.join(TOLD), run)
}

/// Whether it has.
pub(super) fn was_told(state: &Path, run: &str) -> bool {
    std::fs::read_to_string(state.join(TOLD)).is_ok_and(|told| told == run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_last_success_where_it_was() {
        let mut memory = Memory::default();
        let mut outcome = Outcome {
            job: Job::Drift,
            end: End::Well,
            exit: 0,
            lines: Vec::new(),
            milliseconds: 1_250,
            gauges: vec![Gauge {
                name: "drift_changes".to_owned(),
                help: "What differs.".to_owned(),
                labels: vec![("a".to_owned(), "\"quoted\"".to_owned())],
                value: 3,
            }],
        };
        memory.job(&outcome, 100);
        outcome.end = End::Failed;
        memory.job(&outcome, 200);
        memory.night(false, 10, 200);
        let text = memory.metrics("home");
        for line in [
            "infra_job_last_run_timestamp_seconds{system=\"home\",name=\"drift\"} 200",
            "infra_job_last_success_timestamp_seconds{system=\"home\",name=\"drift\"} 100",
            "infra_job_success{system=\"home\",name=\"drift\"} 0",
            "infra_job_duration_seconds{system=\"home\",name=\"drift\"} 1.250",
            "infra_drift_changes{system=\"home\",a=\"\\\"quoted\\\"\"} 3",
            "infra_night_success{system=\"home\"} 0",
            "infra_notify_failures{system=\"home\"} 0",
        ] {
            assert!(
                text.lines().any(|own| own == line),
                "`{line}` is not in\n{text}"
            );
        }
        assert!(!text.contains("infra_night_last_success"), "{text}");
    }
}
