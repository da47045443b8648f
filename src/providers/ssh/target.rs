//! Where a host is and how to get in.

use super::known_hosts::{KnownHosts, entry_name};
use crate::model::ids::HostName;
use std::path::PathBuf;

/// Everything that a connection needs to know. Infra's own settings; the user's `~/.ssh/config` fills the gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name in the system; the first name under which its key is looked up.
    pub host: HostName,
    /// Address or DNS name.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Private key file; with it, no other key is offered.
    pub identity: Option<PathBuf>,
    /// The host to go through; its key is checked like any other, by `ssh` itself.
    pub jump: Option<Box<Self>>,
    /// Infra's own pinned keys, asked before the user's.
    pub known_hosts: KnownHosts,
    /// What of the user's SSH setup may be used.
    pub person: Person,
}

/// What of the user's own SSH setup may be used. Empty for a lab: nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Ask `ssh -G` what `~/.ssh/config` says.
    pub config: bool,
    /// Home directory, for `~/` in it.
    pub home: Option<PathBuf>,
    /// Socket of the agent (`SSH_AUTH_SOCK`).
    pub agent: Option<PathBuf>,
}

impl Target {
    /// `address:port`, for messages.
    pub fn place(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// The names under which its key may be pinned in infra's file, the strongest first.
    pub fn pin_names(&self) -> Vec<String> {
        let mut names = vec![self.host.to_string()];
        let address = entry_name(&self.address, self.port);
        if !names.contains(&address) {
            names.push(address);
        }
        names
    }
}
