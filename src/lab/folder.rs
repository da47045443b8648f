//! What stands where in a lab's folder.

use crate::model::ids::Vmid;
use std::path::{Path, PathBuf};

/// The one folder in which everything of a lab lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabFolder {
    root: PathBuf,
}

impl LabFolder {
    /// A lab in this folder. The path should be absolute: names on the machine are derived from it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file by which `infra --lab` finds the running lab; there only while it is up.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// Process id and start time of the process that holds the lab.
    pub fn pid(&self) -> PathBuf {
        self.root.join("serve.pid")
    }

    /// The socket on which that process takes orders.
    pub fn control(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// What that process says.
    pub fn log(&self) -> PathBuf {
        self.root.join("serve.log")
    }

    /// SSH private key that nodes and hosts accept; the public half stands beside it with `.pub`.
    pub fn operator_key(&self) -> PathBuf {
        self.root.join("operator_ed25519")
    }

    /// The host keys that infra has pinned in this lab.
    pub fn known_hosts(&self) -> PathBuf {
        self.root.join("known_hosts")
    }

    /// Mount point of the filesystem that holds the ZFS twin's data.
    pub fn zfs(&self) -> PathBuf {
        self.root.join("zfs")
    }

    /// The sparse image behind [`Self::zfs`].
    pub fn zfs_image(&self) -> PathBuf {
        self.root.join("zfs.img")
    }

    /// Journals, receipts and unread host keys of runs against this lab.
    pub fn runs(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The folder of a scripted lab. Its hosts are gone with their process, so everything in it begins anew.
    #[must_use]
    pub fn scripted(&self) -> Self {
        Self::new(self.root.join("scripted"))
    }

    /// What the API keeps.
    pub fn api(&self) -> PathBuf {
        self.root.join("api")
    }

    /// The firewall as last loaded into the node's namespace.
    pub fn firewall(&self) -> PathBuf {
        self.root.join("firewall")
    }

    /// Disks and sockets of all guests.
    pub fn guests(&self) -> PathBuf {
        self.root.join("guests")
    }

    /// Disks and sockets of one guest.
    pub fn guest(&self, vmid: Vmid) -> PathBuf {
        self.guests().join(vmid.to_string())
    }

    /// What lies in a rented folder of the lab's Internet.
    pub fn rented(&self, host: &str) -> PathBuf {
        self.root.join("rented").join(host)
    }

    /// Disks of the node and of external hosts.
    pub fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// Disks of one node or external host.
    pub fn host(&self, name: &str) -> PathBuf {
        self.hosts().join(name)
    }
}
