//! High availability: which guests, and by which rules.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{cluster::Model, digest::digest},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn status(model: &Model, _call: &Call) -> Answer {
    let node = model.nodes.keys().next().cloned().unwrap_or_default();
    let mut all = vec![
        json!({"id": "quorum", "node": node, "quorate": 1, "status": "OK", "type": "quorum"}),
        json!({"armed-state": "standby", "id": "fencing", "node": node, "status": "standby (CRM watchdog standby)", "type": "fencing"}),
    ];
    all.extend(model.ha.iter().map(|(sid, options)| {
        let state = options.get("state").map_or("started", String::as_str);
        let guest = vmid(sid).and_then(|vmid| model.guests.get(&vmid));
        let node = guest.map_or("", |guest| guest.node.as_str());
        json!({
            "id": format!("service:{sid}"), "sid": sid, "node": node, "type": "service", "state": state,
            "crm_state": state, "request_state": state, "max_restart": 1, "max_relocate": 1, "failback": 1,
            "status": format!("{sid} ({node}, {state})"),
        })
    }));
    Outcome::data(all)
}

pub(crate) fn groups(_model: &Model, _call: &Call) -> Answer {
    Err(Refusal::Failed(
        "cannot index groups: ha groups have been migrated to rules".to_owned(),
    ))
}

fn resources_digest(model: &Model) -> String {
    digest(&format!("{:?}", model.ha))
}

fn rules_digest(model: &Model) -> String {
    digest(&format!("{:?}", model.ha_rules))
}

fn shown(id: (&str, &str), options: &BTreeMap<String, String>, digest: &str) -> Value {
    let mut item = json!({"digest": digest});
    item[id.0] = json!(id.1);
    for (name, value) in options {
        item[name] = value
            .parse::<i64>()
            .map_or_else(|_| json!(value), |number| json!(number));
    }
    item
}

fn resource(model: &Model, sid: &str, options: &BTreeMap<String, String>) -> Value {
    let mut item = shown(("sid", sid), options, &resources_digest(model));
    item["type"] = json!("vm");
    if item.get("state").is_none() {
        item["state"] = json!("started");
    }
    item
}

pub(crate) fn resources(model: &Model, _call: &Call) -> Answer {
    let all = model
        .ha
        .iter()
        .map(|(sid, options)| resource(model, sid, options));
    Outcome::data(all.collect::<Vec<_>>())
}

pub(crate) fn one_resource(model: &Model, call: &Call) -> Answer {
    let sid = sid(call);
    let options = model
        .ha
        .get(&sid)
        .ok_or_else(|| format!("no such resource '{sid}'"))?;
    Outcome::data(resource(model, &sid, options))
}

/// What was given and is stored.
fn given(call: &Call, beside: &[&str]) -> BTreeMap<String, String> {
    call.given
        .iter()
        .filter(|(name, _)| !beside.contains(&name.as_str()))
        .map(|(name, values)| (name.clone(), values.concat()))
        .collect()
}

fn assert_digest(call: &Call, own: &str, doing: &str) -> Result<(), Refusal> {
    match call.get("digest") {
        Some(given) if given != own => Err(Refusal::Failed(format!(
            "{doing}: detected modified configuration - file changed by other user? Try again."
        ))),
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn add_resource(model: &mut Model, call: &Call) -> Answer {
    let sid = sid(call);
    if model.ha.contains_key(&sid) {
        return Err(Refusal::Failed(format!(
            "create resource failed: resource ID '{sid}' already defined"
        )));
    }
    if vmid(&sid).is_none_or(|vmid| !model.guests.contains_key(&vmid)) {
        return Err(Refusal::Failed(format!("unable to read resource '{sid}'")));
    }
    let options = given(call, &["sid", "type"]);
    model.ha.insert(sid, options);
    Outcome::nothing()
}

pub(crate) fn update_resource(model: &mut Model, call: &Call) -> Answer {
    let sid = sid(call);
    assert_digest(call, &resources_digest(model), "update resource failed")?;
    let options = model
        .ha
        .get_mut(&sid)
        .ok_or_else(|| format!("update resource failed: no such resource '{sid}'"))?;
    options.extend(given(call, &["sid", "type", "digest", "delete"]));
    for name in call.split("delete") {
        options.remove(&name);
    }
    Outcome::nothing()
}

pub(crate) fn delete_resource(model: &mut Model, call: &Call) -> Answer {
    let sid = sid(call);
    if !model.ha.contains_key(&sid) {
        return Err(Refusal::Failed(format!(
            "delete resource failed: no such resource '{sid}'"
        )));
    }
    if call.get("purge").is_none_or(|purge| purge == "1") {
        model.unmanage(&sid);
    } else {
        model.ha.remove(&sid);
    }
    Outcome::nothing()
}

fn sid(call: &Call) -> String {
    let text = call.text("sid");
    if text.contains(':') {
        text.to_owned()
    } else {
        format!("vm:{text}")
    }
}

fn vmid(sid: &str) -> Option<u32> {
    sid.strip_prefix("vm:")?.parse().ok()
}

fn rule(model: &Model, name: &str, options: &BTreeMap<String, String>) -> Value {
    shown(("rule", name), options, &rules_digest(model))
}

pub(crate) fn rules(model: &Model, call: &Call) -> Answer {
    let (kind, resource) = (call.get("type"), call.get("resource"));
    let fits = |options: &BTreeMap<String, String>| {
        kind.is_none_or(|kind| options.get("type").map(String::as_str) == Some(kind))
            && resource.is_none_or(|wanted| {
                let all = options.get("resources");
                all.is_some_and(|all| all.split(',').any(|one| one == wanted))
            })
    };
    let mine = model.ha_rules.iter().filter(|(_, options)| fits(options));
    Outcome::data(
        mine.map(|(name, options)| rule(model, name, options))
            .collect::<Vec<_>>(),
    )
}

pub(crate) fn one_rule(model: &Model, call: &Call) -> Answer {
    let name = call.text("rule");
    let options = model
        .ha_rules
        .get(name)
        .ok_or_else(|| format!("no such ha rule '{name}'"))?;
    Outcome::data(rule(model, name, options))
}

/// What Proxmox checks of a whole rule: its guests are managed, its nodes exist, and it can be kept.
fn check_rule(
    model: &Model,
    name: &str,
    options: &BTreeMap<String, String>,
    doing: &str,
) -> Result<(), Refusal> {
    let list = |key: &str| -> BTreeSet<&str> {
        options
            .get(key)
            .into_iter()
            .flat_map(|all| all.split([',', ';', ' ']))
            .filter(|one| !one.is_empty())
            .collect()
    };
    let resources = list("resources");
    let unmanaged: Vec<&str> = resources
        .iter()
        .copied()
        .filter(|sid| !model.ha.contains_key(*sid))
        .collect();
    if !unmanaged.is_empty() {
        return Err(Refusal::Failed(format!(
            "{doing}: cannot use unmanaged resource(s) {}.",
            unmanaged.join(", ")
        )));
    }
    let unknown: Vec<&str> = list("nodes")
        .into_iter()
        .map(|entry| entry.split(':').next().unwrap_or(entry))
        .filter(|node| !model.nodes.contains_key(*node))
        .collect();
    if !unknown.is_empty() {
        return Err(Refusal::Failed(format!(
            "{doing}: cannot use non-existant node(s) {}.",
            unknown.join(", ")
        )));
    }
    let is_node_rule = |options: &BTreeMap<String, String>| {
        options.get("type").map(String::as_str) == Some("node-affinity")
    };
    let twice = is_node_rule(options)
        && model.ha_rules.iter().any(|(other, theirs)| {
            other != name
                && is_node_rule(theirs)
                && theirs
                    .get("resources")
                    .is_some_and(|all| all.split(',').any(|one| resources.contains(one)))
        });
    if twice {
        return Err(Refusal::parameter(
            "resources",
            "resource is already used in another node affinity rule",
        ));
    }
    if !is_node_rule(options) && resources.len() < 2 {
        return Err(Refusal::parameter(
            "resources",
            "rule is ineffective as there are less than two resources",
        ));
    }
    let apart = options.get("affinity").map(String::as_str) == Some("negative");
    if apart && resources.len() > model.nodes.len() {
        return Err(Refusal::parameter(
            "resources",
            "rule defines more resources than available nodes",
        ));
    }
    Ok(())
}

pub(crate) fn add_rule(model: &mut Model, call: &Call) -> Answer {
    const DOING: &str = "create ha rule failed";
    let name = call.text("rule").to_owned();
    if model.ha_rules.contains_key(&name) {
        return Err(Refusal::Failed(format!(
            "{DOING}: HA rule '{name}' already defined"
        )));
    }
    let mut options = given(call, &["rule"]);
    let needed = match call.text("type") {
        "node-affinity" => "nodes",
        _ => "affinity",
    };
    for key in ["resources", needed] {
        if !options.contains_key(key) {
            return Err(Refusal::parameter(
                key,
                "property is missing and it is not optional",
            ));
        }
    }
    check_rule(model, &name, &options, DOING)?;
    let order = |rule: &BTreeMap<String, String>| rule.get("order")?.parse::<u32>().ok();
    let next = model.ha_rules.values().filter_map(order).max().unwrap_or(0) + 1;
    options.insert("order".to_owned(), next.to_string());
    model.ha_rules.insert(name, options);
    Outcome::nothing()
}

pub(crate) fn update_rule(model: &mut Model, call: &Call) -> Answer {
    const DOING: &str = "update HA rules failed";
    let name = call.text("rule").to_owned();
    assert_digest(call, &rules_digest(model), DOING)?;
    let mut options = model
        .ha_rules
        .get(&name)
        .cloned()
        .ok_or_else(|| format!("{DOING}: HA rule '{name}' does not exist"))?;
    options.extend(given(call, &["rule", "type", "digest", "delete"]));
    for key in call.split("delete") {
        options.remove(&key);
    }
    check_rule(model, &name, &options, DOING)?;
    model.ha_rules.insert(name, options);
    Outcome::nothing()
}

/// Deleting a rule that is not there is fine, as in the real one.
pub(crate) fn delete_rule(model: &mut Model, call: &Call) -> Answer {
    model.ha_rules.remove(call.text("rule"));
    Outcome::nothing()
}
