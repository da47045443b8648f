//! Without any guest: each system is valid, renders without a word, and its mutations can be made.

use super::mutation::{self, SYSTEMS};
use infra::{
    builtin,
    diagnostic::Severity,
    inventory::{BuiltinTemplates, Loaded, load},
    model::{desired::Desired, secret::SecretValues},
    plan::compile,
    release,
};
use std::{collections::BTreeSet, path::Path};

fn loaded(system: &str) -> Loaded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("inventory")
        .join(system);
    load(
        &folder,
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable")
}

fn desired(system: &str) -> Desired {
    let loaded = loaded(system);
    let problems: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|d| format!("{} {}", d.code.0, d.summary))
        .collect();
    loaded
        .desired
        .unwrap_or_else(|| panic!("{system}: {problems:#?}"))
}

#[test]
fn every_system_is_valid_but_for_what_only_its_owner_has() {
    for system in builtin::systems() {
        let mut left: BTreeSet<&str> = loaded(&system)
            .diagnostics
            .iter()
            .map(|d| d.code.0)
            .collect();
        let (_, found) = compile(&desired(&system), &SecretValues::default());
        left.extend(found.iter().map(|d| d.code.0));
        // Placeholders and keys, of systems with a Proxmox.
        left.retain(|code| !matches!(*code, "INV091" | "INV092"));
        assert!(left.is_empty(), "{system}: {left:?}");
    }
}

#[test]
fn every_stack_renders_and_every_image_is_pinned_in_the_one_list() {
    for system in builtin::systems() {
        let desired = desired(&system);
        for stack in desired.stacks.values() {
            let (release, found) = release::render(&desired, stack, &SecretValues::default());
            let found: Vec<_> = found
                .iter()
                .filter(|d| d.severity == Severity::Error)
                .map(|d| &d.summary)
                .collect();
            let release = release.unwrap_or_else(|| panic!("{system}/{}: {found:?}", stack.name));
            for image in &release.images {
                let listed = stack.images.values().any(|known| known == image);
                assert!(
                    listed,
                    "{system}/{}: {image} is not in images.yaml",
                    stack.name
                );
                let tag = image.rsplit(':').next().unwrap_or_default();
                assert!(!matches!(tag, "latest" | "stable" | "release"), "{image}");
            }
        }
        assert!(!desired.checks.is_empty(), "{system} checks nothing");
    }
}

/// Nobody's domain, name or address: only what is reserved for private use and for documentation.
#[test]
fn names_are_nobodys() {
    for system in builtin::systems() {
        for check in desired(&system).checks {
            let infra::model::check::Probe::Http { url, .. } = check.probe else {
                continue;
            };
            let host = url.split('/').nth(2).unwrap_or_default();
            let ours = [".home.arpa", ".home", "example.org"];
            assert!(
                ours.iter().any(|end| host.ends_with(end)),
                "{system}: {url}"
            );
        }
    }
}

#[test]
fn every_mutation_changes_a_file_and_names_a_check() {
    for system in SYSTEMS {
        let files = builtin::files(system).expect("built in");
        let checks: BTreeSet<String> = desired(system)
            .checks
            .into_iter()
            .map(|check| check.name)
            .collect();
        let mutations = mutation::of(system);
        assert!(mutations.len() >= 5, "{system}: {}", mutations.len());
        for mutation in mutations {
            let (what, red) = (&mutation.what, &mutation.red);
            assert!(checks.contains(red), "{system}, {what}: no check `{red}`");
            for edit in &mutation.edits {
                let text = files
                    .get(&edit.file)
                    .unwrap_or_else(|| panic!("{system}, {what}: no file {}", edit.file));
                let times = text.matches(&edit.from).count();
                assert_eq!(
                    times, 1,
                    "{system}, {what}: `{}` in {}",
                    edit.from, edit.file
                );
            }
        }
    }
}
