//! Simple zones, vnets and subnets: written to one configuration, applied to all nodes at once.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::{
        cluster::Model,
        digest::digest,
        sdn::{Entries, SdnConfig, is_on},
    },
    world::World,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One of the three lists.
type List = fn(&SdnConfig) -> &Entries;

fn zones_of(config: &SdnConfig) -> &Entries {
    &config.zones
}

fn vnets_of(config: &SdnConfig) -> &Entries {
    &config.vnets
}

fn subnets_of(config: &SdnConfig) -> &Entries {
    &config.subnets
}

/// Switches are numbers, everything else is text.
fn typed(key: &str, value: &str) -> Value {
    match (key, value.parse::<u64>()) {
        ("mtu" | "isolate-ports" | "vlanaware" | "snat" | "tag", Ok(number)) => json!(number),
        _ => json!(value),
    }
}

/// An entry as it is listed: configured, running, or what runs with what waits beside it.
fn shown(model: &Model, call: &Call, name: &str, id: &str, list: List) -> Option<Value> {
    let staged = list(&model.sdn.staged).get(id);
    let running = list(&model.sdn.running).get(id);
    let fields = |options: &BTreeMap<String, String>| -> Map<String, Value> {
        let all = options.iter();
        all.map(|(key, value)| (key.clone(), typed(key, value)))
            .collect()
    };
    if call.is_on("running") {
        let mut out = fields(running?);
        out.insert(name.to_owned(), json!(id));
        out.insert("digest".to_owned(), Value::Null);
        return Some(Value::Object(out));
    }
    if !call.is_on("pending") {
        let mut out = fields(staged?);
        out.insert(name.to_owned(), json!(id));
        out.insert(
            "digest".to_owned(),
            json!(digest(&format!("{:?}", list(&model.sdn.staged)))),
        );
        return Some(Value::Object(out));
    }
    let mut out = running.map(fields).unwrap_or_default();
    let mut pending = Map::new();
    let none = BTreeMap::new();
    let (was, is) = (running.unwrap_or(&none), staged.unwrap_or(&none));
    for (key, value) in is {
        if key == "type" {
            out.insert(key.clone(), typed(key, value));
        } else if was.get(key) != Some(value) {
            pending.insert(key.clone(), typed(key, value));
        }
    }
    if staged.is_some() {
        for key in was.keys().filter(|key| !is.contains_key(*key)) {
            pending.insert(key.clone(), json!("deleted"));
        }
    }
    let state = match (running, staged) {
        (None, Some(_)) => Some("new"),
        (Some(_), None) => Some("deleted"),
        (Some(was), Some(is)) if was != is => Some("changed"),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some(state) = state {
        out.insert("state".to_owned(), json!(state));
        out.insert("pending".to_owned(), Value::Object(pending));
    }
    out.insert(name.to_owned(), json!(id));
    out.insert("digest".to_owned(), Value::Null);
    Some(Value::Object(out))
}

fn listed(model: &Model, call: &Call, name: &str, list: List) -> Vec<Value> {
    let mut ids: Vec<&String> = list(&model.sdn.staged).keys().collect();
    ids.extend(list(&model.sdn.running).keys());
    ids.sort();
    ids.dedup();
    ids.into_iter()
        .filter(|id| {
            let path = path_of(model, name, id);
            call.may(model, &path, &["SDN.Audit"]) || call.may(model, &path, &["SDN.Allocate"])
        })
        .filter_map(|id| shown(model, call, name, id, list))
        .collect()
}

fn path_of(model: &Model, name: &str, id: &str) -> String {
    if name == "zone" {
        return format!("/sdn/zones/{id}");
    }
    let vnet = if name == "vnet" {
        id.to_owned()
    } else {
        let subnet = model.sdn.staged.subnets.get(id);
        subnet
            .and_then(|subnet| subnet.get("vnet"))
            .cloned()
            .unwrap_or_default()
    };
    let zone = model
        .sdn
        .staged
        .vnets
        .get(&vnet)
        .and_then(|vnet| vnet.get("zone"));
    format!("/sdn/zones/{}/{vnet}", zone.map_or("", String::as_str))
}

fn given(call: &Call, without: &[&str]) -> BTreeMap<String, String> {
    // Defaults of other kinds of zones are not written down.
    let own = [
        "digest",
        "delete",
        "lock-token",
        "vlan-protocol",
        "vxlan-port",
    ];
    call.given
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()) && !without.contains(&name.as_str()))
        .map(|(name, values)| (name.clone(), values.concat()))
        .collect()
}

fn change(entries: &mut Entries, id: &str, call: &Call, without: &[&str]) -> Answer {
    let own = digest(&format!("{entries:?}"));
    if call.get("digest").is_some_and(|given| given != own) {
        return Err(Refusal::Failed(
            "detected modified configuration - file changed by other user? Try again.".to_owned(),
        ));
    }
    let entry = entries
        .get_mut(id)
        .ok_or_else(|| format!("sdn '{id}' does not exist"))?;
    for key in call.split("delete") {
        entry.remove(&key);
    }
    entry.extend(given(call, without));
    Outcome::nothing()
}

pub(crate) fn zones(model: &Model, call: &Call) -> Answer {
    let mut all = listed(model, call, "zone", zones_of);
    if let Some(kind) = call.get("type") {
        all.retain(|zone| zone["type"] == kind);
    }
    Outcome::data(all)
}

pub(crate) fn create_zone(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("zone").to_owned();
    if model.sdn.staged.zones.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create sdn zone object failed: sdn zone object ID '{id}' already defined"
        )));
    }
    model.sdn.staged.zones.insert(id, given(call, &["zone"]));
    Outcome::nothing()
}

pub(crate) fn update_zone(model: &mut Model, call: &Call) -> Answer {
    change(
        &mut model.sdn.staged.zones,
        call.text("zone"),
        call,
        &["zone"],
    )
}

pub(crate) fn delete_zone(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("zone");
    let mut vnets = model.sdn.staged.vnets.iter();
    if let Some((vnet, _)) = vnets.find(|(_, vnet)| vnet.get("zone").is_some_and(|zone| zone == id))
    {
        return Err(Refusal::Failed(format!(
            "delete sdn zone object failed: zone {id} is used by vnet {vnet} at \
             /usr/share/perl5/PVE/Network/SDN/Zones/Plugin.pm line 149.\n"
        )));
    }
    let gone = model.sdn.staged.zones.remove(id);
    gone.ok_or_else(|| format!("delete sdn zone object failed: sdn '{id}' does not exist"))?;
    Outcome::nothing()
}

pub(crate) fn vnets(model: &Model, call: &Call) -> Answer {
    Outcome::data(listed(model, call, "vnet", vnets_of))
}

pub(crate) fn create_vnet(model: &mut Model, call: &Call) -> Answer {
    let (id, zone) = (call.text("vnet").to_owned(), call.text("zone"));
    if model.sdn.staged.vnets.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create sdn vnet object failed: sdn vnet object ID '{id}' already defined"
        )));
    }
    if !model.sdn.staged.zones.contains_key(zone) {
        return Err(Refusal::Failed(format!(
            "create sdn vnet object failed: sdn '{zone}' does not exist"
        )));
    }
    let mut options = given(call, &["vnet"]);
    options.insert("type".to_owned(), "vnet".to_owned());
    model.sdn.staged.vnets.insert(id, options);
    Outcome::nothing()
}

pub(crate) fn update_vnet(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("vnet");
    call.needs(model, &path_of(model, "vnet", id), &["SDN.Allocate"])?;
    change(&mut model.sdn.staged.vnets, id, call, &["vnet"])
}

pub(crate) fn delete_vnet(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("vnet");
    call.needs(model, &path_of(model, "vnet", id), &["SDN.Allocate"])?;
    let mut subnets = model.sdn.staged.subnets.values();
    if subnets.any(|subnet| subnet.get("vnet").is_some_and(|vnet| vnet == id)) {
        return Err(Refusal::Failed(
            "delete sdn vnet object failed: Can't delete vnet if subnets exists".to_owned(),
        ));
    }
    let gone = model.sdn.staged.vnets.remove(id);
    gone.ok_or_else(|| format!("delete sdn vnet object failed: sdn '{id}' does not exist"))?;
    Outcome::nothing()
}

pub(crate) fn subnets(model: &Model, call: &Call) -> Answer {
    let all = listed(model, call, "subnet", subnets_of);
    let own = all
        .into_iter()
        .filter(|subnet| subnet["vnet"] == call.text("vnet"));
    Outcome::data(own.collect::<Vec<_>>())
}

pub(crate) fn create_subnet(model: &mut Model, call: &Call) -> Answer {
    let vnet = call.text("vnet");
    let path = path_of(model, "vnet", vnet);
    call.needs(model, &path, &["SDN.Allocate"])?;
    let zone = model
        .sdn
        .staged
        .vnets
        .get(vnet)
        .and_then(|vnet| vnet.get("zone"))
        .ok_or_else(|| format!("create sdn subnet object failed: sdn '{vnet}' does not exist"))?;
    let id = format!("{zone}-{}", call.text("subnet").replace('/', "-"));
    if model.sdn.staged.subnets.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create sdn subnet object failed: sdn subnet object ID '{id}' already defined"
        )));
    }
    let mut options = given(call, &["subnet"]);
    options.insert("cidr".to_owned(), call.text("subnet").to_owned());
    model.sdn.staged.subnets.insert(id, options);
    Outcome::nothing()
}

pub(crate) fn delete_subnet(model: &mut Model, call: &Call) -> Answer {
    let path = path_of(model, "vnet", call.text("vnet"));
    call.needs(model, &path, &["SDN.Allocate"])?;
    let id = call.text("subnet");
    let gone = model.sdn.staged.subnets.remove(id);
    gone.ok_or_else(|| format!("delete sdn subnet object failed: sdn '{id}' does not exist"))?;
    Outcome::nothing()
}

pub(crate) fn rollback(model: &mut Model, _: &Call) -> Answer {
    model.sdn.staged = model.sdn.running.clone();
    Outcome::nothing()
}

pub(crate) fn apply(model: &Model, _: &Call) -> Answer {
    let node = model.nodes.keys().next().cloned().unwrap_or_default();
    let job = Job {
        kind: "reloadnetworkall",
        id: String::new(),
        node,
        work: Work::ApplySdn,
    };
    Outcome::job(job)
}

/// The zones of a node: in force as soon as they are applied.
pub(crate) fn status(model: &Model, call: &Call) -> Answer {
    let node = call.node();
    let zones = model.sdn.running.zones.iter();
    let mine = zones.filter(|(id, zone)| {
        is_on(zone, node) && call.may(model, &format!("/sdn/zones/{id}"), &["SDN.Audit"])
    });
    let state = if model.nodes.get(node).is_some_and(|node| node.sdn_lags) {
        "pending"
    } else {
        "available"
    };
    Outcome::data(
        mine.map(|(id, _)| json!({"zone": id, "status": state}))
            .collect::<Vec<_>>(),
    )
}

impl World {
    /// A node that has not loaded the software-defined network which is applied.
    pub fn lag_sdn(&self, node: &str) {
        self.change(|model| {
            if let Some(node) = model.nodes.get_mut(node) {
                node.sdn_lags = true;
            }
        });
    }
}
