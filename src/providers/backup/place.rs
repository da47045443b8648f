//! What every program needs to reach a place behind SSH, and secrets as they are handed to a program.

use super::error::BackupError;
use crate::model::{backup::SshPlace, ids::SecretName, secret::SecretValues};

/// The value of a secret, for a program's environment: where it is needed.
pub(crate) fn exposed<'v>(
    values: &'v SecretValues,
    name: &SecretName,
) -> Result<&'v str, BackupError> {
    values.expose(name).ok_or_else(|| BackupError::Secret {
        name: name.to_string(),
        why: "it has no value".to_owned(),
    })
}

/// The files `key` and `known_hosts`.
pub(crate) fn ssh_files(place: &SshPlace, key: &str) -> Vec<(String, Vec<u8>)> {
    let name = match place.port {
        22 => place.host.clone(),
        port => format!("[{}]:{port}", place.host),
    };
    vec![
        (
            "key".to_owned(),
            format!("{}\n", key.trim_end()).into_bytes(),
        ),
        (
            "known_hosts".to_owned(),
            format!("{name} {}\n", place.host_key).into_bytes(),
        ),
    ]
}

/// Options of `ssh` for the files in a folder: this key and this server, and nothing of the machine's own.
pub(crate) fn ssh_options(folder: &str) -> String {
    format!(
        "-F /dev/null -i {folder}/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={folder}/known_hosts -o GlobalKnownHostsFile=/dev/null -o ServerAliveInterval=30 -o ServerAliveCountMax=4"
    )
}
