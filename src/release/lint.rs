//! What is wrong with a rendered stack as a whole.

use super::{
    code::{BUILDS, FOREIGN_MOUNT, MISSING_FILE, PATH, RESERVED, SECRET_IN_COMPOSE, UNPINNED},
    compose::{Compose, Entry},
    context, mounted, published,
};
use crate::diagnostic::Diagnostic;
use crate::model::{desired::Desired, ids::DatasetName, release::ReleaseFile, stack::Stack};
use std::path::{Component, Path};

/// The file that infra writes itself.
pub(super) const OVERRIDE: &str = "compose.infra.yaml";
/// The file that a template must have.
pub(super) const COMPOSE: &str = "compose.yaml";

/// Problems that can be seen before anything is rendered.
pub(super) fn written(stack: &Stack) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for name in stack
        .variables
        .keys()
        .filter(|name| context::RESERVED.contains(&name.as_str()))
    {
        out.push(
            Diagnostic::error(
                RESERVED,
                format!(
                    "stack `{}` has a variable `{name}`, a name that infra uses itself",
                    stack.name
                ),
            )
            .help("give the variable another name"),
        );
    }
    for file in &stack.files {
        let path = Path::new(&file.path);
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let breaks = file.path.contains(['\n', '\r']) || file.path.is_empty();
        if !inside || breaks || file.path == OVERRIDE {
            out.push(
                Diagnostic::error(
                    PATH,
                    format!(
                        "`{}` cannot be a file of the template `{}`",
                        file.path, stack.template
                    ),
                )
                .help(format!(
                    "a path stays inside the release, and {OVERRIDE} is written by infra"
                )),
            );
        }
    }
    out
}

/// Problems of the rendered whole.
pub(super) fn rendered(
    desired: &Desired,
    stack: &Stack,
    compose: &Compose,
    files: &[ReleaseFile],
) -> Vec<Diagnostic> {
    let origin = stack
        .files
        .iter()
        .find(|file| file.path == COMPOSE)
        .map_or(COMPOSE, |file| &file.origin);
    let mut out = published::check(stack, origin, compose);
    if files
        .iter()
        .any(|file| file.path == COMPOSE && file.content.has_secrets())
    {
        out.push(
            Diagnostic::warning(
                SECRET_IN_COMPOSE,
                format!("`{origin}` holds a secret, which `docker inspect` then shows"),
            )
            .help("put it into a file of its own and name that file under `secrets`; most images read NAME_FILE variables"),
        );
    }
    for entry in compose.services() {
        out.extend(service(desired, stack, origin, compose, entry, files));
    }
    out
}

fn service(
    desired: &Desired,
    stack: &Stack,
    origin: &str,
    compose: &Compose,
    entry: Entry<'_>,
    files: &[ReleaseFile],
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let name = entry.name;
    if entry.has("build") {
        out.push(
            Diagnostic::error(
                BUILDS,
                format!("`{origin}`: service `{name}` is built on its host"),
            )
            .help("publish an image and name it: what runs must be what was checked"),
        );
    } else if !is_pinned(entry.text("image").unwrap_or_default()) {
        let image = entry.text("image").unwrap_or("nothing");
        out.push(
            Diagnostic::warning(
                UNPINNED,
                format!("`{origin}`: service `{name}` runs `{image}`, which is not one version"),
            )
            .help("write a tag other than `latest`, best in templates/images.yaml"),
        );
    }
    for source in mounted::sources(compose, entry) {
        if source.starts_with('/') {
            out.extend(foreign(desired, stack, origin, name, &source));
            continue;
        }
        // What compose fills in itself cannot be judged here.
        let known = mounted::inside(&source)
            .is_some_and(|path| files.iter().any(|file| mounted::covers(&path, &file.path)));
        if !known && !source.contains('$') {
            out.push(
                Diagnostic::error(
                    MISSING_FILE,
                    format!("`{origin}`: service `{name}` uses `{source}`, which is no file of the template"),
                )
                .help("data lives under an absolute path, outside the release"),
            );
        }
    }
    out
}

/// A dataset that may not be mounted yet must be waited for.
fn foreign(
    desired: &Desired,
    stack: &Stack,
    origin: &str,
    service: &str,
    source: &str,
) -> Option<Diagnostic> {
    let below = |place: &str| {
        source
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let (dataset, place) = places(desired, stack)
        .into_iter()
        .filter(|(_, place)| below(place))
        .max_by_key(|(_, place)| place.len())?;
    if stack.needs_mounts.contains(&place) {
        return None;
    }
    let named = stack.mounts.iter().find(|(_, path)| **path == place);
    let help = match named {
        Some((name, _)) => format!("add `{name}` to `needs_mounts` in the template's stack.yaml"),
        None => format!(
            "name it under `needs_mounts` in the template's stack.yaml, and give the stack `mounts: {{NAME: {dataset}}}`"
        ),
    };
    Some(
        Diagnostic::error(
            FOREIGN_MOUNT,
            format!("`{origin}`: service `{service}` uses `{source}` without waiting for the dataset `{dataset}` that belongs at `{place}`"),
        )
        .help(help),
    )
}

/// The datasets of the stack's host, each with where it is mounted there.
fn places(desired: &Desired, stack: &Stack) -> Vec<(DatasetName, String)> {
    if let Some(guest) = desired.guests.get(&stack.on) {
        let mounts = guest.mounts.iter();
        return mounts
            .map(|mount| (mount.dataset.clone(), mount.at.clone()))
            .collect();
    }
    let own = desired.datasets.values();
    own.filter(|dataset| dataset.host == stack.on)
        .filter_map(|dataset| {
            let place = dataset.properties.get("mountpoint")?;
            Some((dataset.name.clone(), place.clone()))
        })
        .collect()
}

fn is_pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:")
        || last
            .split_once(':')
            .is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}
