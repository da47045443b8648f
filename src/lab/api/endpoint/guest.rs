//! Virtual machines: making, listing, configuring, removing.

use super::rights::{check_disks, check_options};
use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::{change::Change, cluster::Model, drive::is_numbered, guest::Guest},
    table::{config_kind, param::Shape},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Parameters of create and config that are not options of the guest.
const NOT_OPTIONS: &[&str] = &[
    "node",
    "vmid",
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "start",
    "storage",
    "unique",
    "delete",
    "revert",
    "digest",
    "skiplock",
    "background_delay",
];

fn options(call: &Call) -> BTreeMap<String, String> {
    let all = call
        .given
        .iter()
        .filter(|(name, _)| !NOT_OPTIONS.contains(&name.as_str()));
    all.filter_map(|(name, values)| Some((name.clone(), values.first()?.clone())))
        .collect()
}

pub(crate) fn create(model: &mut Model, call: &Call) -> Answer {
    let (vmid, node) = (call.vmid(), call.node());
    if call.get("archive").is_some() {
        return Err(Refusal::NotImplemented(
            "restore from an archive is not modelled by the lab".to_owned(),
        ));
    }
    let pool = call.get("pool");
    let may_allocate = call.may(model, &format!("/vms/{vmid}"), &["VM.Allocate"])
        || pool.is_some_and(|pool| call.may(model, &format!("/pool/{pool}"), &["VM.Allocate"]));
    if !may_allocate {
        return Err(Refusal::Denied(format!(
            "Permission check failed (/vms/{vmid}, VM.Allocate)"
        )));
    }
    if let Some(pool) = pool.filter(|pool| !model.pools.contains_key(*pool)) {
        return Err(Refusal::Failed(format!("pool '{pool}' does not exist")));
    }
    let set = options(call);
    check_options(model, call, vmid, &set, &[])?;
    check_disks(model, call, vmid, &set)?;
    model.reserve(vmid, node)?;
    if let Some(pool) = pool.and_then(|pool| model.pools.get_mut(pool)) {
        pool.guests.insert(vmid);
    }
    let work = Work::Create {
        vmid,
        set,
        dice: call.dice.clone(),
        start: call.is_on("start"),
    };
    Outcome::job(Job::on_guest("qmcreate", node, vmid, work))
}

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let mine = model.guests.iter().filter(|(vmid, guest)| {
        guest.node == call.node() && call.may(model, &format!("/vms/{vmid}"), &["VM.Audit"])
    });
    let all: Vec<Value> = mine
        .map(|(vmid, guest)| Value::Object(entry(*vmid, guest, call.now)))
        .collect();
    Outcome::data(all)
}

/// Fields that list, status and resources share.
pub(super) fn entry(vmid: u32, guest: &Guest, now: i64) -> Map<String, Value> {
    let status = if guest.running.is_some() {
        "running"
    } else {
        "stopped"
    };
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("vmid", json!(vmid));
    put(
        "name",
        json!(
            guest
                .value("name")
                .map_or_else(|| format!("VM {vmid}"), str::to_owned)
        ),
    );
    put("status", json!(status));
    put("cpus", json!(guest.cpus()));
    put("maxmem", json!(guest.memory_mib() << 20));
    put("maxdisk", json!(guest.boot_disk_bytes()));
    put(
        "uptime",
        json!(
            guest
                .running
                .as_ref()
                .map_or(0, |running| (now - running.since).max(0))
        ),
    );
    for counter in ["cpu", "disk", "mem", "memhost", "netin", "netout"] {
        put(counter, json!(0));
    }
    if let Some(tags) = guest.value("tags") {
        put("tags", json!(tags));
    }
    if guest.is_set("template") {
        put("template", json!(1));
    }
    if guest.config.keys().any(|key| is_numbered(key, "serial")) {
        put("serial", json!(1));
    }
    if let Some(lock) = guest.value("lock") {
        put("lock", json!(lock));
    }
    if let Some(running) = &guest.running {
        put("pid", json!(running.pid));
    }
    fields
}

pub(crate) fn config(model: &Model, call: &Call) -> Answer {
    let guest = model.guest(call.vmid())?;
    if let Some(name) = call.get("snapshot") {
        let snapshot = guest.snapshots.get(name);
        let snapshot = snapshot.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        return Outcome::data(Value::Object(shown(&snapshot.config)));
    }
    let config = if call.is_on("current") {
        guest.config.clone()
    } else {
        guest.merged()
    };
    let mut fields = shown(&config);
    fields.insert("digest".to_owned(), json!(guest.digest()));
    if let Some(parent) = &guest.parent {
        fields.insert("parent".to_owned(), json!(parent));
    }
    Outcome::data(Value::Object(fields))
}

fn shown(config: &BTreeMap<String, String>) -> Map<String, Value> {
    config
        .iter()
        .map(|(key, value)| (key.clone(), typed(key, value)))
        .collect()
}

/// Booleans and integers are numbers, everything else is a text (`memory` too); passwords are hidden.
fn typed(key: &str, value: &str) -> Value {
    if key == "cipassword" {
        return json!("**********");
    }
    let is_number = matches!(
        config_kind(key),
        Some(Shape::Boolean | Shape::Integer | Shape::Number)
    );
    match value.parse::<i64>() {
        Ok(number) if is_number => json!(number),
        _ => json!(value),
    }
}

pub(crate) fn pending(model: &Model, call: &Call) -> Answer {
    let guest = model.guest(call.vmid())?;
    let mut all = Vec::new();
    for (key, value) in &guest.config {
        let mut item = json!({"key": key, "value": typed(key, value)});
        match guest.pending.get(key) {
            Some(Some(next)) => item["pending"] = typed(key, next),
            Some(None) => item["delete"] = json!(1),
            None => {}
        }
        all.push(item);
    }
    let new = guest
        .pending
        .iter()
        .filter(|(key, _)| !guest.config.contains_key(*key));
    for (key, value) in new {
        if let Some(value) = value {
            all.push(json!({"key": key, "pending": typed(key, value)}));
        }
    }
    all.push(json!({"key": "digest", "value": guest.digest()}));
    Outcome::data(all)
}

fn change(model: &Model, call: &Call) -> Result<Change, Refusal> {
    let vmid = call.vmid();
    model.guest(vmid)?;
    if call.is_on("skiplock") && !call.who.is_root() {
        return Err(Refusal::Parameters(BTreeMap::from([(
            "skiplock".to_owned(),
            "Only root may use this option.".to_owned(),
        )])));
    }
    let set = options(call);
    let (delete, revert) = (call.split("delete"), call.split("revert"));
    for key in &delete {
        if set.contains_key(key) {
            let text = format!("duplicate setting, can't set and delete '{key}' at the same time");
            return Err(Refusal::parameter(key, text));
        }
        if config_kind(key).is_none() {
            return Err(Refusal::parameter(
                "delete",
                format!("unknown option '{key}'"),
            ));
        }
    }
    if set.is_empty() && delete.is_empty() && revert.is_empty() {
        return Err(Refusal::Failed("no options specified".to_owned()));
    }
    if let Some(script) = set
        .get("hookscript")
        .filter(|script| !model.shelf.contains_key(*script))
    {
        return Err(Refusal::parameter(
            "hookscript",
            format!("script '{script}' does not exist\n"),
        ));
    }
    check_options(model, call, vmid, &set, &delete)?;
    check_disks(model, call, vmid, &set)?;
    let digest = call.get("digest").map(str::to_owned);
    Ok(Change {
        set,
        delete,
        revert,
        force: call.is_on("force"),
        digest,
    })
}

pub(crate) fn put_config(model: &mut Model, call: &Call) -> Answer {
    let change = change(model, call)?;
    model.change(call.vmid(), &change, &call.dice, call.now)?;
    Outcome::nothing()
}

pub(crate) fn post_config(model: &Model, call: &Call) -> Answer {
    let change = change(model, call)?;
    let vmid = call.vmid();
    let mut summary = vec![format!("update VM {vmid}:")];
    for (key, value) in &change.set {
        let shown = if key == "cipassword" {
            "<hidden>"
        } else {
            value
        };
        summary.push(format!("-{key} {shown}"));
    }
    if !change.delete.is_empty() {
        summary.push(format!("-delete {}", change.delete.join(",")));
    }
    let summary = summary.join(" ");
    let work = Work::Configure {
        vmid,
        change,
        dice: call.dice.clone(),
        summary,
    };
    Outcome::job(Job::on_guest("qmconfig", call.node(), vmid, work))
}

pub(crate) fn delete(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    model.assert_removable(vmid)?;
    let unreferenced = call.is_on("destroy-unreferenced-disks");
    let work = Work::Destroy {
        vmid,
        purge: call.is_on("purge"),
        unreferenced,
    };
    Outcome::job(Job::on_guest("qmdestroy", call.node(), vmid, work))
}

pub(crate) fn cloudinit(model: &Model, call: &Call) -> Answer {
    let guest = model.guest(call.vmid())?;
    let keys = [
        "ciuser",
        "cipassword",
        "sshkeys",
        "nameserver",
        "searchdomain",
    ];
    let set = keys
        .iter()
        .filter_map(|key| Some(json!({"key": key, "value": typed(key, guest.value(key)?)})));
    Outcome::data(set.collect::<Vec<_>>())
}

pub(crate) fn regenerate_cloudinit(model: &mut Model, call: &Call) -> Answer {
    let guest = model.guest(call.vmid())?;
    guest.assert_unlocked()?;
    Outcome::nothing()
}
