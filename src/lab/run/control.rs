//! Orders to the process that holds a lab, on a socket in the lab's folder: faults, and what visits have cost.

use super::error::{RunError, failed};
use crate::lab::{
    api::{Fault, StorageState, World},
    folder::LabFolder,
    scripted::{HostTrouble, ScriptedHosts, Visits},
};
use crate::model::ids::{HostName, StorageId};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::{UnixListener, unix::OwnedReadHalf},
    task::JoinHandle,
};

/// What can be asked of a lab that is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub enum Order {
    /// Something goes wrong with the next requests to the API that fit.
    Api {
        /// What, and with which.
        fault: Fault,
    },
    /// A storage fills up, disappears or is well again.
    Storage {
        /// Storage.
        storage: StorageId,
        /// How it is from now on.
        state: StorageState,
    },
    /// Something goes wrong on a scripted host until the faults are cleared.
    Host {
        /// Host.
        host: HostName,
        /// What.
        #[serde(flatten)]
        trouble: HostTrouble,
    },
    /// Everything is well again.
    Clear,
    /// Nothing; only what is wrong is told.
    Look,
}

/// What is wrong in a lab, and what it was asked so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Faults that wait for their requests.
    pub api: Vec<Fault>,
    /// Storages that are not well.
    pub storages: BTreeMap<String, StorageState>,
    /// Hosts that are not well.
    pub hosts: Vec<(HostName, HostTrouble)>,
    /// Requests to the API since the lab came up.
    pub requests: u64,
    /// Connections and commands of each scripted host since it was made.
    pub visits: BTreeMap<String, Visits>,
}

/// Sends an order to the lab in a folder.
///
/// # Errors
/// When no lab is up there, or with the lab's own words when it refuses.
pub fn order(folder: &LabFolder, order: &Order) -> Result<Report, RunError> {
    let gone = |source| RunError::Process {
        verb: "speak to",
        source,
    };
    let (_held, path) = reachable(folder)?;
    let mut stream = UnixStream::connect(path).map_err(gone)?;
    let text = serde_json::to_string(order).map_err(|error| gone(error.into()))?;
    stream
        .write_all(format!("{text}\n").as_bytes())
        .map_err(gone)?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .map_err(gone)?;
    let answer: Result<Report, String> =
        serde_json::from_str(&answer).map_err(|error| gone(error.into()))?;
    answer.map_err(|why| RunError::Refused { why })
}

/// A path to the socket that is short enough, however deep the lab's folder lies; good while the folder is held open.
fn reachable(folder: &LabFolder) -> Result<(fs::File, PathBuf), RunError> {
    let held = fs::File::open(folder.root()).map_err(failed("open", folder.root()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control.sock", held.as_raw_fd()));
    Ok((held, path))
}

/// What orders are carried out on.
pub(super) struct Desk {
    /// None for a system without a node.
    pub(super) world: Option<World>,
    /// None in a lab with real guests.
    pub(super) hosts: Option<ScriptedHosts>,
    troubles: Mutex<Vec<(HostName, HostTrouble)>>,
}

/// Takes orders until it is dropped.
pub(super) struct Control(JoinHandle<()>);

impl Drop for Control {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Control {
    /// Begins to take orders.
    pub(super) fn open(
        folder: &LabFolder,
        world: Option<World>,
        hosts: Option<ScriptedHosts>,
    ) -> Result<Self, RunError> {
        let listen = |source: io::Error| RunError::Process {
            verb: "open the control socket of",
            source,
        };
        let (_held, path) = reachable(folder)?;
        // What a dead lab left; the lab's lock is ours.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(listen)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).map_err(listen)?;
        let desk = Arc::new(Desk {
            world,
            hosts,
            troubles: Mutex::default(),
        });
        Ok(Self(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    let (read, mut write) = stream.into_split();
                    if let Some(answer) = desk.answer(read).await {
                        // Whoever has gone away needs no answer.
                        let _ = write.write_all(answer.as_bytes()).await;
                    }
                });
            }
        })))
    }
}

impl Desk {
    async fn answer(&self, read: OwnedReadHalf) -> Option<String> {
        let mut line = String::new();
        tokio::io::BufReader::new(read)
            .read_line(&mut line)
            .await
            .ok()?;
        let outcome = serde_json::from_str(&line)
            .map_err(|error| error.to_string())
            .and_then(|order| self.carry_out(order));
        Some(serde_json::to_string(&outcome).ok()? + "\n")
    }

    fn carry_out(&self, order: Order) -> Result<Report, String> {
        match order {
            Order::Api { fault } => self.node()?.faults().add(fault),
            Order::Storage { storage, state } => {
                self.node()?.set_storage(storage.as_str(), state)?;
            }
            Order::Host { host, trouble } => {
                let hosts = self.hosts.as_ref().ok_or(
                    "real guests are broken by hand: log in (`infra --lab vm ssh NAME`) and break them",
                )?;
                hosts.suffer(&host, &trouble)?;
                self.troubles().push((host, trouble));
            }
            Order::Clear => {
                if let Some(world) = &self.world {
                    world.faults().clear();
                    for storage in world.storage_troubles().keys() {
                        world.set_storage(storage, StorageState::Well)?;
                    }
                }
                if let Some(hosts) = &self.hosts {
                    hosts.recover();
                }
                self.troubles().clear();
            }
            Order::Look => {}
        }
        let world = self.world.as_ref();
        Ok(Report {
            api: world.map(|world| world.faults().list()).unwrap_or_default(),
            storages: world.map(World::storage_troubles).unwrap_or_default(),
            hosts: self.troubles().clone(),
            requests: world.map_or(0, World::requests),
            visits: self
                .hosts
                .as_ref()
                .map(ScriptedHosts::visits)
                .unwrap_or_default(),
        })
    }

    fn node(&self) -> Result<&World, String> {
        let world = self.world.as_ref();
        world.ok_or_else(|| "this system has no node, so there is no API to break".to_owned())
    }

    fn troubles(&self) -> MutexGuard<'_, Vec<(HostName, HostTrouble)>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
