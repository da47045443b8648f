//! One sample, one thing that is wrong with a playbook.

use infra::{inventory::playbook::load, view::human};
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn every_invalid_playbook_says_what_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks/invalid");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut codes = std::collections::BTreeSet::new();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("samples")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let text = fs::read_to_string(folder.join(&name)).expect("text");
        let place = tempfile::tempdir().expect("a folder");
        let loaded = load(place.path(), &BTreeMap::from([(name.clone(), text)])).expect("read");
        assert!(loaded.playbooks.is_empty(), "{name} is fine");
        for problem in &loaded.diagnostics {
            assert!(!problem.labels.is_empty(), "{name}: {}", problem.summary);
            codes.insert(problem.code.0);
        }
        let text = human::diagnostics(&loaded.diagnostics, &loaded.sources, false);
        settings.bind(|| insta::assert_snapshot!(name.trim_end_matches(".yaml"), text));
    }
    for code in [
        "PLAY001", "PLAY002", "PLAY003", "PLAY004", "INV003", "INV009", "INV010",
    ] {
        assert!(codes.contains(code), "no sample for {code}: {codes:?}");
    }
}
