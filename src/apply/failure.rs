//! Errors of providers -> what the operator reads about a step.

use super::walk::StepFailure;
use crate::model::dataset::MARKER;
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
    /// A failure without anything to be done about it.
    pub fn because(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hint: None,
            reverted: false,
        }
    }

    /// A failure in our own words.
    pub(super) fn told(why: impl Into<String>, hint: &str) -> Self {
        Self {
            why: why.into(),
            hint: Some(hint.to_owned()),
            reverted: false,
        }
    }
}

impl From<ProxmoxError> for StepFailure {
    fn from(error: ProxmoxError) -> Self {
        let ambiguous = error.delivery() == Delivery::MaybeApplied;
        let is_full = matches!(&error, ProxmoxError::TaskFailed { exit, .. }
            if ["No space left on device", "no space left on device", "out of space"].iter().any(|words| exit.contains(words)));
        let full = is_full.then(|| {
            "Free some space on that storage, or name another one; then run the command again."
                .to_owned()
        });
        let hint = full.or_else(|| error.hint()).or_else(|| {
            ambiguous.then(|| {
                "It may have taken effect. Run the command again: it looks before it writes."
                    .to_owned()
            })
        });
        Self {
            why: chain(&error),
            hint,
            reverted: false,
        }
    }
}

impl From<ShellError> for StepFailure {
    fn from(error: ShellError) -> Self {
        Self {
            why: chain(&error),
            hint: shell::hint(&error),
            reverted: false,
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
        } else if let HostError::Disk { host, disk, .. } = &error {
            Some(format!(
                "Nothing on the disk was changed unless it says so. `lsblk -o NAME,SERIAL,FSTYPE,MOUNTPOINTS` in {host} shows \
                 what `{disk}` holds; a disk that nobody needs the content of is emptied by hand: `wipefs --all`, zeros over \
                 its first 16 MiB."
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
            reverted: false,
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
        Self {
            why: chain(&error),
            hint: compose_hint(&error),
            reverted: false,
        }
    }
}

/// What is true now and what to do next. Before the link is flipped nothing that runs was touched.
fn compose_hint(error: &ComposeError) -> Option<String> {
    match error {
        ComposeError::Shell(shell) => shell::hint(shell),
        ComposeError::DiskFull { host, .. } => Some(format!(
            "What runs there was left alone. Free some space on {host} (`docker system df` tells what images hold), \
             then run the command again."
        )),
        ComposeError::NotPulled { host, image, .. } => Some(format!(
            "What runs there was left alone. Check the image's name, and that {host} reaches its registry: \
             `docker pull {image}` there; then run the command again."
        )),
        ComposeError::WrongArchitecture { .. } | ComposeError::Invalid { .. } => Some(
            "What runs there was left alone. Mend the template, then run the command again."
                .to_owned(),
        ),
        ComposeError::MissingMount { host, path, .. } => Some(format!(
            "What runs there was left alone. See why {path} is not mounted: `findmnt {path}` on {host}."
        )),
        ComposeError::BareMount { dataset, path, .. } => Some(format!(
            "What runs there was left alone. {path}/{MARKER} does not say that this is {dataset}: it is not mounted on the host that owns its \
             zpool, or is locked. `infra up` mounts it and writes that file; look with `zfs get mounted,keystatus {dataset}` there. A guest that was started \
             before it was mounted there has to be stopped and started again: it was given the bare directory."
        )),
        ComposeError::RolledBack { .. } => Some(
            "It serves as before. Mend what made the new release ill, then run the command again."
                .to_owned(),
        ),
        ComposeError::NotStarted { host, stack, .. }
        | ComposeError::Unhealthy { host, stack, .. } => Some(format!(
            "Its containers stay as they are, for a look: `docker compose -p {stack} logs` on {host}. \
             Mend it, then run the command again."
        )),
        ComposeError::NotRolledBack { back, source, .. } => {
            compose_hint(back).or_else(|| compose_hint(source))
        }
        ComposeError::NotKept { .. } => Some(
            "What runs there was left alone. See why no snapshot could be taken, then run the command again."
                .to_owned(),
        ),
        ComposeError::NotPutBack { stack, place, .. } => Some(format!(
            "The stack {stack} stands still, so that nothing writes over its data. Bring the files back with \
             `infra zfs rollback SNAPSHOT` ({place}), then `infra stack rollback {stack}`."
        )),
        ComposeError::Foreign { .. } | ComposeError::MissingSecret { .. } => None,
    }
}

/// Any other error of a room, with its causes and no hint of its own.
pub(super) fn plain(error: &(impl Error + 'static)) -> StepFailure {
    StepFailure {
        why: chain(error),
        hint: None,
        reverted: false,
    }
}
