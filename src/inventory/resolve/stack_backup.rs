//! What a manifest says of its stack's databases and exports.

use super::{Scope, names::items, scope::text};
use crate::inventory::{
    codes,
    document::{Manifest, ManifestDatabase, ManifestEngine, ManifestExport},
    written::At,
};
use crate::model::backup::{Database, DatabaseEngine, Export, ExportOf, StackBackup};
use std::collections::{BTreeMap, BTreeSet};

/// The databases and exports of a stack with these mounts.
pub(super) fn backup(
    manifest: &Manifest,
    mounts: &BTreeMap<String, String>,
    scope: &mut Scope<'_>,
) -> StackBackup {
    let Some(raw) = manifest.backup.as_ref().and_then(|at| at.value.as_ref()) else {
        return StackBackup::default();
    };
    let mut out = StackBackup::default();
    let mut files = BTreeSet::new();
    for at in items(&raw.databases) {
        let Some(one) = database(at, mounts, scope) else {
            continue;
        };
        if !files.insert(one.file()) {
            twice(at, &one.file(), scope);
        }
        out.databases.push(one);
    }
    for at in items(&raw.exports) {
        let Some(one) = export(at, scope) else {
            continue;
        };
        if !files.insert(one.file()) {
            twice(at, &one.file(), scope);
        }
        out.exports.push(one);
    }
    out
}

fn twice<T>(at: &At<T>, file: &str, scope: &mut Scope<'_>) {
    scope
        .error(
            codes::BACKUP_OF_STACK,
            format!("two things would be written into `{file}`"),
        )
        .at(at.span, "the second one")
        .help("give it another name");
}

fn database(
    at: &At<ManifestDatabase>,
    mounts: &BTreeMap<String, String>,
    scope: &mut Scope<'_>,
) -> Option<Database> {
    let raw = at.value.as_ref()?;
    let engine = match raw.engine.value? {
        ManifestEngine::Postgres => DatabaseEngine::Postgres,
        ManifestEngine::Mariadb => DatabaseEngine::Mariadb,
        ManifestEngine::Sqlite => DatabaseEngine::Sqlite,
        ManifestEngine::Redis => DatabaseEngine::Redis,
    };
    let service = word(&raw.service, scope)?;
    let given = match engine {
        DatabaseEngine::Sqlite => ("path", &raw.path),
        DatabaseEngine::Postgres | DatabaseEngine::Mariadb => ("name", &raw.name),
        DatabaseEngine::Redis => ("name", &None),
    };
    let name = match (engine, given.1) {
        (DatabaseEngine::Redis, _) => String::new(),
        (DatabaseEngine::Sqlite, Some(at)) => host_path(at, mounts, scope)?,
        (_, Some(at)) => word(at, scope)?,
        (_, None) => {
            scope
                .error(codes::MISSING_KEY, format!("`{}` is missing", given.0))
                .at(at.span, format!("a {engine} database needs it"));
            return None;
        }
    };
    let default = match engine {
        DatabaseEngine::Postgres => "postgres",
        DatabaseEngine::Mariadb => "root",
        DatabaseEngine::Sqlite | DatabaseEngine::Redis => "",
    };
    let user = match &raw.user {
        Some(at) => word(at, scope)?,
        None => default.to_owned(),
    };
    let assertions = assertions(engine, raw, scope);
    Some(Database {
        engine,
        service,
        name,
        user,
        password_file: scope.parse_may(&raw.password_file).map(|path| path.0),
        assertions,
    })
}

/// Queries of one line each, as they are handed to the database's own client.
fn assertions(
    engine: DatabaseEngine,
    raw: &ManifestDatabase,
    scope: &mut Scope<'_>,
) -> Vec<String> {
    let mut out = Vec::new();
    for at in items(&raw.assert) {
        let Some(query) = &at.value else { continue };
        let summary = if engine == DatabaseEngine::Redis {
            "a redis is asked no queries"
        } else if query.trim().is_empty() || query.contains('\n') {
            "an assertion is a query on one line"
        } else {
            out.push(query.trim().to_owned());
            continue;
        };
        scope
            .error(codes::BACKUP_OF_STACK, summary)
            .at(at.span, "here")
            .help("write for example `SELECT count(*) > 0 FROM users`");
    }
    out
}

/// A name that goes into a file's name and a command's arguments.
fn word(at: &At<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = at.value.as_deref()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with(['-', '.']) || text.len() > 63 || !text.chars().all(fits)
    {
        scope
            .error(codes::INVALID_NAME, format!("`{text}` cannot be used here"))
            .at(at.span, "letters, digits, `-`, `_` and `.`, at most 63");
        return None;
    }
    Some(text.to_owned())
}

/// A path whose only placeholder may be a mount at its beginning.
fn host_path(
    at: &At<String>,
    mounts: &BTreeMap<String, String>,
    scope: &mut Scope<'_>,
) -> Option<String> {
    let written = at.value.as_deref()?;
    let path = match written
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
    {
        Some((inner, rest)) => inner
            .trim()
            .strip_prefix("mounts.")
            .and_then(|name| mounts.get(name))
            .map(|mount| format!("{mount}{rest}")),
        None => Some(written.to_owned()),
    };
    let is_plain = |path: &String| {
        path.starts_with('/')
            && !path.contains(['\n', '{'])
            && path
                .split('/')
                .skip(1)
                .all(|part| !matches!(part, "" | "." | ".."))
    };
    if path.as_ref().is_some_and(is_plain) {
        return path;
    }
    scope
        .error(
            codes::INVALID_PATH,
            format!("`{written}` is not an absolute path"),
        )
        .at(at.span, "where on the host?")
        .help("begin with `/` or with a mount of the stack: `{{ mounts.appdata }}/app/db.sqlite`");
    None
}

fn export(at: &At<ManifestExport>, scope: &mut Scope<'_>) -> Option<Export> {
    let raw = at.value.as_ref()?;
    let name = word(&raw.name, scope)?;
    let argv: Vec<String> = items(&raw.argv)
        .iter()
        .filter_map(|one| one.value.clone())
        .collect();
    let paths: Vec<String> = items(&raw.paths)
        .iter()
        .filter_map(|one| scope.parse(one))
        .map(|path| path.0)
        .collect();
    let what = match (text(&raw.service), argv.is_empty(), paths.is_empty()) {
        (Some(service), false, true) => ExportOf::Command { service, argv },
        (None, true, false) => ExportOf::Paths(paths),
        _ => {
            scope
                .error(
                    codes::BACKUP_OF_STACK,
                    "an export is a command in a container, or paths of the host",
                )
                .at(at.span, "this one is neither, or both")
                .help("write `service` and `argv`, or `paths`");
            return None;
        }
    };
    Some(Export { name, what })
}
