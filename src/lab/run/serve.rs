//! The process that holds a lab.

use super::{
    error::{RunError, failed},
    namespace_lab::NamespaceLab,
    process,
    scripted_lab::ScriptedLab,
    settings::Settings,
};
use crate::lab::{
    namespace,
    state::{LabKind, LabState},
};
use crate::model::desired::Desired;
use rustix::fs::{FlockOperation, flock};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Builds a lab for an inventory, holds it until SIGTERM or SIGINT, and takes it down. `say` hears what it
/// is doing. Needs a tokio runtime with I/O and several threads.
///
/// # Errors
/// When the lab cannot be built; what was built until then is removed. When something could not be removed at the end.
pub async fn serve(
    desired: &Desired,
    settings: &Settings,
    say: impl Fn(&str) + Copy + Send + 'static,
) -> Result<(), RunError> {
    let missing = match settings.kind {
        LabKind::Namespace => namespace::missing(),
        LabKind::Scripted => Vec::new(),
    };
    if !missing.is_empty() {
        return Err(RunError::Machine { missing });
    }
    let folder = &settings.folder;
    fs::create_dir_all(folder.root()).map_err(failed("create", folder.root()))?;
    let _held = hold(settings)?;
    process::record(folder)?;
    let mut end = End::listen()?;
    let built = build(desired, settings, say).await;
    let outcome = match built {
        Ok(lab) => {
            write_state(&folder.state(), lab.state())?;
            say("the lab is up");
            end.wait().await;
            say("taking the lab down");
            lab.end().await
        }
        Err(error) => {
            // The first failure is the one to report; `infra lab down` sweeps again and says what it cannot remove.
            let folder = folder.clone();
            let _ = tokio::task::spawn_blocking(move || namespace::sweep(&folder)).await;
            Err(error)
        }
    };
    for path in [folder.state(), folder.pid(), folder.control()] {
        let _ = fs::remove_file(path);
    }
    outcome
}

/// A lab that is up.
enum Lab {
    Namespace(Box<NamespaceLab>),
    Scripted(Box<ScriptedLab>),
}

impl Lab {
    fn state(&self) -> &LabState {
        match self {
            Self::Namespace(lab) => &lab.state,
            Self::Scripted(lab) => &lab.state,
        }
    }

    async fn end(self) -> Result<(), RunError> {
        match self {
            Self::Namespace(lab) => lab.end().await,
            Self::Scripted(lab) => lab.end(),
        }
    }
}

async fn build(
    desired: &Desired,
    settings: &Settings,
    say: impl Fn(&str) + Copy + Send + 'static,
) -> Result<Lab, RunError> {
    Ok(match settings.kind {
        LabKind::Namespace => {
            let lab = NamespaceLab::build(desired, settings, say).await?;
            Lab::Namespace(Box::new(lab))
        }
        LabKind::Scripted => Lab::Scripted(Box::new(ScriptedLab::build(desired, settings)?)),
    })
}

/// Runs what blocks away from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| RunError::Process {
            verb: "run a thread of",
            source: source.into(),
        })?
}

/// The lab's lock, held while the file is open: two processes must not hold one lab.
fn hold(settings: &Settings) -> Result<fs::File, RunError> {
    let path = settings.folder.root().join("serve.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed("create", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::Held {
            folder: settings.folder.root().to_owned(),
            pid: process::Process::holding(&settings.folder)?.map_or(0, |process| process.pid()),
        }),
        Err(error) => Err(failed("lock", &path)(error.into())),
    }
}

/// Whole or not at all: its presence means that the lab is ready.
fn write_state(path: &Path, state: &LabState) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(state).map_err(|source| RunError::State {
        path: path.to_owned(),
        source,
    })?;
    let draft = path.with_added_extension("new");
    let _ = fs::remove_file(&draft);
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&draft, path))
        .map_err(failed("write", path))
}

/// What ends a lab.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn listen() -> Result<Self, RunError> {
        let listen = |kind| {
            signal(kind).map_err(|source| RunError::Process {
                verb: "listen to signals in",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
