//! Drifts of datasets.

use crate::world::{NOTHING, dataset, drift, facts};
use infra::model::{
    facts::{PathFact, PropertyFact},
    observed::Observed,
};
use infra::plan::fingerprint;

fn set(seen: &mut Observed, name: &str, property: &str, value: &str, source: &str) {
    let datasets = &mut facts(seen, "pve").datasets;
    let found = datasets.get_mut(&dataset(name)).expect("there");
    let fact = PropertyFact {
        value: value.to_owned(),
        source: source.to_owned(),
    };
    found.properties.insert(property.to_owned(), fact);
}

fn path<'a>(seen: &'a mut Observed, on: &str, path: &str) -> &'a mut PathFact {
    let paths = &mut facts(seen, on).paths;
    paths.get_mut(path).and_then(Option::as_mut).expect("there")
}

#[test]
fn a_property_set_by_hand_is_set_back() {
    let said = drift(|_, seen| {
        set(seen, "tank/photos", "compression", "off", "local");
    });
    assert_eq!(
        said,
        ["~ pve: dataset tank/photos [hot] compression: off -> lz4"]
    );
}

#[test]
fn a_temporary_value_is_no_value() {
    let said = drift(|_, seen| {
        set(seen, "tank/photos", "atime", "off", "temporary");
    });
    assert_eq!(
        said,
        ["~ pve: dataset tank/photos [hot] atime: off until it is unmounted -> off"]
    );
}

#[test]
fn a_received_value_counts() {
    let said = drift(|_, seen| {
        set(seen, "tank/photos", "recordsize", "1048576", "received");
    });
    assert_eq!(said, NOTHING);
}

#[test]
fn another_mountpoint_is_moved_back() {
    let said = drift(|_, seen| {
        set(seen, "tank/media", "mountpoint", "/srv/media", "local");
    });
    assert_eq!(
        said,
        ["~ pve: dataset tank/media [hot] mountpoint: /srv/media -> /mnt/tank/media"]
    );
}

#[test]
fn a_dataset_that_is_not_mounted_is_mounted() {
    let said = drift(|_, seen| {
        set(seen, "tank/media", "mounted", "no", "-");
    });
    assert_eq!(
        said,
        ["~ pve: dataset tank/media mount [hot] mounted: no -> yes"]
    );
}

#[test]
fn a_missing_dataset_is_created_with_its_directories() {
    let said = drift(|_, seen| {
        facts(seen, "pve").datasets.remove(&dataset("tank/media"));
        facts(seen, "pve").paths.remove("/mnt/tank/media");
        facts(seen, "pve")
            .paths
            .remove("/mnt/tank/media/.infra-dataset");
    });
    assert_eq!(
        said,
        [
            "+ pve: dataset tank/media [hot] acltype: nothing -> posix; atime: nothing -> off; compression: nothing -> lz4; mountpoint: nothing -> /mnt/tank/media; recordsize: nothing -> 1M; xattr: nothing -> sa",
            "~ pve: dataset tank/media directories [hot] /mnt/tank/media: nothing -> 1000:1000 0775; /mnt/tank/media/.infra-dataset: nothing -> tank/media"
        ]
    );
}

#[test]
fn a_dataset_without_its_file_gets_it_again() {
    let said = drift(|_, seen| {
        facts(seen, "pve")
            .paths
            .remove("/mnt/tank/photos/.infra-dataset");
    });
    assert_eq!(
        said,
        [
            "~ pve: dataset tank/photos directories [hot] /mnt/tank/photos/.infra-dataset: nothing -> tank/photos"
        ]
    );
}

#[test]
fn a_dataset_whose_file_names_another_gets_its_own() {
    let said = drift(|_, seen| {
        let paths = &mut facts(seen, "pve").paths;
        let marker = paths.get_mut("/mnt/tank/photos/.infra-dataset");
        let marker = marker.and_then(Option::as_mut).expect("there");
        marker.sha256 = Some(fingerprint(b"tank/photos-old\n"));
    });
    assert_eq!(
        said,
        [
            "~ pve: dataset tank/photos directories [hot] /mnt/tank/photos/.infra-dataset: names something else -> tank/photos"
        ]
    );
}

#[test]
fn a_directory_of_another_owner_is_given_back() {
    let said = drift(|_, seen| {
        path(seen, "pve", "/mnt/tank/media").uid = 0;
    });
    assert_eq!(
        said,
        [
            "~ pve: dataset tank/media directories [hot] /mnt/tank/media: 0:1000 0775 -> 1000:1000 0775"
        ]
    );
}

#[test]
fn a_property_fixed_at_creation_blocks() {
    let said = drift(|system, seen| {
        system
            .desired
            .datasets
            .get_mut(&dataset("tank/photos"))
            .expect("known")
            .properties
            .insert("casesensitivity".to_owned(), "insensitive".to_owned());
        set(seen, "tank/photos", "casesensitivity", "sensitive", "-");
    });
    assert_eq!(
        said,
        [
            "! dataset tank/photos: casesensitivity is sensitive, the inventory says insensitive, and it is fixed at creation"
        ]
    );
}

#[test]
fn a_zpool_that_is_not_imported_blocks_and_nothing_is_created() {
    let said = drift(|_, seen| {
        facts(seen, "pve").zpools.clear();
        facts(seen, "pve").datasets.clear();
    });
    assert_eq!(
        said,
        ["! zpool tank: host pve has no imported zpool `tank`"]
    );
}

#[test]
fn a_degraded_zpool_is_named() {
    let said = drift(|_, seen| {
        facts(seen, "pve")
            .zpools
            .get_mut("tank")
            .expect("known")
            .health = "DEGRADED".to_owned();
    });
    assert_eq!(
        said,
        ["? pve: zpool tank is DEGRADED; see `zpool status tank`"]
    );
}

/// It answers no question about its datasets, so that none was seen does not mean that there are none.
#[test]
fn a_suspended_zpool_blocks_and_nothing_is_created() {
    let said = drift(|_, seen| {
        let facts = facts(seen, "pve");
        facts.zpools.get_mut("tank").expect("known").health = "SUSPENDED".to_owned();
        facts.datasets.clear();
    });
    assert_eq!(
        said,
        [
            "! zpool tank: host pve: zpool tank is suspended: it answers nothing until its disks are back"
        ]
    );
}

#[test]
fn a_dataset_that_left_the_inventory_keeps_its_data() {
    let said = drift(|system, _| {
        system.desired.datasets.remove(&dataset("tank/backups"));
    });
    assert_eq!(
        said,
        ["? pve: dataset tank/backups is not in the inventory any more; its data stays"]
    );
}

#[test]
fn a_rollback_that_was_cut_off_is_told_until_one_has_ended() {
    let said = drift(|_, seen| {
        let noted = "immich,app tank/photos@infra_guard_20261130T020000Z";
        set(seen, "tank/photos", "org.infra:stopped", noted, "local");
    });
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("cut off while immich, app stood still"),
        "{said:?}"
    );
    assert!(said[0].contains("infra zfs rollback 'tank/photos@infra_guard_20261130T020000Z'"));
    // What its children take over is nobody's rollback.
    let inherited = drift(|_, seen| {
        set(
            seen,
            "tank/photos",
            "org.infra:stopped",
            "app tank@x",
            "inherited from tank",
        );
    });
    assert_eq!(inherited, NOTHING);
}

#[test]
fn a_share_that_nobody_asked_for_is_told() {
    let said = drift(|_, seen| {
        set(seen, "tank/photos", "sharenfs", "on", "local");
    });
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("nothing in the inventory mounts it"),
        "{said:?}"
    );
}
