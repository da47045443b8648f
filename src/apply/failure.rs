//! Errors of providers -> what the operator reads about a step.

use super::walk::StepFailure;
use crate::providers::{
    compose::ComposeError,
    host::HostError,
    proxmox::{Delivery, ProxmoxError},
    shell::{self, ShellError},
    zfs::ZfsError,
};
use std::error::Error;

/// An error with all its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = format!("failed to {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("\n  because: ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl StepFailure {
    /// A failure in our own words.
    pub(super) fn told(why: impl Into<String>, hint: &str) -> Self {
        Self {
            why: why.into(),
            hint: Some(hint.to_owned()),
        }
    }
}

impl From<ProxmoxError> for StepFailure {
    fn from(error: ProxmoxError) -> Self {
        let ambiguous = error.delivery() == Delivery::MaybeApplied;
        let hint = error.hint().or_else(|| {
            ambiguous.then(|| {
                "It may have taken effect. Run the command again: it looks before it writes."
                    .to_owned()
            })
        });
        Self {
            why: chain(&error),
            hint,
        }
    }
}

impl From<ShellError> for StepFailure {
    fn from(error: ShellError) -> Self {
        Self {
            why: chain(&error),
            hint: shell::hint(&error),
        }
    }
}

impl From<HostError> for StepFailure {
    fn from(error: HostError) -> Self {
        let hint = if let HostError::Shell(shell) = &error {
            shell::hint(shell)
        } else if let HostError::DiskFull { host, .. } = &error {
            Some(format!(
                "Free some space on {host}, then run the command again."
            ))
        } else if let HostError::PackageLock { host, .. } = &error {
            Some(format!(
                "See what installs on {host} (`ps aux`), then run the command again."
            ))
        } else if let HostError::PackageDownload { host, .. } = &error {
            Some(format!(
                "Check that {host} reaches its package mirror: DNS, gateway, flows to the Internet."
            ))
        } else {
            None
        };
        Self {
            why: chain(&error),
            hint,
        }
    }
}

impl From<ZfsError> for StepFailure {
    fn from(error: ZfsError) -> Self {
        plain(&error)
    }
}

impl From<ComposeError> for StepFailure {
    fn from(error: ComposeError) -> Self {
        plain(&error)
    }
}

/// Any other error of a room, with its causes and no hint of its own.
pub(super) fn plain(error: &(impl Error + 'static)) -> StepFailure {
    StepFailure {
        why: chain(error),
        hint: None,
    }
}
