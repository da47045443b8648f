//! The table of endpoints against the published API schema of PVE 9.2.11, where it is present.

use crate::providers::proxmox::endpoint::{self, Endpoint, Method};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::{collections::BTreeMap, io::Read, path::Path};

/// Path template -> method -> its description.
pub(super) struct Schema(BTreeMap<String, Value>);

impl Schema {
    /// None where the schema does not lie beside the project.
    #[expect(
        clippy::disallowed_methods,
        reason = "reads the schema beside the project"
    )]
    pub(super) fn load() -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/data/pve-api-schema-9.2.11.json.gz");
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: no API schema at {}", path.display());
            return None;
        };
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .expect("gzip");
        let roots: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let mut paths = BTreeMap::new();
        for root in roots {
            flatten(root, &mut paths);
        }
        assert!(paths.len() > 400, "the schema has {} paths", paths.len());
        Some(Self(paths))
    }

    /// The properties of a row's parameters.
    pub(super) fn properties(&self, row: &Endpoint) -> serde_json::Map<String, Value> {
        let name = format!("{} {}", row.method, row.path);
        let info = self
            .0
            .get(row.path)
            .unwrap_or_else(|| panic!("{name}: no such path"));
        let method = info
            .get(row.method.to_string())
            .unwrap_or_else(|| panic!("{name}: no such method"));
        let mut all = serde_json::Map::new();
        gather(&method["parameters"], &mut all);
        all
    }
}

/// Parameters that depend on a type (HA rules) count together; only what every type demands is demanded.
fn gather(schema: &Value, all: &mut serde_json::Map<String, Value>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone(), property.clone());
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(part, all);
    }
    let variants = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
    for variant in variants {
        for (name, property) in variant["properties"].as_object().into_iter().flatten() {
            let mut property = property.clone();
            if !variants
                .iter()
                .all(|other| other["properties"].get(name).is_some())
            {
                property["optional"] = Value::from(1);
            }
            all.insert(name.clone(), property);
        }
    }
    if let Some(name) = schema["type-property"].as_str() {
        all.insert(name.to_owned(), schema["type-property-schema"].clone());
    }
}

fn flatten(node: Value, paths: &mut BTreeMap<String, Value>) {
    let Value::Object(mut node) = node else {
        panic!("a node is an object")
    };
    if let Some(Value::Array(children)) = node.remove("children") {
        for child in children {
            flatten(child, paths);
        }
    }
    let path = node["path"].as_str().expect("a path").to_owned();
    paths.insert(path, node.remove("info").unwrap_or(Value::Null));
}

/// The names between braces.
pub(super) fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[test]
fn every_row_of_the_table_is_in_the_published_schema() {
    let Some(schema) = Schema::load() else { return };
    let mut wrong = Vec::new();
    for row in endpoint::ALL {
        let properties = schema.properties(row);
        let options: &[&str] = if row.takes_vm_options {
            endpoint::VM_OPTIONS
        } else {
            &[]
        };
        for listed in row.parameters.iter().chain(options) {
            let name = listed.replace("[n]", "0");
            if !properties.contains_key(&name) {
                wrong.push(format!(
                    "{} {}: no parameter `{name}`",
                    row.method, row.path
                ));
            }
        }
        for name in placeholders(row.path) {
            if !properties.contains_key(name) {
                wrong.push(format!(
                    "{} {}: no path parameter `{name}`",
                    row.method, row.path
                ));
            }
        }
        let is_known = |name: &str| {
            row.takes(name) || placeholders(row.path).any(|placeholder| placeholder == name)
        };
        for (name, property) in &properties {
            // The name of an upload's file part is a parameter too.
            let is_optional = property["optional"] == 1;
            if !is_optional && !is_known(name) {
                wrong.push(format!(
                    "{} {}: cannot give the required `{name}`",
                    row.method, row.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_reads_are_repeated_at_will() {
    for row in endpoint::ALL {
        let repeats = row.repeat == endpoint::Repeat::Always;
        assert_eq!(
            repeats,
            row.method == Method::Get,
            "{} {}",
            row.method,
            row.path
        );
    }
}

/// The row that a request belongs to.
pub(super) fn row_of(method: &str, path: &str) -> Option<&'static Endpoint> {
    let matches = |row: &&&Endpoint| {
        let parts: Vec<&str> = path.split('/').collect();
        let template: Vec<&str> = row.path.split('/').collect();
        let same = |(part, wanted): (&&str, &&str)| wanted.starts_with('{') || part == wanted;
        row.method.to_string() == method
            && parts.len() == template.len()
            && parts.iter().zip(&template).all(same)
    };
    endpoint::ALL.iter().find(matches).copied()
}
