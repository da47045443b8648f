//! One release of a compose stack: everything its host needs, decided and rendered.

use super::{
    ids::{HostName, StackName, SystemName},
    secret::Content,
    stack::StackDirectory,
};
use serde::{Deserialize, Serialize};

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
    /// Paths that must be real mounts before the start.
    pub needs_mounts: Vec<String>,
    /// Stacks that must be healthy first.
    pub needs: Vec<StackName>,
    /// Seconds that a service without a healthcheck must stay up without a restart.
    pub settle_seconds: u32,
    /// Seconds until health must be reached.
    pub timeout_seconds: u32,
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
    /// SHA-256 of the content with its secrets filled in, lower-case hex: what must be seen on the host.
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
    /// Image reference.
    pub image: String,
    /// Runs once and ends with exit code 0.
    pub one_shot: bool,
    /// The compose file or the manifest says that it has a healthcheck.
    pub healthcheck: bool,
    /// The service whose network it uses (`network_mode: service:x`).
    pub shares_network_of: Option<String>,
}
