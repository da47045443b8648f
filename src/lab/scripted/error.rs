//! Why scripted hosts could not start.

use std::io;

/// Why scripted hosts could not start.
#[derive(Debug, thiserror::Error)]
pub enum ScriptedError {
    /// No loopback port.
    #[error("listen on a loopback port")]
    Listen(#[source] io::Error),
    /// No host key.
    #[error("make a host key")]
    Key(#[source] ssh_key::Error),
    /// A host key that the server does not take.
    #[error("use a host key")]
    OwnKey(#[source] russh::keys::ssh_key::Error),
    /// A pool that the twin of ZFS refuses.
    #[error("create the zpool {pool}: {why}")]
    Zpool {
        /// Name.
        pool: String,
        /// What `zpool` said.
        why: String,
    },
    /// A key that nobody can log in with.
    #[error("read the operator's public key")]
    Operator(#[source] russh::keys::ssh_key::Error),
}
