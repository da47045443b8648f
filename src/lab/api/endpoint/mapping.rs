//! Resource mappings: directories for virtiofs, PCI devices.

use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    model::{
        cluster::{GRAPHICS, Mapping, Model},
        digest::digest,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

const AUDIT: &[&str] = &["Mapping.Modify", "Mapping.Use", "Mapping.Audit"];

fn entries(model: &Model, call: &Call, kind: &str, all: &BTreeMap<String, Mapping>) -> Vec<Value> {
    let digest = digest(&format!("{all:?}"));
    let mine = all
        .iter()
        .filter(|(id, _)| call.may(model, &format!("/mapping/{kind}/{id}"), AUDIT));
    mine.map(|(id, mapping)| {
        let mut item = json!({"id": id, "map": mapping.map, "type": kind, "digest": digest});
        if let Some(description) = &mapping.description {
            item["description"] = json!(description);
        }
        item
    })
    .collect()
}

pub(crate) fn directories(model: &Model, call: &Call) -> Answer {
    let mut all = entries(model, call, "dir", &model.directories);
    if let Some(node) = call.get("check-node") {
        for item in &mut all {
            let id = item["id"].as_str().unwrap_or_default();
            let entry = model
                .directories
                .get(id)
                .and_then(|mapping| crate::lab::api::model::power::on_node(mapping, node));
            item["checks"] = match entry {
                None => {
                    json!([{"severity": "warning", "message": format!("No mapping for node {node}.")}])
                }
                Some(_) => json!([]),
            };
        }
    }
    Outcome::data(all)
}

pub(crate) fn directory(model: &Model, call: &Call) -> Answer {
    let id = call.text("id");
    let mapping = model
        .directories
        .get(id)
        .ok_or_else(|| format!("mapping '{id}' not found"))?;
    let mut fields = json!({"map": mapping.map, "type": "dir", "digest": digest(&format!("{:?}", model.directories))});
    if let Some(description) = &mapping.description {
        fields["description"] = json!(description);
    }
    Outcome::data(fields)
}

fn assert_paths(call: &Call) -> Result<(), Refusal> {
    for entry in call.list("map") {
        let path = entry
            .split(',')
            .find_map(|part| part.strip_prefix("path="))
            .unwrap_or_default();
        if !call.backend.has_directory(Path::new(path)) {
            return Err(Refusal::Failed(format!("Path {path} does not exist")));
        }
    }
    Ok(())
}

pub(crate) fn add_directory(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id").to_owned();
    if model.directories.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create directory mapping failed: dir ID '{id}' already defined"
        )));
    }
    assert_paths(call)?;
    let description = call.get("description").map(str::to_owned);
    model.directories.insert(
        id,
        Mapping {
            map: call.list("map"),
            description,
            ..Mapping::default()
        },
    );
    Outcome::nothing()
}

pub(crate) fn put_directory(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id");
    let current = digest(&format!("{:?}", model.directories));
    crate::lab::api::model::firewall::assert_unchanged(&current, call.get("digest"))?;
    assert_paths(call)?;
    let mapping = model.directories.get_mut(id);
    let mapping = mapping
        .ok_or_else(|| format!("update directory mapping failed: dir ID '{id}' does not exist"))?;
    if call.get("map").is_some() {
        mapping.map = call.list("map");
    }
    if let Some(description) = call.get("description") {
        mapping.description = Some(description.to_owned());
    }
    if call
        .split("delete")
        .iter()
        .any(|name| name == "description")
    {
        mapping.description = None;
    }
    Outcome::nothing()
}

pub(crate) fn delete_directory(model: &mut Model, call: &Call) -> Answer {
    model.directories.remove(call.text("id"));
    Outcome::nothing()
}

pub(crate) fn devices(model: &Model, call: &Call) -> Answer {
    let mut all = entries(model, call, "pci", &model.devices);
    if let Some(node) = call.get("check-node") {
        for item in &mut all {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            // The one PCI device that the lab's nodes have.
            let is_there = model.devices[&id]
                .map
                .iter()
                .flat_map(|entry| entry.split(','))
                .any(|part| part.strip_prefix("path=") == Some(GRAPHICS));
            if is_there {
                item["checks"] = json!([]);
                continue;
            }
            let message = format!("No device for mapping '{id}' found on node '{node}'");
            item["checks"] = json!([{"severity": "error", "message": message}]);
        }
    }
    Outcome::data(all)
}

pub(crate) fn add_device(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id").to_owned();
    if model.devices.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create hardware mapping failed: pci ID '{id}' already defined"
        )));
    }
    let description = call.get("description").map(str::to_owned);
    let options = call
        .given
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "id" | "map" | "description"));
    let options = options
        .map(|(name, values)| (name.clone(), values.concat()))
        .collect();
    model.devices.insert(
        id,
        Mapping {
            map: call.list("map"),
            description,
            options,
        },
    );
    Outcome::nothing()
}

pub(crate) fn usb_devices(model: &Model, call: &Call) -> Answer {
    let mut all = entries(model, call, "usb", &model.usb_devices);
    if let Some(node) = call.get("check-node") {
        for item in &mut all {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            // The lab's node has no USB devices to compare with.
            let message = format!("No device for mapping '{id}' found on node '{node}'");
            item["errors"] = json!([{"severity": "error", "message": message}]);
        }
    }
    Outcome::data(all)
}

pub(crate) fn add_usb_device(model: &mut Model, call: &Call) -> Answer {
    let id = call.text("id").to_owned();
    if model.usb_devices.contains_key(&id) {
        return Err(Refusal::Failed(format!(
            "create hardware mapping failed: usb ID '{id}' already defined"
        )));
    }
    let mapping = Mapping {
        map: call.list("map"),
        description: call.get("description").map(str::to_owned),
        ..Mapping::default()
    };
    model.usb_devices.insert(id, mapping);
    Outcome::nothing()
}

pub(crate) fn delete_usb_device(model: &mut Model, call: &Call) -> Answer {
    model.usb_devices.remove(call.text("id"));
    Outcome::nothing()
}

pub(crate) fn delete_device(model: &mut Model, call: &Call) -> Answer {
    model.devices.remove(call.text("id"));
    Outcome::nothing()
}
