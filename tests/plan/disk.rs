//! Data disks: found again however they are attached, never attached twice, never made anew over one that was detached.

use crate::world::{NOTHING, System, config, drift, host, proxmox, vmid};
use infra::model::{
    device::{DataDisk, DriveTuning},
    observed::{Observed, ObservedGuest, ObservedNode, Question, Unanswered},
    size::Bytes,
};
use std::collections::BTreeMap;

const KEPT: &str = "local-zfs:vm-999999999-media-server-home-photos";

/// INTRANET wants a disk `photos` of 100 GiB.
fn wants(system: &mut System, keep: bool) {
    let guest = system.desired.guests.get_mut(&host("intranet"));
    guest.expect("known").disks.push(DataDisk {
        name: "photos".to_owned(),
        storage: "local-zfs".parse().expect("valid"),
        size: Bytes::gib(100),
        keep,
        tuning: DriveTuning::default(),
        mount: None,
    });
}

fn is_there(seen: &mut Observed) {
    let node = proxmox(seen).nodes.get_mut(&host("pve")).expect("there");
    let storage = node.storages.get_mut("local-zfs").expect("there");
    storage.volumes.insert(KEPT.to_owned(), Bytes::gib(100).0);
}

/// A guest that infra made and that the inventory does not name any more.
fn left_over(config: Option<BTreeMap<String, String>>) -> ObservedGuest {
    ObservedGuest {
        node: "pve".to_owned(),
        name: "old".to_owned(),
        kind: "qemu".to_owned(),
        status: "running".to_owned(),
        tags: vec!["infra".to_owned(), "infra-media-server-home".to_owned()],
        config,
        ..ObservedGuest::default()
    }
}

fn attached(seen: &mut Observed, key: &str, value: &str) {
    config(seen, 110).insert(key.to_owned(), value.to_owned());
}

#[test]
fn a_kept_disk_is_made_once_and_attached() {
    let said = drift(|system, _| wants(system, true));
    assert_eq!(
        said,
        [
            format!("+ pve: disk photos [hot] volume: nothing -> {KEPT}; size: nothing -> 100 GiB"),
            format!(
                "~ pve: guest 110 intranet [hot] scsi1: nothing -> {KEPT},serial=photos,discard=on,iothread=1"
            ),
        ]
    );
}

#[test]
fn a_kept_disk_is_not_attached_while_a_guest_outside_of_the_inventory_holds_it() {
    for staged in [false, true] {
        let said = drift(|system, seen| {
            wants(system, true);
            is_there(seen);
            let value = format!("{KEPT},serial=photos,size=100G");
            let held = BTreeMap::from([("scsi1".to_owned(), value.clone())]);
            let mut old = left_over(Some(BTreeMap::new()));
            if staged {
                old.pending.insert("scsi1".to_owned(), Some(value));
            } else {
                old.config = Some(held);
            }
            proxmox(seen).guests.insert(vmid(109), old);
        });
        assert_eq!(
            said,
            [
                format!(
                    "! guest 110 intranet disk photos: its volume `{KEPT}` is attached to guest 109 `old`"
                ),
                "? guest 109 old on pve (running): infra made it and the inventory does not name it any more; \
                 `infra destroy 109` removes it"
                    .to_owned(),
            ]
        );
    }
}

#[test]
fn a_kept_disk_is_not_attached_while_nobody_knows_who_holds_it() {
    let said = drift(|system, seen| {
        wants(system, true);
        is_there(seen);
        let proxmox = proxmox(seen);
        proxmox.guests.insert(vmid(109), left_over(None));
        proxmox.unanswered.push(Unanswered {
            question: Question::Guest(vmid(109)),
            why: "its node is off".to_owned(),
            hint: None,
        });
    });
    let blocked = format!(
        "! guest 110 intranet disk photos: guest 109 `old` may hold its volume `{KEPT}`, and could not be asked: its node is off"
    );
    assert!(said.contains(&blocked), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("scsi1")), "{said:#?}");
}

/// It lives on another member than its home, which has no such storage: that is said, not passed over.
#[test]
fn a_kept_disk_is_missed_where_the_guest_lives() {
    let said = drift(|system, seen| {
        wants(system, true);
        is_there(seen);
        let proxmox = proxmox(seen);
        let away = ObservedNode {
            status: "online".to_owned(),
            ..ObservedNode::default()
        };
        proxmox.nodes.insert(host("pve2"), away);
        let guest = proxmox.guests.get_mut(&vmid(110)).expect("there");
        "pve2".clone_into(&mut guest.node);
    });
    let blocked =
        "! guest 110 intranet disk photos: it lives on node pve2, which has no storage `local-zfs`";
    assert!(said.iter().any(|line| line == blocked), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("scsi1")), "{said:#?}");
}

#[test]
fn a_disk_that_was_detached_is_not_made_anew() {
    let said = drift(|system, seen| {
        wants(system, false);
        attached(seen, "unused0", "local-zfs:vm-110-disk-1");
    });
    assert_eq!(
        said,
        [
            "! guest 110 intranet disk photos: it is not attached, and `unused0` is the detached volume \
             `local-zfs:vm-110-disk-1`, which may be it",
            "? guest 110 intranet: unused0 local-zfs:vm-110-disk-1",
        ]
    );
}

#[test]
fn a_kept_disk_without_its_serial_number_is_known_by_its_volume() {
    let said = drift(|system, seen| {
        wants(system, true);
        is_there(seen);
        let value = format!("{KEPT},discard=on,iothread=1,size=100G");
        attached(seen, "scsi3", &value);
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [next boot] scsi3 serial: nothing -> photos",
            "~ pve: guest 110 intranet restart [reboots]",
        ]
    );
}

#[test]
fn a_disk_on_another_bus_is_known_and_left_there() {
    for (keep, value) in [
        (true, format!("{KEPT},size=100G")),
        (true, format!("{KEPT},serial=photos,size=100G")),
        (
            false,
            "local-zfs:vm-110-disk-1,serial=photos,size=100G".to_owned(),
        ),
    ] {
        let said = drift(|system, seen| {
            wants(system, keep);
            is_there(seen);
            attached(seen, "virtio1", &value);
        });
        assert_eq!(
            said,
            [
                "? guest 110 intranet disk photos is `virtio1`, which somebody attached: infra attaches disks as `scsiN` \
                 with the serial number by which the guest finds them"
            ],
            "{value}"
        );
    }
}

#[test]
fn a_disk_in_its_place_is_left_as_it_is() {
    let said = drift(|system, seen| {
        wants(system, true);
        is_there(seen);
        let value = format!("{KEPT},discard=on,iothread=1,serial=photos,size=100G");
        attached(seen, "scsi1", &value);
    });
    assert_eq!(said, NOTHING);
}
