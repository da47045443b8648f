//! `zfs set` and `inherit`.

use super::{
    answer::{Answer, Result, no_dataset},
    disk::Disk,
    listing::{Kind, Thing},
    mount,
    options::Options,
    sizes,
    store::Store,
    value::{accepted, refuse},
};

/// `zfs set [-u] PROPERTY=VALUE... NAME...`.
pub(super) fn set(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("set", "u", args)?;
    let (pairs, names): (Vec<&String>, Vec<&String>) = options
        .operands
        .iter()
        .partition(|operand| operand.contains('='));
    if pairs.is_empty() || names.is_empty() {
        return Err(Answer::usage("set", "missing property=value argument"));
    }
    for name in names {
        let thing = Thing::named(name);
        if !thing.is_in(store) || thing.kind == Kind::Bookmark {
            return Err(no_dataset(name));
        }
        let mut values = Vec::new();
        for pair in &pairs {
            let (property, value) = pair.split_once('=').unwrap_or((pair, ""));
            let found = accepted(property, value, false);
            let bytes = found.as_ref().ok().and_then(|text| text.parse().ok());
            if let ("quota", Some(bytes @ 1..)) = (property, bytes)
                && bytes < sizes::used(store, disk, name)
            {
                let why = "size is less than current used or reserved space";
                refuse(255, "set property for", name, why)?;
            }
            match found {
                Ok(value) => values.push((property.to_owned(), value)),
                Err(why) => refuse(255, "set property for", name, &why)?,
            }
        }
        if thing.kind == Kind::Snapshot {
            let record = store.datasets.get_mut(&thing.dataset);
            if let Some(snapshot) = record.and_then(|d| d.snapshots.get_mut(&thing.short)) {
                snapshot.local.extend(values);
            }
            continue;
        }
        let moves = values
            .iter()
            .any(|(property, _)| property == "mountpoint" || property == "canmount")
            && !options.has('u');
        if moves {
            mount::all_below(store, disk, name).map_err(|why| {
                // What was unmounted before the busy one is mounted again.
                let _ = mount::below(store, disk, name);
                Answer::refused(255, why)
            })?;
        }
        if let Some(record) = store.datasets.get_mut(name) {
            record.local.extend(values);
        }
        if moves {
            let answer = mount::below(store, disk, name)?;
            if answer.code != 0 {
                return Ok(answer);
            }
        }
    }
    Ok(Answer::default())
}

/// `zfs inherit [-rS] PROPERTY NAME...`.
pub(super) fn inherit(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let options = Options::read("inherit", "rS", args)?;
    let [property, names @ ..] = options.operands.as_slice() else {
        return Err(Answer::usage("inherit", "missing property argument"));
    };
    for name in names {
        if !store.datasets.contains_key(name) {
            return Err(no_dataset(name));
        }
        let below: Vec<String> = if options.has('r') {
            store.below(name).map(|(name, _)| name.clone()).collect()
        } else {
            vec![name.clone()]
        };
        let moves = property == "mountpoint" || property == "canmount";
        if moves {
            mount::all_below(store, disk, name).map_err(|why| Answer::refused(255, why))?;
        }
        for name in below {
            if let Some(record) = store.datasets.get_mut(&name) {
                record.local.remove(property);
                if !options.has('S') {
                    record.received.remove(property);
                }
            }
        }
        if moves {
            mount::below(store, disk, name)?;
        }
    }
    Ok(Answer::default())
}
