//! One sample, one thing that is wrong; beside it what the owner reads.

use infra::{
    diagnostic::Severity,
    inventory::{BuiltinTemplates, Loaded, codes, load},
    view::human,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

const LEAST_SAMPLES: usize = 60;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inventory")
        .join(kind)
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of samples");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .collect();
    paths.sort();
    paths
}

fn loaded(path: &Path) -> Loaded {
    load(
        path,
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable")
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn every_invalid_sample_says_what_its_name_says() {
    let folder = folder("invalid");
    let samples = with_extension(&folder, "yaml");
    assert!(samples.len() >= LEAST_SAMPLES, "{} samples", samples.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in &samples {
        let loaded = loaded(path);
        assert!(!loaded.diagnostics.is_empty(), "{} is fine", path.display());
        let is_error = loaded
            .diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error);
        assert_eq!(loaded.desired.is_none(), is_error, "{}", path.display());
        for diagnostic in &loaded.diagnostics {
            assert!(
                !diagnostic.labels.is_empty(),
                "{}: {} has no place",
                path.display(),
                diagnostic.summary
            );
        }
        let text = human::diagnostics(&loaded.diagnostics, &loaded.sources, false);
        settings.bind(|| insta::assert_snapshot!(stem(path), text));
    }
    let names: BTreeSet<String> = samples.iter().map(|path| stem(path)).collect();
    for snapshot in with_extension(&folder, "snap") {
        assert!(
            names.contains(&stem(&snapshot)),
            "{} has no sample",
            snapshot.display()
        );
    }
}

#[test]
fn every_code_has_a_sample() {
    let mut seen = BTreeSet::new();
    for path in with_extension(&folder("invalid"), "yaml") {
        seen.extend(loaded(&path).diagnostics.iter().map(|d| d.code.0));
    }
    let silent: Vec<&str> = codes::ALL
        .iter()
        .map(|(code, _)| code.0)
        .filter(|code| !seen.contains(code))
        .collect();
    assert!(silent.is_empty(), "no sample for {silent:?}");
}

/// Codes of the firewall, of templates and of playbooks have their samples with the tests of those: every code that the
/// documents explain is in what some test expects to be said.
#[test]
fn every_code_that_is_explained_is_said_in_some_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/diagnostics.md")).expect("readable");
    let explained = text.lines().filter_map(|line| line.strip_prefix("### "));
    let mut silent: BTreeSet<&str> = explained
        .filter_map(|line| line.split_whitespace().next())
        .filter(|code| code.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert!(silent.len() > 100, "the codes were not found");
    let mut folders = vec![root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|of| of == "snap" || of == "rs")
            {
                let text = std::fs::read_to_string(&path).expect("text");
                silent.retain(|code| !text.contains(code));
            }
        }
    }
    assert!(silent.is_empty(), "no test says {silent:?}");
}

#[test]
fn every_valid_sample_loads_without_a_word() {
    let samples = with_extension(&folder("valid"), "yaml");
    assert!(!samples.is_empty());
    for path in samples {
        let loaded = loaded(&path);
        let text = human::diagnostics(&loaded.diagnostics, &loaded.sources, false);
        assert!(
            loaded.desired.is_some() && text.is_empty(),
            "{}\n{text}",
            path.display()
        );
    }
}
