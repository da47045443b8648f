//! What is wrong with a rendered stack as a whole.

use super::{
    code::{BUILDS, FOREIGN_MOUNT, MISSING_FILE, PATH, RESERVED, SECRET_IN_COMPOSE, UNPINNED},
    compose::{Compose, Entry},
    context, mounted, published, surprise,
    written::Written,
};
use crate::diagnostic::Diagnostic;
use crate::model::{desired::Desired, release::ReleaseFile, stack::Stack};
use std::path::{Component, Path};

/// The file that infra writes itself.
pub const OVERRIDE: &str = "compose.infra.yaml";
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
    written: &Written<'_>,
    compose: &Compose,
    files: &[ReleaseFile],
) -> Vec<Diagnostic> {
    let mut out = published::check(stack, written, compose);
    out.extend(surprise::check(written, compose));
    if let Some(at) = written.text().find("<secret:") {
        let origin = written.origin();
        let problem = Diagnostic::warning(
            SECRET_IN_COMPOSE,
            format!("`{origin}` holds a secret, which `docker inspect` then shows"),
        )
        .help("put it into a file of its own and name that file under `secrets`; most images read NAME_FILE variables");
        out.push(written.label(problem, &(at..at), "filled in here"));
    }
    for entry in compose.services() {
        out.extend(service(desired, stack, written, compose, entry, files));
    }
    out
}

fn service(
    desired: &Desired,
    stack: &Stack,
    written: &Written<'_>,
    compose: &Compose,
    entry: Entry<'_>,
    files: &[ReleaseFile],
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let (name, origin) = (entry.name, written.origin());
    let label = |problem: Diagnostic, key: &str, item: Option<usize>, text: &str| match entry
        .range(written, key, item)
    {
        Some(range) => written.label(problem, &range, text),
        None => problem,
    };
    let image = entry.text("image").unwrap_or_default();
    if entry.has("build") {
        let summary = format!("`{origin}`: service `{name}` is built on its host");
        let problem = if image.is_empty() {
            Diagnostic::error(BUILDS, summary)
        } else {
            let summary =
                format!("`{origin}`: service `{name}` has `build`, and infra pulls its `image`");
            Diagnostic::warning(BUILDS, summary)
        };
        let problem =
            problem.help("publish an image and name it: what runs must be what was checked");
        out.push(label(problem, "build", None, "infra builds nothing"));
    }
    let is_only_built = entry.has("build") && image.is_empty();
    if !is_only_built && !is_pinned(image) {
        let shown = if image.is_empty() { "nothing" } else { image };
        let problem = Diagnostic::warning(
            UNPINNED,
            format!("`{origin}`: service `{name}` runs `{shown}`, which is not one version"),
        )
        .help("write a tag other than `latest`, best in templates/images.yaml");
        out.push(label(problem, "image", None, "moves without a word"));
    }
    for source in mounted::sources(compose, entry) {
        let path = &source.path;
        if path.starts_with('/') {
            if let Some(problem) = foreign(desired, stack, origin, name, path) {
                out.push(label(problem, source.key, source.item, "mounted here"));
            }
            continue;
        }
        // What compose fills in itself cannot be judged here.
        if path.contains('$') {
            continue;
        }
        let Some(inside) = mounted::inside(path) else {
            let problem = Diagnostic::error(
                PATH,
                format!(
                    "`{origin}`: service `{name}` uses `{path}`, which is outside of the stack"
                ),
            )
            .help("no such path goes to the host with the stack: name data by an absolute path");
            out.push(label(
                problem,
                source.key,
                source.item,
                "leaves the stack's folder",
            ));
            continue;
        };
        let is_file = files
            .iter()
            .any(|file| mounted::covers(&inside, &file.path));
        let is_data = stack
            .data
            .iter()
            .any(|data| mounted::covers(&data.path, &inside));
        if !is_file && !is_data {
            let problem = Diagnostic::error(
                MISSING_FILE,
                format!("`{origin}`: service `{name}` uses `{path}`, which is no file of the template"),
            )
            .help("add the file; data lives under an absolute path, or under a path that `data` in stack.yaml names");
            out.push(label(problem, source.key, source.item, "no such file"));
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
    let (what, place) = places(desired, stack)
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
            "name it under `needs_mounts` in the template's stack.yaml, and give the stack `mounts: {{NAME: {what}}}`"
        ),
    };
    let kind = if what.starts_with('/') {
        "mount".to_owned()
    } else {
        format!("dataset `{what}`")
    };
    Some(
        Diagnostic::error(
            FOREIGN_MOUNT,
            format!("`{origin}`: service `{service}` uses `{source}` without waiting for the {kind} that belongs at `{place}`"),
        )
        .help(help),
    )
}

/// The datasets of the stack's host, each with where it is mounted there, and whatever else the host mounts.
fn places(desired: &Desired, stack: &Stack) -> Vec<(String, String)> {
    if let Some(guest) = desired.guests.get(&stack.on) {
        let mounts = guest.mounts.iter();
        return mounts
            .map(|mount| (mount.dataset.to_string(), mount.at.clone()))
            .collect();
    }
    let own = desired.datasets.values();
    own.filter(|dataset| dataset.host == stack.on)
        .filter_map(|dataset| {
            let place = dataset.properties.get("mountpoint")?;
            Some((dataset.name.to_string(), place.clone()))
        })
        .chain(
            desired
                .hosts
                .get(&stack.on)
                .into_iter()
                .flat_map(|host| &host.mounts)
                .map(|mount| (mount.at.clone(), mount.at.clone())),
        )
        .collect()
}

fn is_pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:")
        || last
            .split_once(':')
            .is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}
