//! A policy played through, with clocks that are turned forward and back.

use super::decide::{Rules, decide};
use crate::model::{
    ids::SystemName,
    retention::{Retention, Schedule},
    snapshot::{DatasetView, SCHEDULED, SnapshotFact, our_name},
};
use jiff::{Span, Timestamp, civil::DateTime, tz::TimeZone};
use std::collections::BTreeMap;

/// When the nightly run begins, by the clock on the wall.
const NIGHTLY: (i8, i8) = (2, 15);

/// What is left at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// How many were taken.
    pub taken: usize,
    /// How many there were at most at one time.
    pub most: usize,
    /// What is left, newest first: name and reason.
    pub kept: Vec<(String, String)>,
    /// Days on which the wall's clock was turned.
    pub turned: Vec<String>,
}

/// Plays a policy from a day on: a run at each time of the schedule on the wall's clock, and a prune after it.
pub fn simulate(
    schedule: Schedule,
    retention: &Retention,
    from: jiff::civil::Date,
    days: u32,
    zone: &TimeZone,
) -> Simulated {
    let system = SystemName::new("simulation").ok();
    let mut view = DatasetView::default();
    let mut out = Simulated {
        taken: 0,
        most: 0,
        kept: Vec::new(),
        turned: turned(from, days, zone),
    };
    let Some(system) = system else { return out };
    let bases = BTreeMap::new();
    let mut now = 0;
    for moment in moments(schedule, from, days, zone) {
        let Some(name) = our_name(SCHEDULED, moment) else {
            continue;
        };
        now = moment.as_second();
        out.taken += 1;
        let number = u64::try_from(out.taken).unwrap_or(u64::MAX);
        view.snapshots.push(SnapshotFact {
            name,
            guid: number,
            createtxg: number,
            creation: now,
            used: 0,
            userrefs: 0,
            clones: Vec::new(),
            system: Some(system.clone()),
        });
        out.most = out.most.max(view.snapshots.len());
        let rules = Rules {
            system: &system,
            retention,
            now,
            bases: &bases,
        };
        let stays: Vec<bool> = decide(&view, &rules)
            .iter()
            .map(super::Decision::keeps)
            .collect();
        let mut stays = stays.into_iter();
        view.snapshots.retain(|_| stays.next().unwrap_or(true));
    }
    let rules = Rules {
        system: &system,
        retention,
        now,
        bases: &bases,
    };
    out.kept = decide(&view, &rules)
        .iter()
        .rev()
        .map(|decision| (decision.snapshot.name.to_string(), decision.why()))
        .collect();
    out
}

/// The runs. One that falls into an hour that is skipped comes after it, one in an hour that is repeated comes once.
fn moments(
    schedule: Schedule,
    from: jiff::civil::Date,
    days: u32,
    zone: &TimeZone,
) -> Vec<Timestamp> {
    let mut out = Vec::new();
    for day in 0..days {
        let Ok(date) = from.checked_add(Span::new().days(i64::from(day))) else {
            break;
        };
        let runs = match schedule {
            Schedule::Hourly | Schedule::Daily => true,
            Schedule::Weekly => date.weekday() == jiff::civil::Weekday::Monday,
            Schedule::Monthly => date.day() == 1,
        };
        if !runs {
            continue;
        }
        if schedule == Schedule::Hourly {
            let Ok(begin) = zone.to_timestamp(date.at(0, 0, 0, 0)) else {
                continue;
            };
            let end = date
                .tomorrow()
                .ok()
                .and_then(|next| zone.to_timestamp(next.at(0, 0, 0, 0)).ok());
            let mut at = begin.as_second();
            while end.is_some_and(|end| at < end.as_second()) {
                out.extend(Timestamp::from_second(at).ok());
                at += 3_600;
            }
            continue;
        }
        let civil: DateTime = date.at(NIGHTLY.0, NIGHTLY.1, 0, 0);
        out.extend(zone.to_timestamp(civil).ok());
    }
    out
}

/// Days that are not 24 hours long.
fn turned(from: jiff::civil::Date, days: u32, zone: &TimeZone) -> Vec<String> {
    (0..days)
        .filter_map(|day| from.checked_add(Span::new().days(i64::from(day))).ok())
        .filter(|date| {
            let at = |date: jiff::civil::Date| zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
            match (at(*date), date.tomorrow().ok().and_then(at)) {
                (Some(begin), Some(end)) => end.as_second() - begin.as_second() != 86_400,
                _ => false,
            }
        })
        .map(|date| date.to_string())
        .collect()
}
