//! Datasets and the directories in them. Nothing here ever destroys.

use crate::model::{
    dataset::{Dataset, MARKER, Zpool},
    desired::Desired,
    facts::{DatasetFact, HostFacts, ZpoolFact},
    ids::{DatasetName, HostName},
    property,
    snapshot::{STOPPED, stopped},
};
use crate::plan::{
    change::{Field, Operation},
    draft::{Draft, Proposal, id},
};
use std::collections::BTreeMap;

/// The user property by which infra knows what it made.
const OWNER: &str = "org.infra:system";

/// The subject of a dataset's changes.
pub(in crate::plan) fn subject(name: &DatasetName) -> String {
    format!("dataset {name}")
}

/// Compares the datasets of one host.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, host: &HostName, facts: &HostFacts) {
    for pool in desired.zpools.values().filter(|pool| &pool.host == host) {
        draft.saw(host);
        match facts.zpools.get(pool.name.as_str()) {
            None if !pool.create.is_empty() => create_pool(draft, host, pool),
            None => draft.block(
                format!("zpool {}", pool.name),
                format!("host {host} has no imported zpool `{}`", pool.name),
                format!("Import it (`zpool import {}`), or create it: infra makes a zpool only with `create:`, of disks that are empty.", pool.name),
            ),
            Some(found) if found.health == "ONLINE" => {}
            Some(found) if is_suspended(found) => draft.block(
                format!("zpool {}", pool.name),
                format!("host {host}: zpool {} is suspended: it answers nothing until its disks are back", pool.name),
                format!("Bring the disks back, then `zpool clear {0}`; `zpool status {0}` names them.", pool.name),
            ),
            Some(found) => draft.leave_alone(format!(
                "{host}: zpool {} is {}; see `zpool status {}`",
                pool.name, found.health, pool.name
            )),
        }
    }
    // Parents sort before their children, so they are created first.
    for dataset in desired
        .datasets
        .values()
        .filter(|dataset| &dataset.host == host)
    {
        let mut pools = desired.zpools.values();
        let is_made =
            pools.any(|pool| pool.name.as_str() == dataset.name.zpool() && !pool.create.is_empty());
        match facts.zpools.get(dataset.name.zpool()) {
            None if !is_made => continue,
            // Nobody was asked about its datasets: that none was seen means nothing.
            Some(found) if is_suspended(found) => continue,
            Some(_) | None => {}
        }
        draft.saw(host);
        match facts.datasets.get(&dataset.name) {
            None => create(draft, desired, host, dataset),
            Some(found) => update(draft, desired, host, dataset, found),
        }
        directories(draft, desired, host, dataset, facts);
    }
    report_unmanaged(draft, desired, host, facts);
}

/// It lost its disks, and every question to it would wait for them.
fn is_suspended(zpool: &ZpoolFact) -> bool {
    zpool.health == "SUSPENDED"
}

fn create_pool(draft: &mut Draft, host: &HostName, pool: &Zpool) {
    let fields = pool.create.iter().map(|part| {
        let word = part.kind.word().unwrap_or("disk");
        Field::new(word, None, Some(&part.disks.join(", ")))
    });
    draft.propose(
        host,
        &format!("zpool {}", pool.name),
        Proposal::create(
            "the inventory names its disks; each is read from end to end first, and must be empty",
        )
        .fields(fields.collect()),
        Operation::CreateZpool {
            zpool: pool.name.clone(),
            parts: pool.create.clone(),
        },
    );
}

fn create(draft: &mut Draft, desired: &Desired, host: &HostName, dataset: &Dataset) {
    let fields = dataset
        .properties
        .iter()
        .map(|(name, value)| Field::new(name, None, Some(value)))
        .collect();
    let reason = dataset.profile.as_ref().map_or_else(
        || "the inventory wants it".to_owned(),
        |profile| format!("profile {profile}"),
    );
    let parent = dataset.name.parent();
    let pool = id(host, &format!("zpool {}", dataset.name.zpool()));
    let needs = parent.map(|parent| id(host, &subject(&parent)));
    let needs = needs.into_iter().chain([pool]);
    draft.propose(
        host,
        &subject(&dataset.name),
        Proposal::create(reason).fields(fields).after(needs),
        Operation::CreateDataset {
            dataset: dataset.name.clone(),
            system: desired.system.clone(),
            properties: dataset.properties.clone(),
            key: dataset.key.clone(),
        },
    );
}

/// What has to happen before a locked dataset can be mounted; none when it is not locked.
enum Lock {
    Open,
    /// After this change.
    Opens(String),
    /// Nobody has its key.
    Stays,
}

/// A dataset shares the key of its encryption root, the one above it that has one of its own.
fn unlock(
    draft: &mut Draft,
    desired: &Desired,
    host: &HostName,
    dataset: &Dataset,
    found: &DatasetFact,
) -> Lock {
    let value = |name: &str| found.properties.get(name).map(|fact| fact.value.as_str());
    let root = value("encryptionroot").and_then(|root| DatasetName::new(root).ok());
    let Some(root) = root else { return Lock::Open };
    if dataset.key.is_some() && root != dataset.name {
        draft.block(
            subject(&dataset.name),
            format!("it shares the key of {root}, and the inventory gives it one of its own"),
            format!("Leave `encryption_key` out, or give it its own first: `zfs change-key -o keyformat=passphrase {}`.", dataset.name),
        );
        return Lock::Stays;
    }
    if value("keystatus") != Some("unavailable") {
        return Lock::Open;
    }
    let subject_of_key = format!("{} key", subject(&root));
    let Some(key) = desired.datasets.get(&root).and_then(|d| d.key.clone()) else {
        draft.block(
            subject(&dataset.name),
            format!("it is locked, and the inventory names no key of {root}"),
            format!("Load it (`zfs load-key {root}`), or write its `encryption_key:`."),
        );
        return Lock::Stays;
    };
    if root == dataset.name {
        draft.propose(
            host,
            &subject_of_key,
            Proposal::update("it is locked: keys are in no file of the host, so a reboot locks it")
                .field("keystatus", Some("unavailable"), Some("available")),
            Operation::LoadKey { dataset: root, key },
        );
    }
    Lock::Opens(id(host, &subject_of_key))
}

fn update(
    draft: &mut Draft,
    desired: &Desired,
    host: &HostName,
    dataset: &Dataset,
    found: &DatasetFact,
) {
    cut_off(draft, host, dataset, found);
    shared_by_hand(draft, host, dataset, found);
    let lock = unlock(draft, desired, host, dataset, found);
    let (mut set, mut fields) = (BTreeMap::new(), Vec::new());
    for (name, wanted) in &dataset.properties {
        let seen = found.properties.get(name);
        let value = seen.map(|fact| fact.value.as_str());
        if property::is_met(name, wanted, seen)
            || (name == "keylocation" && matches!(lock, Lock::Stays))
        {
            continue;
        }
        if property::is_create_only(name) {
            draft.block(
                subject(&dataset.name),
                format!("{name} is {}, the inventory says {wanted}, and it is fixed at creation", value.unwrap_or("-")),
                format!("Write `{name}: {}`, or create a new dataset and move the data: `zfs send | zfs receive`.", value.unwrap_or("-")),
            );
            continue;
        }
        let until_unmount = seen
            .filter(|fact| fact.source == "temporary")
            .map(|fact| format!("{} until it is unmounted", fact.value));
        let before = until_unmount.as_deref().or(value);
        fields.push(Field::new(name, before, Some(wanted)));
        set.insert(name.clone(), wanted.clone());
    }
    let mounted = found
        .properties
        .get("mounted")
        .map(|fact| fact.value.as_str());
    let mut needs = None;
    if !set.is_empty() {
        needs = Some(draft.propose(
            host,
            &subject(&dataset.name),
            Proposal::update("differs from the inventory").fields(fields),
            Operation::SetProperties {
                dataset: dataset.name.clone(),
                properties: set,
            },
        ));
    }
    let wants_mount = dataset
        .properties
        .get("mountpoint")
        .is_some_and(|at| at.starts_with('/'))
        && dataset
            .properties
            .get("canmount")
            .is_none_or(|can| can == "on");
    let (stays, opened) = match lock {
        Lock::Open => (false, None),
        Lock::Opens(by) => (false, Some(by)),
        Lock::Stays => (true, None),
    };
    if mounted == Some("no") && wants_mount && !stays {
        draft.propose(
            host,
            &format!("{} mount", subject(&dataset.name)),
            Proposal::update("it is not mounted")
                .field("mounted", Some("no"), Some("yes"))
                .after(needs.into_iter().chain(opened)),
            Operation::MountDataset {
                dataset: dataset.name.clone(),
            },
        );
    }
}

/// A rollback or a restore that was killed left its stacks standing still and its files half old, half new. The stacks are started as any
/// that does not run; which files are right only their owner knows, so it is told until one has come to its end.
fn cut_off(draft: &mut Draft, host: &HostName, dataset: &Dataset, found: &DatasetFact) {
    let noted = found.properties.get(STOPPED);
    let noted = noted.filter(|fact| fact.source == "local");
    let Some((stacks, guard)) = noted.and_then(|fact| stopped(&fact.value)) else {
        return;
    };
    draft.leave_alone(format!(
        "{host}: a rollback or restore of {0} was cut off while {1} stood still: some files may be old and some new. Repeat it, or go back to \
        what was there before: `infra zfs rollback '{guard}'`. When all is well: `zfs inherit {STOPPED} {0}`",
        dataset.name,
        stacks.join(", ")
    ));
}

/// A share that nobody in the inventory asked for: told, and left to whoever made it.
fn shared_by_hand(draft: &mut Draft, host: &HostName, dataset: &Dataset, found: &DatasetFact) {
    let shared = found.properties.get("sharenfs").filter(|fact| {
        fact.source == "local"
            && fact.value != "off"
            && !dataset.properties.contains_key("sharenfs")
    });
    if let Some(fact) = shared {
        draft.leave_alone(format!(
            "{host}: {0} is shared over NFS ({1}), and nothing in the inventory mounts it; `zfs inherit sharenfs {0}` ends that",
            dataset.name, fact.value
        ));
    }
}

fn directories(
    draft: &mut Draft,
    desired: &Desired,
    host: &HostName,
    dataset: &Dataset,
    facts: &HostFacts,
) {
    let Some(mountpoint) = dataset.properties.get("mountpoint") else {
        return;
    };
    let differing: Vec<_> = dataset
        .directories
        .iter()
        .filter(|directory| {
            let seen = facts
                .paths
                .get(&path(mountpoint, &directory.path))
                .and_then(Option::as_ref);
            seen.is_none_or(|seen| {
                seen.kind != "directory"
                    || (seen.uid, seen.gid, seen.mode)
                        != (directory.uid, directory.gid, directory.mode)
            })
        })
        .cloned()
        .collect();
    let marker = path(mountpoint, MARKER);
    let seen = facts.paths.get(&marker).and_then(Option::as_ref);
    // A clone or a renamed dataset brings the file of another name along.
    let named = crate::plan::fingerprint(format!("{}\n", dataset.name).as_bytes());
    let is_marked = !mountpoint.starts_with('/')
        || !desired.is_worked_on(&dataset.name)
        || seen.is_some_and(|seen| seen.kind == "file" && seen.sha256.as_ref() == Some(&named));
    if differing.is_empty() && is_marked {
        return;
    }
    let other = seen.map(|_| "names something else");
    let mark = (!is_marked).then(|| Field::new(&marker, other, Some(dataset.name.as_str())));
    let reason = if differing.is_empty() {
        "stacks know the dataset by a file in it"
    } else {
        "containers write there by number"
    };
    let fields = differing
        .iter()
        .map(|directory| {
            let full = path(mountpoint, &directory.path);
            let seen = facts.paths.get(&full).and_then(Option::as_ref);
            let show = |uid: u32, gid: u32, mode: u32| format!("{uid}:{gid} {mode:04o}");
            Field::new(
                &full,
                seen.map(|s| show(s.uid, s.gid, s.mode)).as_deref(),
                Some(&show(directory.uid, directory.gid, directory.mode)),
            )
        })
        .chain(mark)
        .collect();
    draft.propose(
        host,
        &format!("{} directories", subject(&dataset.name)),
        Proposal::update(reason).fields(fields).after([
            id(host, &subject(&dataset.name)),
            id(host, &format!("{} mount", subject(&dataset.name))),
        ]),
        Operation::DatasetDirectories {
            dataset: dataset.name.clone(),
            mountpoint: mountpoint.clone(),
            directories: differing,
        },
    );
}

/// A directory of a dataset as an absolute path.
pub(in crate::plan) fn path(mountpoint: &str, relative: &str) -> String {
    if relative == "." {
        mountpoint.to_owned()
    } else {
        format!("{mountpoint}/{relative}")
    }
}

/// Datasets that carry our mark and are not in the inventory any more: reported, never destroyed.
fn report_unmanaged(draft: &mut Draft, desired: &Desired, host: &HostName, facts: &HostFacts) {
    for (name, found) in &facts.datasets {
        let ours = found
            .properties
            .get(OWNER)
            .is_some_and(|fact| fact.source == "local" && fact.value == desired.system.as_str());
        if !ours || desired.datasets.contains_key(name) {
            continue;
        }
        let origin = found
            .properties
            .get("origin")
            .map(|fact| fact.value.as_str());
        draft.leave_alone(match origin.filter(|origin| origin.contains('@')) {
            Some(origin) => format!(
                "{host}: dataset {name} is a clone for a look at {origin}, which cannot go before it; remove it when you have seen enough"
            ),
            None => format!("{host}: dataset {name} is not in the inventory any more; its data stays"),
        });
    }
}
