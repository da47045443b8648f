//! Where a stack keeps what it writes.

use super::{
    compose::{Compose, Texts},
    lint::COMPOSE,
};
use crate::model::release::Release;
use serde_json::Value;

/// Places below which the system keeps what is made anew at every start, or what is nobody's data.
const SYSTEM: &[&str] = &[
    "/dev",
    "/etc",
    "/lib/modules",
    "/opt/infra",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/var/run",
];

/// Docker's own volumes by name, and absolute paths of the host that a service may write to, each once and in order.
pub fn volumes(release: &Release) -> Vec<String> {
    let texts: Texts = release
        .files
        .iter()
        .map(|file| (file.path.clone(), file.content.redacted()))
        .collect();
    let main = texts.get(COMPOSE);
    let Some(compose) = main.and_then(|text| Compose::parse(COMPOSE, text, &texts).ok()) else {
        return Vec::new();
    };
    let mut out: Vec<String> = compose
        .services()
        .flat_map(|service| service.list("volumes"))
        .filter_map(place)
        .filter(|place| !is_system(place))
        .collect();
    out.extend(release.data.iter().map(|own| release.data_path(&own.path)));
    out.sort();
    out.dedup();
    out
}

/// What a service may write to; none for a file of the release, a tmpfs, or what is mounted read-only.
fn place(item: &Value) -> Option<String> {
    let (source, is_read_only) = match item {
        Value::String(short) => {
            let parts: Vec<&str> = short.split(':').collect();
            let [source, _, options @ ..] = parts.as_slice() else {
                // A path alone is a volume without a name, which goes with its container.
                return Some(short.clone());
            };
            let is_read_only = options.iter().flat_map(|o| o.split(',')).any(|o| o == "ro");
            ((*source).to_owned(), is_read_only)
        }
        Value::Object(long) => {
            let kind = long.get("type").and_then(Value::as_str).unwrap_or("volume");
            if !matches!(kind, "bind" | "volume") {
                return None;
            }
            let source = long
                .get("source")
                .or_else(|| long.get("target"))?
                .as_str()?;
            let is_read_only = long.get("read_only").and_then(Value::as_bool) == Some(true);
            (source.to_owned(), is_read_only)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    (!is_read_only && !source.starts_with('.')).then_some(source)
}

fn is_system(place: &str) -> bool {
    SYSTEM.iter().any(|folder| {
        place
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writable_places_are_named_and_the_rest_is_not() {
        let cases = [
            (json!("data:/var/lib/x"), Some("data")),
            (json!("/mnt/tank/media:/media:ro"), None),
            (json!("/mnt/tank/media:/media"), Some("/mnt/tank/media")),
            (json!("./config:/etc/x"), None),
            (json!({"type": "tmpfs", "target": "/tmp"}), None),
            (
                json!({"type": "bind", "source": "/srv/x", "target": "/x", "read_only": true}),
                None,
            ),
            (
                json!({"type": "volume", "source": "cache", "target": "/x"}),
                Some("cache"),
            ),
            (json!({"type": "volume", "target": "/x"}), Some("/x")),
        ];
        for (item, wanted) in cases {
            assert_eq!(place(&item).as_deref(), wanted, "{item}");
        }
        assert!(is_system("/var/run/docker.sock") && is_system("/etc") && !is_system("/etcetera"));
    }
}
