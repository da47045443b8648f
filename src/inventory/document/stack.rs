//! Compose stacks.

use crate::inventory::{
    word::{Address, Mode},
    written::{At, Entries, May, Short, Text},
};
use crate::model::address::Port;
use schemars::JsonSchema;
use serde::Deserialize;

/// A compose project on one host, made from a template folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stack {
    /// Host it runs on.
    pub(crate) on: At<String>,
    /// Folder under `templates/`; the stack's own name unless given.
    pub(crate) template: May<String>,
    /// Values for the template's variables.
    pub(crate) variables: May<Entries<serde_json::Value>>,
    /// Host ports instead of the template's own, by service.
    pub(crate) publish: May<Entries<Short<FullPublish>>>,
    /// Stacks that must be healthy first, on any host.
    pub(crate) needs: May<Vec<At<String>>>,
    /// Datasets, or absolute paths of the host, by the names that the template uses. A dataset, or the mount of the host that a
    /// path lies on, must be mounted before the stack starts.
    pub(crate) mounts: May<Entries<String>>,
    /// Names of `mounts` whose dataset gets a snapshot before each new release, and its files back when that release fails. No
    /// other stack may use the dataset.
    pub(crate) guard: May<Vec<At<String>>>,
    /// Volumes, and paths of the host, that need no backup, each with your reason.
    pub(crate) waivers: May<Entries<String>>,
}

/// A published port with the address it listens on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullPublish {
    /// Host port.
    pub(crate) port: At<Text<Port>>,
    /// Address of the host that it listens on; all unless given.
    pub(crate) address: May<Text<Address>>,
}

/// A directory with its owner.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    /// Path. In a template it may contain placeholders such as `{{ mounts.media }}`.
    pub(crate) path: At<String>,
    /// Numeric owner, 0 unless given.
    pub(crate) uid: May<u32>,
    /// Numeric group, 0 unless given.
    pub(crate) gid: May<u32>,
    /// Permission bits, `0755` unless given.
    pub(crate) mode: May<Text<Mode>>,
}
