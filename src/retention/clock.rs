//! Whether the clock can be believed before anything is destroyed by it.

use crate::model::{
    ids::SystemName,
    snapshot::{SnapshotId, Survey},
};
use jiff::Timestamp;

/// The host's clock and ours may differ by this much before one of them is wrong.
const SKEW: i64 = 3_600;

/// A snapshot may be this much ahead: a clock that is being corrected.
const AHEAD: i64 = 120;

/// A system whose newest snapshot is older than this was off for a very long time, or its clock has jumped.
const SILENCE: i64 = 300 * 86_400;

/// infra did not exist before; a clock without a battery begins in 1970.
const BEGINNING: i64 = 1_735_689_600;

/// Why the clock is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockDoubt {
    /// Years before infra.
    #[error("the clock says {0}, which was before infra")]
    Unset(String),
    /// The host and this machine disagree.
    #[error("the host's clock says {host} and this machine's {here}")]
    Differs {
        /// The host's.
        host: String,
        /// Ours.
        here: String,
    },
    /// A snapshot of ours is younger than now.
    #[error("{snapshot} is dated {dated}, and the clock says {clock}")]
    Behind {
        /// Snapshot.
        snapshot: SnapshotId,
        /// Its date.
        dated: String,
        /// The clock.
        clock: String,
    },
    /// Nothing was snapshot for the better part of a year.
    #[error("the newest snapshot is {days} days old: the clock may have jumped")]
    Ahead {
        /// Its age.
        days: i64,
    },
}

/// Compares the host's clock with ours and with our own snapshots. `here` is none where nobody else's clock is at hand.
///
/// # Errors
/// The first doubt.
pub fn doubt(survey: &Survey, system: &SystemName, here: Option<i64>) -> Result<(), ClockDoubt> {
    let now = survey.clock;
    if now < BEGINNING {
        return Err(ClockDoubt::Unset(show(now)));
    }
    if let Some(here) = here.filter(|here| here.abs_diff(now) > SKEW.unsigned_abs()) {
        return Err(ClockDoubt::Differs {
            host: show(now),
            here: show(here),
        });
    }
    let newest = survey
        .datasets
        .iter()
        .flat_map(|(dataset, view)| view.snapshots.iter().map(move |one| (dataset, one)))
        .filter(|(_, one)| one.label(system).is_some())
        .max_by_key(|(_, one)| one.creation);
    let Some((dataset, newest)) = newest else {
        return Ok(());
    };
    if newest.creation > now + AHEAD {
        return Err(ClockDoubt::Behind {
            snapshot: SnapshotId {
                dataset: dataset.clone(),
                name: newest.name.clone(),
            },
            dated: show(newest.creation),
            clock: show(now),
        });
    }
    if now - newest.creation > SILENCE {
        return Err(ClockDoubt::Ahead {
            days: (now - newest.creation) / 86_400,
        });
    }
    Ok(())
}

fn show(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}
