//! What can keep the lab's API from starting.

use std::{io, path::PathBuf};

/// The API could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A folder or file of the lab.
    #[error("use {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The saved model cannot be read.
    #[error("read the saved lab in {}", path.display())]
    Saved {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The certificate cannot be made.
    #[error("make the lab's certificate")]
    Certificate(#[source] rcgen::Error),
    /// The certificate or its key cannot be used.
    #[error("use the lab's certificate")]
    Tls(#[source] rustls::Error),
    /// The listening socket cannot be used.
    #[error("listen")]
    Listen(#[source] io::Error),
}
