//! Why a built-in system could not be written out.

use std::path::PathBuf;

/// Why a built-in system could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
    /// No such system.
    #[error("find the built-in system `{name}`")]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// Files that are there already and differ. Nothing was written.
    #[error("write over {}", list(paths))]
    Exists {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// The disk refused.
    #[error("write {}", path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A password could not be hashed.
    #[error("hash a password")]
    Hash,
    /// A certificate could not be made.
    #[error("make a certificate for {name}")]
    Certificate {
        /// Secret that it was for.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
