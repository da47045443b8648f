//! Where secrets come from, and which of them are used.

use super::{Folders, Noun, Scope, names::entries};
use crate::inventory::{
    codes,
    document::{Document, Secret, SecretFile},
    nearest::{did_you_mean, listed},
    source::Span,
    written::{At, Short},
};
use crate::model::{
    desired::{ApiAuth, Desired},
    host::HostMountSource,
    ids::SecretName,
    secret::SecretSource,
};
use std::collections::{BTreeMap, BTreeSet};

/// All secrets by name.
pub(super) fn secrets(
    document: &Document,
    scope: &mut Scope<'_>,
) -> BTreeMap<SecretName, SecretSource> {
    let mut out = BTreeMap::new();
    for (key, secret) in entries(&document.secrets) {
        let name = scope.own_name::<SecretName>(key);
        let Some(source) = secret
            .value
            .as_ref()
            .and_then(|secret| source(key, secret, scope))
        else {
            continue;
        };
        if let Some(name) = name {
            out.insert(name, source);
        }
    }
    out
}

fn source(key: &At<String>, secret: &Secret, scope: &mut Scope<'_>) -> Option<SecretSource> {
    match secret {
        Secret::Age(at) => {
            let (file, key) = encrypted(key, at)?;
            Some(SecretSource::Age { file, key })
        }
        Secret::Sops(at) => {
            let (file, key) = encrypted(key, at)?;
            Some(SecretSource::Sops { file, key })
        }
        Secret::Env(at) => {
            let name = at.value.clone()?;
            let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid {
                scope
                    .error(
                        codes::INVALID_NAME,
                        format!("`{name}` is not the name of an environment variable"),
                    )
                    .at(at.span, "letters, digits and `_`");
            }
            Some(SecretSource::Env(name))
        }
        Secret::File(at) => at.value.clone().map(SecretSource::File),
        Secret::Command(at) => {
            let argv: Vec<String> = at
                .value
                .as_ref()?
                .iter()
                .filter_map(|a| a.value.clone())
                .collect();
            if argv.is_empty() {
                scope
                    .error(codes::EMPTY, "the command of a secret is empty")
                    .at(at.span, "a program and its arguments")
                    .help("for example `[pass, show, proxmox]`");
                return None;
            }
            Some(SecretSource::Command(argv))
        }
    }
}

fn encrypted(key: &At<String>, at: &At<Short<SecretFile>>) -> Option<(String, String)> {
    let own = key.value.clone()?;
    match at.value.as_ref()? {
        Short::Word(file) => Some((file.clone(), own)),
        Short::Full(full) => {
            let key = full.key.as_ref().and_then(|key| key.value.clone());
            Some((full.file.value.clone()?, key.unwrap_or(own)))
        }
    }
}

/// Reports secrets that templates name and nobody declares, and declared ones that nothing names.
pub(super) fn unused(
    document: &Document,
    folders: &Folders,
    desired: &Desired,
    scope: &mut Scope<'_>,
) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    if let Some(api) = &desired.proxmox {
        used.insert(match &api.auth {
            ApiAuth::Token { secret, .. } => secret.to_string(),
            ApiAuth::Password { password, .. } => password.to_string(),
        });
    }
    let keys = desired.datasets.values().filter_map(|d| d.key.as_ref());
    used.extend(keys.map(ToString::to_string));
    let jobs = desired
        .backups
        .values()
        .flat_map(crate::model::backup::BackupJob::secrets);
    used.extend(jobs.map(|name| name.to_string()));
    for mount in desired.hosts.values().flat_map(|host| &host.mounts) {
        if let HostMountSource::WebDav { password, .. } = &mount.source {
            used.insert(password.to_string());
        }
    }
    let told = desired
        .nights
        .iter()
        .flat_map(crate::model::nights::Nights::secrets);
    used.extend(told.map(ToString::to_string));
    let templates: BTreeSet<&str> = desired
        .stacks
        .values()
        .map(|s| s.template.as_str())
        .collect();
    for folder in templates.into_iter().filter_map(|name| folders.get(name)) {
        for (path, file) in &folder.files {
            let text = scope.sources.text(*file);
            for (name, start) in mentions(&text) {
                if path != super::template::MANIFEST && !scope.knows(Noun::Secret, name) {
                    undeclared(name, *file, start, scope);
                }
                used.insert(name.to_owned());
            }
        }
    }
    for stack in desired.stacks.values() {
        let values = serde_json::to_string(&stack.variables).unwrap_or_default();
        used.extend(mentions(&values).map(|(name, _)| name.to_owned()));
        // `secrets[entry.password]`: a variable holds the name.
        if stack
            .files
            .iter()
            .any(|file| file.text.contains("secrets["))
        {
            stack
                .variables
                .values()
                .for_each(|value| words(value, &mut used));
        }
    }
    for (key, _) in entries(&document.secrets) {
        if let Some(name) = &key.value
            && !used.contains(name)
            && !scope.has_errors()
        {
            scope
                .warning(
                    codes::UNUSED_SECRET,
                    format!("nothing uses the secret `{name}`"),
                )
                .at(key.span, "declared here")
                .help("remove it, or refer to it");
        }
    }
}

/// Every text inside a value.
fn words(value: &serde_json::Value, out: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            out.insert(text.clone());
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| words(value, out)),
        serde_json::Value::Object(map) => map.values().for_each(|value| words(value, out)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn undeclared(name: &str, file: u32, start: usize, scope: &mut Scope<'_>) {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let span = Span {
        file,
        start: small(start),
        end: small(start + name.len()),
    };
    let known: Vec<String> = scope.known(Noun::Secret).map(str::to_owned).collect();
    let help = did_you_mean(name, known.iter().map(String::as_str))
        .unwrap_or_else(|| format!("declare it under `secrets:`; there is {}", listed(&known)));
    scope
        .error(
            codes::UNKNOWN_SECRET,
            format!("there is no secret `{name}`"),
        )
        .at(span, "unknown secret")
        .help(help);
}

/// `secrets.NAME` inside placeholders, with the offset of NAME. Only mentions are found here; templates are rendered
/// elsewhere.
fn mentions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    const WORD: &str = "secrets.";
    text.match_indices(WORD).filter_map(|(at, _)| {
        let before = &text[..at];
        let inside = before.rfind("{{").max(before.rfind("{%"))?;
        let boundary = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if !boundary || before[inside..].contains("}}") || before[inside..].contains("%}") {
            return None;
        }
        let start = at + WORD.len();
        let rest = &text[start..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        (end > 0).then(|| (&rest[..end], start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_inside_placeholders_are_mentions() {
        let text = "# secrets.no\nA={{ secrets.one }} B={{ x ~ secrets.two_2 | yaml }} secrets.no {% if secrets.three %}";
        let names: Vec<_> = mentions(text).map(|(name, _)| name).collect();
        assert_eq!(names, ["one", "two_2", "three"]);
    }
}
