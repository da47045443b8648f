//! What keeps the common base: a hold on both sides, and a bookmark on the near one.

use super::side::{Far, Near};
use crate::model::{
    ids::{SnapshotName, SystemName},
    snapshot::{BookmarkFact, DatasetView, SnapshotFact, SnapshotId},
};
use std::collections::BTreeMap;

/// What to do once a snapshot is on both sides, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keeping {
    /// Held here.
    pub hold_near: Vec<SnapshotId>,
    /// Held over there.
    pub hold_far: Vec<SnapshotId>,
    /// Bookmarked here, under this name; none when it is.
    pub bookmark: Option<(SnapshotId, SnapshotName)>,
    /// Let go here: older ones that may carry the tag.
    pub release_near: Vec<SnapshotId>,
    /// Let go over there.
    pub release_far: Vec<SnapshotId>,
    /// Older bookmarks of this replica.
    pub drop_bookmarks: Vec<SnapshotName>,
}

/// The tag of a replica's holds.
pub fn tag(replica: &str) -> String {
    format!("infra-replica-{replica}")
}

/// The bookmark of a snapshot for a replica. None for a replica with a name that ZFS would not take.
pub fn bookmark_name(replica: &str, guid: u64) -> Option<SnapshotName> {
    SnapshotName::new(format!("infra-replica-{replica}-{guid:016x}")).ok()
}

/// The newest snapshot of a dataset that is known to have arrived, by what [`after`] left behind.
pub fn arrived<'v>(view: &'v DatasetView, replica: &str) -> Option<&'v BookmarkFact> {
    let mut marks = view.bookmarks.iter().rev();
    marks.find(|mark| Some(&mark.name) == bookmark_name(replica, mark.guid).as_ref())
}

/// What to do after the snapshot with this guid has arrived and was verified. Older snapshots are let go on both sides
/// where they are held at all; the newest common one never is.
pub fn after(near: &Near, far: &Far, replica: &str, guid: u64) -> Keeping {
    let mut out = Keeping::default();
    let id = |dataset: &crate::model::ids::DatasetName, name: &SnapshotName| SnapshotId {
        dataset: dataset.clone(),
        name: name.clone(),
    };
    let wanted = bookmark_name(replica, guid);
    if let Some(here) = near.snapshots.iter().find(|one| one.guid == guid) {
        out.hold_near.push(id(&near.dataset, &here.name));
        let has_mark = near
            .bookmarks
            .iter()
            .any(|mark| Some(&mark.name) == wanted.as_ref() && mark.guid == guid);
        if let Some(name) = wanted.clone().filter(|_| !has_mark) {
            out.bookmark = Some((id(&near.dataset, &here.name), name));
        }
        let older = near
            .snapshots
            .iter()
            .filter(|one| one.createtxg < here.createtxg && one.userrefs > 0 && one.guid != guid);
        out.release_near = older.map(|one| id(&near.dataset, &one.name)).collect();
    }
    if let Some(there) = far.snapshots.iter().find(|one| one.guid == guid) {
        out.hold_far.push(id(&far.dataset, &there.name));
        let older = far
            .snapshots
            .iter()
            .filter(|one| one.createtxg < there.createtxg && one.userrefs > 0 && one.guid != guid);
        out.release_far = older.map(|one| id(&far.dataset, &one.name)).collect();
        // Without the snapshot over there no bookmark may go: it might be the last common base.
        let prefix = format!("infra-replica-{replica}-");
        out.drop_bookmarks = near
            .bookmarks
            .iter()
            .map(|mark| &mark.name)
            .filter(|name| name.as_str().starts_with(&prefix) && Some(*name) != wanted.as_ref())
            // `offsite` must not drop those of `offsite-b`.
            .filter(|name| name.as_str().len() == prefix.len() + 16)
            .cloned()
            .collect();
    }
    out
}

/// Snapshots over there that this system took, by guid and name, and that do not say so: a stream carries no user
/// property. With the mark they are known as ours when the near one has gone long ago.
pub fn unmarked(near: &Near, far: &Far, system: &SystemName) -> Vec<SnapshotId> {
    let is_ours = |there: &SnapshotFact| {
        near.ours(system)
            .any(|one| one.guid == there.guid && one.name == there.name)
    };
    far.snapshots
        .iter()
        .filter(|there| there.system.is_none() && is_ours(there))
        .map(|there| SnapshotId {
            dataset: far.dataset.clone(),
            name: there.name.clone(),
        })
        .collect()
}

/// Snapshots over there from which the next increment may start, by guid: the newest common one, and whatever is
/// bookmarked here.
pub fn bases_over_there(near: &Near, far: &Far) -> BTreeMap<u64, String> {
    let common = near
        .common(far)
        .map(|one| (one.guid, near.dataset.to_string()));
    let marks = near.bookmarks.iter();
    marks
        .map(|mark| (mark.guid, format!("{}#{}", near.dataset, mark.name)))
        .chain(common)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::BookmarkFact;
    use crate::replication::next::tests::{far, name, near, snapshot, system};

    #[test]
    fn the_new_base_is_kept_before_the_old_one_is_let_go() {
        let mut here = near(vec![snapshot("a", 1, 10), snapshot("b", 2, 20)]);
        here.snapshots[0].userrefs = 1;
        here.bookmarks.push(BookmarkFact {
            name: bookmark_name("offsite", 1).expect("valid"),
            guid: 1,
            createtxg: 10,
            creation: 0,
        });
        here.bookmarks.push(BookmarkFact {
            name: name("infra-replica-offsite-b-0000000000000001"),
            guid: 1,
            createtxg: 10,
            creation: 0,
        });
        let mut there = far(vec![snapshot("a", 1, 900), snapshot("b", 2, 901)]);
        there.snapshots[0].userrefs = 1;
        let keeping = after(&here, &there, "offsite", 2);
        assert_eq!(keeping.hold_far[0].to_string(), "backup/photos@b");
        assert_eq!(
            keeping
                .bookmark
                .map(|(from, to)| format!("{from} {to}"))
                .as_deref(),
            Some("tank/photos@b infra-replica-offsite-0000000000000002")
        );
        assert_eq!(keeping.release_near[0].to_string(), "tank/photos@a");
        assert_eq!(keeping.release_far[0].to_string(), "backup/photos@a");
        assert_eq!(
            keeping.drop_bookmarks,
            [name("infra-replica-offsite-0000000000000001")]
        );
    }

    #[test]
    fn nothing_is_let_go_for_a_snapshot_that_did_not_arrive() {
        let mut here = near(vec![snapshot("a", 1, 10), snapshot("b", 2, 20)]);
        here.bookmarks.push(BookmarkFact {
            name: bookmark_name("offsite", 1).expect("valid"),
            guid: 1,
            createtxg: 10,
            creation: 0,
        });
        let there = far(vec![snapshot("a", 1, 900)]);
        let keeping = after(&here, &there, "offsite", 2);
        assert!(keeping.drop_bookmarks.is_empty() && keeping.hold_far.is_empty());
        assert!(keeping.release_far.is_empty());
    }

    #[test]
    fn a_copy_is_ours_by_guid_and_name_and_the_next_base_is_known() {
        let here = near(vec![snapshot("a", 1, 10), snapshot("b", 2, 20)]);
        let bare = |text: &str, guid| SnapshotFact {
            system: None,
            ..snapshot(text, guid, guid)
        };
        let there = far(vec![
            bare("a", 1),
            bare("renamed", 2),
            bare("b", 77),
            bare("theirs", 9),
        ]);
        let names: Vec<String> = unmarked(&here, &there, &system())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["backup/photos@a"]);
        let bases = bases_over_there(&here, &there);
        assert_eq!(bases.keys().copied().collect::<Vec<_>>(), [2]);
    }
}
