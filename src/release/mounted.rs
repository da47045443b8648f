//! Which files and host paths a service uses.

use super::compose::{Compose, Entry};
use serde_json::Value;

/// Every path of the host that a service mounts or reads, as written: relative ones are release files.
pub(super) fn sources(compose: &Compose, entry: Entry<'_>) -> Vec<String> {
    let mut out: Vec<String> = entry.list("volumes").iter().filter_map(volume).collect();
    match entry.value.get("env_file") {
        Some(Value::String(path)) => out.push(relative(path)),
        Some(Value::Array(list)) => out.extend(list.iter().filter_map(|item| {
            let path = item.as_str().or_else(|| item.get("path")?.as_str())?;
            Some(relative(path))
        })),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
    }
    for kind in ["secrets", "configs"] {
        for item in entry.list(kind) {
            let name = item.as_str().or_else(|| item.get("source")?.as_str());
            if let Some(path) = name.and_then(|name| compose.file_of(kind, name)) {
                out.push(relative(path));
            }
        }
    }
    if let Some(file) = entry
        .value
        .get("extends")
        .and_then(|from| from.get("file")?.as_str())
    {
        out.push(relative(file));
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
