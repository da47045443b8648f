//! The next thing to send.

use super::side::{Far, Near};
use crate::model::{
    ids::{SnapshotName, SystemName},
    snapshot::SnapshotFact,
};

/// What an incremental stream starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A snapshot that is on both sides.
    Snapshot(SnapshotName),
    /// A bookmark here of a snapshot there.
    Bookmark(SnapshotName),
}

/// Why nothing can be sent on top of what the far side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Divergence {
    /// There is a dataset, and no snapshot of it is known here.
    NothingCommon {
        /// How many snapshots it has.
        snapshots: usize,
    },
    /// Somebody wrote into it after the newest common snapshot.
    Written {
        /// That snapshot, by its name there.
        since: SnapshotName,
        /// Bytes.
        bytes: u64,
    },
}

/// The next step of one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is no snapshot of this system to send.
    NoSnapshot,
    /// The far side has the newest.
    Nothing {
        /// Its name here.
        newest: SnapshotName,
        /// Its guid.
        guid: u64,
    },
    /// An interrupted receive goes on.
    Resume {
        /// Its token.
        token: String,
    },
    /// All of one snapshot.
    Full {
        /// Name of the snapshot.
        to: SnapshotName,
        /// Its guid.
        guid: u64,
        /// Sent as it lies on the disk, encrypted.
        raw: bool,
    },
    /// What has changed since a base.
    Incremental {
        /// Base.
        from: Base,
        /// Name of the snapshot.
        to: SnapshotName,
        /// Its guid.
        guid: u64,
        /// With the snapshots between.
        through: bool,
        /// Sent as it lies on the disk, encrypted.
        raw: bool,
        /// Snapshots that only the far side has, newer than the base. ZFS takes the stream nevertheless while
        /// nothing was written.
        theirs: Vec<SnapshotName>,
    },
    /// The far side went its own way.
    Diverged(Divergence),
}

/// Plans the next step. The first thing that a far side gets is our oldest snapshot, so that history goes along.
pub fn next(near: &Near, far: &Far, system: &SystemName) -> Next {
    if let Some(token) = &far.token {
        return Next::Resume {
            token: token.clone(),
        };
    }
    let Some(newest) = near.ours(system).last() else {
        return Next::NoSnapshot;
    };
    let raw = near.is_encrypted;
    if !far.exists {
        let first = near.ours(system).next().unwrap_or(newest);
        return Next::Full {
            to: first.name.clone(),
            guid: first.guid,
            raw,
        };
    }
    let Some(common) = near.common(far) else {
        return Next::Diverged(Divergence::NothingCommon {
            snapshots: far.snapshots.len(),
        });
    };
    if let Some(bytes @ 1..) = far.written_since {
        return Next::Diverged(Divergence::Written {
            since: common.name.clone(),
            bytes,
        });
    }
    let here = near.snapshots.iter().find(|one| one.guid == common.guid);
    let since = here.map(|one| one.createtxg).or_else(|| {
        let mut marks = near.bookmarks.iter();
        marks
            .find(|mark| mark.guid == common.guid)
            .map(|mark| mark.createtxg)
    });
    let since = since.unwrap_or(0);
    if newest.createtxg <= since {
        let newest = here.unwrap_or(newest);
        return Next::Nothing {
            newest: newest.name.clone(),
            guid: common.guid,
        };
    }
    let theirs = far
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.createtxg > common.createtxg)
        .map(|snapshot| snapshot.name.clone())
        .collect();
    if let Some(base) = here {
        return Next::Incremental {
            from: Base::Snapshot(base.name.clone()),
            to: newest.name.clone(),
            guid: newest.guid,
            through: near
                .snapshots
                .iter()
                .any(|one| is_between(one, since, newest)),
            raw,
            theirs,
        };
    }
    // Only the first step after a bookmark can start from it; what follows has a snapshot as its base.
    let mut later = near.ours(system).filter(|one| one.createtxg > since);
    let first = later.next().unwrap_or(newest);
    let mark = near.bookmarks.iter().find(|mark| mark.guid == common.guid);
    Next::Incremental {
        from: Base::Bookmark(mark.map_or_else(|| common.name.clone(), |m| m.name.clone())),
        to: first.name.clone(),
        guid: first.guid,
        through: false,
        raw,
        theirs,
    }
}

fn is_between(one: &SnapshotFact, since: u64, newest: &SnapshotFact) -> bool {
    one.createtxg > since && one.createtxg < newest.createtxg
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{ids::DatasetName, snapshot::BookmarkFact};
    use proptest::prelude::*;

    pub(in crate::replication) fn system() -> SystemName {
        SystemName::new("home").expect("valid")
    }

    pub(in crate::replication) fn name(text: &str) -> SnapshotName {
        SnapshotName::new(text).expect("valid")
    }

    pub(in crate::replication) fn snapshot(text: &str, guid: u64, txg: u64) -> SnapshotFact {
        SnapshotFact {
            name: name(text),
            guid,
            createtxg: txg,
            creation: 0,
            used: 0,
            userrefs: 0,
            clones: vec![],
            system: Some(system()),
        }
    }

    pub(in crate::replication) fn near(snapshots: Vec<SnapshotFact>) -> Near {
        Near {
            dataset: DatasetName::new("tank/photos").expect("valid"),
            snapshots,
            bookmarks: vec![],
            is_encrypted: false,
            version: String::new(),
        }
    }

    pub(in crate::replication) fn far(snapshots: Vec<SnapshotFact>) -> Far {
        Far {
            dataset: DatasetName::new("backup/photos").expect("valid"),
            exists: true,
            snapshots,
            token: None,
            written_since: Some(0),
            version: String::new(),
        }
    }

    #[test]
    fn the_first_time_the_oldest_goes_whole_and_the_rest_follows() {
        let near = near(vec![
            snapshot("a", 1, 10),
            snapshot("b", 2, 20),
            snapshot("c", 3, 30),
        ]);
        let mut there = far(vec![]);
        there.exists = false;
        assert_eq!(
            next(&near, &there, &system()),
            Next::Full {
                to: name("a"),
                guid: 1,
                raw: false
            }
        );
        let there = far(vec![snapshot("a", 1, 900)]);
        assert_eq!(
            next(&near, &there, &system()),
            Next::Incremental {
                from: Base::Snapshot(name("a")),
                to: name("c"),
                guid: 3,
                through: true,
                raw: false,
                theirs: vec![],
            }
        );
        let there = far(vec![snapshot("a", 1, 900), snapshot("c", 3, 901)]);
        assert_eq!(
            next(&near, &there, &system()),
            Next::Nothing {
                newest: name("c"),
                guid: 3
            }
        );
    }

    #[test]
    fn a_name_proves_nothing_and_a_guid_does() {
        let near = near(vec![snapshot("a", 1, 10), snapshot("b", 2, 20)]);
        let there = far(vec![snapshot("a", 77, 900)]);
        assert_eq!(
            next(&near, &there, &system()),
            Next::Diverged(Divergence::NothingCommon { snapshots: 1 })
        );
        let renamed = far(vec![snapshot("other", 1, 900)]);
        assert!(matches!(
            next(&near, &renamed, &system()),
            Next::Incremental { from: Base::Snapshot(base), .. } if base == name("a")
        ));
    }

    #[test]
    fn a_bookmark_carries_on_where_the_snapshot_was_pruned() {
        let mut near = near(vec![snapshot("b", 2, 20), snapshot("c", 3, 30)]);
        near.bookmarks.push(BookmarkFact {
            name: name("base"),
            guid: 1,
            createtxg: 10,
            creation: 0,
        });
        let there = far(vec![snapshot("a", 1, 900)]);
        assert_eq!(
            next(&near, &there, &system()),
            Next::Incremental {
                from: Base::Bookmark(name("base")),
                to: name("b"),
                guid: 2,
                through: false,
                raw: false,
                theirs: vec![],
            }
        );
    }

    #[test]
    fn what_was_written_over_there_stops_everything_and_snapshots_alone_do_not() {
        let near = near(vec![snapshot("a", 1, 10), snapshot("b", 2, 20)]);
        let mut there = far(vec![snapshot("a", 1, 900), snapshot("theirs", 50, 901)]);
        assert!(matches!(
            next(&near, &there, &system()),
            Next::Incremental { theirs, .. } if theirs == [name("theirs")]
        ));
        there.written_since = Some(4096);
        assert_eq!(
            next(&near, &there, &system()),
            Next::Diverged(Divergence::Written {
                since: name("a"),
                bytes: 4096
            })
        );
    }

    #[test]
    fn an_interrupted_receive_goes_first_and_encrypted_data_travels_raw() {
        let mut near = near(vec![snapshot("a", 1, 10)]);
        near.is_encrypted = true;
        let mut there = far(vec![]);
        there.exists = false;
        assert!(matches!(
            next(&near, &there, &system()),
            Next::Full { raw: true, .. }
        ));
        there.token = Some("1-abc".to_owned());
        assert_eq!(
            next(&near, &there, &system()),
            Next::Resume {
                token: "1-abc".to_owned()
            }
        );
    }

    #[test]
    fn only_what_this_system_took_is_a_reason_to_send() {
        let mut near = near(vec![snapshot("a", 1, 10)]);
        near.snapshots[0].system = None;
        let mut there = far(vec![]);
        there.exists = false;
        assert_eq!(next(&near, &there, &system()), Next::NoSnapshot);
    }

    proptest! {
        #[test]
        fn following_the_plan_always_ends_with_nothing_to_do(count in 1usize..12, had in 0usize..12, pruned in 0usize..12) {
            let all: Vec<_> = (0..count).map(|n| snapshot(&format!("s{n}"), n as u64 + 1, n as u64 * 10 + 10)).collect();
            let had = had.min(count);
            let mut near = near(all.clone());
            let mut there = far(all[..had].to_vec());
            there.exists = had > 0;
            if had > 0 {
                // What was the base may have been pruned here; its bookmark stays.
                let base = &all[had - 1];
                near.bookmarks.push(BookmarkFact { name: name("mark"), guid: base.guid, createtxg: base.createtxg , creation: 0});
                near.snapshots.retain(|one| one.createtxg > base.createtxg || one.guid > pruned as u64);
            }
            let mut rounds = 0;
            loop {
                let sent = match next(&near, &there, &system()) {
                    Next::Nothing { .. } | Next::NoSnapshot => break,
                    Next::Full { guid, .. } | Next::Incremental { guid, .. } => guid,
                    other @ (Next::Resume { .. } | Next::Diverged(_)) => panic!("{other:?}"),
                };
                prop_assert!(!there.snapshots.iter().any(|one| one.guid == sent));
                let until = all.iter().find(|one| one.guid == sent).expect("known").clone();
                there.snapshots.push(until);
                there.exists = true;
                rounds += 1;
                prop_assert!(rounds <= 3);
            }
        }
    }
}
