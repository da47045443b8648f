//! Background work as data: decided by an endpoint, carried out by `work.rs`.

use super::model::change::{Change, Dice};
use std::{collections::BTreeMap, path::PathBuf};

/// A job to start.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Worker type in the UPID.
    pub(crate) kind: &'static str,
    /// Id in the UPID.
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) work: Work,
}

impl Job {
    /// A job on a guest.
    pub(crate) fn on_guest(kind: &'static str, node: &str, vmid: u32, work: Work) -> Self {
        Self {
            kind,
            id: vmid.to_string(),
            node: node.to_owned(),
            work,
        }
    }
}

/// What a job does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Create {
        vmid: u32,
        set: BTreeMap<String, String>,
        dice: Dice,
        start: bool,
    },
    Configure {
        vmid: u32,
        change: Change,
        dice: Dice,
        summary: String,
    },
    Start {
        vmid: u32,
    },
    Stop {
        vmid: u32,
    },
    Shutdown {
        vmid: u32,
        timeout: f64,
        force: bool,
    },
    /// A request to the HA manager, which does the work in one of its next rounds, whatever becomes of it.
    AskHa {
        vmid: u32,
        words: &'static str,
        /// The state that is wanted from now on.
        state: Option<&'static str>,
        work: Box<Self>,
    },
    Reboot {
        vmid: u32,
        timeout: f64,
    },
    Resize {
        vmid: u32,
        disk: String,
        size: String,
        digest: Option<String>,
    },
    Destroy {
        vmid: u32,
        purge: bool,
        unreferenced: bool,
    },
    Download {
        storage: String,
        volid: String,
        url: String,
        checksum: Option<(String, String)>,
    },
    Import {
        volid: String,
        upload: PathBuf,
        checksum: Option<(String, String)>,
    },
    DeleteVolume {
        volid: String,
    },
    ApplyNetwork,
    ApplySdn,
    Snapshot {
        vmid: u32,
        name: String,
        description: String,
    },
    DeleteSnapshot {
        vmid: u32,
        name: String,
    },
    Rollback {
        vmid: u32,
        name: String,
        start: bool,
    },
    Migrate {
        vmid: u32,
        target: String,
        online: bool,
    },
    Template {
        vmid: u32,
    },
    Clone {
        vmid: u32,
        to: u32,
        name: Option<String>,
        full: bool,
        storage: Option<String>,
        dice: Dice,
    },
    MoveDisk {
        vmid: u32,
        disk: String,
        storage: String,
        format: Option<String>,
        delete: bool,
    },
}
