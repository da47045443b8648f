//! Datasets that guests mount over NFS are shared with those guests, by address, and with nobody else.

use crate::model::{desired::Desired, guest::MountVia, ids::DatasetName};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Gives each such dataset its `sharenfs`. One that the owner wrote stays.
pub(super) fn shares(desired: &mut Desired) {
    let mut clients: BTreeMap<DatasetName, (BTreeSet<IpAddr>, BTreeSet<IpAddr>)> = BTreeMap::new();
    for (guest, mount) in desired
        .guests
        .values()
        .flat_map(|guest| guest.mounts.iter().map(move |mount| (guest, mount)))
        .filter(|(_, mount)| mount.via == MountVia::Nfs)
    {
        let (reading, writing) = clients.entry(mount.dataset.clone()).or_default();
        let list = if mount.read_only { reading } else { writing };
        list.extend(desired.addresses(&guest.name));
    }
    for (name, (reading, writing)) in clients {
        if let Some(dataset) = desired.datasets.get_mut(&name) {
            let value = options(&reading, &writing);
            let properties = &mut dataset.properties;
            properties.entry("sharenfs".to_owned()).or_insert(value);
        }
    }
}

/// As exports(5) wants it from ZFS: clients with colons between, IPv6 in brackets. Containers write by number and may be
/// root, as through virtiofs, so nobody is squashed.
fn options(reading: &BTreeSet<IpAddr>, writing: &BTreeSet<IpAddr>) -> String {
    let list = |all: &BTreeSet<IpAddr>| {
        let words: Vec<String> = all.iter().map(one).collect();
        words.join(":")
    };
    let mut parts = vec!["sec=sys".to_owned()];
    if !writing.is_empty() {
        parts.push(format!("rw={}", list(writing)));
    }
    let only_reading: BTreeSet<IpAddr> = reading.difference(writing).copied().collect();
    if !only_reading.is_empty() {
        parts.push(format!("ro={}", list(&only_reading)));
    }
    parts.push("no_root_squash".to_owned());
    parts.join(",")
}

fn one(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_by_address_and_who_writes_is_not_named_twice() {
        let set = |all: &[&str]| all.iter().map(|one| one.parse().expect("valid")).collect();
        assert_eq!(
            options(&set(&[]), &set(&["10.0.0.5", "fd00::5"])),
            "sec=sys,rw=10.0.0.5:[fd00::5],no_root_squash"
        );
        assert_eq!(
            options(&set(&["10.0.0.5", "10.0.0.6"]), &set(&["10.0.0.5"])),
            "sec=sys,rw=10.0.0.5,ro=10.0.0.6,no_root_squash"
        );
    }
}
