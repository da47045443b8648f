//! Every snapshot of a dataset with its reason to stay or to go.

use super::bucket::{PERIODS, Period};
use crate::model::{
    ids::SystemName,
    retention::Retention,
    snapshot::{DatasetView, GUARD, SCHEDULED, SnapshotFact},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// By what is decided.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Whose snapshots are pruned.
    pub system: &'a SystemName,
    /// The policy.
    pub retention: &'a Retention,
    /// Seconds since 1970 by the clock that dates the snapshots.
    pub now: i64,
    /// Guids of the last snapshots that replicas have in common, with the replica's name.
    pub bases: &'a BTreeMap<u64, String>,
}

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Another tool's, another system's, or somebody's own.
    Foreign,
    /// Taken by infra because somebody asked for it; the label says what for.
    ByHand(String),
    /// So many tags hold it.
    Held(u64),
    /// Datasets were cloned from it.
    Cloned(Vec<String>),
    /// A replica needs it for its next increment.
    Base(String),
    /// Dated after the clock.
    Future,
    /// One of the newest.
    Last {
        /// 1 is the newest.
        nth: usize,
        /// How many are kept.
        of: u32,
    },
    /// One of the newest guards of rollbacks.
    Guard {
        /// 1 is the newest.
        nth: usize,
        /// How many are kept.
        of: u32,
    },
    /// The newest of its period.
    Newest {
        /// The period.
        period: Period,
        /// 1 is the latest period that has a snapshot.
        nth: usize,
        /// How many are kept.
        of: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("foreign"),
            Self::ByHand(label) => write!(f, "made by hand ({label})"),
            Self::Held(1) => f.write_str("held"),
            Self::Held(tags) => write!(f, "held by {tags} tags"),
            Self::Cloned(clones) => write!(f, "cloned as {}", clones.join(", ")),
            Self::Base(replica) => write!(f, "last common with {replica}"),
            Self::Future => f.write_str("dated in the future"),
            Self::Last { nth, of } => write!(f, "last {nth} of {of}"),
            Self::Guard { nth, of } => write!(f, "guard {nth} of {of}"),
            Self::Newest { period, nth, of } => write!(f, "{period} {nth} of {of}"),
        }
    }
}

/// What happens to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Snapshot.
    pub snapshot: &'a SnapshotFact,
    /// Why it stays; empty for one that goes.
    pub reasons: Vec<Reason>,
}

impl Decision<'_> {
    /// Whether it stays.
    pub fn keeps(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// The reason in words.
    pub fn why(&self) -> String {
        self.why_held_by(&[])
    }

    /// The reason in words, with the tags that hold it where they are known.
    pub fn why_held_by(&self, tags: &[&str]) -> String {
        if self.reasons.is_empty() {
            let is_guard = self.snapshot.name.as_str().starts_with("infra_guard_");
            return if is_guard {
                "newer guards are kept".to_owned()
            } else {
                "newer ones stand for its periods".to_owned()
            };
        }
        let word = |reason: &Reason| {
            if matches!(reason, Reason::Held(_)) && !tags.is_empty() {
                format!("held by {}", tags.join(" and "))
            } else {
                reason.to_string()
            }
        };
        let words: Vec<String> = self.reasons.iter().map(word).collect();
        words.join(", ")
    }
}

/// Decides about all snapshots of a dataset, in the order in which they were seen.
pub fn decide<'a>(view: &'a DatasetView, rules: &Rules<'_>) -> Vec<Decision<'a>> {
    let is_counted = |snapshot: &SnapshotFact| {
        snapshot.label(rules.system) == Some(SCHEDULED) && snapshot.creation <= rules.now
    };
    // Newest first by transaction group: clocks lie, groups do not.
    let mut counted: Vec<&SnapshotFact> = view
        .snapshots
        .iter()
        .filter(|one| is_counted(one))
        .collect();
    counted.sort_by_key(|one| std::cmp::Reverse((one.createtxg, one.guid)));
    let mut reasons: BTreeMap<(u64, u64), Vec<Reason>> = BTreeMap::new();
    let mut keep = |one: &SnapshotFact, reason: Reason| {
        let key = (one.createtxg, one.guid);
        reasons.entry(key).or_default().push(reason);
    };
    let last = rules.retention.last.max(1);
    for (place, one) in counted.iter().enumerate().take(size(last)) {
        let nth = place + 1;
        keep(one, Reason::Last { nth, of: last });
    }
    for period in PERIODS {
        let of = period.count(rules.retention);
        let mut newest: BTreeMap<i64, &SnapshotFact> = BTreeMap::new();
        if of == 0 {
            continue;
        }
        for one in &counted {
            newest.entry(period.of(one.creation)).or_insert(one);
        }
        for (place, one) in newest.into_values().rev().enumerate().take(size(of)) {
            let nth = place + 1;
            keep(one, Reason::Newest { period, nth, of });
        }
    }
    if let Some(of) = rules.retention.guards.map(|of| of.max(1)) {
        let mut guards: Vec<&SnapshotFact> = view
            .snapshots
            .iter()
            .filter(|one| one.label(rules.system) == Some(GUARD) && one.creation <= rules.now)
            .collect();
        guards.sort_by_key(|one| std::cmp::Reverse((one.createtxg, one.guid)));
        for (place, one) in guards.into_iter().enumerate().take(size(of)) {
            let nth = place + 1;
            keep(one, Reason::Guard { nth, of });
        }
    }
    view.snapshots
        .iter()
        .map(|snapshot| {
            let mut why: BTreeSet<Reason> = never(snapshot, rules).into_iter().collect();
            let key = (snapshot.createtxg, snapshot.guid);
            if is_pruned(snapshot, rules) && snapshot.creation <= rules.now {
                why.extend(reasons.get(&key).into_iter().flatten().cloned());
            }
            Decision {
                snapshot,
                reasons: why.into_iter().collect(),
            }
        })
        .collect()
}

/// Whether a policy says anything about a snapshot: one that a schedule took, and a guard where guards are counted.
pub fn is_pruned(snapshot: &SnapshotFact, rules: &Rules<'_>) -> bool {
    match snapshot.label(rules.system) {
        Some(SCHEDULED) => true,
        Some(GUARD) => rules.retention.guards.is_some(),
        Some(_) | None => false,
    }
}

/// What protects a snapshot whatever the policy says.
fn never(snapshot: &SnapshotFact, rules: &Rules<'_>) -> Vec<Reason> {
    let mut out = Vec::new();
    match snapshot.label(rules.system) {
        None => out.push(Reason::Foreign),
        Some(_) if is_pruned(snapshot, rules) => {}
        Some(label) => out.push(Reason::ByHand(label.to_owned())),
    }
    if snapshot.userrefs > 0 {
        out.push(Reason::Held(snapshot.userrefs));
    }
    if !snapshot.clones.is_empty() {
        out.push(Reason::Cloned(snapshot.clones.clone()));
    }
    if let Some(replica) = rules.bases.get(&snapshot.guid) {
        out.push(Reason::Base(replica.clone()));
    }
    if snapshot.creation > rules.now {
        out.push(Reason::Future);
    }
    out
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
