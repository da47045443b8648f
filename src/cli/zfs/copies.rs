//! What goes on the far side of a replica once the newest snapshot has arrived there.

use super::{
    look::told,
    prune::{FEW, Limits},
};
use crate::apply::replica::{Job, look};
use crate::cli::{exit, failure::Failure};
use crate::model::{
    ids::DatasetName,
    retention::Retention,
    snapshot::{DatasetView, SnapshotId},
};
use crate::providers::zfs::{self, Destroyed, Zfs, ZfsRead as _};
use crate::replication::bases_over_there;
use crate::retention::{Rules, decide, doubt, is_pruned};

/// The snapshots of a copy that its policy does not keep.
///
/// # Errors
/// The clock over there cannot be believed, too much would go at once, or a side gives no answer.
pub(super) async fn going(
    job: &Job<'_>,
    retention: &Retention,
    limits: &Limits,
) -> Result<Vec<SnapshotId>, Failure> {
    let (near, far) = look(job)
        .await
        .map_err(|error| Failure::of(exit::UNREACHABLE, &error))?;
    let survey = Zfs(job.far)
        .dataset(job.target)
        .await
        .map_err(|error| told(&error))?;
    let here = jiff::Timestamp::now().as_second();
    if !limits.clock_is_right
        && let Err(doubt) = doubt(&survey, job.system, Some(here))
    {
        return Err(Failure::new(
            exit::REFUSED,
            format!("nothing was destroyed in {}: {doubt}", job.target),
        )
        .hint("Set the clock of that host. When it is right after all: `--clock-is-right`."));
    }
    let Some(view) = survey.datasets.get(job.target) else {
        return Ok(Vec::new());
    };
    let bases = bases_over_there(&near, &far);
    let rules = Rules {
        system: job.system,
        retention,
        now: survey.clock,
        bases: &bases,
    };
    decided(job.target, view, &rules, limits)
}

/// Only such as are marked as this system's, which a copy gets when its guid was seen on both sides; never a base, a
/// held, a cloned, or another tool's.
fn decided(
    copy: &DatasetName,
    view: &DatasetView,
    rules: &Rules<'_>,
    limits: &Limits,
) -> Result<Vec<SnapshotId>, Failure> {
    let going: Vec<SnapshotId> = decide(view, rules)
        .into_iter()
        .filter(|decision| !decision.keeps())
        .map(|decision| SnapshotId {
            dataset: copy.clone(),
            name: decision.snapshot.name.clone(),
        })
        .collect();
    let of = view.snapshots.iter().filter(|one| is_pruned(one, rules));
    let of = of.count();
    if going.len() > FEW && going.len() * 100 > of * usize::from(limits.max_share) {
        return Err(Failure::new(
            exit::REFUSED,
            format!(
                "nothing was destroyed in {copy}: {} of {of} snapshots would go, more than {} %",
                going.len(),
                limits.max_share
            ),
        )
        .hint("Look at `infra zfs replicate --plan`; when it is right, allow it once with `--max-share 100`."));
    }
    Ok(going)
}

/// Destroys them by name.
pub(super) async fn destroy(job: &Job<'_>, snapshots: &[SnapshotId]) -> Result<Destroyed, Failure> {
    if snapshots.is_empty() {
        return Ok(Destroyed::default());
    }
    zfs::destroy(job.far, snapshots)
        .await
        .map_err(|error| told(&error).hint("Some may be gone already; run the same command again."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ids::SystemName,
        snapshot::{SnapshotFact, our_name},
    };
    use std::collections::BTreeMap;

    fn copy(ages: std::ops::Range<i64>, now: i64) -> DatasetView {
        let mut view = DatasetView::default();
        for age in ages.rev() {
            let at = jiff::Timestamp::from_second(now - age * 86_400).expect("in range");
            view.snapshots.push(SnapshotFact {
                name: our_name("auto", at).expect("valid"),
                guid: u64::try_from(age).expect("positive") + 1,
                createtxg: u64::try_from(1_000 - age).expect("positive"),
                creation: now - age * 86_400,
                used: 0,
                userrefs: 0,
                clones: vec![],
                system: Some(SystemName::new("home").expect("valid")),
            });
        }
        view
    }

    #[test]
    fn a_copy_keeps_its_bases_whatever_else_is_there_and_loses_no_more_than_its_share() {
        let (now, system) = (1_795_196_991, SystemName::new("home").expect("valid"));
        let retention = Retention {
            last: 1,
            hourly: 0,
            daily: 8,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            guards: None,
        };
        let mut view = copy(0..12, now);
        // Not ours: no stream carried the mark, and nobody has seen its guid here.
        view.snapshots[0].system = None;
        let bases = BTreeMap::from([(view.snapshots[1].guid, "tank/photos#mark".to_owned())]);
        let rules = Rules {
            system: &system,
            retention: &retention,
            now,
            bases: &bases,
        };
        let limits = Limits {
            max_share: 50,
            clock_is_right: false,
        };
        let name = DatasetName::new("vault/home/photos").expect("valid");
        let gone = decided(&name, &view, &rules, &limits).unwrap_or_default();
        let names: Vec<&str> = gone.iter().map(|id| id.name.as_str()).collect();
        let wanted = [&view.snapshots[2].name, &view.snapshots[3].name];
        assert_eq!(names, wanted.map(crate::model::ids::SnapshotName::as_str));
        let much = copy(0..40, now);
        assert!(decided(&name, &much, &rules, &limits).is_err());
    }
}
