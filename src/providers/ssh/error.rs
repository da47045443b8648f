//! Why a connection could not be made.

use super::{known_hosts::KnownHostsError, trust::Distrust};
use crate::model::ids::HostName;
use crate::providers::shell::ShellError;
use std::{io, sync::Arc};

/// Why a connection could not be made. Nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("find the address of {name}")]
    Resolve {
        /// Name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TCP connection.
    #[error("connect to {address}")]
    Tcp {
        /// Address and port.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The jump host did not lead there.
    #[error("reach {address} through {jump}: {why}")]
    Jump {
        /// Address and port behind it.
        address: String,
        /// The jump host or proxy command.
        jump: String,
        /// The last lines that `ssh` wrote.
        why: String,
    },
    /// The server is there and does not speak SSH with us.
    #[error("agree on a protocol with {address}")]
    Handshake {
        /// Address and port.
        address: String,
        /// Why.
        #[source]
        source: ssh2::Error,
    },
    /// The known hosts could not be read.
    #[error("read the known hosts")]
    KnownHosts(#[source] KnownHostsError),
    /// The host key is not the pinned one, or nobody pinned one.
    #[error("trust {address}: {why}")]
    HostKey {
        /// Address and port.
        address: String,
        /// What is wrong with the key.
        why: Box<Distrust>,
    },
    /// Nobody let us in.
    #[error("log in to {address} as {user}: {why}")]
    Refused {
        /// Address and port.
        address: String,
        /// Login name.
        user: String,
        /// Every key that was tried and what became of it.
        why: String,
    },
    /// This machine could not start what it needs.
    #[error("start {what}")]
    Local {
        /// Thread, socket or program.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConnectError {
    /// The same in the words of the border.
    pub(super) fn at(self: Arc<Self>, host: &HostName) -> ShellError {
        let host = host.clone();
        match &*self {
            Self::HostKey { why, .. } => ShellError::HostKey {
                host,
                why: why.to_string(),
            },
            Self::Refused { user, why, .. } => ShellError::Refused {
                host,
                user: user.clone(),
                why: why.clone(),
            },
            Self::Resolve { .. }
            | Self::Tcp { .. }
            | Self::Jump { .. }
            | Self::Handshake { .. }
            | Self::KnownHosts(_)
            | Self::Local { .. } => ShellError::Unreachable {
                host,
                source: Box::new(self),
            },
        }
    }
}
