//! `zfs mount` and `zfs unmount`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    options::Options,
    print::versioned,
    properties,
    store::Store,
};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// `zfs mount [-j] [-a | NAME]`; without operands it lists what is mounted.
pub(super) fn mount(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("mount", "jaflvO", args)?;
    if options.has('a') {
        let mut answer = Answer::default();
        for pool in store.pools.keys() {
            let one = below(store, disk, pool)?;
            answer.code = answer.code.max(one.code);
            answer.stderr.push_str(&one.stderr);
        }
        return Ok(answer);
    }
    let Some(name) = options.operands.first() else {
        return Ok(mounted(store, disk, options.has('j')));
    };
    let record = store.datasets.get(name).ok_or_else(|| no_dataset(name))?;
    let refused = |why: &str| Answer::refused(1, format!("cannot mount '{name}': {why}"));
    let Some(at) = properties::mountpoint(store, name) else {
        if record.volume.is_some() {
            return Err(refused("operation not applicable to datasets of this type"));
        }
        let kind = properties::settable(store, name, "mountpoint")
            .map(|(value, _)| value)
            .unwrap_or_default();
        return Err(refused(&if kind == "legacy" {
            "legacy mountpoint\nuse mount(8) to mount this filesystem".to_owned()
        } else {
            "no mountpoint set".to_owned()
        }));
    };
    if properties::settable(store, name, "canmount").is_some_and(|(can, _)| can == "off") {
        return Err(refused("'canmount' property is set to 'off'"));
    }
    if record.is_locked() {
        return Err(refused("encryption key not loaded"));
    }
    if disk.is_mounted(record.files, &at) {
        return Err(refused("filesystem already mounted"));
    }
    disk.mount(record.files, &at).map_err(|why| refused(&why))?;
    Ok(Answer::default())
}

/// `mount.zfs NAME DIRECTORY [-sfnv] [-o OPTIONS]`, as mount(8) calls it: a snapshot, read-only, or a dataset whose mount
/// point is `legacy`.
pub(super) fn by_hand(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("mount", "sfnvho:N:t:", args)?;
    let [name, at] = options.operands.as_slice() else {
        return Err(Answer::refused(1, "missing source or mount point argument"));
    };
    let missing = || {
        Answer::refused(
            2,
            format!("filesystem '{name}' cannot be mounted, unable to open the dataset"),
        )
    };
    let is_snapshot = name.contains('@');
    let dataset = name.split('@').next().unwrap_or_default();
    let record = store.datasets.get(dataset).ok_or_else(missing)?;
    let files = if is_snapshot {
        store.snapshot(name).ok_or_else(missing)?.files
    } else {
        record.files
    };
    if record.is_locked() {
        return Err(Answer::refused(
            1,
            format!("filesystem '{name}' cannot be mounted due to error 13"),
        ));
    }
    if !is_snapshot && properties::mountpoint(store, dataset).is_some() {
        return Err(Answer::refused(
            1,
            format!(
                "filesystem '{name}' cannot be mounted using 'mount'.\nUse 'zfs set mountpoint=legacy' or 'zfs mount {name}'.\nSee zfs(8) for more information."
            ),
        ));
    }
    disk.mount(files, at)
        .and_then(|()| if is_snapshot { disk.freeze(at) } else { Ok(()) })
        .map_err(|why| {
            Answer::refused(1, format!("filesystem '{name}' cannot be mounted: {why}"))
        })?;
    Ok(Answer::default())
}

/// What is mounted, in the order in which it was.
fn mounted(store: &Store, disk: &dyn Disk, as_json: bool) -> Answer {
    let mounts = disk.mounts().into_iter().filter_map(|(files, at)| {
        let mut datasets = store.datasets.iter();
        let name = datasets.find(|(_, d)| d.files == files)?.0.clone();
        Some((name, at))
    });
    if !as_json {
        let mut out = String::new();
        for (name, at) in mounts {
            let _ = writeln!(out, "{name:30}  {at}");
        }
        return Answer::text(out);
    }
    let mut out = Map::new();
    for (name, at) in mounts {
        out.insert(name.clone(), json!({"filesystem": name, "mountpoint": at}));
    }
    Answer::text(versioned("zfs mount", "datasets", Value::Object(out)))
}

/// `zfs unmount NAME`.
pub(super) fn unmount(store: &Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("unmount", "fua", args)?;
    let Some(name) = options.operands.first() else {
        return Err(Answer::usage("unmount", "missing filesystem argument"));
    };
    let record = store.datasets.get(name).ok_or_else(|| no_dataset(name))?;
    let is_here =
        properties::mountpoint(store, name).is_some_and(|at| disk.is_mounted(record.files, &at));
    if !is_here {
        return Err(Answer::refused(
            1,
            format!("cannot unmount '{name}': not currently mounted"),
        ));
    }
    all_below(store, disk, name).map_err(|why| Answer::refused(1, why))?;
    Ok(Answer::default())
}

/// Mounts a dataset and what is below it, as `create`, `set mountpoint` and `mount -a` do.
pub(super) fn below(store: &Store, disk: &dyn Disk, name: &str) -> Result<Answer> {
    for (name, record) in store.below(name) {
        let can = properties::settable(store, name, "canmount").is_none_or(|(can, _)| can == "on");
        let Some(at) = properties::mountpoint(store, name).filter(|_| can && !record.inconsistent)
        else {
            continue;
        };
        if !record.is_locked() && !disk.is_mounted(record.files, &at) {
            disk.mount(record.files, &at)
                .map_err(|why| Answer::refused(1, format!("cannot mount '{name}': {why}")))?;
        }
    }
    Ok(Answer::default())
}

/// Unmounts what is mounted of a dataset and of those below it.
pub(super) fn all_below(
    store: &Store,
    disk: &dyn Disk,
    name: &str,
) -> std::result::Result<(), String> {
    let mounts = disk.mounts();
    let mut all: Vec<_> = store.below(name).collect();
    all.reverse();
    for (_, record) in all {
        for (_, at) in mounts.iter().filter(|(files, _)| *files == record.files) {
            disk.unmount(at).map_err(|why| {
                let busy = why.contains("busy");
                let why = if busy {
                    "pool or dataset is busy"
                } else {
                    &why
                };
                format!("cannot unmount '{at}': {why}")
            })?;
        }
    }
    Ok(())
}
