//! Why the machine did not do what the lab asked of it.

use std::{io, path::PathBuf, process::ExitStatus};

/// A failure of the namespace lab.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A program could not be started.
    #[error("start `{program}`")]
    Start {
        /// Program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("run `{command}`: {status}: {complaint}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        complaint: String,
    },
    /// A file or directory could not be used.
    #[error("{verb} {}", path.display())]
    File {
        /// What was tried: `read`, `write`, `create`, `remove`.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A seed image that is not one.
    #[error("read the seed {}: {why}", path.display())]
    Seed {
        /// The ISO image.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The lab's folder has a name that overlayfs options cannot carry.
    #[error("use the folder {}: its path contains one of `:`, `,`, `\"`, `\\` or a space", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A container ended before it was up.
    #[error("boot {name}: {complaint}")]
    Boot {
        /// Machine name.
        name: String,
        /// The end of its console.
        complaint: String,
    },
    /// A card on a bridge that the node does not have, in Proxmox's words.
    #[error("bridge '{bridge}' does not exist")]
    NoBridge {
        /// Bridge.
        bridge: String,
    },
    /// A share of a directory that the node does not have.
    #[error("share {} as {tag}: no such directory on the node", path.display())]
    NoShare {
        /// Its tag.
        tag: String,
        /// On the node.
        path: PathBuf,
    },
    /// The machine has no cgroup v2 hierarchy.
    #[error("find a cgroup v2 hierarchy under /sys/fs/cgroup")]
    NoCgroup,
    /// Processes of the lab that did not end.
    #[error("end the processes in {}", path.display())]
    StillRunning {
        /// Their cgroup.
        path: PathBuf,
    },
    /// Teardown left things behind.
    #[error("remove what the lab made: {}", left.join("; "))]
    Leftovers {
        /// One sentence for each thing.
        left: Vec<String>,
    },
    /// The inventory cannot be laid out as one node's network.
    #[error("lay out the lab's network: {why}")]
    Topology {
        /// Why.
        why: String,
    },
}

impl NamespaceError {
    /// The whole chain in one line, as a task's exit status shows it.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
