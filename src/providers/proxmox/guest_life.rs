//! What can be asked and changed in the life of a single guest: clones, templates, disks, snapshots, moves, its agent.

use super::{error::ProxmoxError, task::Upid};
use crate::model::{ids::Vmid, image::Checksum};
use std::{future::Future, path::Path};

/// A saved state of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Name.
    pub name: String,
    /// The owner's words.
    pub description: String,
    /// When it was made, seconds since 1970.
    pub time: i64,
    /// The snapshot before it.
    pub parent: Option<String>,
}

/// A backup that Proxmox made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it is: `local:backup/vzdump-qemu-110-2026_09_12-02_15_00.vma.zst`.
    pub volume: String,
    /// When it was made, seconds since 1970.
    pub time: i64,
    /// Its size in bytes.
    pub size: u64,
}

/// Looks into a guest. Nothing here changes anything.
pub trait GuestRead: Send + Sync {
    /// The snapshots of a guest, oldest first.
    fn snapshots(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Vec<Snapshot>, ProxmoxError>> + Send;

    /// The backups of a guest on the storages that its node sees, oldest first.
    fn backups(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Vec<Backup>, ProxmoxError>> + Send;

    /// A file of a guest, read by its agent; none when no agent answers, when it may not be asked, or when there is no
    /// such file. Reading takes `VM.GuestAgent.FileRead` and runs nothing in the guest.
    fn agent_file(
        &self,
        node: &str,
        vmid: Vmid,
        path: &str,
    ) -> impl Future<Output = Result<Option<String>, ProxmoxError>> + Send;
}

/// A clone to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneOptions {
    /// Its id.
    pub vmid: Vmid,
    /// Its name.
    pub name: String,
    /// Its notes.
    pub description: String,
    /// Node where it shall live.
    pub target: String,
    /// Storage of a full copy; none shares blocks with the template.
    pub full: Option<String>,
}

/// A disk to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// File name.
    pub filename: String,
    /// Format, where files have one.
    pub format: Option<String>,
    /// Size in bytes, rounded up to KiB.
    pub size: u64,
}

/// Changes a guest. As with [`ProxmoxWrite`](super::ProxmoxWrite): a write is sent once, an [`Upid`] means that the work
/// has begun.
pub trait GuestWrite: Send + Sync {
    /// Uploads a disk image into a storage of content type `import`, from a file of this machine and without reading it
    /// into memory. The node verifies the checksum, if there is one.
    fn upload_image(
        &self,
        node: &str,
        storage: &str,
        filename: &str,
        file: &Path,
        checksum: Option<&Checksum>,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Makes an empty disk. `filename` carries the id of its owner, as `vm-<owner>-...`; answers its volume id.
    fn create_volume(
        &self,
        node: &str,
        storage: &str,
        owner: Vmid,
        volume: &NewVolume,
    ) -> impl Future<Output = Result<String, ProxmoxError>> + Send;

    /// Clones a VM under a new id. Of a template without `full` the copy shares blocks.
    fn clone_vm(
        &self,
        node: &str,
        from: Vmid,
        clone: &CloneOptions,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Turns a stopped VM into a template.
    fn make_template(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Moves a disk to another storage; the old volume is removed after the copy is whole.
    fn move_disk(
        &self,
        node: &str,
        vmid: Vmid,
        disk: &str,
        storage: &str,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Moves a VM to another node; a running one keeps running. Local disks go with it.
    fn migrate(
        &self,
        node: &str,
        vmid: Vmid,
        target: &str,
        online: bool,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Saves the state of a VM's disks and configuration.
    fn create_snapshot(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
        description: &str,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Deletes a snapshot.
    fn delete_snapshot(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Puts a VM back to a snapshot, and starts it when `start` is set. What was written since is lost.
    fn rollback(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
        start: bool,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Destroys a stopped VM with the disks that carry its id, and takes it out of backup, replication and HA jobs.
    /// Disks that carry another id stay, and so do disks that its configuration does not name.
    fn destroy(
        &self,
        node: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<Upid, ProxmoxError>> + Send;

    /// Makes a resource pool; one that is there is fine.
    fn create_pool(&self, pool: &str) -> impl Future<Output = Result<(), ProxmoxError>> + Send;

    /// Puts a guest into a pool, out of the one that it is in.
    fn join_pool(
        &self,
        pool: &str,
        vmid: Vmid,
    ) -> impl Future<Output = Result<(), ProxmoxError>> + Send;
}
