//! What a node said of its zpools -> files.

use super::{
    guests::Imported,
    sheet::{Sheet, quoted},
};
use crate::model::{
    facts::{DatasetFact, HostFacts},
    ids::{DatasetName, HostName},
};
use std::collections::BTreeMap;

/// Native properties that an inventory can hold and that are worth comparing when somebody set them.
const SAID: &[&str] = &[
    "aclinherit",
    "aclmode",
    "acltype",
    "atime",
    "canmount",
    "checksum",
    "compression",
    "copies",
    "dedup",
    "devices",
    "dnodesize",
    "exec",
    "logbias",
    "primarycache",
    "quota",
    "readonly",
    "recordsize",
    "redundant_metadata",
    "refquota",
    "refreservation",
    "relatime",
    "reservation",
    "secondarycache",
    "setuid",
    "snapdir",
    "special_small_blocks",
    "sync",
    "xattr",
];

/// Writes the datasets of a host. A zpool on which the host itself lives is left out, whole.
pub fn zfs(host: &HostName, facts: &HostFacts, out: &mut Imported) {
    let mut sheet = Sheet::begin(&[
        "ZFS: what was set by hand on each dataset. What you do not write is not compared; nothing is ever destroyed.",
    ]);
    let mut any = false;
    for pool in facts.zpools.keys() {
        let inside: BTreeMap<&DatasetName, &DatasetFact> = facts
            .datasets
            .iter()
            .filter(|(name, _)| name.zpool() == pool)
            .collect();
        if inside
            .values()
            .any(|fact| value(fact, "mountpoint") == Some("/"))
        {
            out.unsaid.push(format!(
                "zpool {pool} of {host}: the host itself lives on it, so none of its {} datasets is in the inventory",
                inside.len()
            ));
            continue;
        }
        if !any {
            sheet.open(0, "zfs");
            any = true;
        }
        sheet.open(1, pool);
        sheet.entry(2, "host", host.as_str());
        pool_of(&mut sheet, pool, &inside, out);
    }
    if any {
        let name = format!("storage-{host}.yaml");
        out.files.insert(name, sheet.text());
    }
}

fn pool_of(
    sheet: &mut Sheet,
    pool: &str,
    inside: &BTreeMap<&DatasetName, &DatasetFact>,
    out: &mut Imported,
) {
    for (name, fact) in inside.iter().filter(|(name, _)| name.as_str() == pool) {
        for (property, fact) in &fact.properties {
            if fact.source == "local" && property != "mountpoint" {
                out.unsaid.push(format!(
                    "dataset {name}: {property}={} is set on the zpool itself, which an inventory does not hold",
                    fact.value
                ));
            }
        }
    }
    below(sheet, 2, pool, inside, out);
}

/// The datasets that lie directly in another, each followed by those that lie in it.
fn below(
    sheet: &mut Sheet,
    depth: usize,
    parent: &str,
    inside: &BTreeMap<&DatasetName, &DatasetFact>,
    out: &mut Imported,
) {
    let mut is_open = false;
    for (name, fact) in inside {
        if name.parent().is_none_or(|above| above.as_str() != parent) {
            continue;
        }
        let mountpoint = value(fact, "mountpoint").unwrap_or("none");
        let problem = match (fact.kind.as_str(), mountpoint) {
            ("filesystem", "legacy") => "its mount point is `legacy`",
            ("filesystem", _) => "",
            _ => "it is a volume, somebody's disk",
        };
        if !problem.is_empty() {
            let more = inside.keys().filter(|other| other.is_within(name)).count() - 1;
            let with = match more {
                0 => String::new(),
                more => format!(", and {more} datasets in it"),
            };
            out.unsaid.push(format!("dataset {name}{with}: {problem}"));
            continue;
        }
        if !is_open {
            sheet.open(depth, "datasets");
            is_open = true;
        }
        dataset(sheet, depth + 1, name, mountpoint, fact, out);
        below(sheet, depth + 2, name.as_str(), inside, out);
    }
}

fn dataset(
    sheet: &mut Sheet,
    depth: usize,
    name: &DatasetName,
    mountpoint: &str,
    fact: &DatasetFact,
    out: &mut Imported,
) {
    let own = name.as_str().rsplit('/').next().unwrap_or_default();
    sheet.open(depth, own);
    sheet.entry(depth + 1, "mountpoint", mountpoint);
    let mut said = Vec::new();
    for (property, fact) in &fact.properties {
        if fact.source != "local" || property == "mountpoint" {
            continue;
        }
        if SAID.contains(&property.as_str()) {
            said.push(format!("{property}: {}", quoted(&fact.value)));
        } else {
            out.unsaid.push(format!(
                "dataset {name}: {property}={} is set and not compared",
                fact.value
            ));
        }
    }
    if !said.is_empty() {
        sheet.line(depth + 1, &format!("properties: {{{}}}", said.join(", ")));
    }
}

fn value<'f>(fact: &'f DatasetFact, property: &str) -> Option<&'f str> {
    let fact = fact.properties.get(property)?;
    Some(fact.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::{PropertyFact, ZpoolFact};

    fn fact(kind: &str, mountpoint: &str, more: &[(&str, &str)]) -> DatasetFact {
        let local = |value: &str| PropertyFact {
            value: value.to_owned(),
            source: "local".to_owned(),
        };
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), local(value)));
        DatasetFact {
            kind: kind.to_owned(),
            properties: more
                .chain([("mountpoint".to_owned(), local(mountpoint))])
                .collect(),
        }
    }

    #[test]
    fn datasets_are_written_where_they_lie() {
        let name = |text: &str| DatasetName::new(text).expect("valid");
        let facts = HostFacts {
            zpools: [
                ("tank".to_owned(), ZpoolFact::default()),
                ("rpool".to_owned(), ZpoolFact::default()),
            ]
            .into(),
            datasets: [
                (
                    name("tank"),
                    fact("filesystem", "/tank", &[("compression", "lz4")]),
                ),
                (
                    name("tank/a"),
                    fact("filesystem", "/srv/a", &[("quota", "1073741824")]),
                ),
                (name("tank/a/b"), fact("filesystem", "/srv/a/b", &[])),
                (name("tank/c"), fact("filesystem", "legacy", &[])),
                (
                    name("tank/vm-100-disk-0"),
                    fact("volume", "-", &[("my:note", "x")]),
                ),
                (name("rpool/ROOT/pve-1"), fact("filesystem", "/", &[])),
            ]
            .into(),
            ..HostFacts::default()
        };
        let mut out = Imported::default();
        zfs(&HostName::new("pve").expect("valid"), &facts, &mut out);
        let text = out.files["storage-pve.yaml"]
            .split_once('\n')
            .expect("a comment")
            .1;
        assert_eq!(
            text,
            "zfs:\n  tank:\n    host: \"pve\"\n    datasets:\n      a:\n        mountpoint: \"/srv/a\"\n\
             \x20       properties: {quota: \"1073741824\"}\n        datasets:\n          b:\n            mountpoint: \"/srv/a/b\"\n"
        );
        for words in [
            "zpool rpool",
            "compression=lz4",
            "tank/c: its mount point",
            "tank/vm-100-disk-0: it is a volume",
        ] {
            assert!(
                out.unsaid.iter().any(|line| line.contains(words)),
                "{words}: {:?}",
                out.unsaid
            );
        }
    }
}
