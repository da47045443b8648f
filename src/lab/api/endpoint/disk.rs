//! Disks of a guest: growing, detaching, moving.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::{change::Change, cluster::Model},
};

pub(crate) fn resize(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    model.guest(vmid)?;
    let work = Work::Resize {
        vmid,
        disk: call.text("disk").to_owned(),
        size: call.text("size").to_owned(),
        digest: call.get("digest").map(str::to_owned),
    };
    Outcome::job(Job::on_guest("resize", call.node(), vmid, work))
}

pub(crate) fn unlink(model: &mut Model, call: &Call) -> Answer {
    let change = Change {
        delete: call.split("idlist"),
        force: call.is_on("force"),
        ..Change::default()
    };
    model.change(call.vmid(), &change, &call.dice, call.now)?;
    Outcome::nothing()
}

pub(crate) fn move_disk(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    let guest = model.guest(vmid)?;
    if let Some(target) = call.number::<u32>("target-vmid") {
        if !model.guests.contains_key(&target) {
            return Err(Refusal::Failed(format!(
                "could not find target VM {target}"
            )));
        }
        return Err(Refusal::NotImplemented(
            "moving a disk to another guest is not modelled by the lab".to_owned(),
        ));
    }
    let disk = call.text("disk");
    guest
        .drives()
        .get(disk)
        .ok_or_else(|| format!("disk '{disk}' does not exist"))?;
    let storage = call.get("storage").ok_or_else(|| {
        Refusal::parameter("storage", "property is missing and it is not optional")
    })?;
    model.storages.find(storage)?;
    call.needs(
        model,
        &format!("/storage/{storage}"),
        &["Datastore.AllocateSpace"],
    )?;
    let work = Work::MoveDisk {
        vmid,
        disk: disk.to_owned(),
        storage: storage.to_owned(),
        format: call.get("format").map(str::to_owned),
        delete: call.is_on("delete"),
    };
    Outcome::job(Job::on_guest("qmmove", call.node(), vmid, work))
}

pub(crate) fn template(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    let guest = model.guest(vmid)?;
    if guest.is_set("template") && call.get("disk").is_none() {
        return Err(Refusal::Failed(
            "you can't convert a template to a template".to_owned(),
        ));
    }
    if guest.running.is_some() {
        return Err(Refusal::Failed(
            "you can't convert a VM to template if VM is running".to_owned(),
        ));
    }
    Outcome::job(Job::on_guest(
        "qmtemplate",
        call.node(),
        vmid,
        Work::Template { vmid },
    ))
}

pub(crate) fn clone(model: &mut Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    let guest = model.guest(vmid)?.clone();
    guest.assert_unlocked()?;
    let to: u32 = call.number("newid").unwrap_or(0);
    let full = call
        .get("full")
        .map_or(!guest.is_set("template"), |full| full == "1");
    let storage = call.get("storage").map(str::to_owned);
    if let Some(storage) = &storage {
        model.storages.find(storage)?;
        if !full {
            let text = "parameter 'storage' not allowed for linked clones";
            return Err(Refusal::parameter("storage", text));
        }
    }
    if let Some(target) = call.get("target").filter(|target| *target != guest.node) {
        let is_local = |storage: &str| model.storages.find(storage).is_ok_and(|one| !one.shared);
        let drives = guest.drives();
        let mut disks = drives.values().filter(|drive| drive.is_disk());
        if disks.any(|disk| disk.volume().is_some_and(|(storage, _)| is_local(storage))) {
            return Err(Refusal::Failed(format!(
                "can't clone VM to node '{target}' (VM uses local storage)"
            )));
        }
    }
    model
        .reserve(to, &guest.node)
        .map_err(|_| format!("unable to create VM {to}: config file already exists"))?;
    let name = call.get("name").map(str::to_owned);
    let work = Work::Clone {
        vmid,
        to,
        name,
        full,
        storage,
        dice: call.dice.clone(),
    };
    Outcome::job(Job::on_guest("qmclone", call.node(), vmid, work))
}
