//! Replication jobs. They are kept, not carried out: the lab's disks have no content of their own.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{cluster::Model, digest::digest},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn guest_of(id: &str) -> u32 {
    id.split('-')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn vm(id: &str) -> String {
    format!("/vms/{}", guest_of(id))
}

fn shown(id: &str, options: &BTreeMap<String, String>) -> Value {
    let number: u32 = id
        .split_once('-')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0);
    let mut item = json!({"id": id, "guest": guest_of(id), "jobnum": number});
    for (name, value) in options {
        item[name] = match name.as_str() {
            "rate" | "disable" => value
                .parse::<f64>()
                .map_or_else(|_| json!(value), |number| json!(number)),
            _ => json!(value),
        };
    }
    item
}

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let mine = model
        .replication
        .iter()
        .filter(|(id, _)| call.may(model, &vm(id), &["VM.Audit"]));
    Outcome::data(
        mine.map(|(id, options)| shown(id, options))
            .collect::<Vec<_>>(),
    )
}

pub(crate) fn one(model: &Model, call: &Call) -> Answer {
    let id = call.text("id");
    let options = model
        .replication
        .get(id)
        .ok_or_else(|| format!("no such replication job '{id}'"))?;
    call.needs(model, &vm(id), &["VM.Audit"])?;
    let mut item = shown(id, options);
    item["digest"] = json!(digest(&format!("{:?}", model.replication)));
    Outcome::data(item)
}

fn given(call: &Call) -> BTreeMap<String, String> {
    call.given
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "id" | "digest" | "delete"))
        .map(|(name, values)| (name.clone(), values.concat()))
        .collect()
}

pub(crate) fn create(model: &mut Model, call: &Call) -> Answer {
    let (id, target) = (call.text("id").to_owned(), call.text("target").to_owned());
    call.needs(model, &vm(&id), &["VM.Replicate"])?;
    let number = guest_of(&id);
    let guest = model
        .guests
        .get(&number)
        .ok_or_else(|| format!("Guest '{number}' does not exist."))?;
    if !model.nodes.contains_key(&target) {
        return Err(Refusal::Failed(format!(
            "Target '{target}' does not exist."
        )));
    }
    if guest.node == target {
        return Err(Refusal::Failed(
            "Source and target node cannot be the same.".to_owned(),
        ));
    }
    for drive in guest.drives().values().filter(|drive| drive.is_disk()) {
        let storage = drive.volume().map_or("", |(storage, _)| storage);
        let kind = model.storages.all.get(storage);
        if kind.is_none_or(|storage| storage.kind != "zfspool") {
            return Err(Refusal::Failed(format!(
                "missing replicate feature on volume '{}'",
                drive.file
            )));
        }
    }
    if model.replication.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "replication job '{id}' already exists"
        )));
    }
    let twice = model.replication.iter().any(|(other, job)| {
        guest_of(other) == number && job.get("target").map(String::as_str) == Some(&target)
    });
    if twice {
        return Err(Refusal::Failed(format!(
            "replication job for guest '{number}' to target '{target}' already exists"
        )));
    }
    let mut options = given(call);
    options.insert("source".to_owned(), guest.node.clone());
    model.replication.insert(id, options);
    Outcome::nothing()
}

pub(crate) fn update(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id").to_owned();
    call.needs(model, &vm(&id), &["VM.Replicate"])?;
    let own = digest(&format!("{:?}", model.replication));
    if call.get("digest").is_some_and(|given| given != own) {
        return Err(Refusal::Failed(
            "detected modified configuration - file changed by other user? Try again.".to_owned(),
        ));
    }
    let options = model
        .replication
        .get_mut(&id)
        .ok_or_else(|| format!("no such job '{id}'"))?;
    options.extend(given(call));
    for name in call.split("delete") {
        options.remove(&name);
    }
    Outcome::nothing()
}

/// The real one marks a job and removes it in the background; `force` removes it at once.
pub(crate) fn delete(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id").to_owned();
    call.needs(model, &vm(&id), &["VM.Replicate"])?;
    if call.is_on("force") && call.is_on("keep") {
        return Err(Refusal::parameter(
            "keep",
            "conflicts with parameter 'force'",
        ));
    }
    let job = model
        .replication
        .get_mut(&id)
        .ok_or_else(|| format!("no such job '{id}'"))?;
    if call.is_on("force") {
        model.replication.remove(&id);
    } else {
        let what = if call.is_on("keep") { "local" } else { "full" };
        job.insert("remove_job".to_owned(), what.to_owned());
    }
    Outcome::nothing()
}
