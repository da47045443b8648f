//! `zpool create`, `add` and `destroy`.

use super::{no_pool, usage};
use crate::lab::zfs_twin::{
    answer::{Answer, Result},
    create as dataset,
    disk::Disk,
    mount,
    options::Options,
    store::{Dataset, Member, Part, Pool, Store},
    value::accepted,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// Groups of a pool's layout: kind and device names as they were given.
type Layout = Vec<(String, Vec<String>)>;

fn layout(words: &[String]) -> Layout {
    let mut out: Layout = Vec::new();
    for word in words {
        let is_kind = word == "mirror" || word == "spare" || word.starts_with("raidz");
        if is_kind {
            out.push((word.clone(), Vec::new()));
        } else if let Some((kind, disks)) = out.last_mut()
            && !kind.is_empty()
        {
            disks.push(word.clone());
        } else {
            out.push((String::new(), vec![word.clone()]));
        }
    }
    out
}

fn short(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

/// Bytes that a vdev of this size gives: whole metaslabs behind the labels.
fn usable(size: u64) -> u64 {
    let size = size.saturating_sub(10 << 20);
    let mut slab = 16 << 20;
    while size / slab > 16 {
        slab *= 2;
    }
    size / slab * slab
}

/// Bytes of a device: a virtual disk of the node, or a file.
fn bytes(store: &Store, disk: &dyn Disk, device: &str) -> Option<u64> {
    match store.devices.get(short(device)) {
        Some(bytes) => Some(*bytes),
        None => disk.file_bytes(device),
    }
}

fn outline(title: &str, name: &str, pool: Option<&Pool>, layout: &Layout) -> String {
    let mut out = format!("would {title}\n\n\t{name}\n");
    for part in pool.into_iter().flat_map(|pool| &pool.parts) {
        let _ = writeln!(out, "\t  {}-0", part.kind);
        for disk in &part.disks {
            let _ = writeln!(out, "\t    {}", disk.name);
        }
    }
    for (kind, disks) in layout {
        let mut indent = "\t  ";
        if !kind.is_empty() {
            let _ = writeln!(out, "\t  {kind}");
            indent = "\t    ";
        }
        for disk in disks {
            let _ = writeln!(out, "{indent}{}", short(disk));
        }
    }
    out
}

/// Disks that are missing or belong to somebody.
fn refusals(store: &Store, disk: &dyn Disk, layout: &Layout) -> Result<()> {
    let mut busy = String::new();
    for device in layout.iter().flat_map(|(_, disks)| disks) {
        let name = short(device);
        if name != "lab" && bytes(store, disk, device).is_none() {
            return Err(Answer::refused(
                1,
                format!(
                    "cannot open '{device}': no such device in /dev\nmust be a full path or shorthand device name"
                ),
            ));
        }
        let is_used = store.pools.values().any(|pool| {
            let mut disks = pool.parts.iter().flat_map(|part| &part.disks);
            disks.any(|disk| disk.name == name) || pool.spares.iter().any(|spare| spare == name)
        });
        if is_used {
            let _ = writeln!(
                busy,
                "/dev/{name} is in use and contains a unknown filesystem."
            );
        }
    }
    if busy.is_empty() {
        return Ok(());
    }
    Err(Answer::refused(1, busy.trim_end()))
}

fn parts(store: &Store, pool: &str, layout: &Layout) -> Vec<Part> {
    let made = layout.iter().filter(|(kind, _)| kind != "spare");
    made.map(|(kind, disks)| Part {
        kind: kind.clone(),
        guid: store.id(&format!("{pool}\0{kind}{disks:?}")),
        disks: disks
            .iter()
            .map(|device| Member {
                name: short(device).to_owned(),
                guid: store.id(&format!("{pool}\0{device}")),
                offline: false,
            })
            .collect(),
    })
    .collect()
}

/// `zpool create [-fn] [-m MOUNTPOINT] [-o PROPERTY=VALUE]... [-O PROPERTY=VALUE]... POOL VDEV...`.
pub(in crate::lab::zfs_twin) fn create(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("create", "fndo:O:m:R:", args)?;
    let [name, vdevs @ ..] = options.operands.as_slice() else {
        return Err(usage("missing pool name argument"));
    };
    let refused = |why: &str| Answer::refused(1, format!("cannot create '{name}': {why}"));
    let hint = "\npool name may have been omitted";
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(refused(&format!("name must begin with a letter{hint}")));
    }
    if matches!(name.as_str(), "mirror" | "spare" | "log" | "cache") || name.starts_with("raidz") {
        return Err(refused(&format!("name is reserved{hint}")));
    }
    if vdevs.is_empty() {
        return Err(usage("missing vdev specification"));
    }
    let layout = layout(vdevs);
    refusals(store, disk, &layout)?;
    if store.pools.contains_key(name) {
        return Err(refused("pool already exists"));
    }
    if options.has('n') {
        let title = format!("create '{name}' with the following layout:");
        return Ok(Answer::text(outline(&title, name, None, &layout)));
    }
    let mut local = BTreeMap::new();
    let mut pairs: Vec<String> = options.values.get(&'O').cloned().unwrap_or_default();
    pairs.extend(options.value('m').map(|at| format!("mountpoint={at}")));
    for pair in &pairs {
        let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = accepted(property, value, true).map_err(|why| refused(&why))?;
        local.insert(property.to_owned(), value);
    }
    let mut own = BTreeMap::new();
    for pair in options.values.get(&'o').into_iter().flatten() {
        let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
        own.insert(property.to_owned(), value.to_owned());
    }
    let is_lab = layout
        .iter()
        .any(|(_, disks)| disks.iter().any(|d| d == "lab"));
    let size = if is_lab {
        disk.free()
    } else {
        let sizes = layout
            .iter()
            .filter(|(kind, _)| kind != "spare")
            .map(|(kind, disks)| {
                let all = disks.iter().filter_map(|device| bytes(store, disk, device));
                if kind.is_empty() {
                    all.sum()
                } else {
                    all.min().unwrap_or(0)
                }
            });
        sizes.map(usable).sum()
    };
    store.advance();
    let pool = Pool {
        guid: store.id(name),
        size,
        local: own,
        parts: if is_lab {
            Vec::new()
        } else {
            parts(store, name, &layout)
        },
        ..Pool::default()
    };
    store.pools.insert(name.clone(), pool);
    let record = Dataset {
        local,
        ..Dataset::default()
    };
    dataset::add(store, disk, name, record)?;
    mount::below(store, disk, name)
}

/// `zpool add [-fn] POOL VDEV...`.
pub(in crate::lab::zfs_twin) fn add(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("add", "fno:", args)?;
    let [name, vdevs @ ..] = options.operands.as_slice() else {
        return Err(usage("missing pool name argument"));
    };
    let Some(pool) = store.pools.get(name) else {
        return Err(no_pool(name));
    };
    let layout = layout(vdevs);
    refusals(store, disk, &layout)?;
    if options.has('n') {
        let title = format!("update '{name}' to the following configuration:");
        return Ok(Answer::text(outline(&title, name, Some(pool), &layout)));
    }
    let more = parts(store, name, &layout);
    let spares = layout.iter().filter(|(kind, _)| kind == "spare");
    let spares: Vec<String> = spares
        .flat_map(|(_, disks)| disks.iter().map(|disk| short(disk).to_owned()))
        .collect();
    if let Some(pool) = store.pools.get_mut(name) {
        pool.parts.extend(more);
        pool.spares.extend(spares);
    }
    Ok(Answer::default())
}

/// `zpool destroy [-f] POOL`.
pub(in crate::lab::zfs_twin) fn destroy(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("destroy", "f", args)?;
    let [name] = options.operands.as_slice() else {
        return Err(usage("missing pool argument"));
    };
    if !store.pools.contains_key(name) {
        return Err(no_pool(name));
    }
    mount::all_below(store, disk, name).map_err(|why| Answer::refused(1, why))?;
    let gone: Vec<String> = store.below(name).map(|(name, _)| name.clone()).collect();
    for dataset in gone {
        let Some(record) = store.datasets.remove(&dataset) else {
            continue;
        };
        let snapshots = record.snapshots.values().map(|snapshot| snapshot.files);
        for files in snapshots.chain([record.files]) {
            disk.remove(files)
                .map_err(|why| Answer::refused(1, format!("cannot destroy '{name}': {why}")))?;
        }
    }
    store.pools.remove(name);
    Ok(Answer::default())
}
