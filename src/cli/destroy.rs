//! `infra destroy`: the only verb that destroys a guest, and only the one that is typed.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    session::Session,
    up,
};
use crate::doctor::{Need, grant, missing};
use crate::model::{
    health::Rights,
    ids::Vmid,
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    Indestructible, Plan, Removal,
    change::{Change, Operation},
    is_marked, removal,
};
use crate::providers::proxmox::{
    Client, GuestRead as _, ProxmoxError, ProxmoxRead as _, ProxmoxRequest,
};
use crate::view::human;
use clap::Args;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// Destroy a guest that infra made, with its root disk
///
/// Shows what goes and what stays, and asks for the guest's name. Data disks that outlive guests stay, datasets are
/// never touched; a data disk that would go with the guest has to be named. What infra did not make, and what is
/// protected, is refused. `infra up` never destroys a guest.
#[derive(Debug, Clone, Args)]
pub(crate) struct DestroyArgs {
    /// Name or VMID of a guest that infra made
    pub(crate) guest: String,
    /// A data disk that goes too, by its name or slot (can be repeated)
    #[arg(long, value_name = "DISK")]
    pub(crate) with_disk: Vec<String>,
    /// The guest's name, typed beforehand instead of at the question
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &DestroyArgs) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            let walking = AtomicBool::new(false);
            let locks = up::Locks::of(context, &session, "infra destroy");
            let work = destroy(context, args, &session, &walking);
            locks.hold(context, &walking, work).await
        })
    })
}

async fn destroy(
    context: &Context,
    args: &DestroyArgs,
    session: &Session,
    walking: &AtomicBool,
) -> Result<u8, Failure> {
    let api = session
        .world
        .proxmox
        .as_ref()
        .ok_or_else(|| Failure::new(exit::USAGE, "the inventory has no Proxmox"))?;
    let mut seen = api
        .observe(&request(session))
        .await
        .map_err(|error| told(&error))?;
    let vmid = which(session, &seen, &args.guest)?;
    let Some(found) = api.guest(vmid).await.map_err(|error| told(&error))? else {
        return Err(nothing(session, &seen, &args.guest));
    };
    seen.guests.insert(vmid, found.clone());
    let named: BTreeSet<String> = args.with_disk.iter().cloned().collect();
    let made = removal(
        &session.desired.system,
        vmid,
        &found,
        &seen,
        &named,
        session.lab,
    );
    let removal = made.map_err(|error| refused(context, args, &error))?;
    let rights = api.rights().await.map_err(|error| told(&error))?;
    refuse_without_rights(session, &rights, &removal.plan)?;
    let facts = facts(session, api, vmid, &found, &removal).await?;
    if !context.global.json {
        let plan = human::plan(&removal.plan, true);
        context.terminal.answer(&format!("{facts}\n{plan}"));
    }
    agreed(context, args, &found)?;
    walking.store(true, Ordering::SeqCst);
    let receipt = up::walk(context, session, &removal.plan).await;
    walking.store(false, Ordering::SeqCst);
    let receipt = receipt?;
    let file = up::write_receipt(session, &receipt)?;
    if context.global.json {
        context.terminal.json(
            &serde_json::json!({ "plan": removal.plan, "stays": removal.stays, "receipt": receipt }),
        );
    } else {
        let again = context.again(&format!("destroy {}", args.guest));
        context
            .terminal
            .tell(human::receipt(&receipt, Some(&file), &format!("`{again}`")).trim_end());
    }
    Ok(if receipt.is_complete() {
        exit::DONE
    } else {
        up::ended(&receipt)
    })
}

/// The lists of guests, and of the seeds on every node.
fn request(session: &Session) -> ProxmoxRequest {
    let nodes = session.desired.nodes.values();
    ProxmoxRequest {
        nodes: session.desired.nodes.keys().cloned().collect(),
        content: nodes
            .map(|node| {
                let place = (node.name.clone(), node.iso_storage.clone());
                (place, BTreeSet::from(["iso".to_owned()]))
            })
            .collect::<BTreeMap<_, _>>(),
        ..ProxmoxRequest::default()
    }
}

/// The guest that is meant: by its id, or by its name among those that are ours.
fn which(session: &Session, seen: &ObservedProxmox, text: &str) -> Result<Vmid, Failure> {
    let number = text.parse().ok().and_then(|number| Vmid::new(number).ok());
    if let Some(vmid) = number.filter(|vmid| seen.guests.contains_key(vmid)) {
        return Ok(vmid);
    }
    let named = |ours: bool| -> Vec<Vmid> {
        let mut out = Vec::new();
        for (vmid, found) in &seen.guests {
            if found.name == text && is_marked(&session.desired.system, found) == ours {
                out.push(*vmid);
            }
        }
        out
    };
    match (named(true).as_slice(), named(false).as_slice()) {
        ([one], _) | ([], [one]) => Ok(*one),
        ([], []) => Err(nothing(session, seen, text)),
        (many, more) => {
            let ids: Vec<String> = many.iter().chain(more).map(ToString::to_string).collect();
            let text = format!("several guests are called `{text}`: {}", ids.join(", "));
            Err(Failure::new(exit::USAGE, text).hint("Name one by its VMID."))
        }
    }
}

fn nothing(session: &Session, seen: &ObservedProxmox, text: &str) -> Failure {
    let ours = seen
        .guests
        .iter()
        .filter(|(_, found)| is_marked(&session.desired.system, found));
    let names: Vec<String> = ours
        .map(|(vmid, found)| format!("{} ({vmid})", found.name))
        .collect();
    let hint = if names.is_empty() {
        "infra has made no guest here.".to_owned()
    } else {
        format!("infra made {}.", names.join(", "))
    };
    Failure::new(exit::USAGE, format!("there is no guest `{text}`")).hint(hint)
}

/// Refuses before anybody is asked: of a guest that is gone nobody can name the disk that could not be deleted.
fn refuse_without_rights(session: &Session, rights: &Rights, plan: &Plan) -> Result<(), Failure> {
    let missing = missing(takes(plan), rights);
    if missing.is_empty() {
        return Ok(());
    }
    let line = |need: &Need| format!("{} on {}: to {}", need.privilege, need.path, need.purpose);
    let lines: Vec<String> = missing.iter().map(line).collect();
    let text = format!(
        "nothing was destroyed: the Proxmox user or token lacks privileges: {}",
        lines.join("; ")
    );
    let help = |failure: Failure, need: &Need| {
        let path = [need.path.as_str()];
        failure.hint(grant(&session.desired, rights, need.privilege, &path))
    };
    Err(missing.iter().fold(Failure::new(exit::FAILED, text), help))
}

/// What carrying out a removal takes.
fn takes(plan: &Plan) -> Vec<Need> {
    let need = |change: &Change| {
        let (privilege, path, purpose) =
            if let Operation::StopGuest { vmid, .. } = &change.operation {
                ("VM.PowerMgmt", format!("/vms/{vmid}"), "stop the guest")
            } else if let Operation::DestroyGuest { vmid, .. } = &change.operation {
                ("VM.Allocate", format!("/vms/{vmid}"), "destroy the guest")
            } else if let Operation::DeleteVolume { volume, .. } = &change.operation {
                let (storage, _) = volume.split_once(':')?;
                let path = format!("/storage/{storage}");
                (
                    "Datastore.Allocate",
                    path,
                    "delete its disks and seeds there",
                )
            } else {
                return None;
            };
        Some(Need {
            privilege,
            path,
            purpose,
        })
    };
    let mut all: Vec<Need> = plan.changes.iter().filter_map(need).collect();
    all.sort();
    all.dedup();
    all
}

fn told(error: &ProxmoxError) -> Failure {
    match error.hint() {
        Some(hint) => failed(error).hint(hint),
        None => failed(error),
    }
}

fn refused(context: &Context, args: &DestroyArgs, error: &Indestructible) -> Failure {
    let failure = Failure::of(exit::REFUSED, error);
    match error {
        Indestructible::NotOurs { .. } => {
            failure.hint("Destroy it where it was made, in Proxmox: infra destroys only what it made itself.")
        }
        Indestructible::Protected { vmid, .. } => failure.hint(format!(
            "Take the protection off first: `protection: false` in the inventory and `{}`, or `qm set {vmid} --protection 0` for a guest that is not in it any more.",
            context.again("up")
        )),
        Indestructible::Locked { .. } => failure.hint("Wait until Proxmox has finished with it."),
        Indestructible::TakesDisks { disks, .. } => {
            let words: Vec<String> = disks
                .iter()
                .map(|disk| format!(" --with-disk {disk}"))
                .collect();
            let again = context.again(&format!("destroy {}{}", args.guest, words.concat()));
            failure.hint(format!(
                "Move what is on them elsewhere, or name them: `{again}`."
            ))
        }
        Indestructible::NoSuchDisk { .. } => failure.hint("Look at what it has without `--with-disk`."),
        Indestructible::Order(_) => failure,
    }
}

/// What the owner should know before typing the name.
async fn facts(
    session: &Session,
    api: &Client,
    vmid: Vmid,
    found: &ObservedGuest,
    removal: &Removal,
) -> Result<String, Failure> {
    let (snapshots, backups) = tokio::join!(
        api.snapshots(&found.node, vmid),
        api.backups(&found.node, vmid)
    );
    let snapshots = snapshots.map_err(|error| told(&error))?;
    let mut out = format!(
        "  guest {vmid} {} on {}, {}\n",
        found.name, found.node, found.status
    );
    let mut line = |text: String| {
        let _ = writeln!(out, "    {text}");
    };
    let names: Vec<&str> = snapshots.iter().map(|one| one.name.as_str()).collect();
    match names.as_slice() {
        [] => line("it has no snapshots".to_owned()),
        names => line(format!("its snapshots go with it: {}", names.join(", "))),
    }
    // A storage that does not answer is told, not taken for an empty one.
    match backups {
        Ok(backups) => match backups.last() {
            None => {
                line("Proxmox has no backup of it on the storages that its node sees".to_owned());
            }
            Some(last) => {
                let time = jiff::Timestamp::from_second(last.time)
                    .map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
                    .unwrap_or_default();
                line(format!(
                    "its last backup of {}: {time}, {}",
                    backups.len(),
                    last.volume
                ));
            }
        },
        Err(error) => line(format!("whether there is a backup is unknown: {error}")),
    }
    let named = session.desired.guests.values().find(|g| g.vmid == vmid);
    if let Some(guest) = named {
        line(format!(
            "the inventory still names it: the next `infra up` makes {} anew",
            guest.name
        ));
    }
    for stays in &removal.stays {
        line(stays.clone());
    }
    Ok(out)
}

fn agreed(context: &Context, args: &DestroyArgs, found: &ObservedGuest) -> Result<(), Failure> {
    let typed = match &args.confirm {
        Some(name) => Some(name.clone()),
        None if context.terminal.can_ask() => {
            let question = format!(
                "This cannot be undone. Type the guest's name to destroy it ({}):",
                found.name
            );
            context.terminal.ask(&question)
        }
        None => {
            return Err(
                Failure::new(exit::USAGE, "there is nobody to ask").hint(format!(
                    "Type the guest's name beforehand: `--confirm {}`.",
                    found.name
                )),
            );
        }
    };
    if typed.as_deref() == Some(found.name.as_str()) {
        return Ok(());
    }
    Err(Failure::new(
        exit::REFUSED,
        "nothing was destroyed: the name was not typed",
    )
    .hint(format!("The guest's name is `{}`.", found.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::SystemName;

    fn disk(volume: &str) -> (String, String) {
        (
            "scsi1".to_owned(),
            format!("{volume},serial=photos,size=5G"),
        )
    }

    /// The disk outlives the guest unless it is named, and deleting it takes more than destroying the guest does.
    #[test]
    fn what_a_removal_takes_is_known_before_anything_goes() {
        let system: SystemName = "home".parse().expect("valid");
        let vmid = Vmid::new(120).expect("valid");
        let found = ObservedGuest {
            node: "pve".to_owned(),
            name: "files".to_owned(),
            kind: "qemu".to_owned(),
            status: "running".to_owned(),
            tags: vec!["infra".to_owned(), "infra-home".to_owned()],
            config: Some(BTreeMap::from([
                disk("fast:vm-999999999-home-photos"),
                ("scsi0".to_owned(), "local-zfs:vm-120-disk-0".to_owned()),
            ])),
            ..ObservedGuest::default()
        };
        let asked = |named: &[&str]| -> Vec<String> {
            let named = named.iter().map(|name| (*name).to_owned()).collect();
            let seen = ObservedProxmox::default();
            let removal = removal(&system, vmid, &found, &seen, &named, false);
            let all = takes(&removal.expect("it may go").plan);
            let line = |need: Need| format!("{} {}", need.privilege, need.path);
            all.into_iter().map(line).collect()
        };
        assert_eq!(
            asked(&[]),
            ["VM.Allocate /vms/120", "VM.PowerMgmt /vms/120"]
        );
        let with_disk = asked(&["photos"]);
        assert!(
            with_disk.contains(&"Datastore.Allocate /storage/fast".to_owned()),
            "{with_disk:?}"
        );
    }
}
