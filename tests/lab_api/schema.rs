//! The endpoint table against the schema that was dumped from a running Proxmox VE 9.2.11, where it is present.

use infra::lab::api::described_endpoints;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs::File, io::Write as _, path::Path};

const SCHEMA: &str = "../shared/data/pve-api-schema-9.2.11.json.gz";

type Published = BTreeMap<(String, String), Value>;

fn published() -> Option<Published> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
    if !path.exists() {
        writeln!(std::io::stderr(), "SKIPPED: {SCHEMA} is not present").expect("stderr");
        return None;
    }
    let file = flate2::read::GzDecoder::new(File::open(path).expect("readable"));
    let tree: Vec<Value> = serde_json::from_reader(file).expect("JSON");
    let mut all = Published::new();
    for node in &tree {
        collect(node, &mut all);
    }
    Some(all)
}

fn collect(node: &Value, all: &mut Published) {
    let path = node["path"].as_str().unwrap_or_default();
    for (method, info) in node["info"].as_object().into_iter().flatten() {
        all.insert((method.clone(), path.to_owned()), info.clone());
    }
    for child in node["children"].as_array().into_iter().flatten() {
        collect(child, all);
    }
}

/// What both sides say of a parameter, in one spelling.
fn spec(property: &Value) -> Value {
    let mut kept = Map::new();
    for name in [
        "type",
        "enum",
        "pattern",
        "format",
        "requires",
        "alias",
        "keyAlias",
        "default_key",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "optional",
        "default",
    ] {
        let Some(value) = property.get(name).filter(|value| !value.is_null()) else {
            continue;
        };
        let value = match (name, value) {
            ("format", Value::Object(inner)) => Value::Object(
                inner
                    .iter()
                    .map(|(name, inner)| (name.clone(), spec(inner)))
                    .collect(),
            ),
            ("optional", value) if *value == json!(0) => continue,
            ("default", value) => json!(
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            ),
            ("minimum" | "maximum", value) => json!(loose(value)),
            (_, value) => value.clone(),
        };
        kept.insert(name.to_owned(), value);
    }
    // Only texts have patterns to speak of, and a missing type means a text.
    kept.entry("type").or_insert(json!("string"));
    if kept.contains_key("alias") {
        kept.remove("type");
        kept.remove("optional");
    }
    Value::Object(kept)
}

fn loose(value: &Value) -> f64 {
    value
        .as_f64()
        .or_else(|| value.as_str()?.parse().ok())
        .expect("a number")
}

/// The parameters of a method. Where they depend on a type (HA rules) those of all types count together, and only what
/// every type demands is demanded.
fn parameters_of(info: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    gather(&info["parameters"], &mut all);
    all
}

fn gather(schema: &Value, all: &mut Map<String, Value>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone(), property.clone());
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(part, all);
    }
    let variants = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
    for variant in variants {
        for (name, property) in variant["properties"].as_object().into_iter().flatten() {
            let everywhere = variants
                .iter()
                .all(|other| other["properties"].get(name).is_some());
            let mut property = property.clone();
            if !everywhere {
                property["optional"] = json!(1);
            }
            all.insert(name.clone(), property);
        }
    }
    if let Some(name) = schema["type-property"].as_str() {
        all.insert(name.to_owned(), schema["type-property-schema"].clone());
    }
}

#[test]
fn the_table_agrees_with_the_published_schema() {
    let Some(published) = published() else { return };
    let mut wrong = Vec::new();
    let mut parameters = 0;
    let endpoints = described_endpoints();
    for endpoint in &endpoints {
        let (method, path) = (
            endpoint["method"].as_str().expect("text"),
            endpoint["path"].as_str().expect("text"),
        );
        let place = format!("{method} {path}");
        let Some(info) = published.get(&(method.to_owned(), path.to_owned())) else {
            wrong.push(format!("{place}: not in the schema"));
            continue;
        };
        let theirs = &parameters_of(info);
        let ours = endpoint["properties"].as_object().expect("properties");
        for name in theirs.keys().filter(|name| !ours.contains_key(*name)) {
            wrong.push(format!("{place}: parameter {name} is missing"));
        }
        for (name, property) in ours {
            parameters += 1;
            let Some(published) = theirs.get(name) else {
                wrong.push(format!("{place}: parameter {name} does not exist"));
                continue;
            };
            // Parameters of the path must be given, whatever the schema says.
            let in_path = path.contains(&format!("{{{name}}}"));
            let (mut ours, mut theirs) = (spec(property), spec(published));
            if in_path {
                for side in [&mut ours, &mut theirs] {
                    side.as_object_mut().expect("object").remove("optional");
                }
            }
            if ours != theirs {
                wrong.push(format!("{place}: {name} is {ours}, published {theirs}"));
            }
        }
        let permissions = info
            .get("permissions")
            .map(|published| match published.get("check") {
                Some(check) => json!({"check": check}),
                None => json!({"user": published["user"]}),
            });
        if permissions.as_ref() != Some(&endpoint["permissions"]) {
            wrong.push(format!(
                "{place}: {} may call, published {permissions:?}",
                endpoint["permissions"]
            ));
        }
        if info.get("allowtoken").unwrap_or(&json!(1)) != &endpoint["allowtoken"] {
            wrong.push(format!("{place}: tokens"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!(
        "{} endpoints with {parameters} parameters agree",
        endpoints.len()
    );
    assert!(
        endpoints.len() >= 150 && parameters > 2_000,
        "the table has shrunk"
    );
}
