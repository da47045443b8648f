//! Orders of coming back, and who stands still meanwhile.

use super::{
    restoration::{Files, Group},
    target::is_below,
};
use crate::model::{
    desired::Desired,
    ids::{HostName, StackName},
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
        for guest in desired.guests.values() {
            let mounts = guest.mounts.iter().filter(|one| one.dataset == *dataset);
            places.extend(mounts.map(|one| (&guest.name, format!("{}{inner}", one.at))));
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
        let mut mounts = stack.mounts.values().chain(&stack.needs_mounts);
        // Of a mount that several stacks share, each uses its own directories.
        mounts.any(|mount| {
            let mut inside = own.iter().filter(|path| is_below(path, mount)).peekable();
            if inside.peek().is_none() {
                meets(stack, mount)
            } else {
                inside.any(|path| meets(stack, path))
            }
        })
    };
    desired
        .stacks
        .values()
        .filter(|stack| touches(stack))
        .map(|stack| stack.name.clone())
        .collect()
}
