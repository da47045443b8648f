//! One sample, one thing that is wrong with a stack; beside it what the owner reads. A sample is a map of files, laid over
//! a system of one host and one stack.

use infra::{
    diagnostic::{Code, Severity},
    inventory::{BuiltinTemplates, load},
    model::secret::SecretValues,
    plan::compile,
    release, template,
    view::human,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const BASE: &[(&str, &str)] = &[
    (
        "inventory.yaml",
        "version: 1\nname: sample\nhosts: {pi: {address: 192.168.1.30}}\nstacks: {app: {on: pi}}\n",
    ),
    ("templates/images.yaml", "app: ghcr.io/example/app:1.2.3\n"),
    ("templates/app/stack.yaml", "description: A sample.\n"),
];

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/invalid");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of samples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|own| own == "yaml"))
        .collect();
    paths.sort();
    paths
}

/// Codes and what is told, by severity.
fn told(sample: &Path) -> (Vec<(Code, Severity)>, String) {
    let text = fs::read_to_string(sample).expect("a sample");
    let own: BTreeMap<String, String> = serde_saphyr::from_str(&text).expect("a map of files");
    let folder = tempfile::tempdir().expect("a folder");
    let own = own
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    for (name, text) in BASE.iter().copied().chain(own) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    let loaded = load(
        folder.path(),
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable");
    let before = human::diagnostics(&loaded.diagnostics, &loaded.sources, false);
    let desired = loaded
        .desired
        .unwrap_or_else(|| panic!("{}: {before}", sample.display()));
    let (_, mut found) = compile(&desired, &SecretValues::default());
    found.retain(|diagnostic| !diagnostic.code.0.starts_with("FW"));
    let text = human::diagnostics(&found, &loaded.sources, false);
    let codes = found.iter().map(|d| (d.code, d.severity)).collect();
    (codes, text)
}

#[test]
fn every_broken_stack_says_what_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/invalid");
    for sample in samples() {
        let name = sample.file_stem().expect("a name").to_string_lossy();
        let (codes, text) = told(&sample);
        let wanted = name.split('-').next().expect("a code").to_uppercase();
        assert!(
            codes.iter().any(|(code, _)| code.0 == wanted),
            "{name}: {text}"
        );
        insta::with_settings!({snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name.as_ref(), text);
        });
    }
}

#[test]
fn every_code_of_stacks_has_a_sample() {
    let seen: BTreeSet<&str> = samples()
        .iter()
        .flat_map(|sample| told(sample).0)
        .map(|(code, _)| code.0)
        .collect();
    let silent: Vec<&str> = release::code::ALL
        .iter()
        .chain(template::code::ALL)
        .map(|code| code.0)
        .filter(|code| !seen.contains(code))
        .collect();
    assert!(silent.is_empty(), "no sample for {silent:?}");
}
