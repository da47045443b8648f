//! `infra vm start|stop|reboot|console|snapshot|rollback|migrate`: one guest, one deed, told in one line.

use super::{
    context::Context,
    exit,
    failure::Failure,
    session::Session,
    vm_found::{Found, find, told},
};
use crate::model::ids::{HostName, Vmid};
use crate::plan::{Plan, change::Operation};
use crate::providers::proxmox::{
    ConfigChange, GuestRead as _, GuestWrite as _, ProxmoxRead as _, ProxmoxWrite as _,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// A guest that is asked to shut down gets this long.
const SHUTDOWN: u32 = 120;
/// A node needs seconds for most things, and waits for locks meanwhile.
const LIMIT: Duration = Duration::from_mins(5);
/// Migrating with local disks copies them.
const MOVE_LIMIT: Duration = Duration::from_hours(6);

/// `infra vm start`.
pub(super) async fn start(context: &Context, session: &Session, name: &str) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    if found.runs() {
        return Ok(found.done(context, "runs already", "nothing"));
    }
    let asked = found.api.start(&found.live.node, found.vmid()).await;
    found
        .settle(asked, LIMIT, || found.is_powered(true))
        .await?;
    Ok(found.done(context, "is on", "started"))
}

/// `infra vm stop`.
pub(super) async fn stop(
    context: &Context,
    session: &Session,
    name: &str,
    force: bool,
) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    if !found.runs() {
        return Ok(found.done(context, "is off already", "nothing"));
    }
    let (node, vmid) = (&found.live.node, found.vmid());
    if force {
        let asked = found.api.stop(node, vmid).await;
        found
            .settle(asked, LIMIT, || found.is_powered(false))
            .await?;
        return Ok(found.done(context, "lost its power", "stopped"));
    }
    let asked = found.api.shutdown(node, vmid, SHUTDOWN, false).await;
    let ended = found.settle(asked, LIMIT, || found.is_powered(false)).await;
    ended.map_err(|failure| {
        failure.hint(format!(
            "It did not shut down by itself within {SHUTDOWN} s: look at `{}`, or cut its power with `--force`.",
            context.again(&format!("vm console {name}"))
        ))
    })?;
    Ok(found.done(context, "shut down", "stopped"))
}

/// `infra vm reboot`.
pub(super) async fn reboot(
    context: &Context,
    session: &Session,
    name: &str,
) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    if !found.runs() {
        return Err(
            Failure::new(exit::FAILED, format!("`{name}` is off")).hint(format!(
                "Start it: `{}`.",
                context.again(&format!("vm start {name}"))
            )),
        );
    }
    let asked = found
        .api
        .reboot(&found.live.node, found.vmid(), SHUTDOWN)
        .await;
    found.wait(asked, LIMIT).await.map_err(|failure| {
        failure.hint(format!(
            "It did not shut down by itself within {SHUTDOWN} s. Cut its power and start it again: `{}`.",
            context.again(&format!("vm stop {name} --force"))
        ))
    })?;
    Ok(found.done(
        context,
        "reboots, with everything that waited for it",
        "rebooted",
    ))
}

/// What `infra vm snapshot` is asked for.
pub(super) struct SnapshotDeed<'a> {
    pub(super) label: Option<&'a str>,
    pub(super) list: bool,
    pub(super) delete: bool,
}

/// `infra vm snapshot`, with its list and its deletion.
pub(super) async fn snapshot(
    context: &Context,
    session: &Session,
    name: &str,
    deed: SnapshotDeed<'_>,
) -> Result<u8, Failure> {
    let SnapshotDeed {
        label,
        list,
        delete,
    } = deed;
    let found = find(session, name).await?;
    let (node, vmid) = (found.live.node.clone(), found.vmid());
    if list {
        return show(context, &found).await;
    }
    if delete {
        let Some(label) = label else {
            return Err(
                Failure::new(exit::USAGE, "which snapshot is to be deleted?").hint(format!(
                    "List them: `{}`.",
                    context.again(&format!("vm snapshot {name} --list"))
                )),
            );
        };
        known(context, &found, label).await?;
        let asked = found.api.delete_snapshot(&node, vmid, label).await;
        let is_gone = || found.has_snapshot(label, false);
        found.settle(asked, LIMIT, is_gone).await?;
        return Ok(found.done(
            context,
            &format!("has no snapshot `{label}` any more"),
            "deleted",
        ));
    }
    let label = match label {
        Some(label) => valid(label)?.to_owned(),
        None => stamp("by-hand"),
    };
    take(&found, &label, "Made by `infra vm snapshot`.").await?;
    Ok(found.done(context, &format!("has the snapshot `{label}`"), "snapshot"))
}

async fn take(found: &Found<'_>, label: &str, words: &str) -> Result<(), Failure> {
    let node = &found.live.node;
    let asked = found
        .api
        .create_snapshot(node, found.vmid(), label, words)
        .await;
    let taken = found.settle(asked, LIMIT, || found.has_snapshot(label, true));
    taken.await.map_err(|failure| {
        if failure.text().contains("snapshot feature is not available") {
            failure.hint("Its disks are raw files: a storage such as ZFS or LVM-thin, or qcow2 files, can snapshot.")
        } else {
            failure
        }
    })
}

/// Proxmox's rule for names of snapshots (`pve-configid`, PVE 9.2.11).
fn valid(label: &str) -> Result<&str, Failure> {
    let is_valid = (2..=40).contains(&label.len())
        && label.starts_with(|c: char| c.is_ascii_alphabetic())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && label != "current";
    if is_valid {
        Ok(label)
    } else {
        Err(
            Failure::new(exit::USAGE, format!("`{label}` cannot name a snapshot"))
                .hint("A letter, then letters, digits, `-` and `_`, at most 40."),
        )
    }
}

fn stamp(why: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("infra-{why}-{now}")
}

async fn show(context: &Context, found: &Found<'_>) -> Result<u8, Failure> {
    let all = found
        .api
        .snapshots(&found.live.node, found.vmid())
        .await
        .map_err(|error| told(&error))?;
    if context.global.json {
        let rows: Vec<_> = all
            .iter()
            .map(|one| {
                serde_json::json!({"name": one.name, "time": one.time, "description": one.description, "parent": one.parent})
            })
            .collect();
        context
            .terminal
            .json(&serde_json::json!({ "snapshots": rows }));
        return Ok(exit::DONE);
    }
    let mut out = String::new();
    for one in &all {
        let time = jiff::Timestamp::from_second(one.time)
            .map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
            .unwrap_or_default();
        let _ = writeln!(out, "{:<40} {time}  {}", one.name, one.description);
    }
    if all.is_empty() {
        out.push_str("no snapshots\n");
    }
    context.terminal.answer(&out);
    Ok(exit::DONE)
}

async fn known(context: &Context, found: &Found<'_>, label: &str) -> Result<(), Failure> {
    let all = found
        .api
        .snapshots(&found.live.node, found.vmid())
        .await
        .map_err(|error| told(&error))?;
    if all.iter().any(|one| one.name == label) {
        return Ok(());
    }
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let there = if names.is_empty() {
        format!("`{}` has none.", found.wanted.name)
    } else {
        format!("There is {}.", names.join(", "))
    };
    let again = context.again(&format!("vm snapshot {}", found.wanted.name));
    Err(
        Failure::new(exit::USAGE, format!("there is no snapshot `{label}`"))
            .hint(there)
            .hint(format!("Make one: `{again}`.")),
    )
}

/// `infra vm rollback`: what was written since the snapshot is lost, so the guest's name is typed.
pub(super) async fn rollback(
    context: &Context,
    session: &Session,
    name: &str,
    label: &str,
    yes: bool,
) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    known(context, &found, label).await?;
    if !yes {
        if !context.terminal.can_ask() {
            return Err(Failure::new(exit::USAGE, "there is nobody to ask").hint(
                "What was written since the snapshot is lost: agree beforehand with `--yes`.",
            ));
        }
        let kept = found.wanted.disks.iter().any(|disk| disk.keep);
        let disks = if kept {
            ", its data disks included"
        } else {
            ""
        };
        let question = format!(
            "Everything that {name} wrote since `{label}` is lost{disks}. Type its name to go on:"
        );
        if context.terminal.ask(&question).as_deref() != Some(name) {
            return Err(Failure::new(
                exit::FAILED,
                "nothing was changed: the name was not typed",
            ));
        }
    }
    let was_on = found.runs();
    let asked = found
        .api
        .rollback(&found.live.node, found.vmid(), label, was_on)
        .await;
    found.wait(asked, LIMIT).await?;
    Ok(found.done(context, &format!("is back at `{label}`"), "rolled back"))
}

/// `infra vm migrate`.
pub(super) async fn migrate(
    context: &Context,
    session: &Session,
    name: &str,
    target: &str,
) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    let nodes: Vec<&str> = session.desired.nodes.keys().map(HostName::as_str).collect();
    if !nodes.contains(&target) {
        return Err(
            Failure::new(exit::USAGE, format!("there is no node `{target}`"))
                .hint(format!("The inventory has {}.", nodes.join(", "))),
        );
    }
    if found.live.node == target {
        return Ok(found.done(context, &format!("lives on {target} already"), "nothing"));
    }
    if let Some(device) = found.wanted.pci.first() {
        return Err(Failure::new(
            exit::REFUSED,
            format!("`{name}` uses the PCI device `{}` of {}", device.mapping, found.live.node),
        )
        .hint("A guest with a device of its node does not move: take the device out of the inventory first."));
    }
    if let Some(tie) = tie(&found) {
        return Err(Failure::new(
            exit::REFUSED,
            format!("`{name}` runs and {tie} of {}: Proxmox moves it only while it is off", found.live.node),
        )
        .hint(format!(
            "Stop it first: `{}`. Or write `node: {target}` in the inventory: `infra up` stops it for the move.",
            context.again(&format!("vm stop {name}"))
        )));
    }
    let in_drive = found
        .live
        .config
        .as_ref()
        .and_then(|config| config.get("ide2"));
    if in_drive.is_some_and(|drive| drive.contains(":iso/")) {
        // Proxmox moves no guest that holds an image of one node's storage.
        let empty = ConfigChange {
            set: BTreeMap::from([("ide2".to_owned(), "none,media=cdrom".to_owned())]),
            ..ConfigChange::default()
        };
        let asked = found
            .api
            .update_config(&found.live.node, found.vmid(), &empty)
            .await;
        found.wait(asked, LIMIT).await?;
    }
    let asked = found
        .api
        .migrate(&found.live.node, found.vmid(), target, found.runs())
        .await;
    let is_there = || async {
        let live = found.api.guest(found.vmid()).await?;
        Ok(live.is_some_and(|live| live.node == target && live.lock.is_none()))
    };
    found.settle(asked, MOVE_LIMIT, is_there).await?;
    let code = found.done(context, &format!("lives on {target}"), "migrated");
    let at_home = |node: &HostName| node.as_str() == target;
    if found.wanted.ha.is_none()
        && !at_home(&found.wanted.node)
        && !found.wanted.homes.iter().any(at_home)
    {
        context.terminal.tell(&format!(
            "The inventory says `node: {}`: the next `infra up` moves it back, unless you write `node: {target}` there.",
            found.wanted.node
        ));
    }
    Ok(code)
}

/// What keeps a guest on its node while it runs: Proxmox takes neither along, and finds out only when the move has begun.
fn tie(found: &Found<'_>) -> Option<String> {
    let config = found.live.config.as_ref().filter(|_| found.runs())?;
    config.iter().find_map(|(key, value)| {
        let first = value.split(',').next()?;
        let name = first.split_once('=').map_or(first, |(_, name)| name);
        match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "virtiofs" => Some(format!("mounts the directory `{name}`")),
            "usb" if name != "spice" => Some(format!("uses the USB device `{name}`")),
            _ => None,
        }
    })
}

/// `infra vm console`: the guest's serial console, through its node.
pub(super) async fn console(session: &Session, name: &str) -> Result<u8, Failure> {
    let found = find(session, name).await?;
    if !found.runs() {
        return Err(Failure::new(
            exit::FAILED,
            format!("`{name}` is off: it has no console"),
        ));
    }
    let config = found.live.config.clone().unwrap_or_default();
    if config.get("serial0").map(String::as_str) != Some("socket") {
        return Err(
            Failure::new(exit::FAILED, format!("`{name}` has no serial console"))
                .hint("`infra up` adds one; it is there after the guest's next start."),
        );
    }
    let node = HostName::new(found.live.node.clone())
        .map_err(|error| Failure::of(exit::FAILED, &error))?;
    if session.lab {
        return Err(
            Failure::new(exit::FAILED, "the lab's guests have no serial console")
                .hint(format!("Their shell is `infra vm ssh {name} --lab`.")),
        );
    }
    let vmid = found.vmid().to_string();
    super::vm::terminal(
        session,
        &node,
        true,
        &["qm", "terminal", &vmid, "--iface", "serial0"],
    )
    .await
}

/// Snapshots the existing guests that a plan touches, before it does.
pub(super) async fn snapshot_before(
    context: &Context,
    session: &Session,
    plan: &Plan,
) -> Result<(), Failure> {
    let label = stamp("before-up");
    for name in touched(session, plan) {
        let found = find(session, name.as_str()).await?;
        take(&found, &label, "Made by `infra up --snapshot`.").await?;
        context.terminal.tell(&format!(
            "{name} has the snapshot `{label}`: `{}` goes back to it.",
            context.again(&format!("vm rollback {name} {label}"))
        ));
    }
    Ok(())
}

/// Guests that are there and whose configuration, disks or power the plan changes.
fn touched(session: &Session, plan: &Plan) -> BTreeSet<HostName> {
    let names: BTreeMap<Vmid, &HostName> = session
        .desired
        .guests
        .values()
        .map(|guest| (guest.vmid, &guest.name))
        .collect();
    let (mut touched, mut made) = (BTreeSet::new(), BTreeSet::new());
    for change in &plan.changes {
        if let Operation::ConfigureGuest { vmid, .. }
        | Operation::RestartGuest { vmid, .. }
        | Operation::GrowDisk { vmid, .. }
        | Operation::MoveDisk { vmid, .. } = &change.operation
        {
            touched.insert(*vmid);
        } else if let Operation::CreateGuest { vmid, .. } | Operation::CloneGuest { vmid, .. } =
            &change.operation
        {
            made.insert(*vmid);
        }
    }
    touched
        .difference(&made)
        .filter_map(|vmid| names.get(vmid).map(|name| (*name).clone()))
        .collect()
}
