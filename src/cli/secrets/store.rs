//! The encrypted file of an inventory, opened and closed.

use crate::cli::{context::Context, exit, failure::Failure, session::key_files};
use crate::model::{desired::Desired, secret::SecretSource};
use crate::secrets::{self, Identities};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Public keys, one a line, to which the files of an inventory are encrypted; without it, the keys that open them here.
const RECIPIENTS: &str = "age-recipients";

/// Names and values.
pub(super) type Map = BTreeMap<String, String>;

/// The age files that the secrets of an inventory are in.
pub(super) fn age_files(desired: &Desired) -> BTreeSet<String> {
    desired
        .secrets
        .values()
        .filter_map(|source| match source {
            SecretSource::Age { file, .. } => Some(file.clone()),
            SecretSource::Sops { .. }
            | SecretSource::Env(_)
            | SecretSource::File(_)
            | SecretSource::Command(_) => None,
        })
        .collect()
}

/// Opens one; nothing is in a file that is not there yet.
pub(super) fn open(context: &Context, path: &Path) -> Result<Map, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => {
            return Err(
                Failure::of(exit::FAILED, &error).hint(format!("It is {}.", path.display()))
            );
        }
    };
    secrets::decrypt(&bytes, &Identities::read(&key_files(context))).map_err(|why| {
        Failure::new(
            exit::FAILED,
            format!("failed to open {}: {why}", path.display()),
        )
        .hint("Name the age key that opens it: `INFRA_AGE_KEY_FILE=FILE infra secrets ...`.")
    })
}

/// Closes one, whole or not at all.
pub(super) fn close(context: &Context, path: &Path, map: &Map) -> Result<(), Failure> {
    let recipients = recipients(context, path.parent().unwrap_or(Path::new(".")))?;
    let text = secrets::encrypt(map, &recipients)
        .map_err(|why| Failure::new(exit::FAILED, format!("failed to encrypt secrets: {why}")))?;
    private(path, &text).map_err(|error| {
        Failure::of(exit::FAILED, &error).hint(format!("{} is as it was.", path.display()))
    })
}

fn recipients(context: &Context, folder: &Path) -> Result<Vec<String>, Failure> {
    let own = Identities::read(&key_files(context)).public_keys();
    let file = folder.join(RECIPIENTS);
    let Ok(text) = std::fs::read_to_string(&file) else {
        return if own.is_empty() {
            Err(
                Failure::new(exit::USAGE, "there is no age key here to encrypt to")
                    .hint("Make one: `infra init`, or name yours: `INFRA_AGE_KEY_FILE=FILE`."),
            )
        } else {
            Ok(own)
        };
    };
    let named: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if named.iter().any(|key| own.contains(key)) {
        return Ok(named);
    }
    Err(Failure::new(
        exit::USAGE,
        format!("none of your age keys is named in {}", file.display()),
    )
    .hint("You could not open the file again. Add your public key to it first."))
}

/// Replaces a file, mode 0600, whole or not at all.
fn private(file: &Path, text: &str) -> std::io::Result<()> {
    let partial: PathBuf = file.with_extension("partial");
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&partial)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&partial, file)
}
