//! `zfs list` and `zfs get`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    properties::{self, Shown},
    store::Store,
};
use std::fmt::Write as _;

/// One thing that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) dataset: String,
    pub(super) snapshot: Option<String>,
}

impl Thing {
    pub(super) fn name(&self) -> String {
        match &self.snapshot {
            Some(snapshot) => format!("{}@{snapshot}", self.dataset),
            None => self.dataset.clone(),
        }
    }
}

/// The things that operands, `-r`, `-d` and `-t` choose.
fn chosen(store: &Store, options: &Options, default_type: &str) -> Result<Vec<Thing>> {
    let types: Vec<&str> = options
        .value('t')
        .unwrap_or(default_type)
        .split(',')
        .collect();
    for kind in &types {
        let known = [
            "filesystem",
            "fs",
            "volume",
            "vol",
            "snapshot",
            "snap",
            "all",
            "bookmark",
        ];
        if !known.contains(kind) {
            return Err(Answer::refused(2, format!("invalid type '{kind}'")));
        }
    }
    let with = |names: &[&str]| {
        types
            .iter()
            .any(|kind| *kind == "all" || names.contains(kind))
    };
    let (filesystems, snapshots) = (with(&["filesystem", "fs"]), with(&["snapshot", "snap"]));
    let mut out = Vec::new();
    let mut add = |dataset: &str| {
        let Some(record) = store.datasets.get(dataset) else {
            return;
        };
        if filesystems {
            out.push(Thing {
                dataset: dataset.to_owned(),
                snapshot: None,
            });
        }
        if snapshots {
            let mut names: Vec<_> = record.snapshots.iter().collect();
            names.sort_by_key(|(_, snapshot)| snapshot.createtxg);
            out.extend(names.into_iter().map(|(name, _)| Thing {
                dataset: dataset.to_owned(),
                snapshot: Some(name.clone()),
            }));
        }
    };
    if options.operands.is_empty() {
        for name in store.datasets.keys() {
            add(name);
        }
        return Ok(out);
    }
    for operand in &options.operands {
        if let Some((dataset, snapshot)) = operand.split_once('@') {
            let found = store
                .datasets
                .get(dataset)
                .is_some_and(|d| d.snapshots.contains_key(snapshot));
            if !found {
                return Err(no_dataset(operand));
            }
            let thing = Thing {
                dataset: dataset.to_owned(),
                snapshot: Some(snapshot.to_owned()),
            };
            return Ok(vec![thing]);
        }
        if !store.datasets.contains_key(operand) {
            return Err(no_dataset(operand));
        }
        if options.has('r')
            || (snapshots && !filesystems && options.value('t').is_some()) && options.has('r')
        {
            let names: Vec<String> = store.below(operand).map(|(name, _)| name.clone()).collect();
            for name in &names {
                add(name);
            }
        } else {
            add(operand);
        }
    }
    Ok(out)
}

/// One property of a thing.
fn shown(store: &Store, disk: &dyn Disk, thing: &Thing, property: &str) -> Option<Shown> {
    if property == "name" {
        return Some(Shown {
            name: "name".to_owned(),
            value: thing.name(),
            source: "-".to_owned(),
        });
    }
    let Some(name) = &thing.snapshot else {
        return properties::one(store, disk, &thing.dataset, property);
    };
    let snapshot = store.datasets.get(&thing.dataset)?.snapshots.get(name)?;
    let value = match property {
        "type" => "snapshot".to_owned(),
        "creation" => snapshot.creation.to_string(),
        "createtxg" => snapshot.createtxg.to_string(),
        "guid" => snapshot.guid.to_string(),
        "used" => "0".to_owned(),
        "referenced" | "refer" => "98304".to_owned(),
        "userrefs" => snapshot.holds.len().to_string(),
        "defer_destroy" => "off".to_owned(),
        "clones" => String::new(),
        _ if property.contains(':') => match snapshot.local.get(property) {
            Some(value) => {
                return Some(Shown {
                    name: property.to_owned(),
                    value: value.clone(),
                    source: "local".to_owned(),
                });
            }
            None => "-".to_owned(),
        },
        _ => "-".to_owned(),
    };
    Some(Shown {
        name: property.to_owned(),
        value,
        source: "-".to_owned(),
    })
}

/// `zfs list [-Hp] [-r] [-t TYPES] [-o COLUMNS] [-s COLUMN] [NAME...]`. Only the scripted form (`-H`) is recorded
/// for every column; without it the columns are those of a plain `zfs list`, padded.
pub(super) fn list(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("Hprt:o:s:S:d:", args)?;
    let columns: Vec<&str> = options
        .value('o')
        .unwrap_or("name,used,available,referenced,mountpoint")
        .split(',')
        .collect();
    let mut things = chosen(store, &options, "filesystem,volume")?;
    if let Some(key) = options.value('s') {
        things.sort_by_key(|thing| {
            let value = shown(store, disk, thing, key)
                .map(|shown| shown.value)
                .unwrap_or_default();
            (value.parse::<u64>().unwrap_or(u64::MAX), value)
        });
    }
    let mut rows = Vec::new();
    for thing in &things {
        let mut row = Vec::new();
        for column in &columns {
            let column = match *column {
                "avail" => "available",
                "refer" => "referenced",
                other => other,
            };
            let Some(found) = shown(store, disk, thing, column) else {
                return Err(Answer::refused(
                    2,
                    format!("bad property list: invalid property '{column}'"),
                ));
            };
            row.push(found.value);
        }
        rows.push(row);
    }
    if rows.is_empty() && !options.has('H') {
        return Ok(Answer {
            stderr: "no datasets available\n".to_owned(),
            ..Answer::default()
        });
    }
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}

/// `zfs get [-Hp] [-r] [-t TYPES] [-s SOURCES] [-o FIELDS] PROPERTIES [NAME...]`.
pub(super) fn get(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let mut options = Options::read("Hprt:o:s:d:", args)?;
    if options.operands.is_empty() {
        return Err(Answer::refused(2, "missing property argument"));
    }
    let wanted = options.operands.remove(0);
    let fields: Vec<&str> = options
        .value('o')
        .unwrap_or("name,property,value,source")
        .split(',')
        .collect();
    let sources: Option<Vec<&str>> = options
        .value('s')
        .map(|sources| sources.split(',').collect());
    let mut rows = Vec::new();
    for thing in chosen(store, &options, "filesystem,volume,snapshot")? {
        // Without -r and -t a dataset is asked without its snapshots.
        if thing.snapshot.is_some()
            && options.value('t').is_none()
            && !options.operands.iter().any(|o| o.contains('@'))
        {
            continue;
        }
        let found = if wanted == "all" && thing.snapshot.is_none() {
            properties::all(store, disk, &thing.dataset)
        } else {
            let mut found = Vec::new();
            for property in wanted.split(',') {
                match shown(store, disk, &thing, property) {
                    Some(one) => found.push(one),
                    None => {
                        return Err(Answer::refused(
                            2,
                            format!("bad property list: invalid property '{property}'"),
                        ));
                    }
                }
            }
            found
        };
        for one in found {
            let class = one.source.split(' ').next().unwrap_or("-");
            let class = if class == "-" { "none" } else { class };
            if sources
                .as_ref()
                .is_some_and(|wanted| !wanted.contains(&class))
            {
                continue;
            }
            rows.push(
                fields
                    .iter()
                    .map(|field| match *field {
                        "name" => thing.name(),
                        "property" => one.name.clone(),
                        "value" => one.value.clone(),
                        _ => one.source.clone(),
                    })
                    .collect(),
            );
        }
    }
    Ok(Answer::text(table(&fields, &rows, options.has('H'))))
}

/// Rows as text: parted by tabs with `-H`, else under a heading.
pub(super) fn table(columns: &[&str], rows: &[Vec<String>], plain: bool) -> String {
    let mut out = String::new();
    if plain {
        for row in rows {
            let _ = writeln!(out, "{}", row.join("\t"));
        }
        return out;
    }
    let heading: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let width = |at: usize| {
        all.iter()
            .filter_map(|row| row.get(at))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    for row in &all {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(at, cell)| format!("{cell:0$}", width(at)))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}
