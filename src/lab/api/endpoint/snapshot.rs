//! Snapshots of guests.

use crate::lab::api::{
    call::{Answer, Call, Outcome},
    job::{Job, Work},
    model::cluster::Model,
};
use serde_json::{Value, json};

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let guest = model.guest(call.vmid())?;
    let mut all: Vec<Value> = Vec::new();
    for (name, snapshot) in &guest.snapshots {
        let mut item = json!({"name": name, "description": snapshot.description, "snaptime": snapshot.time, "vmstate": 0});
        if let Some(parent) = &snapshot.parent {
            item["parent"] = json!(parent);
        }
        all.push(item);
    }
    let running = i32::from(guest.running.is_some());
    let mut current = json!({"name": "current", "description": "You are here!", "digest": guest.digest(), "running": running});
    if let Some(parent) = &guest.parent {
        current["parent"] = json!(parent);
    }
    all.push(current);
    Outcome::data(all)
}

pub(crate) fn create(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    model.guest(vmid)?;
    let description = call.text("description").to_owned();
    let work = Work::Snapshot {
        vmid,
        name: call.text("snapname").to_owned(),
        description,
    };
    Outcome::job(Job::on_guest("qmsnapshot", call.node(), vmid, work))
}

pub(crate) fn delete(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    model.guest(vmid)?;
    let work = Work::DeleteSnapshot {
        vmid,
        name: call.text("snapname").to_owned(),
    };
    Outcome::job(Job::on_guest("qmdelsnapshot", call.node(), vmid, work))
}

pub(crate) fn rollback(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    model.guest(vmid)?;
    let work = Work::Rollback {
        vmid,
        name: call.text("snapname").to_owned(),
        start: call.is_on("start"),
    };
    Outcome::job(Job::on_guest("qmrollback", call.node(), vmid, work))
}
