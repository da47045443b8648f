//! Why somebody was not told.

use crate::model::ids::SecretName;

/// Why somebody was not told. Addresses with secrets in them are left out on purpose.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A secret has no value.
    #[error("tell without the secret `{name}`")]
    NoSecret {
        /// Its name.
        name: SecretName,
    },
    /// The CA file holds no certificate.
    #[error("read the CA: {why}")]
    Ca {
        /// What is wrong with it.
        why: String,
    },
    /// The message or an address in it cannot be sent.
    #[error("write the message: {why}")]
    Message {
        /// What is wrong with it.
        why: String,
    },
    /// The server could not be reached or believed.
    #[error("reach {server}: {why}")]
    Unreachable {
        /// Name of the server.
        server: String,
        /// Every cause, on one line.
        why: String,
    },
    /// The server did not take it.
    #[error("be heard by {server}: {why}")]
    Refused {
        /// Name of the server.
        server: String,
        /// What it answered.
        why: String,
    },
    /// It took too long.
    #[error("be heard within {seconds} s")]
    TooLate {
        /// The limit.
        seconds: u64,
    },
}
