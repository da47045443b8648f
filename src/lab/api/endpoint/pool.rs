//! Resource pools.

use super::cluster::resource;
use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::cluster::{Model, Pool},
};
use serde_json::{Value, json};

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let wanted = call.get("poolid");
    if let Some(id) = wanted.filter(|id| !model.pools.contains_key(*id)) {
        return Err(Refusal::Failed(format!("pool '{id}' does not exist")));
    }
    let mine = model.pools.iter().filter(|(id, _)| {
        wanted.is_none_or(|wanted| wanted == id.as_str())
            && call.may(model, &format!("/pool/{id}"), &["Pool.Audit"])
    });
    let all = mine.map(|(id, pool)| {
        let mut item = json!({"poolid": id});
        if let Some(comment) = &pool.comment {
            item["comment"] = json!(comment);
        }
        if wanted.is_some() {
            item["members"] = members(model, pool, call.now);
        }
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

fn members(model: &Model, pool: &Pool, now: i64) -> Value {
    let guests = pool.guests.iter().filter_map(|vmid| {
        let mut item = resource(model, *vmid, model.guests.get(vmid)?, now);
        if let Some(fields) = item.as_object_mut() {
            fields.remove("pool");
            fields.remove("tags");
        }
        Some(item)
    });
    guests.collect()
}

pub(crate) fn create(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("poolid").to_owned();
    if model.pools.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create pool failed: pool '{id}' already exists"
        )));
    }
    let comment = call.get("comment").map(str::to_owned);
    model.pools.insert(
        id,
        Pool {
            comment,
            ..Pool::default()
        },
    );
    Outcome::nothing()
}

pub(crate) fn update(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("poolid");
    let guests: Vec<u32> = call
        .split("vms")
        .iter()
        .filter_map(|vmid| vmid.parse().ok())
        .collect();
    let taken = guests.iter().find(|vmid| {
        model
            .pools
            .iter()
            .any(|(other, pool)| other != id && pool.guests.contains(vmid))
    });
    if let Some(vmid) = taken.filter(|_| !call.is_on("delete") && !call.is_on("allow-move")) {
        return Err(Refusal::Failed(format!(
            "update pools failed: VM {vmid} is already a pool member"
        )));
    }
    if let Some(vmid) = guests.iter().find(|vmid| !model.guests.contains_key(vmid)) {
        return Err(Refusal::Failed(format!(
            "update pools failed: VM {vmid} does not exist"
        )));
    }
    if !model.pools.contains_key(id) {
        return Err(Refusal::Failed(format!(
            "update pools failed: pool '{id}' does not exist"
        )));
    }
    for (other, pool) in &mut model.pools {
        for vmid in &guests {
            if other == id && !call.is_on("delete") {
                pool.guests.insert(*vmid);
            } else {
                pool.guests.remove(vmid);
            }
        }
        if other == id
            && let Some(comment) = call.get("comment")
        {
            pool.comment = Some(comment.to_owned());
        }
    }
    Outcome::nothing()
}

pub(crate) fn delete(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("poolid");
    let pool = model
        .pools
        .get(id)
        .ok_or_else(|| format!("delete pool failed: pool '{id}' does not exist"))?;
    if !pool.guests.is_empty() || !pool.storages.is_empty() {
        return Err(Refusal::Failed(format!(
            "delete pool failed: pool '{id}' is not empty"
        )));
    }
    model.pools.remove(id);
    Outcome::nothing()
}
