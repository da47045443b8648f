//! The file by which `infra --lab` finds a running lab.

use crate::model::ids::HostName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// How the lab's guests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabKind {
    /// Real Debian in namespaces; needs root.
    Namespace,
    /// In memory, over real SSH: no root, no downloads; runs no services and carries no packets.
    Scripted,
}

impl std::fmt::Display for LabKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Namespace => "namespace",
            Self::Scripted => "scripted",
        })
    }
}

/// The API of the lab's node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabApi {
    /// Where it answers, as seen from `operator_netns`.
    #[serde(rename = "api")]
    pub address: SocketAddr,
    /// SHA-256 of its certificate, lower-case hex.
    pub fingerprint: String,
    /// `user@realm!tokenid`.
    pub token_id: String,
    /// The token's secret; worth nothing outside this lab.
    pub token_secret: String,
}

/// `<lab folder>/state.json`, mode 0600. `--lab` replaces endpoint, TLS pin, token, SSH trust and image catalogue by
/// it, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabState {
    /// Format version, 1.
    pub version: u32,
    /// Kind of guests.
    pub kind: LabKind,
    /// Process that holds the lab.
    pub pid: u32,
    /// Where infra keeps what it learns of this lab: pinned host keys, journal, receipts. Each kind has its own.
    pub folder: PathBuf,
    /// Name of the inventory that it was made for.
    pub system: String,
    /// The node's API; none for a system without a node.
    #[serde(flatten)]
    pub api: Option<LabApi>,
    /// Network namespace in which `infra --lab` does its network I/O; none for scripted labs.
    pub operator_netns: Option<PathBuf>,
    /// `known_hosts` lines of nodes and external hosts (guests are pinned by infra itself).
    pub known_hosts: Vec<String>,
    /// SSH private key that nodes, external hosts and guests accept.
    pub operator_key: PathBuf,
    /// Public half, an `authorized_keys` line.
    pub operator_public_key: String,
    /// Scripted labs: where each host's SSH really listens.
    pub ssh: BTreeMap<HostName, SocketAddr>,
    /// Image catalogue: inventory image name -> lab URL and checksum (`sha256`, hex).
    pub images: BTreeMap<String, (String, String)>,
    /// Factor on the lab's delays; 1 is real time, 0.05 is twenty times faster.
    pub clock: f64,
    /// Image references that are stand-ins, with what they really run.
    pub stand_ins: BTreeMap<String, String>,
}
