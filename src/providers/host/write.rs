//! Changing a host.

use super::{
    command::{self, Unspeakable},
    error::HostError,
};
use crate::model::{
    ids::HostName,
    resource::{FilesystemResource, Reaction},
};
use crate::providers::shell::{Command, Output, Shell, ShellError, short};
use std::{fmt, future::Future};

/// A file to be written whole.
#[derive(Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Absolute path. What stands there is replaced, a link by the file itself.
    pub path: String,
    /// Owner, name or number.
    pub owner: String,
    /// Group, name or number.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// Content, secrets filled in.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for FileWrite {
    /// The content is counted, never shown: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileWrite({}, {} bytes)", self.path, self.bytes.len())
    }
}

/// A directory to be made, or made right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryWrite {
    /// Absolute path.
    pub path: String,
    /// Owner, name or number.
    pub owner: String,
    /// Group, name or number.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
}

/// What happens to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitVerb {
    /// Started at boot from now on.
    Enable,
    /// No longer started at boot.
    Disable,
    /// Started now.
    Start,
    /// Stopped now.
    Stop,
}

impl UnitVerb {
    /// systemctl's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// Changes a host. Each call is one exec, in the order given; an empty list is no exec at all.
pub trait HostWrite {
    /// Installs packages that are missing; services may start.
    fn install_packages(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Writes files, each atomically.
    fn write_files(
        &self,
        files: &[FileWrite],
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Makes directories and sets their owner and mode.
    fn make_directories(
        &self,
        directories: &[DirectoryWrite],
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Removes a file; one that is not there is fine.
    fn remove_file(&self, path: &str) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Enables, disables, starts and stops units.
    fn set_units(
        &self,
        units: &[(UnitVerb, String)],
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Carries out reactions.
    fn react(&self, reactions: &[Reaction]) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Makes a filesystem on a disk that is provably empty. One that is there already, with this UUID, is fine.
    fn make_filesystem(
        &self,
        wanted: &FilesystemResource,
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Lets a mounted filesystem take all of its disk.
    fn grow_filesystem(
        &self,
        wanted: &FilesystemResource,
    ) -> impl Future<Output = Result<(), HostError>> + Send;

    /// Sets kernel settings in the running kernel.
    fn set_sysctls(
        &self,
        settings: &[(String, String)],
    ) -> impl Future<Output = Result<(), HostError>> + Send;
}

impl<S: Shell> HostWrite for S {
    async fn install_packages(&self, names: &[String]) -> Result<(), HostError> {
        if names.is_empty() {
            return Ok(());
        }
        let output = send(self, command::install_packages(names)).await?;
        match output {
            Sent::Done(_) => Ok(()),
            Sent::Failed(output) => Err(HostError::of_packages(self.host(), names, &output)),
        }
    }

    async fn write_files(&self, files: &[FileWrite]) -> Result<(), HostError> {
        let built = command::write_files(files);
        counted(self, built, "written", files.len()).await
    }

    async fn make_directories(&self, directories: &[DirectoryWrite]) -> Result<(), HostError> {
        let built = command::make_directories(directories);
        counted(self, built, "made", directories.len()).await
    }

    async fn remove_file(&self, path: &str) -> Result<(), HostError> {
        match send(self, command::remove_file(path)).await? {
            Sent::Done(_) => Ok(()),
            Sent::Failed(output) => Err(HostError::of_files(self.host(), &output)),
        }
    }

    async fn set_units(&self, units: &[(UnitVerb, String)]) -> Result<(), HostError> {
        steps(self, command::set_units(units), units.is_empty()).await
    }

    async fn react(&self, reactions: &[Reaction]) -> Result<(), HostError> {
        steps(self, command::react(reactions), reactions.is_empty()).await
    }

    async fn make_filesystem(&self, wanted: &FilesystemResource) -> Result<(), HostError> {
        on_disk(self, "make", wanted).await
    }

    async fn grow_filesystem(&self, wanted: &FilesystemResource) -> Result<(), HostError> {
        on_disk(self, "grow", wanted).await
    }

    async fn set_sysctls(&self, settings: &[(String, String)]) -> Result<(), HostError> {
        steps(self, command::set_sysctls(settings), settings.is_empty()).await
    }
}

enum Sent {
    Done(Output),
    Failed(Output),
}

async fn send<S: Shell>(
    shell: &S,
    command: Result<Command, Unspeakable>,
) -> Result<Sent, HostError> {
    let command = command.map_err(|unspeakable| HostError::Unspeakable {
        host: shell.host().clone(),
        what: unspeakable.0,
    })?;
    let output = shell.run(command).await?;
    Ok(if output.is_success() {
        Sent::Done(output)
    } else {
        Sent::Failed(output)
    })
}

async fn on_disk<S: Shell>(
    shell: &S,
    verb: &str,
    wanted: &FilesystemResource,
) -> Result<(), HostError> {
    match send(shell, command::disk(verb, wanted)).await? {
        Sent::Done(_) => Ok(()),
        Sent::Failed(output) => Err(HostError::Disk {
            host: shell.host().clone(),
            verb: verb.to_owned(),
            disk: wanted.disk.clone(),
            complaint: output.complaint(),
        }),
    }
}

/// Runs a script that counts what it did, and believes nothing but the full count.
async fn counted<S: Shell>(
    shell: &S,
    command: Result<Command, Unspeakable>,
    verb: &str,
    count: usize,
) -> Result<(), HostError> {
    if count == 0 {
        return Ok(());
    }
    let shown = command.as_ref().map(short).unwrap_or_default();
    match send(shell, command).await? {
        Sent::Failed(output) => Err(HostError::of_files(shell.host(), &output)),
        Sent::Done(output)
            if output
                .text()
                .trim_end()
                .ends_with(&format!("{verb} {count}")) =>
        {
            Ok(())
        }
        Sent::Done(output) => Err(garbled(
            shell.host(),
            shown,
            format!(
                "`{verb} {count}` was expected, and it says `{}`",
                output.text().trim()
            ),
        )),
    }
}

fn garbled(host: &HostName, command: String, why: String) -> HostError {
    HostError::Shell(ShellError::Garbled {
        host: host.clone(),
        command,
        why,
    })
}

async fn steps<S: Shell>(
    shell: &S,
    command: Result<Command, Unspeakable>,
    nothing: bool,
) -> Result<(), HostError> {
    if nothing {
        return Ok(());
    }
    match send(shell, command).await? {
        Sent::Done(_) => Ok(()),
        Sent::Failed(output) => Err(HostError::of_step(shell.host(), &output)),
    }
}
