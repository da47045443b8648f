//! `zpool list`, `status` and, for the lab itself, `create`.

use super::{
    answer::{Answer, Result},
    create::add,
    disk::Disk,
    list::table,
    options::Options,
    properties,
    store::{Pool, Store},
};
use std::{collections::BTreeMap, fmt::Write as _};

fn chosen<'a>(store: &'a Store, names: &[String]) -> Result<Vec<(&'a String, &'a Pool)>> {
    if names.is_empty() {
        return Ok(store.pools.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            store
                .pools
                .get_key_value(name)
                .ok_or_else(|| Answer::refused(1, format!("cannot open '{name}': no such pool")))
        })
        .collect()
}

/// `zpool list [-Hp] [-o COLUMNS] [POOL...]`.
pub(super) fn list(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("Hpo:", args)?;
    let columns: Vec<&str> = options
        .value('o')
        .unwrap_or("name,size,alloc,free,ckpoint,expandsz,frag,cap,dedup,health,altroot")
        .split(',')
        .collect();
    let pools = chosen(store, &options.operands)?;
    if pools.is_empty() && !options.has('H') {
        return Ok(Answer::text("no pools available\n"));
    }
    let free = disk.free();
    let mut rows = Vec::new();
    for (name, pool) in pools {
        let free = free.min(pool.size);
        let mut row = Vec::new();
        for column in &columns {
            row.push(match *column {
                "name" => name.clone(),
                "size" => pool.size.to_string(),
                "alloc" | "allocated" => pool.size.saturating_sub(free).to_string(),
                "free" => free.to_string(),
                "frag" | "fragmentation" | "cap" | "capacity" => "0".to_owned(),
                "dedup" | "dedupratio" => "1.00".to_owned(),
                "health" => "ONLINE".to_owned(),
                "guid" => pool.guid.to_string(),
                "altroot" | "ckpoint" | "expandsz" => "-".to_owned(),
                other => {
                    return Err(Answer::refused(
                        2,
                        format!("bad property list: invalid property '{other}'"),
                    ));
                }
            });
        }
        rows.push(row);
    }
    Ok(Answer::text(table(&columns, &rows, options.has('H'))))
}

/// `zpool status [-x] [POOL...]`.
pub(super) fn status(store: &Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("xpPv", args)?;
    let pools = chosen(store, &options.operands)?;
    if options.has('x') {
        return Ok(Answer::text("all pools are healthy\n"));
    }
    if pools.is_empty() {
        return Ok(Answer {
            stderr: "no pools available\n".to_owned(),
            ..Answer::default()
        });
    }
    let mut out = String::new();
    for (name, _) in pools {
        let _ = write!(
            out,
            "  pool: {name}\n state: ONLINE\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t{name:<10}  ONLINE       0     0     0\n\t  lab       ONLINE       0     0     0\n\nerrors: No known data errors\n"
        );
    }
    Ok(Answer::text(out))
}

/// `zpool create [-O PROPERTY=VALUE]... POOL lab`: the lab's one virtual disk; real disks are nobody's here.
pub(super) fn create(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("o:O:m:", args)?;
    let [name, device] = options.operands.as_slice() else {
        return Err(Answer::refused(2, "missing vdev specification"));
    };
    if store.pools.contains_key(name) {
        return Err(Answer::refused(
            1,
            format!("cannot create '{name}': pool already exists"),
        ));
    }
    if device != "lab" {
        return Err(Answer::refused(
            1,
            format!("cannot open '{device}': no such device in /dev"),
        ));
    }
    let mut local = BTreeMap::new();
    for pair in options.values.get(&'O').into_iter().flatten() {
        if let Some((property, value)) = pair.split_once('=') {
            let value = properties::accepted(property, value, true)
                .map_err(|why| Answer::refused(1, format!("cannot create '{name}': {why}")))?;
            local.insert(property.to_owned(), value);
        }
    }
    let (_, guid) = store.next(name);
    store.pools.insert(
        name.clone(),
        Pool {
            guid,
            size: disk.free(),
        },
    );
    add(store, disk, name, local)?;
    super::dataset::mount_below(store, disk, name)
}
