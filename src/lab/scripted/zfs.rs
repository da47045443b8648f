//! `zfs` and `zpool` in memory: enough of them for a plan to be carried out and seen.

use std::{collections::BTreeMap, fmt::Write as _};

/// Native properties with their defaults, in parsable form. The rest of a real dataset's list is not asked for.
const DEFAULTS: &[(&str, &str)] = &[
    ("type", "filesystem"),
    ("mounted", "yes"),
    ("quota", "0"),
    ("reservation", "0"),
    ("recordsize", "131072"),
    ("sharenfs", "off"),
    ("checksum", "on"),
    ("compression", "on"),
    ("atime", "on"),
    ("relatime", "on"),
    ("devices", "on"),
    ("exec", "on"),
    ("setuid", "on"),
    ("readonly", "off"),
    ("snapdir", "hidden"),
    ("acltype", "off"),
    ("aclinherit", "restricted"),
    ("canmount", "on"),
    ("xattr", "sa"),
    ("copies", "1"),
    ("refquota", "0"),
    ("refreservation", "0"),
    ("primarycache", "all"),
    ("secondarycache", "all"),
    ("logbias", "latency"),
    ("dedup", "off"),
    ("sync", "standard"),
    ("dnodesize", "legacy"),
    ("redundant_metadata", "all"),
    ("overlay", "on"),
    ("encryption", "off"),
    ("special_small_blocks", "0"),
];

/// A dataset does not take these from the one above it.
const OWN: &[&str] = &[
    "type",
    "mounted",
    "quota",
    "reservation",
    "refquota",
    "refreservation",
    "canmount",
    "encryption",
];

/// Bytes of a pool: 4 TB disks in a mirror.
const SIZE: u64 = 3_985_729_650_688;

/// Pools and datasets: name -> local properties.
#[derive(Debug, Default)]
pub(super) struct Zfs {
    datasets: BTreeMap<String, BTreeMap<String, String>>,
}

impl Zfs {
    /// A pool with its root dataset, as if its disks had been there.
    pub(super) fn import(&mut self, pool: &str) {
        self.datasets.entry(pool.to_owned()).or_default();
    }

    pub(super) fn has(&self, dataset: &str) -> bool {
        self.datasets.contains_key(dataset)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.datasets.keys().map(String::as_str)
    }

    /// Value and source of a property.
    fn property(&self, dataset: &str, name: &str) -> (String, String) {
        let local = |dataset: &str| {
            self.datasets
                .get(dataset)
                .and_then(|own| own.get(name))
                .cloned()
        };
        if let Some(value) = local(dataset) {
            return (value, "local".to_owned());
        }
        let mut above = dataset;
        while let Some((parent, _)) = above.rsplit_once('/').filter(|_| !OWN.contains(&name)) {
            above = parent;
            if let Some(value) = local(above) {
                let value = if name == "mountpoint" {
                    format!("{value}{}", &dataset[above.len()..])
                } else {
                    value
                };
                return (value, format!("inherited from {above}"));
            }
        }
        if name == "mountpoint" {
            return (format!("/{dataset}"), "default".to_owned());
        }
        let default = DEFAULTS.iter().find(|(known, _)| *known == name);
        let value = default.map_or("-", |(_, value)| value).to_owned();
        let source = if ["type", "mounted"].contains(&name) {
            "-"
        } else {
            "default"
        };
        (value, source.to_owned())
    }

    pub(super) fn mountpoint(&self, dataset: &str) -> Option<String> {
        let (point, _) = self.property(dataset, "mountpoint");
        (point.starts_with('/') && self.property(dataset, "mounted").0 == "yes").then_some(point)
    }

    /// What `facts_zfs POOL...` prints.
    pub(super) fn facts(&self, pools: &[String]) -> String {
        let mut out = String::new();
        for pool in pools {
            // Writing to a string does not fail.
            let _ = writeln!(out, "==zfs pool {pool}");
            if !self.has(pool) {
                let _ = writeln!(out, "==zfs exit 1 cannot open '{pool}': no such pool ");
                let _ = writeln!(out, "==zfs datasets {pool}");
                let _ = writeln!(
                    out,
                    "==zfs exit 1 cannot open '{pool}': dataset does not exist "
                );
                continue;
            }
            let _ = writeln!(
                out,
                "{pool}\tONLINE\t{SIZE}\t{SIZE}\n==zfs exit 0 \n==zfs datasets {pool}"
            );
            let below = format!("{pool}/");
            for (dataset, own) in self
                .datasets
                .iter()
                .filter(|(d, _)| *d == pool || d.starts_with(&below))
            {
                let natives = DEFAULTS.iter().map(|(name, _)| *name).chain(["mountpoint"]);
                let users = own
                    .keys()
                    .map(String::as_str)
                    .filter(|name| name.contains(':'));
                for name in natives.chain(users) {
                    let (value, source) = self.property(dataset, name);
                    let _ = writeln!(out, "{dataset}\t{name}\t{value}\t{source}");
                }
            }
            out.push_str("==zfs exit 0 \n");
        }
        out
    }

    pub(super) fn create(&mut self, dataset: &str, options: &[String]) -> Result<(), String> {
        let cannot = |why: &str| Err(format!("cannot create '{dataset}': {why}"));
        if self.has(dataset) {
            return cannot("dataset already exists");
        }
        match dataset.rsplit_once('/') {
            Some((parent, _)) if self.has(parent) => {}
            Some(_) => return cannot("parent does not exist"),
            None => return cannot("missing dataset name"),
        }
        let mut own = BTreeMap::new();
        for option in options.iter().filter(|word| *word != "-o") {
            let (name, value) = checked(option, dataset)?;
            own.insert(name, value);
        }
        self.datasets.insert(dataset.to_owned(), own);
        Ok(())
    }

    /// A plain `zfs` command, without the program.
    pub(super) fn run(&mut self, words: &[&str]) -> Result<String, String> {
        match words {
            ["create", options @ .., dataset] => {
                let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
                self.create(dataset, &options)?;
            }
            ["set", pairs @ .., dataset] => {
                let pairs = pairs
                    .iter()
                    .map(|pair| checked(pair, dataset))
                    .collect::<Result<Vec<_>, _>>()?;
                self.own(dataset)?.extend(pairs);
            }
            ["inherit", name, dataset] => {
                self.own(dataset)?.remove(*name);
            }
            ["mount", dataset] => {
                self.own(dataset)?.remove("mounted");
            }
            ["unmount" | "umount", dataset] => {
                self.own(dataset)?
                    .insert("mounted".to_owned(), "no".to_owned());
            }
            ["destroy", dataset] => {
                let below = format!("{dataset}/");
                if self.datasets.keys().any(|name| name.starts_with(&below)) {
                    return Err(format!(
                        "cannot destroy '{dataset}': filesystem has children"
                    ));
                }
                self.own(dataset)?;
                self.datasets.remove(*dataset);
            }
            ["list", ..] => {
                let names: Vec<&str> = self.datasets.keys().map(String::as_str).collect();
                return Ok(format!("{}\n", names.join("\n")));
            }
            ["get", "-Hp", "-o", "value", name, dataset] => {
                self.own(dataset)?;
                return Ok(format!("{}\n", self.property(dataset, name).0));
            }
            _ => return Err("unrecognized command".to_owned()),
        }
        Ok(String::new())
    }

    fn own(&mut self, dataset: &str) -> Result<&mut BTreeMap<String, String>, String> {
        let missing = || format!("cannot open '{dataset}': dataset does not exist");
        self.datasets.get_mut(dataset).ok_or_else(missing)
    }
}

/// `name=value` with a value as `-p` prints it.
fn checked(pair: &str, dataset: &str) -> Result<(String, String), String> {
    let (name, value) = pair
        .split_once('=')
        .ok_or(format!("missing value in property=value argument '{pair}'"))?;
    let known = name.contains(':')
        || name == "mountpoint"
        || DEFAULTS.iter().any(|(known, _)| *known == name);
    if !known {
        return Err(format!(
            "cannot set property for '{dataset}': invalid property '{name}'"
        ));
    }
    let value = match (name, value) {
        ("acltype", "posixacl") => "posix".to_owned(),
        ("quota" | "reservation" | "refquota" | "refreservation", "none") => "0".to_owned(),
        (
            "quota"
            | "reservation"
            | "refquota"
            | "refreservation"
            | "recordsize"
            | "special_small_blocks",
            text,
        ) => bytes(text)
            .ok_or(format!(
                "cannot set property for '{dataset}': bad numeric value '{text}'"
            ))?
            .to_string(),
        (_, text) => text.to_owned(),
    };
    Ok((name.to_owned(), value))
}

fn bytes(text: &str) -> Option<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let shift = match text[split..].trim_end_matches(['B', 'b', 'i']) {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return None,
    };
    text[..split].parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_inherit_and_sizes_are_parsable() {
        let mut zfs = Zfs::default();
        zfs.import("tank");
        zfs.run(&[
            "create",
            "-o",
            "recordsize=1M",
            "-o",
            "org.infra:system=home",
            "tank/media",
        ])
        .expect("created");
        zfs.run(&["create", "tank/media/films"]).expect("created");
        let facts = zfs.facts(&["tank".to_owned(), "other".to_owned()]);
        assert!(
            facts.contains("tank/media\trecordsize\t1048576\tlocal\n"),
            "{facts}"
        );
        assert!(
            facts.contains("tank/media/films\trecordsize\t1048576\tinherited from tank/media\n")
        );
        assert!(facts.contains("tank/media\torg.infra:system\thome\tlocal\n"));
        assert!(facts.contains("==zfs exit 1 cannot open 'other': no such pool"));
        assert!(zfs.run(&["create", "tank/media"]).is_err());
        assert!(zfs.run(&["create", "tank/a/b"]).is_err());
        assert!(zfs.run(&["set", "recordsze=1M", "tank/media"]).is_err());
        zfs.run(&["inherit", "recordsize", "tank/media"])
            .expect("inherited");
        assert_eq!(
            zfs.run(&["get", "-Hp", "-o", "value", "recordsize", "tank/media"])
                .expect("known"),
            "131072\n"
        );
    }
}
