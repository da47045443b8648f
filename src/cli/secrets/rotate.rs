//! `infra secrets rotate`: new values for what was generated.

use super::{store, users};
use crate::builtin;
use crate::cli::{
    context::Context,
    exit,
    failure::Failure,
    system::{self, System},
};
use crate::model::{ids::SecretName, secret::SecretSource};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

/// Give generated secrets new values
///
/// Passwords, keys and certificates that `infra init` made are made again, those that belong together together. Nothing is
/// deployed: the stacks that use them are named.
#[derive(Debug, Clone, Args)]
pub(crate) struct RotateArgs {
    /// Secrets
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &RotateArgs) -> Result<u8, Failure> {
    let System {
        folder, desired, ..
    } = system::load(context)?;
    // File -> keys in it.
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in &args.names {
        let (file, key) = place(&desired, name)?;
        wanted.entry(file).or_default().insert(key);
    }
    let mut changes = Vec::new();
    let mut public = BTreeMap::new();
    let mut rotated: BTreeSet<(String, String)> = BTreeSet::new();
    for (file, keys) in wanted {
        let path = folder.join(&file);
        let mut map = store::open(context, &path)?;
        let kept: store::Map = map
            .iter()
            .filter(|(key, _)| !keys.contains(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let made = builtin::generate(desired.system.as_str(), &kept, jiff::Zoned::now().date())
            .map_err(|error| Failure::of(exit::FAILED, &error))?;
        if let Some(key) = keys.iter().find(|key| !made.secrets.contains_key(*key)) {
            return Err(Failure::new(
                exit::USAGE,
                format!("infra did not make `{key}` and cannot make another one"),
            )
            .hint("Give it a new value yourself: `infra secrets edit`."));
        }
        // What belongs together, and nothing that was missing besides.
        for (key, value) in made.secrets {
            if map.contains_key(&key) || keys.contains(&key) {
                rotated.insert((file.clone(), key.clone()));
                map.insert(key, value);
            }
        }
        public.extend(made.public);
        changes.push((path, map));
    }
    let shown: Vec<&str> = rotated.iter().map(|(_, key)| key.as_str()).collect();
    let shown = shown.join(", ");
    if !args.yes && !agreed(context, &shown)? {
        return Err(Failure::new(
            exit::FAILED,
            "nothing was changed: you did not agree",
        ));
    }
    for (path, map) in &changes {
        store::close(context, path, map)?;
    }
    for (name, text) in &public {
        std::fs::write(folder.join(name), text)
            .map_err(|error| Failure::of(exit::FAILED, &error).hint(format!("It is {name}.")))?;
    }
    let names: Vec<SecretName> = desired
        .secrets
        .iter()
        .filter(|(_, source)| {
            matches!(source, SecretSource::Age { file, key } if rotated.contains(&(file.clone(), key.clone())))
        })
        .map(|(name, _)| name.clone())
        .collect();
    let next = users::next(context, &desired, &names);
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "rotated": names, "next": next }));
        return Ok(exit::DONE);
    }
    context.terminal.answer(&format!("New values: {shown}.\n"));
    for name in public.keys() {
        context
            .terminal
            .tell(&format!("{name} is new: install it on your devices again."));
    }
    for line in next {
        context.terminal.tell(&line);
    }
    Ok(exit::DONE)
}

/// The file and the key of a secret in an age file.
fn place(
    desired: &crate::model::desired::Desired,
    name: &str,
) -> Result<(String, String), Failure> {
    let found = desired
        .secrets
        .iter()
        .find(|(own, _)| own.as_str() == name)
        .map(|(_, source)| source);
    let elsewhere = |whose: String| {
        Err(
            Failure::new(exit::USAGE, format!("`{name}` is not infra's to change"))
                .hint(format!("It comes from {whose}: change it there.")),
        )
    };
    match found {
        Some(SecretSource::Age { file, key }) => Ok((file.clone(), key.clone())),
        Some(SecretSource::Sops { file, .. }) => elsewhere(format!("the SOPS file {file}")),
        Some(SecretSource::Env(variable)) => elsewhere(format!("the variable {variable}")),
        Some(SecretSource::File(file)) => elsewhere(format!("the file {file}")),
        Some(SecretSource::Command(argv)) => elsewhere(format!(
            "the command `{}`",
            argv.first().map_or("", String::as_str)
        )),
        None => {
            let known: Vec<&str> = desired.secrets.keys().map(SecretName::as_str).collect();
            Err(
                Failure::new(exit::USAGE, format!("there is no secret `{name}`"))
                    .hint(format!("The inventory has {}.", known.join(", "))),
            )
        }
    }
}

fn agreed(context: &Context, names: &str) -> Result<bool, Failure> {
    if !context.terminal.can_ask() {
        return Err(Failure::new(exit::USAGE, "there is nobody to ask")
            .hint("Agree beforehand with `--yes`."));
    }
    let question = format!("Give {names} new values? The old ones are gone then. [yes / no]");
    Ok(matches!(
        context.terminal.ask(&question).as_deref(),
        Some("yes" | "y")
    ))
}
