//! What a run takes.

use super::{bucket::Period, scope::Cover};
use crate::model::{
    ids::{DatasetName, SystemName},
    retention::Schedule,
    snapshot::{SCHEDULED, Survey},
};

/// A dataset whose schedule asks for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Dataset.
    pub dataset: DatasetName,
    /// Schedule.
    pub schedule: Schedule,
}

/// The datasets whose newest scheduled snapshot is of another hour, day, week or month than now. A clock that went back
/// costs one snapshot, not none.
pub fn due(covers: &[Cover<'_>], survey: &Survey, system: &SystemName, now: i64) -> Vec<Due> {
    let is_due = |dataset: &DatasetName, schedule: Schedule| {
        let newest = survey.datasets.get(dataset).and_then(|view| {
            view.snapshots
                .iter()
                .filter(|one| one.label(system) == Some(SCHEDULED))
                .max_by_key(|one| one.createtxg)
        });
        let period = Period::from(schedule);
        newest.is_none_or(|one| period.of(one.creation) != period.of(now))
    };
    covers
        .iter()
        .filter_map(|cover| {
            let schedule = cover.declared?.snapshots?;
            is_due(cover.dataset, schedule).then(|| Due {
                dataset: cover.dataset.clone(),
                schedule,
            })
        })
        .collect()
}
