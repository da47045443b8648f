//! The cluster as a whole.

use super::guest::entry;
use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{
        cluster::{Model, Node},
        guest::Guest,
    },
};
use serde_json::{Value, json};

/// The version that this lab answers like.
pub(super) const VERSION: &str = "9.2.11";

pub(crate) fn version(_model: &Model, _call: &Call) -> Answer {
    Outcome::data(json!({"release": "9.2", "repoid": "14a22df3", "version": VERSION}))
}

pub(crate) fn next_id(model: &Model, call: &Call) -> Answer {
    let Some(vmid) = call.number::<u32>("vmid") else {
        return Outcome::data(model.next_vmid().to_string());
    };
    if model.guests.contains_key(&vmid) {
        return Err(Refusal::parameter(
            "vmid",
            format!("VM {vmid} already exists"),
        ));
    }
    Outcome::data(vmid.to_string())
}

pub(crate) fn status(model: &Model, _call: &Call) -> Answer {
    let alone = model.nodes.len() == 1;
    let all = model.nodes.iter().enumerate().map(|(index, (name, node))| {
        json!({
            "id": format!("node/{name}"), "name": name, "type": "node", "ip": node.address, "level": "",
            "local": i32::from(index == 0), "online": i32::from(!node.is_off), "nodeid": if alone { 0 } else { index + 1 },
        })
    });
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn resources(model: &Model, call: &Call) -> Answer {
    let wanted = call.get("type");
    let wants = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
    let mut all = Vec::new();
    if wants("vm") {
        let mine = model
            .guests
            .iter()
            .filter(|(vmid, _)| call.may(model, &format!("/vms/{vmid}"), &["VM.Audit"]));
        all.extend(mine.map(|(vmid, guest)| resource(model, *vmid, guest, call.now)));
    }
    if wants("node") {
        let mine = model
            .nodes
            .iter()
            .filter(|(name, _)| call.may(model, &format!("/nodes/{name}"), &["Sys.Audit"]));
        all.extend(mine.map(|(name, node)| node_resource(name, node, call.now)));
    }
    if wants("storage") {
        for (id, storage) in &model.storages.all {
            if !call.may(model, &format!("/storage/{id}"), &["Datastore.Audit"]) {
                continue;
            }
            for (name, node) in &model.nodes {
                let mut item = json!({
                    "id": format!("storage/{name}/{id}"), "node": name, "storage": id, "type": "storage",
                    "content": super::storage::content_of(storage), "plugintype": storage.kind,
                    "shared": i32::from(storage.shared), "status": "unknown",
                });
                if node.is_counted {
                    item["status"] = json!("available");
                    item["disk"] = json!(model.storages.used(id, &model.shelf));
                    item["maxdisk"] = json!(storage.capacity);
                }
                all.push(item);
            }
        }
    }
    if wants("network") || wants("sdn") {
        all.extend(model.nodes.keys().map(|name| {
            json!({
                "id": format!("network/{name}/zone/localnetwork"), "node": name, "type": "network",
                "network": "localnetwork", "network-type": "zone", "status": "ok",
            })
        }));
    }
    Outcome::data(all)
}

fn node_resource(name: &str, node: &Node, now: i64) -> Value {
    if node.is_off {
        return json!({"id": format!("node/{name}"), "node": name, "type": "node", "status": "offline"});
    }
    if !node.is_counted {
        return json!({"id": format!("node/{name}"), "node": name, "type": "node", "status": "unknown"});
    }
    json!({
        "id": format!("node/{name}"), "node": name, "type": "node", "status": "online", "level": "", "cpu": 0,
        "maxcpu": 2, "mem": 1_188_524_032_u64, "maxmem": 25_276_510_208_u64, "disk": 28_548_001_792_u64,
        "maxdisk": 270_553_174_016_u64, "uptime": (now - node.booted).max(0), "cgroup-mode": 2,
    })
}

/// A guest among the resources: before the first statistics round after its creation its state is unknown.
pub(super) fn resource(model: &Model, vmid: u32, guest: &Guest, now: i64) -> Value {
    let id = format!("qemu/{vmid}");
    let mut fields = if guest.is_counted {
        let mut fields = entry(vmid, guest, now);
        for key in ["serial", "pid"] {
            fields.remove(key);
        }
        let status = if guest.was_running {
            "running"
        } else {
            "stopped"
        };
        fields.insert("status".to_owned(), json!(status));
        let cpus = fields.remove("cpus").unwrap_or_default();
        fields.insert("maxcpu".to_owned(), cpus);
        fields.insert(
            "template".to_owned(),
            json!(i32::from(guest.is_set("template"))),
        );
        fields.insert("diskread".to_owned(), json!(0));
        fields.insert("diskwrite".to_owned(), json!(0));
        Value::Object(fields)
    } else {
        let mut fields = json!({"vmid": vmid, "status": "unknown"});
        if let Some(tags) = guest.value("tags") {
            fields["tags"] = json!(tags);
        }
        fields
    };
    fields["id"] = json!(id);
    fields["node"] = json!(guest.node);
    fields["type"] = json!("qemu");
    if let Some((pool, _)) = model
        .pools
        .iter()
        .find(|(_, pool)| pool.guests.contains(&vmid))
    {
        fields["pool"] = json!(pool);
    }
    if let Some(ha) = model.ha.get(&format!("vm:{vmid}")) {
        fields["hastate"] = json!(ha.get("state").map_or("started", String::as_str));
    }
    fields
}

pub(crate) fn options(_model: &Model, _call: &Call) -> Answer {
    Outcome::data(json!({"allowed-tags": [], "description": "", "mac_prefix": "BC:24:11"}))
}

pub(crate) fn empty(_model: &Model, _call: &Call) -> Answer {
    Outcome::data(json!([]))
}
