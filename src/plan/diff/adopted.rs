//! Guests that were there before: compared with what the owner wrote, put right, and never started, stopped or made.

use super::{
    disk,
    guest::{Comparison, compare},
};
use crate::model::{
    adopted::Adopted,
    desired::Desired,
    ids::HostName,
    observed::{ObservedGuest, ObservedProxmox, Question},
    reference::Reference,
};
use crate::plan::{
    change::{Field, Impact, Operation},
    draft::{Draft, Proposal},
    guest_config,
    property_string::{differences, merged, parts},
    removal,
};
use std::collections::BTreeMap;

/// Options from which Proxmox writes the cloud-init documents of its own drive. Their hash is the instance id.
const CLOUD_INIT: &[&str] = &[
    "cicustom",
    "citype",
    "ciupgrade",
    "ciuser",
    "ipconfig",
    "name",
    "nameserver",
    "net",
    "searchdomain",
    "sshkeys",
];

/// Compares all of them.
pub(super) fn diff(draft: &mut Draft, desired: &Desired, seen: &ObservedProxmox) {
    for adopted in desired.adopted.values() {
        let subject = format!("guest {} {}", adopted.vmid, adopted.name);
        if let Some(unanswered) = seen.unanswered(&Question::Guest(adopted.vmid)) {
            draft.unknown(subject, unanswered);
            continue;
        }
        draft.saw(&adopted.node);
        let Some(found) = seen.guests.get(&adopted.vmid) else {
            draft.block(
                subject,
                "it is not there, and infra did not make it",
                "Restore it from a backup, or take it out of `adopted:`.",
            );
            continue;
        };
        let Some(config) = &found.config else {
            draft.block(
                subject,
                format!("VMID {} is a container", adopted.vmid),
                "infra knows virtual machines only: take it out of `adopted:`.",
            );
            continue;
        };
        if found.name != adopted.name {
            draft.block(
                subject,
                format!("VMID {} is called `{}` in Proxmox", adopted.vmid, found.name),
                "Id and name must both be right before infra writes to a guest that it did not make: correct the inventory.",
            );
        } else if removal::is_marked(&desired.system, found) {
            draft.block(
                subject,
                "infra made it",
                "Write it under `guests:`, not under `adopted:`.",
            );
        } else {
            one(draft, adopted, &subject, found, config, seen);
        }
    }
}

fn one(
    draft: &mut Draft,
    adopted: &Adopted,
    subject: &str,
    found: &ObservedGuest,
    config: &BTreeMap<String, String>,
    seen: &ObservedProxmox,
) {
    let on = found.status == "running";
    let node = HostName::new(found.node.clone()).unwrap_or_else(|_| adopted.node.clone());
    let mut wanted = adopted.config.clone();
    let mut said = Comparison::default();
    let disks: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| disk::is_disk(key, value))
        .map(|(key, _)| key.clone())
        .collect();
    let mut grown = Vec::new();
    for key in disks {
        let value = wanted.remove(&key).unwrap_or_default();
        let Some(live) = config.get(&key) else {
            draft.block(
                subject,
                format!("its disk `{key}` is gone"),
                "infra attaches no disk to a guest that it did not make: attach it again (look for `unused0`), or take it \
                 out of the inventory.",
            );
            continue;
        };
        same_disk(draft, subject, &key, &value, live, &mut wanted);
        let sizes = (
            guest_config::disk_size(&value),
            guest_config::disk_size(live),
        );
        if let (Some(size), Some(now)) = sizes {
            if now < size {
                grown.push((key, now, size));
            } else if now > size {
                draft.leave_alone(format!(
                    "{subject}: disk {key} is {now}, the inventory says {size}; disks never shrink"
                ));
            }
        }
    }
    compare(&wanted, found, config, on, &mut said);
    // Proxmox takes an option that names what is not there, and the guest fails at its next start.
    let mut names_nothing = false;
    for (key, reference) in Reference::of(&said.set) {
        if let Some((problem, help)) = reference.missing(&node, seen) {
            draft.block(subject, format!("`{key}`: {problem}"), help);
            names_nothing = true;
        }
    }
    if names_nothing {
        return;
    }
    let reseeds = reseeded(config, &said.set);
    if !said.set.is_empty() {
        let waits = (!said.waits.is_empty()).then_some(Impact::NextBoot);
        let (impact, reason) = if reseeds.is_empty() {
            let impact = said.impact.max(waits).unwrap_or(Impact::Hot);
            (impact, "differs from the inventory".to_owned())
        } else {
            let reason = format!(
                "{} changes the instance id: at its next start cloud-init runs anew and makes new SSH host keys",
                reseeds.join(", ")
            );
            (Impact::HostKeyReset, reason)
        };
        draft.propose(
            &adopted.node,
            subject,
            Proposal::update(reason)
                .fields(std::mem::take(&mut said.fields))
                .impact(impact),
            Operation::ConfigureGuest {
                node: node.clone(),
                vmid: adopted.vmid,
                set: std::mem::take(&mut said.set),
                delete: Vec::new(),
                digest: found.digest.clone(),
            },
        );
    } else if !said.waits.is_empty() {
        draft.leave_alone(format!(
            "{subject}: {} takes effect at its next start, which is yours to choose",
            said.waits.join(", ")
        ));
    }
    for (key, now, size) in grown {
        draft.propose(
            &adopted.node,
            &format!("{subject} disk {key}"),
            Proposal::update("the inventory wants a larger disk").fields(vec![Field::new(
                "size",
                Some(&now.to_string()),
                Some(&size.to_string()),
            )]),
            Operation::GrowDisk {
                node: node.clone(),
                vmid: adopted.vmid,
                disk: key,
                size,
            },
        );
    }
    for (key, value) in config {
        if disk::is_device(key) && !adopted.config.contains_key(key) {
            draft.leave_alone(format!("{subject}: {key} {value}"));
        }
    }
}

/// Compares how a disk is attached. Another volume in its place is never put right: one of the two holds somebody's data.
fn same_disk(
    draft: &mut Draft,
    subject: &str,
    key: &str,
    value: &str,
    live: &str,
    wanted: &mut BTreeMap<String, String>,
) {
    let volume = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
    if volume(value) != volume(live) {
        draft.block(
            subject,
            format!("its disk `{key}` is {} and not {}", volume(live), volume(value)),
            "Which of them is right is yours to decide: correct the inventory, or attach the other disk.",
        );
        return;
    }
    let size = parts(key, live).remove("size");
    let kept: Vec<&str> = value
        .split(',')
        .filter(|part| !part.starts_with("size="))
        .collect();
    let mut value = kept.join(",");
    if let Some(size) = size {
        value = format!("{value},size={size}");
    }
    if !differences(key, &value, Some(live)).is_empty() {
        wanted.insert(key.to_owned(), merged(key, &value, Some(live)));
    }
}

/// Which of the options to set change the instance id of Proxmox's own cloud-init drive.
fn reseeded(config: &BTreeMap<String, String>, set: &BTreeMap<String, String>) -> Vec<String> {
    let has_drive = config
        .values()
        .any(|value| value.contains("cloudinit") && value.contains("media=cdrom"));
    if !has_drive {
        return Vec::new();
    }
    set.keys()
        .filter(|key| {
            let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
            CLOUD_INIT.contains(&stem)
        })
        .map(|key| guest_config::word(key))
        .collect()
}
