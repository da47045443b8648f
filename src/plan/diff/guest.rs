//! Guests: what is created, configured, grown, started.

use super::{creation, disk, drive, holding, migration};
use crate::model::{
    desired::Desired,
    guest::Guest,
    host::Node,
    ids::{HostName, PoolName, SystemName, Vmid},
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    change::{Field, Impact, Operation},
    draft::{Draft, Proposal, id},
    guest_config,
    hotplug::{self, Acts},
    property_string::{differences, merged, parts},
    removal,
};
use std::collections::{BTreeMap, BTreeSet};

/// The subject under which a guest's own changes stand.
pub(super) fn subject(guest: &Guest) -> String {
    format!("guest {} {}", guest.vmid, guest.name)
}

/// The ids of the changes that make the guest run, for everything that needs it.
pub(in crate::plan) fn running(guest: &Guest) -> [String; 2] {
    ["power", "restart"].map(|what| id(&guest.node, &format!("{} {what}", subject(guest))))
}

/// Whether the plan boots the guest for the first time: its first-boot seed is still to be sealed.
pub(super) fn boots_first(draft: &Draft, system: &SystemName, guest: &Guest) -> bool {
    let boot_seed = guest_config::boot_seed_name(system, guest.vmid);
    draft.changes.iter().any(|change| {
        matches!(&change.operation,
            Operation::SealSeed { replaces: Some(volume), .. }
            | Operation::EmptyDrive { seed: Some(volume), .. }
            if volume.ends_with(&boot_seed))
    })
}

/// Compares every guest.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    for guest in desired.guests.values() {
        let Some(node) = desired.nodes.get(&guest.node) else {
            continue;
        };
        if let Some(unanswered) = holding::unanswered(guest, node, seen) {
            draft.unknown(subject(guest), unanswered);
            continue;
        }
        draft.saw(&node.name);
        match seen.guests.get(&guest.vmid) {
            None => creation::create(draft, desired, guest, node, seen),
            Some(found) => match &found.config {
                Some(config) if is_ours(desired, guest, config) => {
                    if holding::node_can_hold(draft, desired, guest, node, seen) {
                        let before = draft.changes.len();
                        update(draft, desired, guest, node, found, config, seen);
                        drive::leftover(draft, desired, guest, node, config, seen);
                        drive::elsewhere(draft, desired, guest, node, found, seen);
                        if draft.changes.len() > before {
                            refuse_locked(draft, guest, found);
                        }
                    }
                }
                // What Proxmox still makes carries no mark yet: it may be what an earlier run asked for.
                Some(_) | None if matches!(found.lock.as_deref(), Some("create" | "clone")) => {
                    refuse_locked(draft, guest, found);
                }
                Some(_) | None => draft.block(
                    subject(guest),
                    format!(
                        "VMID {} is taken by `{}` on {}, which infra did not make (no tag `{}-{}`)",
                        guest.vmid,
                        found.name,
                        found.node,
                        guest_config::TAG,
                        desired.system
                    ),
                    "Choose another `vmid`, or write it under `adopted:`, where it is compared and never touched inside: \
                     `infra import` shows how.",
                ),
            },
        }
    }
    report_removed(draft, desired, seen);
    roll(draft, desired);
}

/// Proxmox refuses changes of a guest that it works on.
fn refuse_locked(draft: &mut Draft, guest: &Guest, found: &ObservedGuest) {
    let Some(lock) = found.lock.as_deref() else {
        return;
    };
    let vmid = guest.vmid;
    let help = match lock {
        "suspended" => format!(
            "It sleeps, and its memory lies on a disk: `infra vm start {}` wakes it. Unlocking it would lose that memory.",
            guest.name
        ),
        "create" | "clone" => format!(
            "Wait until it is made and run the command again. When that was cut off for good (no task of it runs), what is \
             half made goes with `qm unlock {vmid}` and `qm destroy {vmid}` on the node."
        ),
        _ => format!(
            "Wait until that has ended and run the command again. A lock that stayed behind when its work was cut off goes \
             with `qm unlock {vmid}` on the node."
        ),
    };
    draft.block(
        subject(guest),
        format!("Proxmox works on it (lock `{lock}`)"),
        help,
    );
}

/// Guests and templates that we made and that the inventory does not name any more: named, and left alone.
fn report_removed(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    let templates = desired
        .images
        .values()
        .filter_map(|image| image.template.as_ref());
    let named: BTreeSet<Vmid> = desired
        .vmids()
        .chain(templates.map(|template| template.vmid))
        .chain(desired.adopted.values().map(|adopted| adopted.vmid))
        .collect();
    for (vmid, found) in &seen.guests {
        if removal::is_marked(&desired.system, found) && !named.contains(vmid) {
            let kind = if found.template { "template" } else { "guest" };
            draft.leave_alone(format!(
                "{kind} {vmid} {} on {} ({}): infra made it and the inventory does not name it any more; \
                 `infra destroy {vmid}` removes it",
                found.name, found.node, found.status
            ));
        }
    }
}

/// By its tag, or (a clone that was not configured yet) by the notes that it was given.
fn is_ours(desired: &Desired, guest: &Guest, config: &BTreeMap<String, String>) -> bool {
    let mark = format!("{}-{}", guest_config::TAG, desired.system);
    let tagged = config
        .get("tags")
        .is_some_and(|tags| tags.split([';', ',', ' ']).any(|tag| tag == mark));
    let notes = guest_config::notes(&desired.system, guest);
    let noted = config
        .get("description")
        .is_some_and(|text| text.trim_end() == notes);
    tagged || (noted && !has_seed(config))
}

/// Whether its drive holds a seed. A clone begins with the cloud-init drive that Proxmox made for its template.
fn has_seed(config: &BTreeMap<String, String>) -> bool {
    let drive = config.get("ide2");
    drive.is_some_and(|value| !value.contains("cloudinit"))
}

/// Restarts go one after the other, in the guests' start order: the next one waits until the one before answers again.
fn roll(draft: &mut Draft, desired: &Desired) {
    let order = |name: &HostName| {
        let guest = desired.guests.get(name);
        guest.map(|guest| (guest.startup_order.unwrap_or(u32::MAX), guest.vmid))
    };
    let restarted = |operation: &Operation| {
        if let Operation::RestartGuest { guest, .. } = operation {
            order(guest)
        } else {
            None
        }
    };
    let mut restarts: Vec<_> = (0..draft.changes.len())
        .filter_map(|index| Some((restarted(&draft.changes[index].operation)?, index)))
        .collect();
    restarts.sort_unstable();
    for pair in restarts.windows(2) {
        let before = draft.changes[pair[0].1].id.clone();
        draft.changes[pair[1].1].needs.push(before);
    }
}

/// Where a guest lives now, which after a migration is not where it was made.
pub(super) fn lives_on(node: &Node, found: &ObservedGuest) -> HostName {
    HostName::new(found.node.clone()).unwrap_or_else(|_| node.name.clone())
}

/// Proposes to start a guest.
pub(super) fn start(
    draft: &mut Draft,
    guest: &Guest,
    lives_on: HostName,
    needs: Vec<String>,
) -> String {
    draft.propose(
        &guest.node,
        &format!("{} power", subject(guest)),
        Proposal::update("guests of the inventory run")
            .field("state", Some("stopped"), Some("running"))
            .after(needs),
        Operation::StartGuest {
            node: lives_on,
            vmid: guest.vmid,
            guest: guest.name.clone(),
        },
    )
}

/// What keys of a guest have to be set, and what that means.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) set: BTreeMap<String, String>,
    pub(super) fields: Vec<Field>,
    /// What acts at a start only.
    pub(super) waits: Vec<String>,
    pub(super) impact: Option<Impact>,
}

fn update(
    draft: &mut Draft,
    desired: &Desired,
    guest: &Guest,
    node: &Node,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    seen: &ObservedProxmox,
) {
    let name = subject(guest);
    let mut wanted = guest_config::managed(&desired.system, guest);
    let mut needs: Vec<String> = creation::mappings(guest).collect();
    let on = found.status == "running";
    let mut said = Comparison::default();
    let is_unfinished = !on && !has_seed(config);
    if is_unfinished {
        // A clone that was interrupted before it was configured: it has never run.
        needs.push(creation::boot_seed(draft, desired, guest, node));
        let drive = guest_config::boot_drive(&desired.system, guest, node);
        said.set.insert("ide2".to_owned(), drive);
    }
    compare(&wanted, found, config, on, &mut said);
    disk::add_missing(
        draft,
        desired,
        guest,
        found,
        config,
        seen,
        &mut needs,
        |key, value| {
            let shown = value.clone();
            said.fields
                .push(Field::new(&guest_config::word(key), None, Some(&shown)));
            if on && hotplug::acts(key, config, &value) == Acts::AtStart {
                said.waits.push(guest_config::word(key));
            }
            wanted.insert(key.to_owned(), value.clone());
            said.set.insert(key.to_owned(), value);
        },
    );
    for retuned in disk::retuned(&desired.system, guest, config, &found.pending) {
        let disk::Retuned {
            key, staged, set, ..
        } = retuned;
        let at_start = |wanted: String| hotplug::acts(&key, config, &wanted) == Acts::AtStart;
        if on && retuned.wanted.is_some_and(at_start) {
            said.waits.push(guest_config::word(&key));
        }
        let Some(value) = set else { continue };
        for (part, before, after) in differences(&key, &value, Some(&staged)) {
            let word = guest_config::part_word(&key, &part);
            said.fields
                .push(Field::new(&word, before.as_deref(), after.as_deref()));
        }
        said.set.insert(key, value);
    }
    let Comparison {
        set,
        fields,
        waits,
        impact,
    } = said;
    if !set.is_empty() {
        let waiting = (!waits.is_empty()).then_some(Impact::NextBoot);
        let impact = impact.max(waiting).unwrap_or(Impact::Hot);
        let reason = if impact == Impact::Restart {
            "the card is unplugged and plugged again"
        } else {
            "differs from the inventory"
        };
        needs.push(
            draft.propose(
                &node.name,
                &name,
                Proposal::update(reason)
                    .fields(fields)
                    .impact(impact)
                    .after(needs.clone()),
                Operation::ConfigureGuest {
                    node: lives_on(node, found),
                    vmid: guest.vmid,
                    set,
                    delete: Vec::new(),
                    digest: found.digest.clone(),
                },
            ),
        );
    }
    report_unmanaged(draft, &desired.system, guest, &wanted, config);
    disk::diff(
        draft,
        &desired.system,
        guest,
        node,
        found,
        config,
        &mut needs,
    );
    pool(draft, guest, found, seen);
    if !waits.is_empty() {
        needs.push(
            draft.propose(
                &node.name,
                &format!("{name} restart"),
                Proposal::update(format!("{} takes effect at a start only", waits.join(", ")))
                    .impact(Impact::Reboot)
                    .after(needs.clone()),
                Operation::RestartGuest {
                    node: lives_on(node, found),
                    vmid: guest.vmid,
                    guest: guest.name.clone(),
                },
            ),
        );
    }
    if !on {
        needs.push(start(draft, guest, lives_on(node, found), needs.clone()));
    }
    let moved = migration::diff(draft, guest, node, found, config, seen, &needs);
    needs.extend(moved.clone());
    if is_unfinished {
        drive::sealed(draft, desired, guest, node, needs);
    } else {
        drive::diff(draft, desired, guest, node, config, moved.is_some(), needs);
    }
}

/// Keys to set, differing fields, and (for a running guest) what waits for a restart.
pub(super) fn compare(
    wanted: &BTreeMap<String, String>,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    on: bool,
    said: &mut Comparison,
) {
    for (key, value) in wanted {
        let default = guest_config::default(key);
        let live = config.get(key).map(String::as_str).or(default);
        let staged = match found.pending.get(key) {
            Some(staged) => staged.as_deref().or(default),
            None => live,
        };
        let differs = differences(key, value, staged);
        let new = merged(key, value, staged);
        let acts = hotplug::acts(key, config, &new);
        if !differs.is_empty() {
            for (part, before, after) in differs {
                let word = guest_config::part_word(key, &part);
                let before = if live == staged {
                    before
                } else {
                    let next = before.as_deref().unwrap_or("nothing");
                    Some(format!("{next} at the next start"))
                };
                said.fields
                    .push(Field::new(&word, before.as_deref(), after.as_deref()));
            }
            let impact = match acts {
                Acts::Now | Acts::AtStart => None,
                Acts::Replug => Some(Impact::Restart),
                Acts::NextBoot => Some(Impact::NextBoot),
            };
            said.impact = said.impact.max(impact.filter(|_| on));
            said.set.insert(key.clone(), new);
        }
        let acts_later = acts == Acts::AtStart && !differences(key, value, live).is_empty();
        if on && acts_later {
            said.waits.push(guest_config::word(key));
        }
    }
}

/// Which pool the guest belongs to, where the inventory names one.
fn pool(draft: &mut Draft, guest: &Guest, found: &ObservedGuest, seen: &ObservedProxmox) {
    let Some(pool) = &guest.pool else { return };
    if found.pool.as_deref() == Some(pool.as_str()) {
        return;
    }
    let exists = creation::has_pool(seen, pool);
    join(
        draft,
        guest,
        pool,
        found.pool.as_deref(),
        exists,
        Vec::new(),
    );
}

/// Proposes to put a guest into a pool.
pub(super) fn join(
    draft: &mut Draft,
    guest: &Guest,
    pool: &PoolName,
    from: Option<&str>,
    exists: bool,
    needs: Vec<String>,
) {
    draft.propose(
        &guest.node,
        &format!("{} pool", subject(guest)),
        Proposal::update("permissions and backups go by pools")
            .field("pool", from, Some(pool.as_str()))
            .after(needs),
        Operation::JoinPool {
            pool: pool.clone(),
            exists,
            vmid: guest.vmid,
        },
    );
}

/// Devices that somebody added by hand: named, and left alone.
fn report_unmanaged(
    draft: &mut Draft,
    system: &SystemName,
    guest: &Guest,
    wanted: &BTreeMap<String, String>,
    config: &BTreeMap<String, String>,
) {
    let ours: Vec<String> = guest
        .disks
        .iter()
        .filter_map(|wanted| disk::slot(system, wanted, config))
        .collect();
    for (key, value) in config {
        let firmware = ["efidisk0", "tpmstate0"].contains(&key.as_str())
            && !guest_config::firmware_disks(guest).contains_key(key);
        if (disk::is_device(key) || firmware)
            && key != "scsi0"
            && !wanted.contains_key(key)
            && !ours.contains(key)
        {
            draft.leave_alone(format!("{}: {key} {value}", subject(guest)));
        }
    }
    for (key, value) in config {
        for (part, value) in unnamed(key, value, wanted) {
            let word = guest_config::part_word(key, &part);
            draft.leave_alone(format!(
                "{}: {word} {value}, which the inventory does not name",
                subject(guest)
            ));
        }
    }
}

/// Parts of cards and of the start order that act, and that the inventory does not speak of: set by hand, or taken out of
/// the inventory.
fn unnamed(key: &str, value: &str, wanted: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let wanted = wanted.get(key).map(String::as_str);
    if key == "startup" && wanted.is_none() {
        return vec![("order".to_owned(), value.to_owned())];
    }
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let acts: &[&str] = if key == "startup" {
        &["order", "up", "down"]
    } else if key.starts_with("net") && disk::is_device(key) {
        &["rate", "mtu"]
    } else {
        return Vec::new();
    };
    let wanted = parts(key, wanted);
    parts(key, value)
        .into_iter()
        .filter(|(part, _)| acts.contains(&part.as_str()) && !wanted.contains_key(part))
        .collect()
}
