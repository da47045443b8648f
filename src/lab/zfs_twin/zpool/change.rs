//! `zpool` verbs that change a pool that is there.

use super::{no_pool, state, usage};
use crate::lab::zfs_twin::{
    answer::{Answer, Result},
    disk::Disk,
    mount,
    options::Options,
    store::{Exported, Scan, Store},
};
use std::fmt::Write as _;

fn short(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

fn scanned(store: &mut Store, disk: &dyn Disk, pool: &str, resilver: bool) {
    store.advance();
    if let Some(pool) = store.pools.get_mut(pool) {
        pool.scan = Some(Scan {
            resilver,
            at: disk.now(),
        });
    }
}

fn pool_of<'a>(store: &Store, options: &'a Options) -> Result<(&'a str, &'a [String])> {
    let [pool, rest @ ..] = options.operands.as_slice() else {
        return Err(usage("missing pool name argument"));
    };
    if !store.pools.contains_key(pool) {
        return Err(no_pool(pool));
    }
    Ok((pool, rest))
}

fn switch(store: &mut Store, pool: &str, device: &str, offline: bool) -> Result<()> {
    let verb = if offline { "offline" } else { "online" };
    let parts = store.pools.get_mut(pool).map(|pool| &mut pool.parts);
    for part in parts.into_iter().flatten() {
        let others = part.disks.iter().filter(|disk| !disk.offline).count();
        let Some(member) = part
            .disks
            .iter_mut()
            .find(|disk| disk.name == short(device))
        else {
            continue;
        };
        if offline && (part.kind.is_empty() || others < 2) {
            return Err(Answer::refused(
                1,
                format!("cannot offline {device}: no valid replicas"),
            ));
        }
        member.offline = offline;
        return Ok(());
    }
    Err(Answer::refused(
        1,
        format!("cannot {verb} {device}: no such device in pool"),
    ))
}

/// `zpool offline [-ft] POOL DEVICE...`.
pub(in crate::lab::zfs_twin) fn offline(store: &mut Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("offline", "ft", args)?;
    let (pool, devices) = pool_of(store, &options)?;
    for device in devices {
        switch(store, pool, device, true)?;
    }
    Ok(Answer::default())
}

/// `zpool online [-e] POOL DEVICE...`.
pub(in crate::lab::zfs_twin) fn online(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("online", "e", args)?;
    let (pool, devices) = pool_of(store, &options)?;
    for device in devices {
        switch(store, pool, device, false)?;
    }
    scanned(store, disk, pool, true);
    Ok(Answer::default())
}

/// `zpool replace [-fsw] POOL OLD NEW`. It is done at once.
pub(in crate::lab::zfs_twin) fn replace(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("replace", "fswo:", args)?;
    let (pool, devices) = pool_of(store, &options)?;
    let [old, new] = devices else {
        return Err(usage("missing <device> specification"));
    };
    if !store.devices.contains_key(short(new)) {
        return Err(Answer::refused(
            1,
            format!("cannot open '{new}': no such device in /dev"),
        ));
    }
    let guid = store.id(&format!("{pool}\0{new}"));
    let members = store.pools.get_mut(pool).map(|pool| &mut pool.parts);
    let found = members
        .into_iter()
        .flatten()
        .flat_map(|part| &mut part.disks)
        .find(|disk| disk.name == short(old));
    let Some(member) = found else {
        return Err(Answer::refused(
            1,
            format!("cannot replace {old} with {new}: no such device in pool"),
        ));
    };
    short(new).clone_into(&mut member.name);
    (member.guid, member.offline) = (guid, false);
    scanned(store, disk, pool, true);
    Ok(Answer::default())
}

/// `zpool remove POOL DEVICE...`: spares only.
pub(in crate::lab::zfs_twin) fn remove(store: &mut Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("remove", "npsw", args)?;
    let (name, devices) = pool_of(store, &options)?;
    for device in devices {
        let Some(pool) = store.pools.get_mut(name) else {
            return Err(no_pool(name));
        };
        let before = pool.spares.len();
        pool.spares.retain(|spare| spare != short(device));
        if pool.spares.len() == before {
            return Err(Answer::refused(
                1,
                format!("cannot remove {device}: no such device in pool"),
            ));
        }
    }
    Ok(Answer::default())
}

/// `zpool scrub [-w] POOL...`. It is done at once.
pub(in crate::lab::zfs_twin) fn scrub(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("scrub", "wspeC", args)?;
    if options.operands.is_empty() {
        return Err(usage("missing pool name argument"));
    }
    for pool in &options.operands {
        if !store.pools.contains_key(pool) {
            return Err(no_pool(pool));
        }
        scanned(store, disk, pool, false);
    }
    Ok(Answer::default())
}

/// Verbs that have nothing to do here: `clear`, `trim`, `sync`.
pub(in crate::lab::zfs_twin) fn clear(store: &Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("clear", "nFwdcsr:", args)?;
    pool_of(store, &options)?;
    Ok(Answer::default())
}

/// `zpool wait [-t ACTIVITY] POOL`: whatever it is, it is done.
pub(in crate::lab::zfs_twin) fn wait(store: &Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("wait", "HpT:t:", args)?;
    pool_of(store, &options)?;
    Ok(Answer::default())
}

/// `zpool set PROPERTY=VALUE POOL`.
pub(in crate::lab::zfs_twin) fn set(store: &mut Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("set", "", args)?;
    let [pair, name] = options.operands.as_slice() else {
        return Err(usage("missing property=value argument"));
    };
    let Some((property, value)) = pair.split_once('=') else {
        return Err(usage("missing value in property=value argument"));
    };
    let pool = store.pools.get_mut(name).ok_or_else(|| no_pool(name))?;
    pool.local.insert(property.to_owned(), value.to_owned());
    Ok(Answer::default())
}

/// `zpool export [-f] POOL...`.
pub(in crate::lab::zfs_twin) fn export(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("export", "af", args)?;
    let (name, _) = pool_of(store, &options)?;
    mount::all_below(store, disk, name).map_err(|why| Answer::refused(1, why))?;
    let below: Vec<String> = store.below(name).map(|(name, _)| name.clone()).collect();
    let mut gone = Exported::default();
    for dataset in below {
        if let Some(mut record) = store.datasets.remove(&dataset) {
            if let Some(key) = record.key.as_mut() {
                key.loaded = false;
            }
            gone.datasets.insert(dataset, record);
        }
    }
    if let Some(pool) = store.pools.remove(name) {
        gone.pool = pool;
    }
    store.exported.insert(name.to_owned(), gone);
    Ok(Answer::default())
}

/// `zpool import [-d FOLDER] [-fN] [POOL]`.
pub(in crate::lab::zfs_twin) fn import(
    store: &mut Store,
    disk: &dyn Disk,
    args: &[String],
) -> Result<Answer> {
    let options = Options::read("import", "afNFmo:d:R:", args)?;
    let Some(name) = options.operands.first() else {
        return Ok(importable(store));
    };
    let refused = |why: &str| Answer::refused(1, format!("cannot import '{name}': {why}"));
    if store.pools.contains_key(name) {
        return Err(refused(
            "a pool with that name already exists\nuse the form 'zpool import <pool | id> <newpool>' to give it a new name",
        ));
    }
    let Some(back) = store.exported.remove(name) else {
        return Err(refused("no such pool available"));
    };
    store.datasets.extend(back.datasets);
    store.pools.insert(name.clone(), back.pool);
    if options.has('N') {
        return Ok(Answer::default());
    }
    mount::below(store, disk, name)
}

fn importable(store: &Store) -> Answer {
    if store.exported.is_empty() {
        return Answer::refused(1, "no pools available to import");
    }
    let mut out = String::new();
    for (at, (name, exported)) in store.exported.iter().enumerate() {
        let pool = &exported.pool;
        let state = state(pool);
        let gap = if at > 0 { "\n" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "{gap}  pool: {name}\n    id: {}\n state: {state}\naction: The pool can be imported using its name or numeric identifier.\nconfig:\n\n\t{name:10}  {state}\n",
            pool.guid
        );
        for (at, part) in pool.parts.iter().enumerate() {
            if !part.kind.is_empty() {
                let _ = writeln!(out, "\t  {}-{at}  ONLINE", part.kind);
            }
            for disk in &part.disks {
                let _ = writeln!(out, "\t    {:6}  ONLINE", disk.name);
            }
        }
    }
    Answer::text(out)
}
