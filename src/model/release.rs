//! One release of a compose stack: everything its host needs, decided and rendered.

use super::{
    ids::{DatasetName, HostName, StackName, SystemName},
    secret::Content,
    stack::{GuardedDataset, StackDirectory},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Folder on every host under which stacks live: `<ROOT>/<stack>/releases/<id>`, `<ROOT>/<stack>/current`.
pub const STACKS_ROOT: &str = "/opt/infra/stacks";

/// A rendered release. Secrets are still names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// System.
    pub system: SystemName,
    /// Stack; also the compose project.
    pub stack: StackName,
    /// Host.
    pub host: HostName,
    /// Content hash, hex: equal releases have equal ids on every machine.
    pub id: String,
    /// Files, relative to the release's folder.
    pub files: Vec<ReleaseFile>,
    /// Image references, each once.
    pub images: Vec<String>,
    /// Compose services.
    pub services: Vec<ReleaseService>,
    /// Directories made before the start.
    pub directories: Vec<StackDirectory>,
    /// Relative paths that lead to `<ROOT>/<stack>/data`, where they outlive every release.
    #[serde(default)]
    pub data: Vec<StackDirectory>,
    /// Paths that must be real mounts before the start.
    pub needs_mounts: Vec<String>,
    /// The datasets that must be behind such paths.
    #[serde(default)]
    pub datasets: BTreeMap<String, DatasetName>,
    /// Datasets of its own whose files go back with a release that fails.
    #[serde(default)]
    pub guarded: Vec<GuardedDataset>,
    /// Stacks that must be healthy first.
    pub needs: Vec<StackName>,
    /// Seconds that a service without a healthcheck must stay up without a restart.
    pub settle_seconds: u32,
    /// Seconds until health must be reached.
    pub timeout_seconds: u32,
    /// Starts the stack at boot, after its mounts and in the order that compose wants.
    pub unit: ReleaseUnit,
}

/// A systemd unit that calls compose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseUnit {
    /// Name with suffix.
    pub name: String,
    /// Text of the unit file.
    pub text: String,
    /// SHA-256 of the text, lower-case hex.
    pub sha256: String,
}

impl ReleaseUnit {
    /// Where the unit file stands; root's, `0o644`.
    pub fn path(&self) -> String {
        format!("/etc/systemd/system/{}", self.name)
    }
}

impl Release {
    /// `<ROOT>/<stack>`.
    pub fn folder(&self) -> String {
        format!("{STACKS_ROOT}/{}", self.stack)
    }

    /// `<ROOT>/<stack>/releases/<id>`.
    pub fn path(&self) -> String {
        format!("{}/releases/{}", self.folder(), self.id)
    }

    /// `<ROOT>/<stack>/data/<path>`.
    pub fn data_path(&self, path: &str) -> String {
        format!("{}/data/{path}", self.folder())
    }

    /// `<ROOT>/<stack>/current`, a link to the release that runs.
    pub fn current(&self) -> String {
        format!("{}/current", self.folder())
    }
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFile {
    /// Path relative to the release's folder.
    pub path: String,
    /// Content, secrets by name.
    pub content: Content,
    /// SHA-256 of the content with its secrets filled in, lower-case hex: what must be seen on the host. Where a secret had
    /// no value, of the redacted text, which no host shows.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

/// One compose service of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseService {
    /// Name in the compose file.
    pub name: String,
    /// What its containers carry as label `infra.release`: a hash over what this one service uses (its entry, its image, the
    /// release files it mounts, the secrets in them). It changes only when its containers must be made anew, so a new release
    /// does not restart services that it does not touch.
    pub release: String,
    /// Release files that it mounts or reads; its containers must be made anew when one of them was repaired.
    pub files: Vec<String>,
    /// Image reference.
    pub image: String,
    /// Runs once and ends with exit code 0.
    pub one_shot: bool,
    /// The compose file or the manifest says that it has a healthcheck.
    pub healthcheck: bool,
    /// The service whose network it uses (`network_mode: service:x`).
    pub shares_network_of: Option<String>,
}
