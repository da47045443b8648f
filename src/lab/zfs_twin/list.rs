//! `zfs list` and `zfs get`.

use super::{
    answer::{Answer, Result},
    disk::Disk,
    listing::{Kind, Thing, chosen},
    options::Options,
    print::{Column, column, human, is_number, jsoned, sourced, table, versioned},
    properties::{self, Shown, canonical},
    store::Store,
};
use serde_json::{Map, Value, json};

fn known(verb: &str, property: &str) -> Result<()> {
    if properties::is_known(canonical(property)) {
        return Ok(());
    }
    Err(Answer::usage(
        verb,
        format!("bad property list: invalid property '{property}'"),
    ))
}

/// `zfs list [-Hp] [-j [--json-int]] [-r|-d DEPTH] [-t TYPES] [-o COLUMNS] [-s|-S COLUMN]... [NAME...]`.
pub(super) fn list(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("list", "Hpjrt:o:s:S:d:", args)?;
    let columns: Vec<&str> = options
        .value('o')
        .unwrap_or("name,used,available,referenced,mountpoint")
        .split(',')
        .map(canonical)
        .collect();
    for property in &columns {
        known("list", property)?;
    }
    let mut things = chosen(store, "list", &options, "filesystem,volume")?;
    for letter in ['s', 'S'] {
        for key in options.values.get(&letter).into_iter().flatten().rev() {
            known("list", key)?;
            things.sort_by_cached_key(|thing| {
                let value = properties::one(store, disk, thing, key)
                    .map(|shown| shown.value)
                    .unwrap_or_default();
                let number = value.parse::<u64>().unwrap_or(u64::MAX);
                if is_number(canonical(key)) || key == "creation" {
                    (number, String::new())
                } else {
                    (0, value)
                }
            });
            if letter == 'S' {
                things.reverse();
            }
        }
    }
    let row = |thing: &Thing| -> Vec<Shown> {
        columns
            .iter()
            .filter_map(|column| properties::one(store, disk, thing, column))
            .collect()
    };
    if options.has('j') {
        let mut out = Map::new();
        for thing in &things {
            let shown = row(thing).into_iter().filter(|shown| shown.name != "name");
            out.insert(thing.name(), described(store, thing, shown, &options));
        }
        return Ok(Answer::text(versioned(
            "zfs list",
            "datasets",
            Value::Object(out),
        )));
    }
    if things.is_empty() && !options.has('H') {
        return Ok(Answer::note("no datasets available"));
    }
    let rows: Vec<Vec<String>> = things
        .iter()
        .map(|thing| row(thing).into_iter().map(|s| value(s, &options)).collect())
        .collect();
    let columns: Vec<Column> = columns.iter().map(|name| column(name)).collect();
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}

fn value(shown: Shown, options: &Options) -> String {
    if options.has('p') {
        shown.value
    } else {
        human(&shown.name, &shown.value)
    }
}

/// A thing as JSON.
fn described(
    store: &Store,
    thing: &Thing,
    shown: impl Iterator<Item = Shown>,
    options: &Options,
) -> Value {
    let as_number = options.has('J');
    let record = store.datasets.get(&thing.dataset);
    let (kind, createtxg) = match thing.kind {
        Kind::Dataset if record.is_some_and(|record| record.volume.is_some()) => {
            ("VOLUME", record.map(|record| record.createtxg))
        }
        Kind::Dataset => ("FILESYSTEM", record.map(|record| record.createtxg)),
        Kind::Snapshot => (
            "SNAPSHOT",
            record
                .and_then(|record| record.snapshots.get(&thing.short))
                .map(|snapshot| snapshot.createtxg),
        ),
        Kind::Bookmark => (
            "BOOKMARK",
            record
                .and_then(|record| record.bookmarks.get(&thing.short))
                .map(|bookmark| bookmark.createtxg),
        ),
    };
    let createtxg = createtxg.unwrap_or(0).to_string();
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(thing.name()));
    out.insert("type".to_owned(), json!(kind));
    let pool = thing.dataset.split('/').next().unwrap_or_default();
    out.insert("pool".to_owned(), json!(pool));
    out.insert(
        "createtxg".to_owned(),
        jsoned("createtxg", createtxg, as_number),
    );
    if thing.kind == Kind::Snapshot {
        out.insert("dataset".to_owned(), json!(thing.dataset));
        out.insert("snapshot_name".to_owned(), json!(thing.short));
    }
    let mut properties = Map::new();
    for shown in shown {
        // `--json-int` shows raw numbers with and without `-p`.
        let text = if options.has('p') || as_number {
            shown.value
        } else {
            human(&shown.name, &shown.value)
        };
        let value = jsoned(&shown.name, text, as_number);
        properties.insert(shown.name, sourced(&value, &shown.source));
    }
    out.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(out)
}

/// `zfs get [-Hp] [-j [--json-int]] [-r|-d DEPTH] [-t TYPES] [-s SOURCES] [-o FIELDS] PROPERTIES [NAME...]`.
pub(super) fn get(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let mut options = Options::read("get", "Hpjrt:o:s:d:", args)?;
    if options.operands.is_empty() {
        return Err(Answer::usage("get", "missing property argument"));
    }
    let wanted = options.operands.remove(0);
    let fields: Vec<&str> = options
        .value('o')
        .unwrap_or("name,property,value,source")
        .split(',')
        .collect();
    if wanted != "all" {
        for property in wanted.split(',') {
            known("get", property)?;
        }
    }
    let sources: Option<Vec<&str>> = options.value('s').map(|text| text.split(',').collect());
    // Without -t a dataset is asked without its snapshots and bookmarks.
    let things = chosen(store, "get", &options, "filesystem,volume")?;
    let found = |thing: &Thing| -> Vec<Shown> {
        let mut found = if wanted == "all" {
            properties::all(store, disk, thing)
        } else {
            wanted
                .split(',')
                .filter_map(|property| properties::one(store, disk, thing, property))
                .collect()
        };
        found.retain(|one| {
            let class = one.source.split(' ').next().unwrap_or("-");
            let class = if class == "-" { "none" } else { class };
            sources
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&class))
        });
        found
    };
    if options.has('j') {
        let mut out = Map::new();
        for thing in &things {
            let shown = found(thing).into_iter();
            out.insert(thing.name(), described(store, thing, shown, &options));
        }
        return Ok(Answer::text(versioned(
            "zfs get",
            "datasets",
            Value::Object(out),
        )));
    }
    let mut rows = Vec::new();
    for thing in &things {
        for one in found(thing) {
            let cells = fields.iter().map(|field| match *field {
                "name" => thing.name(),
                "property" => one.name.clone(),
                "value" => value(one.clone(), &options),
                "received" => "-".to_owned(),
                _ => one.source.clone(),
            });
            rows.push(cells.collect());
        }
    }
    let columns: Vec<Column> = fields
        .iter()
        .map(|field| Column {
            heading: field.to_uppercase(),
            width: 0,
            right: false,
        })
        .collect();
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}
