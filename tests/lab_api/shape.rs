//! Comparing two answers: the same fields with the same types, whatever the values.

use serde_json::{Map, Value};

/// Every way in which `ours` differs from `theirs`.
pub(crate) fn differences(theirs: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", theirs, ours, &mut found);
    found
}

fn compare(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => fields(path, theirs, ours, found),
        (Value::Array(theirs), Value::Array(ours)) => items(path, theirs, ours, found),
        _ if kind(theirs) == kind(ours) => {}
        _ => found.push(format!(
            "{path} is a {}, recorded a {}",
            kind(ours),
            kind(theirs)
        )),
    }
}

fn fields(
    path: &str,
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    for (name, value) in theirs {
        match ours.get(name) {
            Some(own) => compare(&format!("{path}.{name}"), value, own, found),
            None => found.push(format!("{path}.{name} is missing")),
        }
    }
    let more = ours.keys().filter(|name| !theirs.contains_key(*name));
    found.extend(more.map(|name| format!("{path}.{name} was not recorded")));
}

/// Items with a name are compared by it; lines of a log only by their form.
fn items(path: &str, theirs: &[Value], ours: &[Value], found: &mut Vec<String>) {
    if theirs.first().is_some_and(|item| item.get("n").is_some()) {
        match (theirs.first(), ours.first()) {
            (Some(first), Some(own)) => compare(&format!("{path}[]"), first, own, found),
            _ => found.push(format!("{path} is empty")),
        }
        return;
    }
    let identity = [
        "vmid", "upid", "key", "volid", "storage", "roleid", "macro", "iface", "pos", "ugid",
        "sid", "ref", "name", "cidr", "group", "poolid", "id",
    ];
    let identity = identity.iter().find(|name| {
        theirs
            .iter()
            .chain(ours)
            .all(|item| item.get(**name).is_some())
    });
    let Some(identity) = identity.filter(|name| **name != "upid") else {
        if theirs.len() != ours.len() {
            found.push(format!(
                "{path} has {} items, recorded {}",
                ours.len(),
                theirs.len()
            ));
        }
        for (number, (item, own)) in theirs.iter().zip(ours).enumerate() {
            compare(&format!("{path}[{number}]"), item, own, found);
        }
        return;
    };
    for item in theirs {
        let name = &item[*identity];
        match ours.iter().find(|own| own[*identity] == *name) {
            Some(own) => compare(&format!("{path}[{name}]"), item, own, found),
            None => found.push(format!("{path}[{name}] is missing")),
        }
    }
    for own in ours {
        let name = &own[*identity];
        if !theirs.iter().any(|item| item[*identity] == *name) {
            found.push(format!("{path}[{name}] was not recorded"));
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
