//! What can go wrong while the lab makes its outside world.

use std::{io, net::SocketAddr, path::PathBuf};

/// A failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A socket of the outside world.
    #[error("listen on {addr}{}", netns.as_ref().map(|n| format!(" in {}", n.display())).unwrap_or_default())]
    Listen {
        /// Address.
        addr: SocketAddr,
        /// Network namespace.
        netns: Option<PathBuf>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The shared cache.
    #[error("use the cache at {}", path.display())]
    Cache {
        /// File or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the cache holds something else than what was written there.
    #[error("read {}: {why}", path.display())]
    Garbled {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An image could not be built of Debian's packages.
    #[error("build {what}: {complaint}")]
    Build {
        /// Which layer.
        what: String,
        /// The last lines that the build wrote.
        complaint: String,
    },
    /// The lab's certificates.
    #[error("make the lab's certificates")]
    Certificate(#[from] rcgen::Error),
    /// TLS did not accept the lab's own key or certificate.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP client that fetches from mirrors.
    #[error("set up the client for the mirrors")]
    Client(#[from] reqwest::Error),
}

impl ImagesError {
    /// A failure on a file or folder of the cache.
    pub(crate) fn cache(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Cache { path, source }
    }
}
