//! `infra init`: a built-in system, written out with its secrets.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
};
use crate::builtin::{self, BuiltinError, KEYS_MARKER};
use crate::secrets::{self, Identities};
use clap::Args;
use std::{
    collections::BTreeMap,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Write an inventory from a built-in system.
///
/// Makes an age key in `~/.config/infra/age.txt` unless there is one, generates every password and certificate that the system
/// needs into `secrets.age`, and prints what only the owner can supply. Never writes over an existing file.
#[derive(Debug, Clone, Args)]
pub(crate) struct InitArgs {
    /// System; without it the built-in systems are listed
    pub(crate) system: Option<String>,
    /// Folder that gets `inventory/` and `templates/`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) to: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &InitArgs) -> Result<u8, Failure> {
    let Some(system) = &args.system else {
        let systems = builtin::systems();
        if context.global.json {
            context
                .terminal
                .json(&serde_json::json!({ "systems": systems }));
        } else {
            context.terminal.answer(&(systems.join("\n") + "\n"));
        }
        return Ok(exit::DONE);
    };
    let mut files = builtin::files(system)
        .map_err(|error| Failure::of(exit::USAGE, &error).hint("`infra init` lists them."))?;
    let keys = public_keys(context);
    for text in files.values_mut() {
        if !keys.is_empty() && text.contains(KEYS_MARKER) {
            let lines: String = keys
                .iter()
                .fold("authorized_keys:\n".to_owned(), |all, key| {
                    all + "  - " + &quoted(key) + "\n"
                });
            *text = text.replace(KEYS_MARKER, &lines);
        }
    }
    let folder = args.to.join(builtin::folder(system));
    // An inventory that its owner has changed is his: then only missing secrets are made.
    let (written, changed) = match builtin::write(&args.to, &files) {
        Ok(written) => (written, Vec::new()),
        Err(BuiltinError::Exists { paths }) => (Vec::new(), paths),
        Err(error) => {
            return Err(failed(&error));
        }
    };
    let key_file = context.env.config.join("age.txt");
    let public_key = secrets::generate_identity(&key_file).map_err(|error| {
        failed(&error).hint(format!("The age key goes to {}.", key_file.display()))
    })?;
    let made = fill_secrets(system, &folder, &key_file, &public_key)?;
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "system": system,
            "folder": folder,
            "files": written,
            "changed_by_you": changed,
            "secrets": made,
            "age_key": key_file,
        }));
        return Ok(exit::DONE);
    }
    context.terminal.answer(&told(
        context,
        system,
        &folder,
        (written.len(), changed.len()),
        &made,
        &key_file,
    ));
    Ok(exit::DONE)
}

/// The operator's public keys.
fn public_keys(context: &Context) -> Vec<String> {
    let Some(home) = &context.env.home else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(home.join(".ssh"))
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .collect()
        })
        .unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "pub"));
    files.sort();
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .filter(|line| {
            line.starts_with("ssh-") || line.starts_with("ecdsa-") || line.starts_with("sk-")
        })
        .collect()
}

/// A JSON string is a YAML scalar.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds the secrets that are not in the file yet; values that are there stay.
fn fill_secrets(
    system: &str,
    folder: &Path,
    key_file: &Path,
    public_key: &str,
) -> Result<Vec<String>, Failure> {
    let file = folder.join("secrets.age");
    let mut map = match std::fs::read(&file) {
        Ok(bytes) => {
            secrets::decrypt(&bytes, &Identities::read(&[key_file.to_owned()])).map_err(|why| {
                Failure::new(
                    exit::FAILED,
                    format!("failed to open {}: {why}", file.display()),
                )
                .hint("Move it away to make new secrets, or put its age key into place.")
            })?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            return Err(
                Failure::new(exit::FAILED, format!("failed to read {}", file.display()))
                    .because(error.to_string()),
            );
        }
    };
    let made = builtin::generate(system, &map, jiff::Zoned::now().date())
        .map_err(|error| Failure::of(exit::FAILED, &error))?;
    let names: Vec<String> = made.secrets.keys().cloned().collect();
    if !names.is_empty() {
        map.extend(made.secrets);
        let text = secrets::encrypt(&map, &[public_key.to_owned()]).map_err(|why| {
            Failure::new(exit::FAILED, format!("failed to encrypt secrets: {why}"))
        })?;
        private(&file, &text).map_err(|error| {
            Failure::new(exit::FAILED, format!("failed to write {}", file.display()))
                .because(error.to_string())
        })?;
    }
    builtin::write(folder, &made.public).map_err(|error| Failure::of(exit::FAILED, &error))?;
    Ok(names)
}

/// Replaces a file, mode 0600, whole or not at all.
fn private(file: &Path, text: &str) -> std::io::Result<()> {
    let partial = file.with_extension("partial");
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

fn told(
    context: &Context,
    system: &str,
    folder: &Path,
    (written, changed): (usize, usize),
    made: &[String],
    key_file: &Path,
) -> String {
    let place = folder.display();
    let age = key_file.display();
    let secrets = if made.is_empty() {
        "none was missing".to_owned()
    } else {
        made.join(", ")
    };
    let ssh = if public_keys(context).is_empty() {
        "\n  - a public SSH key under `authorized_keys` in system.yaml: make one with `ssh-keygen -t ed25519`"
    } else {
        ""
    };
    let wrote = match (written, changed) {
        (0, 0) => format!("Everything of {system} is in {place} already."),
        (0, changed) => format!(
            "{system} is in {place} already and {changed} of its files are yours now: no file was written."
        ),
        (written, _) => format!("Wrote {system} to {place} ({written} files)."),
    };
    let proxmox = if builtin::has_proxmox(system) {
        format!(
            "\n  - the Proxmox API token, made on a node with the least privileges that infra needs:\n\
             \x20     pveum user add infra@pve\n\
             \x20     pveum role add Infra --privs \"{PRIVILEGES}\"\n\
             \x20     pveum role modify Infra --append 1 --privs \"VM.GuestAgent.Audit VM.GuestAgent.FileRead\"   # Proxmox VE 9: asks a guest's agent\n\
             \x20     pveum acl modify / --users infra@pve --roles Infra\n\
             \x20     pveum user token add infra@pve infra --privsep 0\n\
             \x20   then put its value where `proxmox_token` in secrets.yaml says, for example `{{env: INFRA_PROXMOX_TOKEN}}`\n\
             \x20 - the fingerprint of the API's certificate in system.yaml: `pvenode cert info` on the node{ssh}"
        )
    } else {
        String::new()
    };
    let owners = builtin::owners(system)
        .iter()
        .fold(String::new(), |all, (name, place)| {
            format!("{all}\n  - the secret `{name}`: {place}")
        });
    format!(
        "{wrote}\n\
         Secrets made in {place}/secrets.age: {secrets}.\n\
         They open with the age key in {age}: keep a copy of it somewhere else.\n\
         \n\
         Only you can supply:{proxmox}{owners}\n\
         \x20 - the addresses of your own network, wherever the files say 192.168.1\n\
         \n\
         Then: `infra check`, `infra plan`, `infra up`. To try it first without a server: `infra lab up`, `infra --lab up`.\n"
    )
}

/// What the calls that infra makes need, on `/` (seen in the API schema of PVE 9.2.11).
const PRIVILEGES: &str = "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit \
    Mapping.Audit Mapping.Modify Mapping.Use Pool.Allocate Pool.Audit SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Modify VM.Allocate VM.Audit VM.Clone \
    VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory \
    VM.Config.Network VM.Config.Options VM.Migrate VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback";
