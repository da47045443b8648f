//! What can go wrong while proving.

use std::io;

/// Why nothing could be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Namespaces and rules need root.
    #[error("make network namespaces: this needs root")]
    NotRoot,
    /// A program is missing.
    #[error("find {} on this machine", .tools.join(", "))]
    Tools {
        /// The programs.
        tools: Vec<String>,
    },
    /// Bridges do not show their packets to iptables.
    #[error("filter bridged packets: the kernel module br_netfilter is not loaded")]
    BridgeFilter,
    /// A command failed.
    #[error("run `{command}` in {space}: {stderr}")]
    Command {
        /// Namespace.
        space: String,
        /// What was run.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// A file or socket of the room.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ProveError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    pub(super) fn panicked(what: &str) -> Self {
        Self::io(what)(io::Error::other("a thread panicked"))
    }

    /// What the operator can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotRoot => Some(
                "Run it with sudo, or on any Linux machine where you are root: it needs no Proxmox and touches nothing of the machine's own.",
            ),
            Self::Tools { .. } => {
                Some("On Debian: `apt install iproute2 iptables ipset util-linux`.")
            }
            Self::BridgeFilter => Some("`modprobe br_netfilter` loads it."),
            Self::Command { .. } | Self::Io { .. } => None,
        }
    }
}
