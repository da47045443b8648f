//! What can go wrong with a host's UFW.

use crate::model::ids::HostName;
use crate::providers::shell::ShellError;

/// Why UFW is not as it was told to be.
#[derive(Debug, thiserror::Error)]
pub enum UfwError {
    /// The host could not be asked.
    #[error("talk to UFW on {host}")]
    Shell {
        /// Host.
        host: HostName,
        /// Why.
        #[source]
        source: ShellError,
    },
    /// A step failed; those before it were carried out.
    #[error("change UFW on {host} (exit {code}): {complaint}")]
    Refused {
        /// Host.
        host: HostName,
        /// Exit code.
        code: i32,
        /// What ufw said.
        complaint: String,
    },
    /// Every command succeeded and the host is still not as it should be.
    #[error("see the changed UFW on {host}: {missing}")]
    NotSo {
        /// Host.
        host: HostName,
        /// What is missing.
        missing: String,
    },
    /// What the host printed makes no sense.
    #[error("understand the UFW rules on {host}: {why}")]
    Garbled {
        /// Host.
        host: HostName,
        /// What was wrong.
        why: String,
    },
}
