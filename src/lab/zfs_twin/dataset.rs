//! `zfs set`, `inherit`, `mount` and `unmount`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    properties::{self, refuse},
    store::Store,
};
use std::fmt::Write as _;

/// `zfs set PROPERTY=VALUE... NAME...`.
pub(super) fn set(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("u", args)?;
    let (pairs, names): (Vec<&String>, Vec<&String>) = options
        .operands
        .iter()
        .partition(|operand| operand.contains('='));
    if pairs.is_empty() || names.is_empty() {
        return Err(Answer::refused(2, "missing property=value argument"));
    }
    for name in names {
        if !store.datasets.contains_key(name) {
            return Err(no_dataset(name));
        }
        let mut accepted = Vec::new();
        for pair in &pairs {
            let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
            match properties::accepted(property, value, false) {
                Ok(value) => accepted.push((property.to_owned(), value)),
                Err(why) => refuse(255, "set property for", name, &why)?,
            }
        }
        let moves = accepted
            .iter()
            .any(|(property, _)| property == "mountpoint" || property == "canmount");
        if moves {
            unmount_below(store, disk, name)
                .map_err(|why| Answer::refused(255, format!("cannot unmount '{name}': {why}")))?;
        }
        if let Some(record) = store.datasets.get_mut(name) {
            record.local.extend(accepted);
        }
        if moves {
            let answer = mount_below(store, disk, name)?;
            if answer.code != 0 {
                return Ok(answer);
            }
        }
    }
    Ok(Answer::default())
}

/// `zfs inherit PROPERTY NAME...`.
pub(super) fn inherit(store: &mut Store, args: &[String]) -> Result<Answer> {
    let options = Options::read("rS", args)?;
    let [property, names @ ..] = options.operands.as_slice() else {
        return Err(Answer::refused(2, "missing property argument"));
    };
    for name in names {
        let Some(record) = store.datasets.get_mut(name) else {
            return Err(no_dataset(name));
        };
        record.local.remove(property);
    }
    Ok(Answer::default())
}

/// `zfs mount [-a | NAME]`; without operands it lists what is mounted.
pub(super) fn mount(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("al", args)?;
    if options.has('a') {
        let pools: Vec<&String> = store.pools.keys().collect();
        for pool in pools {
            let answer = mount_below(store, disk, pool)?;
            if answer.code != 0 {
                return Ok(answer);
            }
        }
        return Ok(Answer::default());
    }
    let Some(name) = options.operands.first() else {
        let mut out = String::new();
        for (name, record) in &store.datasets {
            if let Some(at) =
                properties::mountpoint(store, name).filter(|at| disk.is_mounted(record.guid, at))
            {
                let _ = writeln!(out, "{name:30}  {at}");
            }
        }
        return Ok(Answer::text(out));
    };
    let Some(record) = store.datasets.get(name) else {
        return Err(no_dataset(name));
    };
    let Some(at) = properties::mountpoint(store, name) else {
        let kind = properties::settable(store, name, "mountpoint")
            .map(|(value, _)| value)
            .unwrap_or_default();
        return Err(Answer::refused(
            1,
            format!("cannot mount '{name}': {kind} mountpoint"),
        ));
    };
    if disk.is_mounted(record.guid, &at) {
        return Err(Answer::refused(
            1,
            format!("cannot mount '{name}': filesystem already mounted"),
        ));
    }
    disk.mount(record.guid, &at)
        .map_err(|why| Answer::refused(1, format!("cannot mount '{name}': {why}")))?;
    Ok(Answer::default())
}

/// `zfs unmount NAME`.
pub(super) fn unmount(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("fu", args)?;
    let Some(name) = options.operands.first() else {
        return Err(Answer::refused(2, "missing filesystem argument"));
    };
    let Some(record) = store.datasets.get(name) else {
        return Err(no_dataset(name));
    };
    let at = properties::mountpoint(store, name).filter(|at| disk.is_mounted(record.guid, at));
    let Some(at) = at else {
        return Err(Answer::refused(
            1,
            format!("cannot unmount '{name}': not currently mounted"),
        ));
    };
    disk.unmount(&at)
        .map_err(|why| Answer::refused(1, format!("cannot unmount '{name}': {why}")))?;
    Ok(Answer::default())
}

/// Mounts a dataset and what is below it, as `create`, `set mountpoint` and `mount -a` do.
pub(super) fn mount_below(store: &Store, disk: &dyn Disk, name: &str) -> Result<Answer> {
    for (name, record) in store.below(name) {
        let can = properties::settable(store, name, "canmount").is_none_or(|(can, _)| can == "on");
        let Some(at) = properties::mountpoint(store, name).filter(|_| can) else {
            continue;
        };
        if !disk.is_mounted(record.guid, &at) {
            disk.mount(record.guid, &at)
                .map_err(|why| Answer::refused(1, format!("cannot mount '{name}': {why}")))?;
        }
    }
    Ok(Answer::default())
}

fn unmount_below(store: &Store, disk: &dyn Disk, name: &str) -> std::result::Result<(), String> {
    let mut all: Vec<_> = store.below(name).collect();
    all.reverse();
    for (name, record) in all {
        if let Some(at) =
            properties::mountpoint(store, name).filter(|at| disk.is_mounted(record.guid, at))
        {
            disk.unmount(&at)?;
        }
    }
    Ok(())
}
