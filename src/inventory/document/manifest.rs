//! `stack.yaml`: what a template folder says about itself.

use super::{Check, Directory, ManifestBackup};
use crate::inventory::{
    word::{Mode, Owner, Seconds},
    written::{At, Entries, May, Text},
};
use crate::model::address::Port;
use schemars::JsonSchema;
use serde::Deserialize;

/// The manifest of a template folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "infra stack template")]
pub(crate) struct Manifest {
    /// What the stack is.
    pub(crate) description: At<String>,
    /// Its variables.
    pub(crate) variables: May<Entries<Variable>>,
    /// Services that it publishes on the host, with their ports.
    pub(crate) publish: May<Entries<Text<Port>>>,
    /// Names of the mounts that it needs; a stack says which dataset each one is.
    pub(crate) needs_mounts: May<Vec<At<String>>>,
    /// Directories made on the host before it starts.
    pub(crate) directories: May<Vec<At<Directory>>>,
    /// Relative paths of the compose file at which its containers write, each with its owner. They are kept beside the
    /// releases of the stack, outlive every one of them, and stay when the stack is removed.
    pub(crate) data: May<Vec<At<Directory>>>,
    /// What must be true of every stack made from it; `self` in a check is the stack, or the host that it runs on.
    pub(crate) checks: May<Vec<At<Check>>>,
    /// What is special about single files.
    pub(crate) files: May<Entries<File>>,
    /// What backups take beside its files: databases and exports.
    pub(crate) backup: May<ManifestBackup>,
    /// How long services without a healthcheck must stay up; `10s` unless given.
    pub(crate) settle: May<Text<Seconds>>,
    /// How long until it must be healthy; `3m` unless given.
    pub(crate) timeout: May<Text<Seconds>>,
}

/// A variable of a template.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    /// Its value unless the stack gives one; without it, every stack must give one.
    pub(crate) default: Option<At<serde_json::Value>>,
    /// What it is for.
    pub(crate) description: At<String>,
}

/// What is special about a file of a template folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Copied as it is, not rendered.
    pub(crate) raw: May<bool>,
    /// Permission bits, `0644` unless given.
    pub(crate) mode: May<Text<Mode>>,
    /// Numeric owner, `0:0` unless given.
    pub(crate) owner: May<Text<Owner>>,
}
