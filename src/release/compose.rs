//! The compose file, read leniently: what infra must know of it. `docker compose config` on the host decides validity.

use super::code::BAD_COMPOSE;
use crate::diagnostic::Diagnostic;
use serde_json::{Map, Value};

/// A parsed compose file.
pub(super) struct Compose {
    top: Map<String, Value>,
}

/// A service's entry, merge keys resolved.
#[derive(Clone, Copy)]
pub(super) struct Entry<'c> {
    pub(super) name: &'c str,
    pub(super) value: &'c Value,
}

impl Compose {
    /// Parses rendered text. `yes` and `no` stay words, as in compose's own YAML 1.2 reading of them.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error
                .location()
                .map(|at| format!(" (line {} of the rendered file)", at.line()))
                .unwrap_or_default();
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().to_owned();
            Diagnostic::error(
                BAD_COMPOSE,
                format!("`{file}` renders to bad YAML{line}: {first}"),
            )
        })?;
        match value {
            Value::Object(top)
                if top
                    .get("services")
                    .and_then(Value::as_object)
                    .is_some_and(|s| !s.is_empty()) =>
            {
                Ok(Self { top })
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => Err(Diagnostic::error(
                BAD_COMPOSE,
                format!("`{file}` names no service"),
            )
            .help("a compose file has a map `services`")),
        }
    }

    /// Services that start with the project, in the file's order. Those of a profile wait for somebody who names it.
    pub(super) fn services(&self) -> impl Iterator<Item = Entry<'_>> {
        let all = self.top.get("services").and_then(Value::as_object);
        all.into_iter()
            .flatten()
            .map(|(name, value)| Entry { name, value })
            .filter(|entry| entry.list("profiles").is_empty())
    }

    /// What every service depends on: networks, named volumes and whatever else is neither a service nor an extension.
    pub(super) fn surroundings(&self) -> Value {
        self.top
            .iter()
            .filter(|(key, _)| {
                !matches!(key.as_str(), "services" | "secrets" | "configs")
                    && !key.starts_with("x-")
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// `include` reads other files: then every file belongs to every service.
    pub(super) fn includes(&self) -> bool {
        self.top.contains_key("include")
    }

    /// The `file` of a top-level secret or config.
    pub(super) fn file_of(&self, kind: &str, name: &str) -> Option<&str> {
        self.top.get(kind)?.get(name)?.get("file")?.as_str()
    }
}

impl<'c> Entry<'c> {
    pub(super) fn text(&self, key: &str) -> Option<&'c str> {
        self.value.get(key).and_then(Value::as_str)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    pub(super) fn list(&self, key: &str) -> &'c [Value] {
        self.value
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The service whose network it uses.
    pub(super) fn shares_network_of(&self) -> Option<&'c str> {
        self.text("network_mode")?.strip_prefix("service:")
    }

    pub(super) fn uses_host_network(&self) -> bool {
        self.text("network_mode") == Some("host")
    }

    /// Without a restart policy, or with one for failures only, exit code 0 is the end of its work.
    pub(super) fn is_one_shot(&self) -> bool {
        match self.text("restart") {
            None => true,
            Some(policy) => policy == "no" || policy.starts_with("on-failure"),
        }
    }

    pub(super) fn has_healthcheck(&self) -> bool {
        self.value
            .get("healthcheck")
            .is_some_and(|check| check.get("disable").and_then(Value::as_bool) != Some(true))
    }
}
