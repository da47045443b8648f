//! What can go wrong with a stack.

use super::parse::Ailing;
use crate::model::ids::{HostName, SecretName, StackName};
use crate::providers::shell::ShellError;

/// Why a stack is not as it should be. Everything before [`ComposeError::NotStarted`] has left the running release alone.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The host did not do what it was told.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A file needs a secret that has no value.
    #[error("fill in the secret {secret} for stack {stack}")]
    MissingSecret {
        /// Stack.
        stack: StackName,
        /// Secret.
        secret: SecretName,
    },
    /// A path that must be a mount is none: starting would write beside the data.
    #[error("find a mount at {path} on {host}: stack {stack} stays as it is")]
    MissingMount {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// Path.
        path: String,
    },
    /// Something is mounted, and it is not the dataset: starting would write beside the data.
    #[error("find dataset {dataset} at {path} on {host}: stack {stack} stays as it is")]
    BareMount {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// Dataset.
        dataset: String,
        /// Path.
        path: String,
    },
    /// The host's disk is full.
    #[error("write to the disk of {host}, which is full: {why}")]
    DiskFull {
        /// Host.
        host: HostName,
        /// What the tool said.
        why: String,
    },
    /// Compose refuses the files.
    #[error("make compose on {host} accept stack {stack}: {why}")]
    Invalid {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// What compose said.
        why: String,
    },
    /// An image could not be pulled.
    #[error("pull {image} on {host}: {why}")]
    NotPulled {
        /// Host.
        host: HostName,
        /// Image reference.
        image: String,
        /// What Docker said.
        why: String,
    },
    /// An image is made for another machine.
    #[error("run {image} on {host}: it is made for {have}, and the host is {want}")]
    WrongArchitecture {
        /// Host.
        host: HostName,
        /// Image reference.
        image: String,
        /// Platform of the image.
        have: String,
        /// Platform of the host.
        want: String,
    },
    /// Compose could not start every container.
    #[error("start stack {stack} on {host}: {why}{}", listed(.services))]
    NotStarted {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// What compose said.
        why: String,
        /// Release that was current before.
        previous: Option<String>,
        /// What is not well.
        services: Vec<Ailing>,
    },
    /// Started, and not well in time.
    #[error("bring stack {stack} on {host} to health{}", listed(.services))]
    Unhealthy {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// What is not well.
        services: Vec<Ailing>,
    },
    /// The new release failed; the one before it runs again and is well.
    #[error(
        "deploy stack {stack}: rolled back to release {to}, which is healthy{}",
        .data.as_ref().map(|data| format!("; {data}")).unwrap_or_default()
    )]
    RolledBack {
        /// Stack.
        stack: StackName,
        /// Release that runs.
        to: String,
        /// What became of its data, where it goes back too.
        data: Option<String>,
        /// Why the new one failed.
        #[source]
        source: Box<Self>,
    },
    /// The new release failed, and so did the way back.
    #[error("deploy stack {stack} and roll it back to release {to}, which failed too ({back})")]
    NotRolledBack {
        /// Stack.
        stack: StackName,
        /// Release that was wanted back.
        to: String,
        /// Why the way back failed.
        back: Box<Self>,
        /// Why the new release failed.
        #[source]
        source: Box<Self>,
    },
    /// The data that goes back with a release that fails could not be kept; nothing was begun.
    #[error("keep the data of stack {stack}")]
    NotKept {
        /// Stack.
        stack: StackName,
        /// Why.
        #[source]
        source: super::DataError,
    },
    /// The data of a release that failed is as that release left it, or partly.
    #[error("put the data of stack {stack} back (it is in {place})")]
    NotPutBack {
        /// Stack.
        stack: StackName,
        /// Where what was there before is.
        place: String,
        /// Why.
        #[source]
        source: super::DataError,
    },
    /// Containers of that project are not ours.
    #[error("stop stack {stack} on {host}: {} not made by this system", .containers.join(", "))]
    Foreign {
        /// Host.
        host: HostName,
        /// Stack.
        stack: StackName,
        /// Containers.
        containers: Vec<String>,
    },
}

impl ComposeError {
    /// Whether the release before runs again.
    pub fn is_rolled_back(&self) -> bool {
        matches!(self, Self::RolledBack { .. })
    }
}

fn listed(services: &[Ailing]) -> String {
    let lines: Vec<String> = services
        .iter()
        .map(|service| format!("\n  {service}"))
        .collect();
    lines.concat()
}
