//! What is known of a job's successes.

use crate::model::{
    backup::BackupJob,
    calendar::Calendar,
    desired::Desired,
    ids::{BackupName, DatasetName},
};
use jiff::{Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};
use serde::Serialize;
use std::collections::BTreeMap;

/// Hours that a run may take, or a host may be off, before it is late.
const SLACK: i64 = 12;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its last success is as young as its schedule wants.
    Fresh,
    /// It has missed a run.
    Late {
        /// Whole hours since the last success.
        hours: i64,
    },
    /// It has never succeeded.
    Never,
}

/// Compares a last success (seconds since 1970) with a schedule. One run may be under way; a second one that is missing
/// is late.
pub fn standing(schedule: &Calendar, last: Option<i64>, now: i64) -> Standing {
    let Some(last) = last else {
        return Standing::Never;
    };
    let hours = (now - last) / 3600;
    // The clock of the schedule is that of its host, at most half a day off: the slack covers it.
    let due = civil(last).and_then(|last| schedule.after(last.checked_add(SLACK.hours()).ok()?));
    let late = due
        .and_then(|due| due.checked_add(SLACK.hours()).ok())
        .zip(civil(now))
        .is_some_and(|(due, now)| now > due);
    if late {
        Standing::Late { hours }
    } else {
        Standing::Fresh
    }
}

/// Whether a night runs a job: its schedule comes between the last success and half a day after the night.
pub fn is_due(schedule: &Calendar, last: Option<i64>, now: i64) -> bool {
    let Some(next) = last.and_then(civil).and_then(|last| schedule.after(last)) else {
        return true;
    };
    civil(now)
        .and_then(|now| now.checked_add(SLACK.hours()).ok())
        .is_none_or(|end| next <= end)
}

fn civil(seconds: i64) -> Option<DateTime> {
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.to_zoned(TimeZone::UTC).datetime())
}

/// What is known of one job that holds a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backed {
    /// The job.
    pub job: BackupName,
    /// How it stands.
    pub standing: Standing,
}

impl Backed {
    /// A job with what is known of it.
    pub fn of(job: &BackupJob, standing: Option<Standing>) -> Self {
        Self {
            job: job.name.clone(),
            standing: standing.unwrap_or(Standing::Never),
        }
    }

    /// Why it does not count as a backup; none when it does.
    pub fn complaint(&self) -> Option<String> {
        match self.standing {
            Standing::Fresh => None,
            Standing::Never => Some(format!("its backup `{}` has never succeeded", self.job)),
            Standing::Late { hours } => Some(format!(
                "its backup `{}` succeeded last {hours} hours ago",
                self.job
            )),
        }
    }
}

/// Which jobs hold a dataset.
pub fn backed(
    desired: &Desired,
    standings: &BTreeMap<BackupName, Standing>,
    dataset: &DatasetName,
) -> Vec<Backed> {
    desired
        .backups
        .values()
        .filter(|job| job.takes(dataset))
        .map(|job| Backed::of(job, standings.get(&job.name).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        let stamp: Timestamp = text.parse().expect("a time");
        stamp.as_second()
    }

    #[test]
    fn a_job_is_late_when_a_run_is_missing_and_not_before() {
        let daily: Calendar = "daily 02:30".parse().expect("a schedule");
        let last = Some(at("2026-11-28T02:31:00Z"));
        let on = |now: &str| standing(&daily, last, at(now));
        assert_eq!(on("2026-11-29T02:00:00Z"), Standing::Fresh);
        assert_eq!(on("2026-11-29T14:00:00Z"), Standing::Fresh);
        assert_eq!(on("2026-11-29T15:00:00Z"), Standing::Late { hours: 36 });
        assert_eq!(standing(&daily, None, 0), Standing::Never);
        let weekly: Calendar = "weekly sun 03:00".parse().expect("a schedule");
        assert_eq!(
            standing(&weekly, last, at("2026-12-06T10:00:00Z")),
            Standing::Late { hours: 199 }
        );
    }

    #[test]
    fn a_night_runs_what_its_schedule_brings_and_nothing_else() {
        let weekly: Calendar = "weekly sun 03:00".parse().expect("a schedule");
        let last = Some(at("2026-11-29T03:10:00Z"));
        let on = |now: &str| is_due(&weekly, last, at(now));
        assert!(!on("2026-11-30T02:00:00Z"), "the night after");
        assert!(!on("2026-12-05T02:00:00Z"), "the night before");
        assert!(on("2026-12-06T02:00:00Z"), "its own night, an hour early");
        assert!(on("2026-12-09T02:00:00Z"), "a night that was missed");
        assert!(is_due(&weekly, None, at("2026-11-30T02:00:00Z")), "never");
        let daily: Calendar = "daily 02:30".parse().expect("a schedule");
        let last = Some(at("2026-11-29T02:05:00Z"));
        assert!(is_due(&daily, last, at("2026-11-30T02:00:00Z")));
    }
}
