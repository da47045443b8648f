//! The process that holds a lab.

use super::{
    ahead::build_ahead,
    error::{RunError, failed},
    node_api::{self, NodeApi},
    outside::outside,
    process,
    settings::Settings,
};
use crate::lab::{
    images::{World, stand_ins, tls::Authority},
    namespace::{self, Key, Machine, Plan, Topology, netns_path},
    state::{LabKind, LabState},
};
use crate::model::desired::Desired;
use rustix::fs::{FlockOperation, flock};
use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};

/// Builds a namespace lab for an inventory, holds it until SIGTERM or SIGINT, and takes it down. `say` hears what it
/// is doing. Needs a tokio runtime with I/O and several threads.
///
/// # Errors
/// When the lab cannot be built; what was built until then is removed. When something could not be removed at the end.
pub async fn serve(
    desired: &Desired,
    settings: &Settings,
    say: impl Fn(&str) + Copy + Send + 'static,
) -> Result<(), RunError> {
    let missing = namespace::missing();
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
            write_state(&folder.state(), &lab.state)?;
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
    for path in [folder.state(), folder.pid()] {
        let _ = fs::remove_file(path);
    }
    outcome
}

/// A lab that is up.
struct Lab {
    state: LabState,
    machine: Machine,
    _api: NodeApi,
    _world: Option<World>,
    _ahead: JoinSet<()>,
}

impl Lab {
    async fn end(self) -> Result<(), RunError> {
        let machine = self.machine.clone();
        drop(self);
        blocking(move || Ok(machine.tear_down()?)).await
    }
}

async fn build(
    desired: &Desired,
    settings: &Settings,
    say: impl Fn(&str) + Copy + Send + 'static,
) -> Result<Lab, RunError> {
    let topology = Topology::of(desired)?;
    let ahead = build_ahead(desired, settings, say)?;
    let node = node_api::only_node(desired, topology.node.as_ref())?;
    let cache = settings.cache.clone();
    let image = blocking(move || Ok(namespace::build_image(&cache, &say)?)).await?;
    let authority = Authority::load_or_make(&settings.cache.join("authority"))?;
    let folder = settings.folder.clone();
    let operator = Key::at(&folder.operator_key(), "infra-lab")?;
    let plan = Plan {
        folder,
        image: image.clone(),
        topology: topology.clone(),
        ca: Some(authority.pem().to_owned()),
        operator: operator.clone(),
        program: Some(settings.program.clone()),
    };
    say("building the network and booting the node");
    let machine = blocking(move || Ok(Machine::build(plan)?)).await?;
    let world = outside(&topology, settings, &image)?;
    let api = node_api::start(desired, node, &topology, &machine, settings)?;
    let names = machine.names();
    let state = LabState {
        version: 1,
        kind: LabKind::Namespace,
        pid: std::process::id(),
        system: desired.system.to_string(),
        api: api.address,
        fingerprint: api.fingerprint.clone(),
        token_id: api.token_id.to_owned(),
        token_secret: api.token_secret.clone(),
        operator_netns: topology
            .operator
            .is_some()
            .then(|| netns_path(&names.operator())),
        known_hosts: machine.known_hosts(),
        operator_key: operator.path().to_owned(),
        operator_public_key: operator.public().to_owned(),
        ssh: BTreeMap::new(),
        images: api.images.clone(),
        clock: settings.clock,
        stand_ins: list_of_stand_ins(),
    };
    Ok(Lab {
        state,
        machine,
        _api: api,
        _world: world,
        _ahead: ahead,
    })
}

fn list_of_stand_ins() -> BTreeMap<String, String> {
    let catalogue = stand_ins::catalogue();
    let entries = catalogue.stand_ins.values();
    entries
        .flat_map(|entry| {
            entry
                .images
                .keys()
                .map(|image| (image.clone(), entry.runs.clone()))
        })
        .collect()
}

/// Runs what blocks away from the runtime's threads.
async fn blocking<T: Send + 'static>(
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
