//! `infra secrets edit`: the encrypted file in an editor, in memory only.

use super::{
    store::{self, Map},
    users,
};
use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    session::key_files,
    system::{self, System},
};
use crate::model::{ids::SecretName, secret::SecretSource};
use crate::secrets::{self, Scratch};
use clap::Args;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitStatus,
};
use tokio::signal::unix::{SignalKind, signal};

/// Change secrets in `$EDITOR`
///
/// The text is on a file system in memory, mode 0600, only while the editor runs; it goes away too when infra is ended by a
/// signal. Files of SOPS are handed to `sops` itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct EditArgs {
    /// The encrypted file, relative to the inventory; the only one unless given
    pub(crate) file: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &EditArgs) -> Result<u8, Failure> {
    let System {
        folder, desired, ..
    } = system::load(context)?;
    let file = chosen(args, &desired)?;
    let path = folder.join(&file);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    if is_sops(&desired, &file) {
        return runtime.block_on(with_sops(context, &path));
    }
    let before = store::open(context, &path)?;
    let after = runtime.block_on(edited(context, &file, &before))?;
    if after == before {
        context.terminal.tell("Nothing was changed.");
        return Ok(exit::DONE);
    }
    store::close(context, &path, &after)?;
    let changed: BTreeSet<&String> = before
        .keys()
        .chain(after.keys())
        .filter(|key| before.get(*key) != after.get(*key))
        .collect();
    let names: Vec<SecretName> = desired
        .secrets
        .iter()
        .filter(|(_, source)| {
            matches!(source, SecretSource::Age { file: own, key } if *own == file && changed.contains(key))
        })
        .map(|(name, _)| name.clone())
        .collect();
    let words: Vec<&str> = changed.iter().map(|key| key.as_str()).collect();
    context
        .terminal
        .answer(&format!("Changed in {file}: {}.\n", words.join(", ")));
    for line in users::next(context, &desired, &names) {
        context.terminal.tell(&line);
    }
    Ok(exit::DONE)
}

fn chosen(args: &EditArgs, desired: &crate::model::desired::Desired) -> Result<String, Failure> {
    let mut known = store::age_files(desired);
    known.extend(desired.secrets.values().filter_map(|source| match source {
        SecretSource::Sops { file, .. } => Some(file.clone()),
        SecretSource::Age { .. }
        | SecretSource::Env(_)
        | SecretSource::File(_)
        | SecretSource::Command(_) => None,
    }));
    let shown: Vec<&str> = known.iter().map(String::as_str).collect();
    let shown = shown.join(", ");
    match &args.file {
        Some(file) if known.contains(file) => Ok(file.clone()),
        Some(file) => Err(Failure::new(
            exit::USAGE,
            format!("no secret of the inventory is in `{file}`"),
        )
        .hint(format!("They are in {shown}."))),
        None => {
            let mut files = known.into_iter();
            match (files.next(), files.next()) {
                (Some(one), None) => Ok(one),
                (None, _) => Err(Failure::new(
                    exit::USAGE,
                    "no secret of the inventory is in an encrypted file",
                )
                .hint("Name one in secrets.yaml: `NAME: {age: secrets.age}`.")),
                (Some(_), Some(_)) => Err(Failure::new(
                    exit::USAGE,
                    "the secrets of the inventory are in several files",
                )
                .hint(format!("Name one of {shown}."))),
            }
        }
    }
}

fn is_sops(desired: &crate::model::desired::Desired, file: &str) -> bool {
    desired
        .secrets
        .values()
        .any(|source| matches!(source, SecretSource::Sops { file: own, .. } if own == file))
}

/// The map as the editor leaves it.
async fn edited(context: &Context, file: &str, before: &Map) -> Result<Map, Failure> {
    let runtime = context.env.variables.get("XDG_RUNTIME_DIR");
    let places: Vec<PathBuf> = runtime
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .collect();
    let scratch = Scratch::make(&places).map_err(|error| {
        Failure::of(exit::FAILED, &error)
            .hint("Secrets are not written to a disk in the clear. Mount a tmpfs on /dev/shm.")
    })?;
    let text = secrets::print(before)
        .map_err(|why| Failure::new(exit::FAILED, format!("failed to show secrets: {why}")))?;
    let head = format!("# {file}: names and values. Saved, encrypted, when the editor ends.\n");
    let open = scratch
        .file("secrets.yaml", &(head + &text))
        .map_err(|error| failed(&error))?;
    loop {
        let mut command = editor(context);
        command.arg(&open);
        let status = watched(command).await?;
        if !status.success() {
            return Err(Failure::new(
                exit::FAILED,
                format!("the editor ended with {status}: nothing was changed"),
            ));
        }
        let text = std::fs::read_to_string(&open).map_err(|error| failed(&error))?;
        match secrets::read(&text) {
            Ok(map) => return Ok(map),
            Err(why) => {
                let what = format!("that is no map of names to texts: {why}");
                if !context.terminal.can_ask() {
                    return Err(Failure::new(exit::FAILED, what).hint("Nothing was changed."));
                }
                context.terminal.complain(&what);
                let again = context.terminal.ask("Edit it again? [yes / no]");
                if !matches!(again.as_deref(), Some("yes" | "y")) {
                    return Err(Failure::new(exit::FAILED, "nothing was changed"));
                }
            }
        }
    }
}

fn editor(context: &Context) -> tokio::process::Command {
    let named = ["VISUAL", "EDITOR"]
        .iter()
        .filter_map(|name| context.env.variables.get(*name))
        .find(|text| !text.trim().is_empty());
    let words: Vec<&str> =
        named.map_or_else(|| vec!["vi"], |text| text.split_whitespace().collect());
    let mut command = tokio::process::Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Waits for a program on this terminal. A signal that ends infra ends it too, so that what is in memory can go away.
async fn watched(mut command: tokio::process::Command) -> Result<ExitStatus, Failure> {
    let heard = |kind| signal(kind).map_err(|error| failed(&error));
    let (mut term, mut hup) = (
        heard(SignalKind::terminate())?,
        heard(SignalKind::hangup())?,
    );
    // Ctrl-C is for the program on the terminal.
    let mut interrupt = heard(SignalKind::interrupt())?;
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| {
        Failure::of(exit::FAILED, &error)
            .hint("Name your editor: `EDITOR=nano infra secrets edit`.")
    })?;
    let ended = || Failure::new(exit::INTERRUPTED, "interrupted: nothing was changed");
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(|error| failed(&error)),
            _ = term.recv() => return Err(ended()),
            _ = hup.recv() => return Err(ended()),
            _ = interrupt.recv() => {}
        }
    }
}

/// SOPS encrypts comments too and knows its own rules about what is secret: its files are its own to write.
async fn with_sops(context: &Context, path: &Path) -> Result<u8, Failure> {
    let mut command = tokio::process::Command::new("sops");
    command.arg(path);
    if let Some(key) = key_files(context).iter().find(|file| file.is_file()) {
        command.env("SOPS_AGE_KEY_FILE", key);
    }
    let status = watched(command).await.map_err(|failure| {
        failure.hint("Files of SOPS are changed by `sops` itself: install it, then run this again.")
    })?;
    // `sops` says 200 when nothing was changed.
    Ok(match status.code() {
        Some(0 | 200) => exit::DONE,
        Some(_) | None => exit::FAILED,
    })
}
