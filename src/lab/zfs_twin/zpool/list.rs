//! `zpool list` and `get`.

use super::{chosen, state, usage};
use crate::lab::zfs_twin::{
    answer::{Answer, Result},
    disk::Disk,
    options::Options,
    print::{Column, nice, sourced, table, versioned},
    sizes,
    store::{Pool, Store},
};
use serde_json::{Map, Value, json};

/// Properties of a pool in the order of `zpool get all`, with default and whether it can be set.
const PROPERTIES: &[(&str, &str, bool)] = &[
    ("size", "", false),
    ("capacity", "", false),
    ("altroot", "-", true),
    ("health", "", false),
    ("guid", "", false),
    ("version", "-", true),
    ("bootfs", "-", true),
    ("delegation", "on", true),
    ("autoreplace", "off", true),
    ("cachefile", "-", true),
    ("failmode", "wait", true),
    ("listsnapshots", "off", true),
    ("autoexpand", "off", true),
    ("dedupratio", "1.00", false),
    ("free", "", false),
    ("allocated", "", false),
    ("readonly", "off", false),
    ("ashift", "0", true),
    ("comment", "-", true),
    ("expandsize", "-", false),
    ("freeing", "0", false),
    ("fragmentation", "0", false),
    ("leaked", "0", false),
    ("multihost", "off", true),
    ("checkpoint", "-", false),
    ("load_guid", "", false),
    ("autotrim", "off", true),
    ("compatibility", "off", true),
    ("bcloneused", "0", false),
    ("bclonesaved", "0", false),
    ("bcloneratio", "1.00", false),
    ("dedup_table_size", "0", false),
    ("dedup_table_quota", "auto", true),
    ("last_scrubbed_txg", "0", false),
];

/// Features that are in use from the start; the others are only enabled.
const ACTIVE: &[&str] = &[
    "lz4_compress",
    "spacemap_histogram",
    "enabled_txg",
    "hole_birth",
    "extensible_dataset",
    "embedded_data",
    "userobj_accounting",
    "project_quota",
    "spacemap_v2",
    "log_spacemap",
    "head_errlog",
    "vdev_zaps_v2",
];

const FEATURES: &[&str] = &[
    "async_destroy",
    "empty_bpobj",
    "lz4_compress",
    "multi_vdev_crash_dump",
    "spacemap_histogram",
    "enabled_txg",
    "hole_birth",
    "extensible_dataset",
    "embedded_data",
    "bookmarks",
    "filesystem_limits",
    "large_blocks",
    "large_dnode",
    "sha512",
    "skein",
    "edonr",
    "userobj_accounting",
    "encryption",
    "project_quota",
    "device_removal",
    "obsolete_counts",
    "zpool_checkpoint",
    "spacemap_v2",
    "allocation_classes",
    "resilver_defer",
    "bookmark_v2",
    "redaction_bookmarks",
    "redacted_datasets",
    "bookmark_written",
    "log_spacemap",
    "livelist",
    "device_rebuild",
    "zstd_compress",
    "draid",
    "zilsaxattr",
    "head_errlog",
    "blake3",
    "block_cloning",
    "vdev_zaps_v2",
    "redaction_list_spill",
    "raidz_expansion",
    "fast_dedup",
    "longname",
    "large_microzap",
];

fn canonical(property: &str) -> &str {
    match property {
        "alloc" => "allocated",
        "frag" => "fragmentation",
        "cap" => "capacity",
        "dedup" => "dedupratio",
        "ckpoint" => "checkpoint",
        "expandsz" => "expandsize",
        other => other,
    }
}

/// Value and source of one property.
fn one(
    store: &Store,
    disk: &dyn Disk,
    name: &str,
    pool: &Pool,
    property: &str,
) -> Option<(String, &'static str)> {
    if property == "name" {
        return Some((name.to_owned(), "-"));
    }
    if let Some(feature) = property.strip_prefix("feature@") {
        let is_active = ACTIVE.contains(&feature);
        let state = if is_active { "active" } else { "enabled" };
        return FEATURES
            .contains(&feature)
            .then(|| (state.to_owned(), "local"));
    }
    let (_, default, can_set) = PROPERTIES.iter().find(|(known, _, _)| *known == property)?;
    let used = sizes::used(store, disk, name);
    let value = match property {
        "size" => pool.size.to_string(),
        "capacity" => (used * 100 / pool.size.max(1)).to_string(),
        "health" => state(pool).to_owned(),
        "guid" => pool.guid.to_string(),
        "load_guid" => (pool.guid / 3).to_string(),
        "free" => pool.size.saturating_sub(used).to_string(),
        "allocated" => used.to_string(),
        _ => {
            return Some(match pool.local.get(property) {
                Some(value) => (value.clone(), "local"),
                None => (
                    (*default).to_owned(),
                    if *can_set { "default" } else { "-" },
                ),
            });
        }
    };
    Some((value, "-"))
}

fn human(property: &str, value: String) -> String {
    if value == "-" {
        return value;
    }
    match property {
        "size" | "free" | "allocated" => value.parse().map_or(value, nice),
        "capacity" | "fragmentation" => format!("{value}%"),
        "dedupratio" | "bcloneratio" => format!("{value}x"),
        _ => value,
    }
}

fn column(property: &str) -> Column {
    let (heading, width) = match property {
        "allocated" => ("ALLOC", 5),
        "size" => ("SIZE", 5),
        "free" => ("FREE", 5),
        "fragmentation" => ("FRAG", 5),
        "capacity" => ("CAP", 5),
        "dedupratio" => ("DEDUP", 5),
        "checkpoint" => ("CKPOINT", 7),
        "expandsize" => ("EXPANDSZ", 8),
        "health" => ("HEALTH", 8),
        _ => ("", 0),
    };
    Column {
        heading: if heading.is_empty() {
            property.to_uppercase()
        } else {
            heading.to_owned()
        },
        width,
        right: width > 0,
    }
}

fn head(store: &Store, name: &str, pool: &Pool) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in [
        ("name", name.to_owned()),
        ("type", "POOL".to_owned()),
        ("state", state(pool).to_owned()),
        ("pool_guid", pool.guid.to_string()),
        ("txg", store.txg.to_string()),
        ("spa_version", "5000".to_owned()),
        ("zpl_version", "5".to_owned()),
    ] {
        out.insert(key.to_owned(), json!(value));
    }
    out
}

fn jsoned(
    store: &Store,
    disk: &dyn Disk,
    pools: &[(&String, &Pool)],
    properties: &[&str],
    options: &Options,
) -> Value {
    let mut all = Map::new();
    for (name, pool) in pools {
        let mut out = head(store, name, pool);
        let mut values = Map::new();
        for property in properties.iter().filter(|property| **property != "name") {
            let Some((value, source)) = one(store, disk, name, pool, property) else {
                continue;
            };
            let value = if options.has('p') {
                value
            } else {
                human(property, value)
            };
            values.insert((*property).to_owned(), sourced(&json!(value), source));
        }
        out.insert("properties".to_owned(), Value::Object(values));
        all.insert((*name).clone(), Value::Object(out));
    }
    Value::Object(all)
}

fn known(store: &Store, disk: &dyn Disk, property: &str) -> Result<()> {
    if one(store, disk, "", &Pool::default(), property).is_some() {
        return Ok(());
    }
    Err(usage(&format!(
        "bad property list: invalid property '{property}'"
    )))
}

/// `zpool list [-HpPvLgj] [-o COLUMNS] [POOL...]`.
pub(in crate::lab::zfs_twin) fn list(
    store: &Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("list", "HpPvLgjo:T:", args)?;
    let columns: Vec<&str> = options
        .value('o')
        .unwrap_or("name,size,alloc,free,ckpoint,expandsz,frag,cap,dedup,health,altroot")
        .split(',')
        .map(canonical)
        .collect();
    for property in &columns {
        known(store, disk, property)?;
    }
    let pools = chosen(store, &options.operands)?;
    if options.has('j') {
        let rest = jsoned(store, disk, &pools, &columns, &options);
        return Ok(Answer::text(versioned("zpool list", "pools", rest)));
    }
    if pools.is_empty() && !options.has('H') {
        return Ok(Answer::text("no pools available\n"));
    }
    let mut rows = Vec::new();
    for (name, pool) in pools {
        let row: Vec<String> = columns
            .iter()
            .filter_map(|property| {
                let (value, _) = one(store, disk, name, pool, property)?;
                Some(if options.has('p') {
                    value
                } else {
                    human(property, value)
                })
            })
            .collect();
        if options.has('v') {
            let parts = members(store, pool, &row, &options);
            rows.push(row);
            rows.extend(parts);
        } else {
            rows.push(row);
        }
    }
    let columns: Vec<Column> = columns.iter().map(|name| column(name)).collect();
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}

/// The lines of `-v`: a part has the pool's numbers, a disk its size. They lack the altroot, and begin with a tab.
fn members(store: &Store, pool: &Pool, row: &[String], options: &Options) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let indent = if options.has('H') { "\t" } else { "  " };
    for (at, part) in pool.parts.iter().enumerate() {
        if !part.kind.is_empty() {
            let mut cells = vec![format!("{indent}{}-{at}", part.kind)];
            cells.extend(
                row.iter()
                    .skip(1)
                    .take(row.len().saturating_sub(2))
                    .cloned(),
            );
            if let Some(dedup) = cells.get_mut(8) {
                "-".clone_into(dedup);
            }
            out.push(cells);
        }
        for disk in &part.disks {
            let bytes = store.devices.get(&disk.name).copied().unwrap_or(0);
            let bytes = bytes.saturating_sub(10 << 20);
            let size = if options.has('p') {
                bytes.to_string()
            } else {
                nice(bytes)
            };
            let path = if options.has('P') {
                format!("{indent}/dev/{}1", disk.name)
            } else {
                format!("{indent}{}", disk.name)
            };
            let mut cells = vec![path, size];
            cells.extend(std::iter::repeat_n("-".to_owned(), 7));
            cells.push(if disk.offline { "OFFLINE" } else { "ONLINE" }.to_owned());
            out.push(cells);
        }
    }
    out
}

/// `zpool get [-Hpj] [-o FIELDS] PROPERTIES [POOL...]`.
pub(in crate::lab::zfs_twin) fn get(
    store: &Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("get", "Hpjo:", args)?;
    let [wanted, names @ ..] = options.operands.as_slice() else {
        return Err(usage("missing property argument"));
    };
    let every: Vec<String> = PROPERTIES
        .iter()
        .map(|(name, _, _)| (*name).to_owned())
        .chain(FEATURES.iter().map(|name| format!("feature@{name}")))
        .collect();
    let properties: Vec<&str> = if wanted == "all" {
        every.iter().map(String::as_str).collect()
    } else {
        wanted.split(',').map(canonical).collect()
    };
    for property in &properties {
        known(store, disk, property)?;
    }
    let pools = chosen(store, names)?;
    if options.has('j') {
        let rest = jsoned(store, disk, &pools, &properties, &options);
        return Ok(Answer::text(versioned("zpool get", "pools", rest)));
    }
    let fields: Vec<&str> = options
        .value('o')
        .unwrap_or("name,property,value,source")
        .split(',')
        .collect();
    let mut rows = Vec::new();
    for (name, pool) in pools {
        for property in &properties {
            let Some((value, source)) = one(store, disk, name, pool, property) else {
                continue;
            };
            let value = if options.has('p') {
                value
            } else {
                human(property, value)
            };
            let cells = fields.iter().map(|field| match *field {
                "name" => name.clone(),
                "property" => (*property).to_owned(),
                "value" => value.clone(),
                _ => source.to_owned(),
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
