//! Secrets by reference.

use crate::inventory::written::{At, May, Short};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the value of a secret comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Secret {
    /// A YAML map encrypted with age: the file, or file and key. The key is the secret's name unless given.
    Age(At<Short<SecretFile>>),
    /// A SOPS file with age recipients: the file, or file and key (a dotted path).
    Sops(At<Short<SecretFile>>),
    /// An environment variable.
    Env(At<String>),
    /// A file whose content is the value.
    File(At<String>),
    /// A command whose output is the value: program and arguments.
    Command(At<Vec<At<String>>>),
}

/// A key in an encrypted file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretFile {
    /// Path relative to the inventory.
    pub(crate) file: At<String>,
    /// Key in the file; the secret's name unless given.
    pub(crate) key: May<String>,
}
