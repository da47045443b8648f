//! Systems that are split over files.

use infra::{
    inventory::{BuiltinTemplates, LoadError, Loaded, load},
    view::human,
};
use std::path::Path;

/// Writes the files and loads their folder.
fn loaded(files: &[(&str, &str)]) -> Loaded {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes");
        std::fs::write(path, text).expect("writes");
    }
    load(
        folder.path(),
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable")
}

fn told(loaded: &Loaded) -> String {
    human::diagnostics(&loaded.diagnostics, &loaded.sources, false)
}

const SYSTEM: &str = "version: 1\nname: sample\n";

#[test]
fn maps_are_joined_and_lists_appended_in_the_order_of_the_files() {
    let loaded = loaded(&[
        ("10-system.yaml", SYSTEM),
        (
            "20-hosts.yaml",
            "x-ssh: &ssh {user: admin}\nhosts:\n  pi: {address: 192.168.1.30, ssh: *ssh}\n",
        ),
        (
            "30-flows.yaml",
            "hosts: {nas: {address: 192.168.1.31}}\nflows:\n  - {from: pi, to: nas, allow: 22/tcp, reason: one}\n",
        ),
        (
            "more/flows.yml",
            "flows:\n  - {from: nas, to: pi, allow: 22/tcp, reason: two}\n",
        ),
        ("templates/x/stack.yaml", "not: an inventory\n"),
        (".hidden.yaml", "not: an inventory\n"),
    ]);
    let text = told(&loaded);
    let desired = loaded.desired.unwrap_or_else(|| panic!("{text}"));
    let hosts: Vec<&str> = desired
        .hosts
        .keys()
        .map(infra::model::ids::HostName::as_str)
        .collect();
    assert_eq!(hosts, ["nas", "pi"]);
    let reasons: Vec<&str> = desired
        .flows
        .iter()
        .map(|flow| flow.reason.as_str())
        .collect();
    assert_eq!(reasons, ["one", "two"]);
    assert_eq!(desired.hosts.values().nth(1).expect("pi").ssh.user, "admin");
}

#[test]
fn the_same_thing_in_two_files_is_shown_in_both() {
    let loaded = loaded(&[
        (
            "a.yaml",
            "version: 1\nname: sample\nhosts:\n  pi: {address: 192.168.1.30}\n",
        ),
        (
            "b.yaml",
            "name: other\nhosts:\n  pi: {address: 192.168.1.31}\n",
        ),
    ]);
    assert!(loaded.desired.is_none());
    let places: Vec<Vec<String>> = loaded
        .diagnostics
        .iter()
        .map(|d| {
            assert_eq!(d.code.0, "INV002");
            d.labels
                .iter()
                .map(|l| format!("{}:{}", l.place.file, l.place.line))
                .collect()
        })
        .collect();
    assert_eq!(places, [["b.yaml:1", "a.yaml:2"], ["b.yaml:3", "a.yaml:4"]]);
}

#[test]
fn a_broken_file_does_not_hide_the_problems_of_another() {
    let loaded = loaded(&[
        (
            "a.yaml",
            "version: 1\nname: sample\nhosts:\n  pi: {adress: 192.168.1.30}\n",
        ),
        ("b.yaml", "flows: [\n"),
    ]);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.0).collect();
    assert_eq!(codes, ["INV003", "INV001"]);
}

#[test]
fn what_a_broken_file_names_is_not_missed_in_the_others() {
    let zones = "zones:\n  lan: {cidrs: 192.168.1.0/24}\n";
    let flows = "flows:\n  - {from: lan, to: pi, allow: 22/tcp, reason: one}\n";
    for broken in [
        "hosts:\n\tpi: {address: 192.168.1.30}\n",
        "version: 1\nname: {\n",
    ] {
        let loaded = loaded(&[("a.yaml", zones), ("b.yaml", flows), ("c.yaml", broken)]);
        let text = told(&loaded);
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.0).collect();
        assert_eq!(codes, ["INV001"], "{text}");
        assert!(text.contains("indent with spaces"), "{text}");
        assert!(loaded.desired.is_none());
    }
}

#[test]
fn a_folder_without_yaml_and_a_path_without_anything_are_errors() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let today = jiff::civil::date(2026, 11, 20);
    let empty = load(folder.path(), today, &BuiltinTemplates::new()).expect_err("nothing to read");
    assert!(matches!(empty, LoadError::Empty { .. }), "{empty}");
    let absent = load(
        Path::new("/nowhere/at/all"),
        today,
        &BuiltinTemplates::new(),
    )
    .expect_err("nothing");
    assert!(matches!(absent, LoadError::List { .. }), "{absent}");
}

#[test]
fn an_empty_file_says_how_to_begin() {
    let loaded = loaded(&[("a.yaml", "# nothing yet\n")]);
    assert!(loaded.desired.is_none());
    assert_eq!(
        loaded.diagnostics[0].help.as_deref(),
        Some("`infra init` writes one")
    );
}

/// Whatever is cut off or doubled in a valid inventory, loading answers with diagnostics and never panics.
#[test]
fn no_mutilation_of_the_flagship_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
    let texts: Vec<String> = [
        "system.yaml",
        "guests.yaml",
        "network.yaml",
        "storage.yaml",
        "stacks.yaml",
    ]
    .iter()
    .map(|name| std::fs::read_to_string(root.join(name)).expect("reads"))
    .collect();
    let whole = texts.concat();
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("cut.yaml");
    let mut seen = 0;
    for (number, (at, _)) in whole
        .char_indices()
        .enumerate()
        .filter(|(n, _)| n % 97 == 0)
    {
        let cut = match number % 3 {
            0 => whole[..at].to_owned(),
            1 => whole[at..].to_owned(),
            _ => format!("{}: [{}", &whole[..at], &whole[at..]),
        };
        std::fs::write(&file, cut).expect("writes");
        let loaded = load(
            &file,
            jiff::civil::date(2026, 11, 20),
            &infra::builtin::templates(),
        )
        .expect("readable");
        assert!(!told(&loaded).is_empty());
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}
