//! Why an inventory could not be read at all.

use std::path::PathBuf;

/// A file or folder that could not be read. What is wrong with its content is a diagnostic instead.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder cannot be listed.
    #[error("list {}", folder.display())]
    List {
        /// Folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be read, or is not text.
    #[error("read {}", file.display())]
    Read {
        /// File.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder has no YAML file.
    #[error("find a YAML file in {}", folder.display())]
    Empty {
        /// Folder.
        folder: PathBuf,
    },
}
