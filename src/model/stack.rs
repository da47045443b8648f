//! Compose stacks as the owner wants them.

use super::{
    address::Port,
    backup::StackBackup,
    ids::{DatasetName, HostName, ServiceName, StackName},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// A compose project on one host. Files are templates, rendered while planning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Name; also the compose project name.
    pub name: StackName,
    /// Host it runs on.
    pub on: HostName,
    /// Template folder under `templates/`.
    pub template: String,
    /// Its files, unrendered, `compose.yaml` among them.
    pub files: Vec<StackFile>,
    /// Variables: the manifest's defaults with the owner's values over them.
    pub variables: BTreeMap<String, serde_json::Value>,
    /// Image references by name, from `templates/images.yaml`: the one list of tags.
    pub images: BTreeMap<String, String>,
    /// Digests by image reference, from `images.lock`: what a tag stood for when its owner last looked.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// Where the datasets that the stack was given are mounted on its host: name in the template -> absolute path.
    pub mounts: BTreeMap<String, String>,
    /// Ports published on the host.
    pub publish: Vec<Publish>,
    /// Host paths that must be real mounts before the stack may start.
    pub needs_mounts: Vec<String>,
    /// Datasets of its own whose files go back with a release that fails.
    #[serde(default)]
    pub guarded: Vec<GuardedDataset>,
    /// Stacks that must be healthy first, on any host.
    pub needs: Vec<StackName>,
    /// Directories made on the host before the stack starts.
    pub directories: Vec<StackDirectory>,
    /// Relative paths of the compose file at which containers write: kept beside the releases and outliving each of them.
    #[serde(default)]
    pub data: Vec<StackDirectory>,
    /// Seconds that services without a healthcheck must stay up without a restart.
    pub settle_seconds: u32,
    /// Seconds until health must be reached.
    pub timeout_seconds: u32,
    /// Volumes, and paths of its host, that need no backup, with the owner's reason.
    pub waivers: BTreeMap<String, String>,
    /// What a backup takes of it beside its files.
    #[serde(default)]
    pub backup: StackBackup,
}

/// A dataset whose files go back with a release that fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardedDataset {
    /// Dataset.
    pub dataset: DatasetName,
    /// Host of its zpool.
    pub host: HostName,
}

/// One file of a stack's template folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFile {
    /// Path inside the release directory.
    pub path: String,
    /// Template text, or the text as it is when `raw`.
    pub text: String,
    /// Not a template.
    pub raw: bool,
    /// Permission bits. Files with secrets are forced to `0o600` unless the manifest says who reads them.
    pub mode: u32,
    /// Numeric owner `uid:gid` where a container user must read it.
    pub owner: (u32, u32),
    /// Where the template stands on disk, for messages.
    pub origin: String,
}

/// A port that a stack publishes on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Service name that flows use.
    pub service: ServiceName,
    /// Host port and protocol.
    pub port: Port,
    /// Host address; none means all.
    pub address: Option<IpAddr>,
}

impl Publish {
    /// What it is about, in the words that begin every message about it.
    pub fn words(&self, stack: &Stack) -> String {
        format!(
            "stack `{}` publishes {} ({}) on `{}`",
            stack.name, self.port, self.service, stack.on
        )
    }
}

/// A directory that a stack needs on its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StackDirectory {
    /// Absolute path once rendered: `{{ mounts.appdata }}/jellyfin`; a relative one for data beside the releases.
    pub path: String,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}
