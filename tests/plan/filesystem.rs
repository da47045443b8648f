//! Filesystems of data disks: made on what is empty, grown with their disk, never made over anything.

use crate::world::{NOTHING, System, drift, facts, host};
use infra::model::{
    device::FilesystemKind,
    facts::DiskFact,
    observed::Observed,
    resource::{FilesystemResource, Resource},
    size::Bytes,
};

const UUID: &str = "5d3f6a86-0000-8000-8000-00000000abcd";

/// INTRANET has a disk `photos` of 100 GiB with a filesystem of ours, changed as told.
fn photos(change: impl FnOnce(&mut DiskFact)) -> Vec<String> {
    said(|fact| {
        let mut own = ours();
        change(&mut own);
        *fact = Some(own);
    })
}

fn ours() -> DiskFact {
    DiskFact {
        bytes: Bytes::gib(100).0,
        kind: Some("ext4".to_owned()),
        uuid: Some(UUID.to_owned()),
        filesystem_bytes: Some(Bytes::gib(100).0),
        ..DiskFact::default()
    }
}

fn said(disk: impl FnOnce(&mut Option<DiskFact>)) -> Vec<String> {
    drift(|system: &mut System, seen: &mut Observed| {
        let wanted = FilesystemResource {
            disk: "photos".to_owned(),
            kind: FilesystemKind::Ext4,
            uuid: UUID.to_owned(),
            at: "/srv/photos".to_owned(),
        };
        let list = system
            .resources
            .get_mut(&host("intranet"))
            .expect("has some");
        list.push(Resource::Filesystem(wanted));
        let mut fact = None;
        disk(&mut fact);
        facts(seen, "intranet")
            .disks
            .insert("photos".to_owned(), fact);
    })
}

fn made() -> [String; 1] {
    [format!(
        "+ intranet: filesystem photos [hot] kind: nothing -> ext4; UUID: nothing -> {UUID}; mounted at: nothing -> /srv/photos"
    )]
}

#[test]
fn one_of_ours_is_left_as_it_is() {
    assert_eq!(photos(|_| {}), NOTHING);
    // An ext4 ends at a whole group; tools that are not there tell no size.
    assert_eq!(
        photos(|disk| disk.filesystem_bytes = Some(disk.bytes - 4096)),
        NOTHING
    );
    assert_eq!(photos(|disk| disk.filesystem_bytes = None), NOTHING);
}

#[test]
fn an_empty_disk_and_one_that_is_only_just_attached_get_theirs() {
    let empty = photos(|disk| {
        *disk = DiskFact {
            bytes: disk.bytes,
            ..DiskFact::default()
        };
    });
    assert_eq!(empty, made());
    assert_eq!(said(|disk| *disk = None), made());
}

#[test]
fn a_larger_disk_takes_its_filesystem_along() {
    let grown = photos(|disk| disk.bytes = Bytes::gib(200).0);
    assert_eq!(
        grown,
        ["~ intranet: filesystem photos [hot] size: 100 GiB -> all of the disk"]
    );
}

#[test]
fn whatever_else_is_on_a_disk_is_named_and_stays() {
    let refused = |what: &str| {
        [format!(
            "! filesystem photos of intranet: the disk holds {what}, which infra did not make"
        )]
    };
    let other = "11111111-2222-4333-8444-555555555555";
    assert_eq!(
        photos(|disk| disk.uuid = Some(other.to_owned())),
        refused(&format!("ext4 (UUID {other})"))
    );
    // Ours by its UUID, and of another kind: somebody formatted it anew and kept the UUID.
    assert_eq!(
        photos(|disk| disk.kind = Some("btrfs".to_owned())),
        refused(&format!("btrfs (UUID {UUID})"))
    );
    let partitions = photos(|disk| {
        (disk.kind, disk.uuid) = (None, None);
        disk.table = Some("gpt".to_owned());
    });
    assert_eq!(partitions, refused("a partition table (gpt)"));
    assert_eq!(
        photos(|disk| disk.unclear = true),
        refused("several signatures that contradict each other")
    );
}
