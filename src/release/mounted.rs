//! Which files and host paths a service uses.

use super::compose::{Compose, Entry};
use serde_json::Value;

/// A path that a service uses, and the key and item that name it.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) key: &'static str,
    pub(super) item: Option<usize>,
}

/// Every path of the host that a service mounts or reads, as written: relative ones are release files.
pub(super) fn sources(compose: &Compose, entry: Entry<'_>) -> Vec<Source> {
    let source = |path: String, key: &'static str, item: Option<usize>| Source { path, key, item };
    let volumes = entry.list("volumes").iter().enumerate();
    let mut out: Vec<Source> = volumes
        .filter_map(|(number, item)| Some(source(volume(item)?, "volumes", Some(number))))
        .collect();
    match entry.value.get("env_file") {
        Some(Value::String(path)) => out.push(source(relative(path), "env_file", None)),
        Some(Value::Array(list)) => {
            out.extend(list.iter().enumerate().filter_map(|(number, item)| {
                // One that may be missing is compose's business.
                if item.get("required").and_then(Value::as_bool) == Some(false) {
                    return None;
                }
                let path = item.as_str().or_else(|| item.get("path")?.as_str())?;
                Some(source(relative(path), "env_file", Some(number)))
            }));
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
    }
    for kind in ["secrets", "configs"] {
        for (number, item) in entry.list(kind).iter().enumerate() {
            let name = item.as_str().or_else(|| item.get("source")?.as_str());
            if let Some(path) = name.and_then(|name| compose.file_of(kind, name)) {
                out.push(source(relative(path), kind, Some(number)));
            }
        }
    }
    if let Some(file) = entry
        .value
        .get("extends")
        .and_then(|from| from.get("file")?.as_str())
    {
        out.push(source(relative(file), "extends", None));
    }
    out
}

/// The host side of a bind mount; none for a named volume or a tmpfs.
fn volume(item: &Value) -> Option<String> {
    match item {
        Value::String(short) => {
            let (source, _) = short.split_once(':')?;
            source
                .starts_with(['.', '/', '~'])
                .then(|| source.to_owned())
        }
        Value::Object(long) => {
            let is_bind = long.get("type").and_then(Value::as_str) == Some("bind");
            let source = long.get("source").and_then(Value::as_str)?;
            is_bind.then(|| relative(source))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// A path that compose reads from the project directory, marked as such.
fn relative(path: &str) -> String {
    if path.starts_with(['/', '.', '~']) {
        path.to_owned()
    } else {
        format!("./{path}")
    }
}

/// The path inside the release, for a relative source; empty for the whole folder.
pub(super) fn inside(source: &str) -> Option<String> {
    if !source.starts_with('.') {
        return None;
    }
    let parts: Vec<&str> = source
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Whether a release file is the source or lies below it.
pub(super) fn covers(source: &str, file: &str) -> bool {
    source.is_empty()
        || file == source
        || file
            .strip_prefix(source)
            .is_some_and(|rest| rest.starts_with('/'))
}
