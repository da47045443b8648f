//! The compose files of a stack, read leniently: what infra must know of them. `docker compose config` on the host decides
//! validity.
//!
//! `extends`, `include` and `${...}` are followed as far as the stack's own files go.

use super::{code::BAD_COMPOSE, interpolate::Variables, written::Written};
use crate::diagnostic::Diagnostic;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// `include` and `extends` that lead further than this lead in a circle.
const DEPTH: usize = 16;

/// A parsed project.
pub(super) struct Compose {
    top: Map<String, Value>,
    /// Services of the compose file and of what it includes, with everything filled in.
    services: Vec<(String, Value)>,
    /// Variables without a value.
    unset: BTreeSet<String>,
}

/// A service's entry, merge keys resolved.
#[derive(Clone, Copy)]
pub(super) struct Entry<'c> {
    pub(super) name: &'c str,
    pub(super) value: &'c Value,
}

/// Texts of a stack's files by path.
pub(super) type Texts = BTreeMap<String, String>;

impl Compose {
    /// Parses rendered text, secrets marked. `yes` and `no` stay words, as in compose's own reading of them.
    pub(super) fn parse(file: &str, text: &str, texts: &Texts) -> Result<Self, Diagnostic> {
        let top = document(text).map_err(|why| {
            Diagnostic::error(BAD_COMPOSE, format!("`{file}` is not YAML: {why}"))
        })?;
        let mut services = BTreeMap::new();
        let mut order = Vec::new();
        let mut found = Found {
            texts,
            services: &mut services,
            order: &mut order,
        };
        found.collect(&top, 0)?;
        if order.is_empty() {
            return Err(
                Diagnostic::error(BAD_COMPOSE, format!("`{file}` names no service"))
                    .help("a compose file has a map `services`"),
            );
        }
        let variables = Variables::of_env(texts.get(".env").map_or("", String::as_str));
        let mut unset = BTreeSet::new();
        let services = order
            .into_iter()
            .map(|name| {
                let value = extended(&services, &services[&name], texts, 0);
                let value = variables.fill(&value, &mut unset);
                (name, value)
            })
            .collect();
        Ok(Self {
            top,
            services,
            unset,
        })
    }

    /// Services that start with the project, in the file's order. Those of a profile wait for somebody who names it, and of
    /// some there is to be no container at all.
    pub(super) fn services(&self) -> impl Iterator<Item = Entry<'_>> {
        self.every_service()
            .filter(|entry| entry.list("profiles").is_empty() && !entry.has_no_container())
    }

    /// All services, those of profiles too.
    pub(super) fn every_service(&self) -> impl Iterator<Item = Entry<'_>> {
        let all = self.services.iter();
        all.map(|(name, value)| Entry { name, value })
    }

    /// The project's own name for itself.
    pub(super) fn name(&self) -> Option<&str> {
        self.top.get("name")?.as_str()
    }

    /// The top level of a document.
    pub(super) fn document(text: &str) -> Result<Map<String, Value>, String> {
        document(text)
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

    /// The variables that compose fills in with nothing.
    pub(super) fn unset(&self) -> &BTreeSet<String> {
        &self.unset
    }

    /// The `file` of a top-level secret or config.
    pub(super) fn file_of(&self, kind: &str, name: &str) -> Option<&str> {
        self.top.get(kind)?.get(name)?.get("file")?.as_str()
    }
}

fn document(text: &str) -> Result<Map<String, Value>, String> {
    let options = serde_saphyr::options! { strict_booleans: true };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    })?;
    Ok(match value {
        Value::Object(top) => top,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    })
}

struct Found<'f> {
    texts: &'f Texts,
    services: &'f mut BTreeMap<String, Value>,
    order: &'f mut Vec<String>,
}

impl Found<'_> {
    /// The services of a document, then of what it includes.
    fn collect(&mut self, top: &Map<String, Value>, depth: usize) -> Result<(), Diagnostic> {
        for (name, value) in top
            .get("services")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if !self.services.contains_key(name) {
                self.order.push(name.clone());
                self.services.insert(name.clone(), value.clone());
            }
        }
        if depth == DEPTH {
            return Ok(());
        }
        for path in included(top) {
            let Some(text) = path_of(&path).and_then(|path| self.texts.get(&path)) else {
                continue;
            };
            let inner = document(text).map_err(|why| {
                let text = format!("`{path}`, which is included, is not YAML: {why}");
                Diagnostic::error(BAD_COMPOSE, text)
            })?;
            self.collect(&inner, depth + 1)?;
        }
        Ok(())
    }
}

/// The paths under `include`: texts, or maps with one path or several.
pub(super) fn included(top: &Map<String, Value>) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::String(path) => vec![path.clone()],
        Value::Array(paths) => paths
            .iter()
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![],
    };
    match top.get("include") {
        Some(Value::Array(items)) => items
            .iter()
            .flat_map(|item| texts(item.get("path").unwrap_or(item)))
            .collect(),
        Some(other) => texts(other),
        None => vec![],
    }
}

/// The path inside the release that a relative path means.
pub(super) fn path_of(path: &str) -> Option<String> {
    if path.starts_with(['/', '~']) {
        return None;
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// A service over what it extends; what cannot be found is left out, compose says so itself.
fn extended(services: &BTreeMap<String, Value>, own: &Value, texts: &Texts, depth: usize) -> Value {
    let Some(extends) = own.get("extends").filter(|_| depth < DEPTH) else {
        return own.clone();
    };
    let name = extends
        .as_str()
        .or_else(|| extends.get("service")?.as_str());
    let file = extends.get("file").and_then(Value::as_str);
    let elsewhere: BTreeMap<String, Value>;
    let services = match file.and_then(path_of) {
        None => services,
        Some(path) => {
            let top = texts.get(&path).and_then(|text| document(text).ok());
            let found = top
                .as_ref()
                .and_then(|top| top.get("services")?.as_object());
            elsewhere = found
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            &elsewhere
        }
    };
    match name.and_then(|name| services.get(name)) {
        Some(base) => over(&extended(services, base, texts, depth + 1), own),
        None => own.clone(),
    }
}

/// Maps are joined, lists appended, everything else replaced; `command` and `entrypoint` are replaced whole.
fn over(base: &Value, own: &Value) -> Value {
    match (base, own) {
        (Value::Object(base), Value::Object(own)) => {
            let mut out = base.clone();
            for (key, value) in own {
                let merged = match base.get(key) {
                    Some(below) if !matches!(key.as_str(), "command" | "entrypoint") => {
                        over(below, value)
                    }
                    Some(_) | None => value.clone(),
                };
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(base), Value::Array(own)) => base.iter().chain(own).cloned().collect(),
        (_, own) => own.clone(),
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

    /// `scale: 0` or `deploy: {replicas: 0}`.
    fn has_no_container(&self) -> bool {
        let deploy = self.value.get("deploy");
        let replicas = deploy.and_then(|deploy| deploy.get("replicas"));
        let is_none = |count: &Value| count.as_u64() == Some(0) || count.as_str() == Some("0");
        replicas
            .or_else(|| self.value.get("scale"))
            .is_some_and(is_none)
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

    /// Where an item of a list stands, else the key, else the service. None for a service of an included file.
    pub(super) fn range(
        &self,
        written: &Written<'_>,
        key: &str,
        item: Option<usize>,
    ) -> Option<Range<usize>> {
        let (head, node) = written.root()?.get("services")?.entry(self.name)?;
        let Some((head, list)) = node.entry(key) else {
            return Some(head);
        };
        let items = list.items();
        // What a service extends comes before its own.
        let inherited = self.list(key).len().saturating_sub(items.len());
        let own = item
            .and_then(|item| item.checked_sub(inherited))
            .and_then(|item| items.get(item));
        Some(match own {
            Some(own) => own.range.clone(),
            None if items.is_empty() && !list.range.is_empty() => list.range.clone(),
            None => head,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, others: &[(&str, &str)]) -> Compose {
        let texts = others
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        Compose::parse("compose.yaml", text, &texts).expect("readable")
    }

    #[test]
    fn a_service_without_containers_is_waited_for_by_nobody() {
        let compose = read(
            "services:\n  web: {image: w, deploy: {replicas: 2}}\n  off: {image: o, deploy: {replicas: 0}}\n  \
             none: {image: n, scale: 0}\n  later: {image: l, profiles: [debug]}\n",
            &[],
        );
        let names: Vec<&str> = compose.services().map(|entry| entry.name).collect();
        assert_eq!(names, ["web"]);
        assert_eq!(compose.every_service().count(), 4);
    }

    #[test]
    fn what_is_extended_and_included_counts_as_written_here() {
        let compose = read(
            "include: [./more.yaml, {path: [even.yaml]}]\nservices:\n  web:\n    extends: {file: ./base.yml, service: base}\n    \
             ports: [\"81:81\"]\n    command: [b]\n  loop: {extends: loop, image: x}\n",
            &[
                (
                    "base.yml",
                    "services:\n  root: {image: docker.io/x/y:1, restart: always}\n  base: {extends: root, ports: [\"80:80\"], command: [a]}\n",
                ),
                (
                    "more.yaml",
                    "services: {side: {image: s}, web: {image: hidden}}\n",
                ),
                (
                    "even.yaml",
                    "include: even.yaml\nservices: {deep: {image: d}}\n",
                ),
            ],
        );
        let names: Vec<&str> = compose.services().map(|entry| entry.name).collect();
        assert_eq!(names, ["web", "loop", "side", "deep"]);
        let web = compose.services().next().expect("web");
        assert_eq!(web.text("image"), Some("docker.io/x/y:1"));
        assert_eq!(web.list("ports"), [json!("80:80"), json!("81:81")]);
        assert_eq!(web.list("command"), [json!("b")]);
        assert!(!web.is_one_shot() && compose.includes());
    }

    #[test]
    fn variables_come_from_the_env_file() {
        let text = "services:\n  a: {image: \"x:${TAG:-v1}\", hostname: $HOST}\n  b: {image: $B, profiles: [p]}\n";
        let compose = read(text, &[(".env", "TAG=v2\n")]);
        let a = compose.services().next().expect("a");
        assert_eq!(a.text("image"), Some("x:v2"));
        assert!(compose.unset().contains("HOST"));
        assert_eq!(compose.services().count(), 1);
    }
}
