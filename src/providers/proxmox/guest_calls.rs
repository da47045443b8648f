//! The life of a single guest, one request each.

use super::{
    change::{upid, vm},
    client::{Attachment, Client, Payload},
    endpoint,
    error::{ProxmoxError, Refusal},
    guest_life::{Backup, CloneOptions, GuestRead, GuestWrite, NewVolume, Snapshot},
    request::Request,
    task::Upid,
    wire::{
        guest::{FileContent, SnapshotRow},
        node::{Storage, Volume},
    },
};
use crate::model::{ids::Vmid, image::Checksum};
use futures_util::future::try_join_all;
use std::path::Path;

/// The row that stands for the present state in the list of snapshots.
const CURRENT: &str = "current";
/// The content type of backups.
const BACKUP: &str = "backup";

impl GuestRead for Client {
    async fn snapshots(&self, node: &str, vmid: Vmid) -> Result<Vec<Snapshot>, ProxmoxError> {
        let rows: Vec<SnapshotRow> = self.fetch(&vm(&endpoint::VM_SNAPSHOTS, node, vmid)).await?;
        let mut all: Vec<Snapshot> = rows
            .into_iter()
            .filter(|row| row.name != CURRENT)
            .map(|row| Snapshot {
                name: row.name,
                description: row.description.trim_end().to_owned(),
                time: row.snaptime.0,
                parent: row.parent,
            })
            .collect();
        all.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.name.cmp(&b.name)));
        Ok(all)
    }

    async fn backups(&self, node: &str, vmid: Vmid) -> Result<Vec<Backup>, ProxmoxError> {
        let storages = Request::new(&endpoint::NODE_STORAGES, &[node]);
        let storages: Vec<Storage> = self.fetch(&storages).await?;
        let holds = |storage: &&Storage| {
            storage.active.0 && storage.content.split(',').any(|kind| kind == BACKUP)
        };
        let lists = storages.iter().filter(holds).map(|storage| async move {
            let names = [node, storage.id.as_str()];
            let request = Request::new(&endpoint::STORAGE_CONTENT, &names)
                .with("content", BACKUP)
                .with("vmid", vmid.to_string());
            self.fetch::<Vec<Volume>>(&request).await
        });
        let mut all: Vec<Backup> = try_join_all(lists)
            .await?
            .into_iter()
            .flatten()
            .map(|row| Backup {
                volume: row.volid,
                time: row.ctime.0,
                size: row.size.unsigned(),
            })
            .collect();
        all.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.volume.cmp(&b.volume)));
        Ok(all)
    }

    async fn agent_file(
        &self,
        node: &str,
        vmid: Vmid,
        path: &str,
    ) -> Result<Option<String>, ProxmoxError> {
        let request = vm(&endpoint::AGENT_FILE_READ, node, vmid).with("file", path);
        match self.fetch::<FileContent>(&request).await {
            Ok(file) => Ok(Some(file.content)),
            // "QEMU guest agent is not running", "No QEMU guest agent configured", "Agent error: failed to open file".
            Err(error) if is_unsaid(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether an agent said nothing, may not be asked, or has no such file.
fn is_unsaid(error: &ProxmoxError) -> bool {
    let text = error.to_string();
    error.refusal() == Some(Refusal::Forbidden)
        || text.contains("guest agent")
        || text.contains("Agent error: failed to open file")
}

impl GuestWrite for Client {
    async fn upload_image(
        &self,
        node: &str,
        storage: &str,
        filename: &str,
        file: &Path,
        checksum: Option<&Checksum>,
    ) -> Result<Upid, ProxmoxError> {
        let request = Request::new(&endpoint::UPLOAD, &[node, storage])
            .with("content", "import")
            .with_some(
                "checksum-algorithm",
                checksum.map(|sum| sum.algorithm.as_str()),
            )
            .with_some("checksum", checksum.map(|sum| sum.hex.as_str()));
        let attachment = Attachment {
            filename: filename.to_owned(),
            payload: Payload::File(file.to_owned()),
        };
        let data = self.send_with(&request, Some(&attachment)).await?;
        upid(&request, data.as_str())
    }

    async fn create_volume(
        &self,
        node: &str,
        storage: &str,
        owner: Vmid,
        volume: &NewVolume,
    ) -> Result<String, ProxmoxError> {
        let request = Request::new(&endpoint::VOLUME_CREATE, &[node, storage])
            .with("vmid", owner.to_string())
            .with("filename", &volume.filename)
            .with("size", volume.size.div_ceil(1024).to_string())
            .with_some("format", volume.format.as_deref());
        self.fetch(&request).await
    }

    async fn clone_vm(
        &self,
        node: &str,
        from: Vmid,
        clone: &CloneOptions,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_CLONE, node, from)
            .with("newid", clone.vmid.to_string())
            .with("name", &clone.name)
            .with("description", &clone.description)
            .with("target", &clone.target)
            .with("full", if clone.full.is_some() { "1" } else { "0" })
            .with_some("storage", clone.full.as_deref());
        self.task(&request).await
    }

    async fn make_template(&self, node: &str, vmid: Vmid) -> Result<Upid, ProxmoxError> {
        self.task(&vm(&endpoint::VM_TEMPLATE, node, vmid)).await
    }

    async fn move_disk(
        &self,
        node: &str,
        vmid: Vmid,
        disk: &str,
        storage: &str,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_MOVE_DISK, node, vmid)
            .with("disk", disk)
            .with("storage", storage)
            .with("delete", "1");
        self.task(&request).await
    }

    async fn migrate(
        &self,
        node: &str,
        vmid: Vmid,
        target: &str,
        online: bool,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_MIGRATE, node, vmid)
            .with("target", target)
            .with_some("online", online.then_some("1"))
            .with_some("with-local-disks", online.then_some("1"));
        self.task(&request).await
    }

    async fn create_snapshot(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
        description: &str,
    ) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_SNAPSHOT_CREATE, node, vmid)
            .with("snapname", name)
            .with("description", description);
        self.task(&request).await
    }

    async fn delete_snapshot(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
    ) -> Result<Upid, ProxmoxError> {
        let names = [node, &vmid.to_string(), name];
        self.task(&Request::new(&endpoint::VM_SNAPSHOT_DELETE, &names))
            .await
    }

    async fn rollback(
        &self,
        node: &str,
        vmid: Vmid,
        name: &str,
        start: bool,
    ) -> Result<Upid, ProxmoxError> {
        let names = [node, &vmid.to_string(), name];
        let request =
            Request::new(&endpoint::VM_ROLLBACK, &names).with_some("start", start.then_some("1"));
        self.task(&request).await
    }

    async fn destroy(&self, node: &str, vmid: Vmid) -> Result<Upid, ProxmoxError> {
        let request = vm(&endpoint::VM_DESTROY, node, vmid).with("purge", "1");
        self.task(&request).await
    }

    async fn create_pool(&self, pool: &str) -> Result<(), ProxmoxError> {
        let request = Request::new(&endpoint::POOL_CREATE, &[])
            .with("poolid", pool)
            .with("comment", "Made by infra.");
        match self.done(&request).await {
            Err(error) if error.refusal() == Some(Refusal::Exists) => Ok(()),
            answer => answer,
        }
    }

    async fn join_pool(&self, pool: &str, vmid: Vmid) -> Result<(), ProxmoxError> {
        let request = Request::new(&endpoint::POOL_UPDATE, &[])
            .with("poolid", pool)
            .with("vms", vmid.to_string())
            .with("allow-move", "1");
        self.done(&request).await
    }
}
