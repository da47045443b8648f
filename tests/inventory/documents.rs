//! The documents say what the code does.

use infra::{
    builtin,
    inventory::{codes, load, schema, template_schema},
    view::human,
};
use std::{collections::BTreeSet, path::Path};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    std::fs::read_to_string(path).expect("the document")
}

fn yaml_blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .collect()
}

#[test]
fn the_reference_example_is_a_valid_inventory() {
    let text = document("inventory.md");
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("example.yaml");
    std::fs::write(&file, yaml_blocks(&text)[0]).expect("writes");
    let loaded = load(
        &file,
        jiff::civil::date(2026, 11, 20),
        &builtin::templates(),
    )
    .expect("readable");
    let told = human::diagnostics(&loaded.diagnostics, &loaded.sources, false);
    assert!(told.is_empty() && loaded.desired.is_some(), "{told}");
}

#[test]
fn the_reference_example_shows_every_key() {
    let text = document("inventory.md");
    let missing = |schema: &serde_json::Value, example: &str| -> Vec<String> {
        let own = schema["properties"].as_object().into_iter();
        let inner = schema["$defs"]
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::values);
        let keys: BTreeSet<&String> = own
            .chain(inner.filter_map(|def| def["properties"].as_object()))
            .flat_map(serde_json::Map::keys)
            .collect();
        assert!(keys.len() > 5);
        let written = |key: &str| {
            example
                .match_indices(&format!("{key}:"))
                .any(|(at, _)| !example[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        keys.into_iter()
            .filter(|key| !written(key))
            .cloned()
            .collect()
    };
    let blocks = yaml_blocks(&text);
    assert_eq!(missing(&schema(), blocks[0]), Vec::<String>::new());
    // The checks of a template are those of an inventory.
    let both = format!("{}{}", blocks[0], blocks[1]);
    assert_eq!(missing(&template_schema(), &both), Vec::<String>::new());
}

#[test]
fn every_code_is_explained() {
    let text = document("diagnostics.md");
    let headings: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let missing: Vec<&str> = codes::ALL
        .iter()
        .map(|(code, _)| code.0)
        .filter(|code| !headings.contains(code))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/diagnostics.md says nothing about {missing:?}"
    );
}

/// Every room declares its codes as `Code("...")`; none may be left out of the document, and none may stay in it.
#[test]
fn the_document_and_the_sources_know_the_same_codes() {
    fn declared(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                declared(&path, out);
            } else if path.extension().is_some_and(|own| own == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let own = text
                    .split("Code(\"")
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next());
                out.extend(own.filter(|code| code.len() > 4).map(str::to_owned));
            }
        }
    }
    let mut known: BTreeSet<String> = codes::ALL
        .iter()
        .map(|(code, _)| code.0.to_owned())
        .collect();
    declared(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut known,
    );
    let text = document("diagnostics.md");
    let explained: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### ")?.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert_eq!(known, explained);
}
