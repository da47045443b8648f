//! Orders of coming back, and who stands still meanwhile.

use super::{
    restoration::{Files, Group},
    target::is_below,
};
use crate::model::{
    backup::ExportOf,
    desired::Desired,
    ids::{DatasetName, HostName, StackName},
    release::STACKS_ROOT,
    stack::Stack,
};
use std::collections::{BTreeMap, BTreeSet};

/// Hosts as they come back: machines that Proxmox does not run, then guests by their start order, then nodes.
pub fn hosts_in_order(desired: &Desired) -> Vec<&HostName> {
    let mut guests: Vec<_> = desired.guests.values().collect();
    guests.sort_by_key(|guest| (guest.startup_order.unwrap_or(u32::MAX), &guest.name));
    let external = desired.hosts.keys();
    external
        .chain(guests.into_iter().map(|guest| &guest.name))
        .chain(desired.nodes.keys())
        .collect()
}

/// Stacks in the order in which they start: what is needed first.
pub(super) fn stacks_in_order<'d>(
    desired: &'d Desired,
    among: &BTreeSet<StackName>,
) -> Vec<&'d StackName> {
    fn visit<'d>(
        desired: &'d Desired,
        name: &StackName,
        seen: &mut BTreeSet<StackName>,
        out: &mut Vec<&'d StackName>,
    ) {
        let Some((name, stack)) = desired.stacks.get_key_value(name) else {
            return;
        };
        if !seen.insert(name.clone()) {
            return;
        }
        for need in &stack.needs {
            visit(desired, need, seen, out);
        }
        out.push(name);
    }
    let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
    for name in among {
        visit(desired, name, &mut seen, &mut out);
    }
    out.retain(|name| among.contains(*name));
    out
}

/// Files once each, and the stacks that stand still.
pub(super) fn finished(
    desired: &Desired,
    directories: &BTreeMap<StackName, Vec<String>>,
    mut group: Group,
) -> Group {
    let mut files: Vec<Files> = Vec::new();
    for one in group.files {
        let is_inside = files.iter().any(|other| {
            other.job == one.job && other.folder == one.folder && is_inner(&one, other)
        });
        if !is_inside {
            files.retain(|other| {
                !(other.job == one.job && other.folder == one.folder && is_inner(other, &one))
            });
            files.push(one);
        }
    }
    let mut stacks: BTreeSet<StackName> = group.stacks.drain(..).collect();
    stacks.extend(group.loads.iter().map(|load| load.stack.clone()));
    for one in &files {
        stacks.extend(users(desired, directories, one));
    }
    // The owner's order among jobs; within one, as it is mounted.
    files.sort_by_key(|one| desired.backups.get(&one.job).map(|job| job.order));
    group.files = files;
    group.stacks = stacks_in_order(desired, &stacks)
        .into_iter()
        .cloned()
        .collect();
    group
}

fn is_inner(one: &Files, other: &Files) -> bool {
    match (&one.inner, &other.inner) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(one), Some(other)) => is_below(one, other),
    }
}

/// Stacks whose files lie where files come back.
fn users(
    desired: &Desired,
    directories: &BTreeMap<StackName, Vec<String>>,
    files: &Files,
) -> Vec<StackName> {
    let Some(job) = desired.backups.get(&files.job) else {
        return Vec::new();
    };
    let inner = files.inner.as_deref().unwrap_or_default();
    let mut places: Vec<(&HostName, String)> = Vec::new();
    if let Some(live) = &files.live {
        places.push((&job.host, format!("{live}{inner}")));
    }
    if let Some(dataset) = &files.dataset {
        // One that nobody declared is mounted below one that somebody did.
        let rest = |top: &DatasetName| dataset.as_str().strip_prefix(top.as_str());
        let known = desired.datasets.values();
        for top in known.filter(|top| dataset.is_within(&top.name)) {
            let at = top.properties.get("mountpoint");
            if let (Some(at), Some(rest)) = (at.filter(|at| at.starts_with('/')), rest(&top.name)) {
                places.push((&top.host, format!("{at}{rest}{inner}")));
            }
        }
        for guest in desired.guests.values() {
            let mounts = guest.mounts.iter();
            for mount in mounts.filter(|one| dataset.is_within(&one.dataset)) {
                let rest = rest(&mount.dataset).unwrap_or_default();
                places.push((&guest.name, format!("{}{rest}{inner}", mount.at)));
            }
        }
    }
    let meets = |stack: &Stack, path: &str| {
        places
            .iter()
            .any(|(host, at)| **host == stack.on && (is_below(path, at) || is_below(at, path)))
    };
    let touches = |stack: &Stack| {
        let none = Vec::new();
        let own = directories.get(&stack.name).unwrap_or(&none);
        let mounts: Vec<&String> = stack.mounts.values().chain(&stack.needs_mounts).collect();
        // Of a mount that several stacks share, each uses its own directories.
        let on_mount = mounts.iter().any(|mount| {
            let mut inside = own.iter().filter(|path| is_below(path, mount)).peekable();
            if inside.peek().is_none() {
                meets(stack, mount)
            } else {
                inside.any(|path| meets(stack, path))
            }
        });
        // What lies on no mount is its own wherever it lies.
        let mut elsewhere = own
            .iter()
            .filter(|path| !mounts.iter().any(|mount| is_below(path, mount)));
        on_mount
            || elsewhere.any(|path| meets(stack, path))
            || own_files(stack).iter().any(|path| meets(stack, path))
    };
    desired
        .stacks
        .values()
        .filter(|stack| touches(stack))
        .map(|stack| stack.name.clone())
        .collect()
}

/// Paths of a stack's host that its containers use beside its mounts and directories: the folder of its releases and their
/// data, files of databases, what it exports.
pub(super) fn own_files(stack: &Stack) -> Vec<String> {
    let mut out = vec![format!("{STACKS_ROOT}/{}", stack.name)];
    let databases = stack.backup.databases.iter();
    let names = databases.map(|database| database.name.clone());
    out.extend(names.filter(|name| name.starts_with('/')));
    for export in &stack.backup.exports {
        if let ExportOf::Paths(paths) = &export.what {
            out.extend(paths.iter().cloned());
        }
    }
    out
}
