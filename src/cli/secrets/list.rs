//! `infra secrets list`: no value, and everything else.

use super::users::users;
use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    session::key_files,
    system,
};
use crate::model::{ids::SecretName, secret::SecretSource};
use crate::secrets::{self, Identities, Surroundings};
use crate::view::palette;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let surroundings = Surroundings {
        folder: &system.folder,
        variables: &context.env.variables,
        identities: Identities::read(&key_files(context)),
    };
    let users = users(&system.desired);
    let mut rows = Vec::new();
    for (name, source) in &system.desired.secrets {
        let found = value(&system.desired.secrets, name, source, &surroundings);
        let used = users
            .get(name)
            .map(super::users::Users::words)
            .unwrap_or_default();
        rows.push((name, from(source), found, used));
    }
    if context.global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, from, found, used)| {
                let (has, why) = match found {
                    Found::Yes => (Some(true), None),
                    Found::No(why) => (Some(false), Some(why)),
                    Found::NotAsked => (None, None),
                };
                serde_json::json!({"name": name, "from": from, "has_value": has, "why": why, "used_by": used})
            })
            .collect();
        context
            .terminal
            .json(&serde_json::json!({ "secrets": rows }));
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["secret", "from", "value", "used by"]);
    for (name, from, found, used) in rows {
        let found = match found {
            Found::Yes => palette::good("there"),
            Found::No(why) => palette::bad(&why),
            Found::NotAsked => "the command is not run for a list".to_owned(),
        };
        let used = if used.is_empty() {
            palette::faint("nothing")
        } else {
            used.join("\n")
        };
        table.add_row([name.to_string(), from, found, used]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(exit::DONE)
}

enum Found {
    Yes,
    No(String),
    NotAsked,
}

fn value(
    all: &std::collections::BTreeMap<SecretName, SecretSource>,
    name: &SecretName,
    source: &SecretSource,
    surroundings: &Surroundings<'_>,
) -> Found {
    match source {
        // It may ask for a passphrase.
        SecretSource::Command(_) => Found::NotAsked,
        SecretSource::Age { .. }
        | SecretSource::Sops { .. }
        | SecretSource::Env(_)
        | SecretSource::File(_) => {
            match secrets::resolve(all, std::slice::from_ref(name), surroundings) {
                Ok(_) => Found::Yes,
                Err(errors) => Found::No(
                    errors
                        .first()
                        .map(|error| failed(error).text())
                        .unwrap_or_default(),
                ),
            }
        }
    }
}

fn from(source: &SecretSource) -> String {
    match source {
        SecretSource::Age { file, key } => format!("{file}: {key}"),
        SecretSource::Sops { file, key } => format!("{file} (SOPS): {key}"),
        SecretSource::Env(variable) => format!("${variable}"),
        SecretSource::File(file) => file.clone(),
        SecretSource::Command(argv) => argv.first().cloned().unwrap_or_default(),
    }
}
