//! Why a secret has no value.

use crate::model::ids::SecretName;
use std::path::PathBuf;

/// Why a secret has no value. Never carries one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The inventory refers to it and does not say where it comes from.
    #[error("find secret `{name}`: it is not declared under `secrets:`")]
    NotDeclared {
        /// Secret.
        name: SecretName,
    },
    /// The environment variable is not set.
    #[error("find secret `{name}`: the environment variable {variable} is not set")]
    NoVariable {
        /// Secret.
        name: SecretName,
        /// Variable.
        variable: String,
    },
    /// The file cannot be read.
    #[error("read {path} for secret `{name}`")]
    File {
        /// Secret.
        name: SecretName,
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be decrypted or understood.
    #[error("decrypt {path} for secret `{name}`: {why}")]
    Decrypt {
        /// Secret.
        name: SecretName,
        /// File.
        path: PathBuf,
        /// Why, in words that hold no value.
        why: String,
    },
    /// The decrypted file has no such key.
    #[error("find secret `{name}`: {path} has no key `{key}`")]
    NoKey {
        /// Secret.
        name: SecretName,
        /// File.
        path: PathBuf,
        /// Key.
        key: String,
    },
    /// The command failed.
    #[error("run `{program}` for secret `{name}`: {why}")]
    Command {
        /// Secret.
        name: SecretName,
        /// Program, without its arguments.
        program: String,
        /// Exit code or why it did not start.
        why: String,
    },
    /// The value is empty: an empty password opens more than none.
    #[error("use secret `{name}`: its value is empty")]
    Empty {
        /// Secret.
        name: SecretName,
    },
}
