//! What is wrong with a rendered stack as a whole.

use super::{
    code::{
        BUILDS, FOREIGN_MOUNT, MISSING_FILE, NO_COMPOSE, PATH, RESERVED, SECRET_IN_COMPOSE,
        UNPINNED,
    },
    compose::{Compose, Entry},
    context, mounted, published,
};
use crate::diagnostic::Diagnostic;
use crate::model::{release::ReleaseFile, stack::Stack};
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
    if !stack.files.iter().any(|file| file.path == COMPOSE) {
        out.push(
            Diagnostic::error(
                NO_COMPOSE,
                format!("the template `{}` has no {COMPOSE}", stack.template),
            )
            .help("every stack is a compose project"),
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
pub(super) fn rendered(stack: &Stack, compose: &Compose, files: &[ReleaseFile]) -> Vec<Diagnostic> {
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
        out.extend(service(stack, origin, compose, entry, files));
    }
    out
}

fn service(
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
            out.extend(foreign(stack, origin, name, &source));
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
fn foreign(stack: &Stack, origin: &str, service: &str, source: &str) -> Option<Diagnostic> {
    let below = |mount: &String| {
        source == mount
            || source
                .strip_prefix(mount.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let (name, path) = stack.mounts.iter().find(|(_, path)| below(path))?;
    if stack.needs_mounts.contains(path) {
        return None;
    }
    Some(
        Diagnostic::error(
            FOREIGN_MOUNT,
            format!("`{origin}`: service `{service}` writes to `{source}` without waiting for the mount `{name}`"),
        )
        .help(format!("add `{name}` to `needs_mounts` in the template's stack.yaml")),
    )
}

fn is_pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:")
        || last
            .split_once(':')
            .is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}
