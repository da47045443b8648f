//! Bytes: what datasets and pools use. A model of ZFS's accounting that is right about what grows and what a quota
//! leaves, not about every block.

use super::{disk::Disk, store::Store};

/// Bytes that an empty filesystem references.
pub(super) const EMPTY: u64 = 98_304;
const EMPTY_VOLUME: u64 = 57_344;
/// What ZFS keeps back in a pool.
const SLOP: u64 = 128 << 20;

fn content(disk: &dyn Disk, files: u64) -> u64 {
    disk.bytes(files).div_ceil(8192) * 8192
}

/// Bytes that a dataset references.
pub(super) fn referenced(store: &Store, disk: &dyn Disk, name: &str) -> u64 {
    let Some(record) = store.datasets.get(name) else {
        return 0;
    };
    if record.volume.is_some() {
        return EMPTY_VOLUME;
    }
    let sealed = if record.key.is_some() { EMPTY } else { 0 };
    EMPTY + sealed + content(disk, record.files)
}

/// Bytes that a snapshot's folder references.
pub(super) fn of_files(disk: &dyn Disk, files: u64) -> u64 {
    EMPTY + content(disk, files)
}

/// What a volume reserves: its bytes and what describes them.
pub(super) fn volume_reservation(bytes: u64) -> u64 {
    bytes + bytes / 64 * 3
}

fn number(store: &Store, name: &str, property: &str) -> u64 {
    let value = store
        .datasets
        .get(name)
        .and_then(|record| record.local.get(property));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Bytes of a dataset with what is below it and what they reserve.
pub(super) fn used(store: &Store, disk: &dyn Disk, name: &str) -> u64 {
    let own = referenced(store, disk, name).max(number(store, name, "refreservation"));
    own + used_by_children(store, disk, name)
}

/// Bytes of what is below a dataset, reservations included.
pub(super) fn used_by_children(store: &Store, disk: &dyn Disk, name: &str) -> u64 {
    let depth = name.matches('/').count() + 1;
    store
        .below(name)
        .filter(|(child, _)| child.matches('/').count() == depth)
        .map(|(child, _)| used(store, disk, child).max(number(store, child, "reservation")))
        .sum()
}

/// What is left for a dataset.
pub(super) fn available(store: &Store, disk: &dyn Disk, name: &str) -> u64 {
    let pool = name.split('/').next().unwrap_or(name);
    let size = store.pools.get(pool).map_or(0, |pool| pool.size);
    let slop = SLOP.max(size / 32).min(size / 2);
    let mut left = size
        .saturating_sub(slop)
        .saturating_sub(used(store, disk, pool))
        .min(disk.free());
    let mut above = Some(name);
    while let Some(here) = above {
        for property in ["quota", "refquota"] {
            let quota = number(store, here, property);
            if quota > 0 && (property == "quota" || here == name) {
                left = left.min(quota.saturating_sub(used(store, disk, here)));
            }
        }
        above = here.rsplit_once('/').map(|(parent, _)| parent);
    }
    // A volume may fill what it reserves.
    let reserved = number(store, name, "refreservation");
    left + reserved.saturating_sub(referenced(store, disk, name))
}
