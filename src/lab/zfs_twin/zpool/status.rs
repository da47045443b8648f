//! `zpool status`.

use super::{chosen, state};
use crate::lab::zfs_twin::{
    answer::{Answer, Result},
    disk::Disk,
    options::Options,
    print::{moment_with_seconds, nice, versioned},
    sizes,
    store::{Member, Part, Pool, Store},
};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const STATUS: &str = "One or more devices has been taken offline by the administrator.\n\tSufficient replicas exist for the pool to continue functioning in a\n\tdegraded state.\n";
const ACTION: &str =
    "Online the device using 'zpool online' or replace the device with\n\t'zpool replace'.\n";

/// `zpool status [-xpPvtj] [POOL...]`.
pub(in crate::lab::zfs_twin) fn status(
    store: &Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("status", "xpPvtjLgsiDe", args)?;
    let mut pools = chosen(store, &options.operands)?;
    if options.has('j') {
        let mut out = Map::new();
        for (name, pool) in pools {
            out.insert(name.clone(), jsoned(store, disk, name, pool));
        }
        return Ok(Answer::text(versioned(
            "zpool status",
            "pools",
            Value::Object(out),
        )));
    }
    if options.has('x') {
        pools.retain(|(_, pool)| state(pool) != "ONLINE");
        if pools.is_empty() {
            return Ok(Answer::text(match options.operands.as_slice() {
                [] => "all pools are healthy\n".to_owned(),
                names => names.iter().fold(String::new(), |out, name| {
                    out + &format!("pool '{name}' is healthy\n")
                }),
            }));
        }
    }
    if pools.is_empty() {
        return Ok(Answer::note("no pools available"));
    }
    let mut out = String::new();
    for (at, (name, pool)) in pools.into_iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        text(&mut out, name, pool, options.has('t'));
    }
    Ok(Answer::text(out))
}

fn text(out: &mut String, name: &str, pool: &Pool, trim: bool) {
    let state = state(pool);
    // Writing to a string does not fail.
    let _ = writeln!(out, "  pool: {name}\n state: {state}");
    if state != "ONLINE" {
        let _ = write!(out, "status: {STATUS}action: {ACTION}");
    }
    if let Some(scan) = &pool.scan {
        let what = if scan.resilver {
            "resilvered 72K in 00:00:00"
        } else {
            "scrub repaired 0B in 00:00:00"
        };
        let at = moment_with_seconds(scan.at);
        let _ = writeln!(out, "  scan: {what} with 0 errors on {at}");
    }
    out.push_str("config:\n\n");
    let mut rows: Vec<(String, String)> = vec![(name.to_owned(), state.to_owned())];
    for (at, part) in pool.parts.iter().enumerate() {
        let indent = if part.kind.is_empty() { "  " } else { "    " };
        if !part.kind.is_empty() {
            rows.push((format!("  {}-{at}", part.kind), part_state(part).to_owned()));
        }
        rows.extend(part.disks.iter().map(|disk| {
            (
                format!("{indent}{}", disk.name),
                disk_state(disk).to_owned(),
            )
        }));
    }
    if pool.parts.is_empty() {
        rows.push(("  lab".to_owned(), "ONLINE".to_owned()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let width = width.max(10);
    let _ = writeln!(out, "\t{:width$}  STATE     READ WRITE CKSUM", "NAME");
    for (name, state) in rows {
        let is_disk = name.starts_with("    ");
        let note = if trim && is_disk { "  (untrimmed)" } else { "" };
        let _ = writeln!(out, "\t{name:width$}  {state:8}     0     0     0{note}");
    }
    if !pool.spares.is_empty() {
        out.push_str("\tspares\n");
        for spare in &pool.spares {
            let _ = writeln!(out, "\t  {spare:<0$}  {1:8}", width - 2, "AVAIL");
        }
    }
    out.push_str("\nerrors: No known data errors\n");
}

fn disk_state(disk: &Member) -> &'static str {
    if disk.offline { "OFFLINE" } else { "ONLINE" }
}

fn part_state(part: &Part) -> &'static str {
    if part.disks.iter().any(|disk| disk.offline) {
        "DEGRADED"
    } else {
        "ONLINE"
    }
}

fn counts(out: &mut Map<String, Value>) {
    for key in ["read_errors", "write_errors", "checksum_errors"] {
        out.insert(key.to_owned(), json!("0"));
    }
}

fn vdev(name: &str, kind: &str, guid: u64, state: &str) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in [
        ("name", name),
        ("vdev_type", kind),
        ("guid", &guid.to_string()),
        ("class", "normal"),
        ("state", state),
    ] {
        out.insert(key.to_owned(), json!(value));
    }
    out
}

fn jsoned(store: &Store, disk: &dyn Disk, name: &str, pool: &Pool) -> Value {
    let mut out = Map::new();
    for (key, value) in [
        ("name", name.to_owned()),
        ("state", state(pool).to_owned()),
        ("pool_guid", pool.guid.to_string()),
        ("txg", store.txg.to_string()),
        ("spa_version", "5000".to_owned()),
        ("zpl_version", "5".to_owned()),
    ] {
        out.insert(key.to_owned(), json!(value));
    }
    if state(pool) != "ONLINE" {
        out.insert("status".to_owned(), json!(STATUS));
        out.insert("action".to_owned(), json!(ACTION));
    }
    let used = sizes::used(store, disk, name);
    if let Some(scan) = &pool.scan {
        out.insert(
            "scan_stats".to_owned(),
            scan_stats(scan.resilver, scan.at, used),
        );
    }
    let space = |out: &mut Map<String, Value>| {
        out.insert("alloc_space".to_owned(), json!(nice(used)));
        out.insert("total_space".to_owned(), json!(nice(pool.size)));
        out.insert("def_space".to_owned(), json!(nice(pool.size)));
    };
    let leaf = |disk: &Member| {
        let bytes = store.devices.get(&disk.name).copied().unwrap_or(pool.size);
        let size = nice(bytes.saturating_sub(10 << 20));
        let mut out = vdev(&disk.name, "disk", disk.guid, disk_state(disk));
        let class = out.shift_remove("class");
        let state = out.shift_remove("state");
        out.insert("path".to_owned(), json!(format!("/dev/{}1", disk.name)));
        out.extend(
            [("class", class), ("state", state)]
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
        out.insert("rep_dev_size".to_owned(), json!(size));
        out.insert("phys_space".to_owned(), json!(size));
        counts(&mut out);
        out.insert("slow_ios".to_owned(), json!("0"));
        (disk.name.clone(), Value::Object(out))
    };
    let mut children = Map::new();
    for (at, part) in pool.parts.iter().enumerate() {
        if part.kind.is_empty() {
            children.extend(part.disks.iter().map(leaf));
            continue;
        }
        let name = format!("{}-{at}", part.kind);
        let mut middle = vdev(&name, &part.kind, part.guid, part_state(part));
        space(&mut middle);
        middle.insert("rep_dev_size".to_owned(), json!(nice(pool.size)));
        counts(&mut middle);
        let disks: Map<String, Value> = part.disks.iter().map(leaf).collect();
        middle.insert("vdevs".to_owned(), Value::Object(disks));
        children.insert(name, Value::Object(middle));
    }
    if pool.parts.is_empty() {
        let lab = Member {
            name: "lab".to_owned(),
            guid: pool.guid,
            offline: false,
        };
        children.extend([leaf(&lab)]);
    }
    let mut root = vdev(name, "root", pool.guid, state(pool));
    space(&mut root);
    counts(&mut root);
    root.insert("vdevs".to_owned(), Value::Object(children));
    let mut vdevs = Map::new();
    vdevs.insert(name.to_owned(), Value::Object(root));
    out.insert("vdevs".to_owned(), Value::Object(vdevs));
    out.insert("error_count".to_owned(), json!("0"));
    Value::Object(out)
}

fn scan_stats(resilver: bool, at: i64, used: u64) -> Value {
    let time = jiff::Timestamp::from_second(at).map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%a %b %e %H:%M:%S UTC %Y").to_string(),
    );
    json!({
        "function": if resilver { "RESILVER" } else { "SCRUB" },
        "state": "FINISHED",
        "start_time": time,
        "end_time": time,
        "to_examine": nice(used),
        "examined": nice(used),
        "skipped": "300K",
        "processed": if resilver { "72K" } else { "0B" },
        "errors": "0",
        "bytes_per_scan": "0B",
        "pass_start": at.to_string(),
        "scrub_pause": "-",
        "scrub_spent_paused": "0",
        "issued_bytes_per_scan": nice(used),
        "issued": nice(used),
    })
}
