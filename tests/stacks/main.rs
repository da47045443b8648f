//! The stacks of the built-in systems, rendered by the real renderer from the real inventory.

#![expect(
    clippy::disallowed_methods,
    reason = "writes each sample into a folder of its own, serves pages"
)]

mod checks;
mod invalid;

use infra::{
    builtin,
    diagnostic::Severity,
    inventory::{BuiltinTemplates, load},
    model::{
        desired::Desired,
        ids::{SecretName, StackName},
        release::Release,
        secret::SecretValues,
    },
    release,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

fn desired() -> Desired {
    of_system("media-server-home")
}

fn of_system(system: &str) -> Desired {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("inventory")
        .join(system);
    let loaded = load(
        &folder,
        jiff::civil::date(2026, 11, 20),
        &BuiltinTemplates::new(),
    )
    .expect("readable");
    let problems: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|d| format!("{} {} {:?}", d.code.0, d.summary, d.help))
        .collect();
    loaded.desired.unwrap_or_else(|| panic!("{problems:#?}"))
}

fn releases(desired: &Desired, values: &SecretValues) -> BTreeMap<StackName, Release> {
    let mut out = BTreeMap::new();
    for stack in desired.stacks.values() {
        let (release, found) = release::render(desired, stack, values);
        let found: Vec<String> = found
            .into_iter()
            .map(|d| format!("{} {}", d.code.0, d.summary))
            .collect();
        assert_eq!(found, [""; 0], "stack {}", stack.name);
        out.insert(stack.name.clone(), release.expect("no errors"));
    }
    out
}

fn shown(release: &Release) -> String {
    let mut text = String::new();
    for service in &release.services {
        let _ = writeln!(
            text,
            "service {} {} healthcheck={} once={} files={:?}",
            service.name, service.image, service.healthcheck, service.one_shot, service.files
        );
    }
    for directory in &release.directories {
        let (mode, uid, gid) = (directory.mode, directory.uid, directory.gid);
        let _ = writeln!(text, "directory {mode:04o} {uid}:{gid} {}", directory.path);
    }
    for path in &release.needs_mounts {
        let _ = writeln!(text, "mount {path}");
    }
    for file in &release.files {
        let (mode, uid, gid) = (file.mode, file.uid, file.gid);
        let _ = writeln!(text, "\n=== {} {mode:04o} {uid}:{gid}", file.path);
        text.push_str(&file.content.redacted());
    }
    let _ = write!(text, "\n=== {}\n{}", release.unit.path(), release.unit.text);
    text
}

#[test]
fn the_flagship_renders() {
    let desired = desired();
    for (name, release) in releases(&desired, &SecretValues::default()) {
        insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name.to_string(), shown(&release));
        });
    }
}

/// Nginx Proxy Manager pipes every configuration below /data through sed and `echo "$(...)"` when it starts.
#[test]
fn what_the_proxy_rewrites_comes_out_as_it_went_in() {
    let desired = desired();
    let releases = releases(&desired, &SecretValues::default());
    let proxy = releases
        .values()
        .find(|release| release.stack.as_str() == "proxy")
        .expect("there");
    let file = proxy
        .files
        .iter()
        .find(|file| file.path == "http.conf")
        .expect("there");
    let text = file.content.redacted();
    assert!(text.ends_with("}\n") && !text.contains("listen [::]"));
    assert_eq!((file.uid, file.gid), (0, 0));
}

#[test]
fn every_secret_of_a_release_is_in_a_private_file() {
    for release in releases(&desired(), &SecretValues::default()).values() {
        for file in &release.files {
            let others = if file.gid == 0 { 0o077 } else { 0o027 };
            assert!(
                !file.content.has_secrets() || file.mode & others == 0,
                "{} of {} is {:04o}",
                file.path,
                release.stack,
                file.mode
            );
        }
    }
}

#[test]
fn every_image_comes_from_the_one_list_and_every_entry_of_it_is_used() {
    let mut list: BTreeSet<String> = BTreeSet::new();
    let mut used: BTreeSet<String> = BTreeSet::new();
    for desired in builtin::systems().iter().map(String::as_str).map(of_system) {
        for stack in desired.stacks.values() {
            list.extend(stack.images.values().cloned());
            // Everything that an option can bring in.
            let mut stack = stack.clone();
            for value in stack.variables.values_mut() {
                if *value == false {
                    *value = true.into();
                }
            }
            let (release, found) = release::render(&desired, &stack, &SecretValues::default());
            assert!(
                found.iter().all(|d| d.severity != Severity::Error),
                "{found:#?}"
            );
            used.extend(release.expect("no errors").images);
        }
    }
    assert_eq!(used, list);
}

#[test]
fn rotating_a_secret_touches_the_services_that_read_it() {
    let desired = desired();
    let values = |password: &str| {
        let mut values = SecretValues::default();
        let name = SecretName::new("immich_db_password").expect("valid");
        values.insert(name, password.to_owned().into());
        values
    };
    let (before, after) = (
        releases(&desired, &values("a")),
        releases(&desired, &values("b")),
    );
    let mut changed = Vec::new();
    for (name, release) in &before {
        for (old, new) in release.services.iter().zip(&after[name].services) {
            if old.release != new.release {
                changed.push(format!("{name}/{}", old.name));
            }
        }
    }
    assert_eq!(
        changed,
        [
            "immich/immich-server",
            "immich/immich-microservices",
            "immich/database"
        ]
    );
}
