//! Why a lab did not come up, or not go down.

use crate::lab::{
    api::ApiError,
    images::ImagesError,
    namespace::{Missing, NamespaceError},
    scripted::ScriptedError,
};
use std::{io, path::PathBuf};

/// A failure of the lab's life.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine cannot run the kind of lab that was asked for.
    #[error("run a namespace lab here: this machine lacks {}", list(missing))]
    Machine {
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// The namespace lab failed.
    #[error("run the namespace lab")]
    Namespace(#[from] NamespaceError),
    /// The scripted hosts failed.
    #[error("run the scripted lab")]
    Scripted(#[from] ScriptedError),
    /// The outside world of the lab failed.
    #[error("run the lab's outside world")]
    Images(#[from] ImagesError),
    /// The lab's API failed.
    #[error("run the lab's API")]
    Api(#[from] ApiError),
    /// A file of the lab could not be used.
    #[error("{verb} {}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state file makes no sense.
    #[error("understand {}", path.display())]
    State {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The process that holds the lab could not be started or ended.
    #[error("{verb} the lab's process")]
    Process {
        /// What was tried.
        verb: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process that holds the lab ended before the lab was ready.
    #[error("bring the lab up: {complaint} (all of it: {})", log.display())]
    Ended {
        /// The last lines that it wrote.
        complaint: String,
        /// Where it writes.
        log: PathBuf,
    },
    /// The lab does not do what it was asked for.
    #[error("do that in the lab: {why}")]
    Refused {
        /// Its own words.
        why: String,
    },
    /// Another process holds this lab.
    #[error("take the lab in {}: process {pid} holds it", folder.display())]
    Held {
        /// The lab's folder.
        folder: PathBuf,
        /// Who.
        pid: u32,
    },
    /// The inventory has no Proxmox node.
    #[error("make a lab for a system without a Proxmox node")]
    NoNode,
}

fn list(missing: &[Missing]) -> String {
    let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
    words.join(", ")
}

/// Names the file in an error.
pub(super) fn failed(
    verb: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |source| RunError::File { verb, path, source }
}
