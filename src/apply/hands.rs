//! One match over the closed set of operations, one provider call each.

use super::{
    data_guard,
    failure::plain,
    guard::GuardPolicy,
    host_keys::HostKeys,
    login::{fresh, is_login, login_before, prove_login, settings_before},
    walk::{Hands, Notes, StepFailure},
};
use crate::model::{
    ids::HostName,
    resource::{FileResource, Reaction},
    secret::SecretValues,
};
use crate::plan::change::{Change, Operation};
use crate::providers::{
    compose::{self, Compose},
    host::{DirectoryWrite, FileWrite, HostWrite as _, UnitVerb},
    proxmox::{
        CloneOptions, ClusterRead, ClusterWrite, ConfigChange, GuestRead, GuestWrite, NewVolume,
        ProxmoxRead, ProxmoxWrite,
    },
    shell::{Command, Shell as _},
    ssh::{self, Fleet, SshHost},
    zfs::{Zfs, ZfsWrite as _},
};
use crate::seed::HostKey;
use std::{path::PathBuf, time::Duration};

/// Everything that a step may need to write.
pub struct World<P> {
    /// The API; none for a system without Proxmox.
    pub proxmox: Option<P>,
    /// Shells.
    pub fleet: Fleet,
    /// Values of secrets, filled in at the moment of writing.
    pub secrets: SecretValues,
    /// The inventory's folder, from which relative paths start.
    pub folder: PathBuf,
    /// Private host keys of guests that have not read their seed yet.
    pub host_keys: HostKeys,
    /// Between two looks at something that takes a moment.
    pub pause: Duration,
    /// Opens a new connection to the API, to prove that access still works; none without Proxmox.
    pub reconnect: Box<dyn Fn() -> Option<P> + Send + Sync>,
    /// Who guards changes that may cut access.
    pub guard: GuardPolicy,
}

impl<P> World<P> {
    pub(super) fn api(&self) -> Result<&P, StepFailure> {
        self.proxmox.as_ref().ok_or_else(|| {
            StepFailure::told("the inventory has no Proxmox", "Add `proxmox:` to it.")
        })
    }

    pub(super) fn shell(&self, host: &HostName) -> Result<&SshHost, StepFailure> {
        self.fleet.host(host).ok_or_else(|| {
            StepFailure::told(
                format!("there is no shell access to {host}"),
                "Give it an address and `ssh:` in the inventory.",
            )
        })
    }

    /// Pins a guest's new host key in place of an older one.
    pub(super) fn pin(&self, guest: &HostName, key: &HostKey) -> Result<(), StepFailure> {
        let names = self.fleet.pin_names(guest);
        let known = self.fleet.known_hosts();
        let mut fields = key.public().split(' ');
        let line = fields
            .next()
            .zip(fields.next())
            .and_then(|(kind, blob)| ssh::HostKey::from_fields(kind, blob))
            .ok_or_else(|| {
                StepFailure::told(
                    "the new host key has no public half",
                    "This is a bug in infra.",
                )
            })?;
        known.forget(&names).map_err(|error| plain(&error))?;
        known.pin(&names, &line).map_err(|error| plain(&error))?;
        Ok(())
    }

    fn filled(&self, file: &FileResource) -> Result<FileWrite, StepFailure> {
        let bytes = file.content.filled(&self.secrets).map_err(|secret| {
            StepFailure::told(
                format!("the secret `{secret}` has no value"),
                "Give it one where the inventory says it comes from.",
            )
        })?;
        Ok(FileWrite {
            path: file.path.clone(),
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode,
            bytes,
        })
    }

    /// Files, directories and removals of one host in one go, then what must follow, each once.
    async fn files(&self, changes: &[Change]) -> Result<(), StepFailure> {
        let Some(first) = changes.first() else {
            return Ok(());
        };
        let shell = self.shell(&first.host)?;
        let (mut writes, mut directories, mut reactions) = (Vec::new(), Vec::new(), Vec::new());
        let mut removes = Vec::new();
        let mut react = |then: &[Reaction]| {
            for reaction in then {
                if !reactions.contains(reaction) {
                    reactions.push(reaction.clone());
                }
            }
        };
        for change in changes {
            if let Operation::WriteFile(file) = &change.operation {
                writes.push(self.filled(file)?);
                react(&file.then);
            } else if let Operation::MakeDirectory {
                path,
                owner,
                group,
                mode,
            } = &change.operation
            {
                directories.push(DirectoryWrite {
                    path: path.clone(),
                    owner: owner.clone(),
                    group: group.clone(),
                    mode: *mode,
                });
            } else if let Operation::RemoveFile { path, then } = &change.operation {
                removes.push(path.as_str());
                react(then);
            } else {
                return Err(misplaced(&change.operation));
            }
        }
        let settings = settings_before(shell, &writes, &removes).await?;
        let work = async {
            for path in removes {
                shell.remove_file(path).await?;
            }
            if !directories.is_empty() {
                shell.make_directories(&directories).await?;
            }
            let keys = writes.iter().find(|file| is_login(&file.path));
            let before = match keys {
                Some(file) => login_before(shell, &file.path).await,
                None => None,
            };
            if !writes.is_empty() {
                shell.write_files(&writes).await?;
            }
            if let Some(file) = keys {
                prove_login(shell, file, before).await?;
            }
            if !reactions.is_empty() {
                shell.react(&reactions).await?;
            }
            Ok::<(), StepFailure>(())
        };
        let written = work.await;
        match settings {
            None => written,
            Some(settings) => {
                settings
                    .prove(shell, written, self.pause, || fresh(shell))
                    .await
            }
        }
    }

    async fn units(&self, changes: &[Change]) -> Result<(), StepFailure> {
        let Some(first) = changes.first() else {
            return Ok(());
        };
        let mut verbs = Vec::new();
        for change in changes {
            let Operation::SetUnit {
                unit,
                enabled,
                active,
            } = &change.operation
            else {
                return Err(misplaced(&change.operation));
            };
            let boot = if *enabled {
                UnitVerb::Enable
            } else {
                UnitVerb::Disable
            };
            let now = if *active {
                UnitVerb::Start
            } else {
                UnitVerb::Stop
            };
            verbs.push((boot, unit.clone()));
            verbs.push((now, unit.clone()));
        }
        self.shell(&first.host)?.set_units(&verbs).await?;
        Ok(())
    }
}

/// A batch that holds an operation of another kind is a planner's bug, told as such.
pub(super) fn misplaced(operation: &Operation) -> StepFailure {
    StepFailure::told(
        format!("the plan put this operation into the wrong batch: {operation:?}"),
        "This is a bug in infra; nothing of this step was written after it.",
    )
}

impl<P> Hands for World<P>
where
    P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite + ClusterRead + ClusterWrite,
{
    async fn carry_out(&self, changes: Vec<Change>, notes: Notes) -> Result<(), StepFailure> {
        match changes.first().map(|change| &change.operation) {
            Some(
                Operation::WriteFile(_)
                | Operation::MakeDirectory { .. }
                | Operation::RemoveFile { .. },
            ) => return self.files(&changes).await,
            Some(Operation::SetUnit { .. }) => return self.units(&changes).await,
            Some(Operation::Firewall { .. } | Operation::EnableFirewall { .. }) => {
                return self.pve_firewall(&changes, &notes).await;
            }
            Some(_) | None => {}
        }
        for change in &changes {
            self.one(change, &notes).await?;
        }
        Ok(())
    }
}

impl<P> World<P>
where
    P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite + ClusterRead + ClusterWrite,
{
    async fn one(&self, change: &Change, notes: &Notes) -> Result<(), StepFailure> {
        let host = &change.host;
        match &change.operation {
            Operation::DownloadImage {
                node,
                storage,
                image,
                download,
            } => self.download(node, storage, image, download, notes).await,
            Operation::UploadImage {
                node,
                storage,
                path,
                filename,
                checksum,
            } => {
                let file = self.folder.join(path);
                self.upload_image(node, storage, filename, &file, checksum.as_ref(), notes)
                    .await
            }
            Operation::MakeTemplate { node, vmid } => self.make_template(node, *vmid, notes).await,
            Operation::CloneGuest {
                node,
                from,
                vmid,
                name,
                notes: words,
                target,
                full,
                tuning,
            } => {
                let options = CloneOptions {
                    vmid: *vmid,
                    name: name.to_string(),
                    description: words.clone(),
                    target: target.to_string(),
                    full: full.clone(),
                };
                self.clone_guest(node, *from, &options, tuning, notes).await
            }
            Operation::AllocateDisk {
                node,
                storage,
                filename,
                format,
                size,
            } => {
                let volume = NewVolume {
                    filename: filename.clone(),
                    format: format.clone(),
                    size: size.0,
                };
                self.allocate_disk(node, storage, &volume).await
            }
            Operation::MoveDisk {
                node,
                vmid,
                disk,
                storage,
            } => self.move_disk(node, *vmid, disk, storage, notes).await,
            Operation::MakePool { pool } => Ok(self.api()?.create_pool(pool.as_str()).await?),
            Operation::JoinPool { pool, exists, vmid } => {
                if !exists {
                    self.api()?.create_pool(pool.as_str()).await?;
                }
                Ok(self.api()?.join_pool(pool.as_str(), *vmid).await?)
            }
            Operation::UploadBootSeed {
                node,
                storage,
                seed,
            } => self.upload_boot_seed(node, storage, seed, notes).await,
            Operation::SealSeed {
                node,
                vmid,
                storage,
                seed,
                replaces,
            } => {
                self.seal_seed(node, *vmid, storage, seed, replaces.as_deref(), notes)
                    .await
            }
            Operation::CreateGuest { node, vmid, params } => {
                self.create_guest(node, *vmid, params, notes).await
            }
            Operation::ConfigureGuest {
                node,
                vmid,
                set,
                delete,
                digest,
            } => {
                let change = ConfigChange {
                    set: set.clone(),
                    delete: delete.iter().cloned().collect(),
                    digest: digest.clone(),
                };
                self.configure_guest(node, *vmid, change, notes).await
            }
            Operation::GrowDisk {
                node,
                vmid,
                disk,
                size,
            } => self.grow_disk(node, *vmid, disk, *size, notes).await,
            Operation::MigrateGuest {
                from,
                to,
                vmid,
                guest,
                drive,
                stop,
            } => {
                self.migrate_guest((from, to), (*vmid, guest), drive.as_deref(), *stop, notes)
                    .await
            }
            Operation::EmptyDrive {
                node,
                vmid,
                guest,
                seed,
            } => {
                self.empty_drive(node, *vmid, guest, seed.as_deref(), notes)
                    .await
            }
            Operation::ApplyNetwork {
                node,
                writes,
                expects,
            } => self.apply_network(node, writes, expects, notes).await,
            Operation::ApplySdn {
                writes,
                zones,
                nodes,
            } => self.apply_sdn(writes, zones, nodes, notes).await,
            Operation::WriteEntry { kind, id, write } => {
                self.write_entry(*kind, id, write, notes).await
            }
            Operation::StartGuest { node, vmid, guest } => {
                self.start_guest(node, *vmid, guest, notes).await
            }
            Operation::RestartGuest { node, vmid, guest } => {
                self.restart_guest(node, *vmid, guest, notes).await
            }
            Operation::StopGuest { node, vmid } => self.power_off(node, *vmid, notes).await,
            Operation::DestroyGuest {
                node,
                vmid,
                name,
                tag,
            } => self.destroy_guest(node, *vmid, name, tag, notes).await,
            Operation::DeleteVolume { node, volume } => {
                self.delete_volume(node, volume, notes).await
            }
            Operation::MapDirectory {
                mapping,
                node,
                path,
                others,
                ..
            } => {
                // Proxmox puts what is sent in place of the whole list.
                let mut entries = others.clone();
                entries.push(format!("node={node},path={path}"));
                let note = Some("Made by infra.");
                Ok(self.api()?.put_dir_mapping(mapping, &entries, note).await?)
            }
            Operation::Firewall { .. } | Operation::EnableFirewall { .. } => {
                self.pve_firewall(std::slice::from_ref(change), notes).await
            }
            Operation::CreateDataset {
                dataset,
                system,
                properties,
                key,
            } => {
                self.create_dataset(host, (dataset, system), properties, key.as_ref())
                    .await
            }
            Operation::CreateZpool { zpool, parts } => {
                Zfs(self.shell(host)?).create_zpool(zpool, parts).await?;
                Ok(())
            }
            Operation::LoadKey { dataset, key } => self.load_key(host, dataset, key).await,
            Operation::SetProperties {
                dataset,
                properties,
            } => {
                Zfs(self.shell(host)?).set(dataset, properties).await?;
                Ok(())
            }
            Operation::MountDataset { dataset } => {
                Zfs(self.shell(host)?).mount(dataset).await?;
                Ok(())
            }
            Operation::DatasetDirectories {
                dataset,
                directories,
                ..
            } => {
                Zfs(self.shell(host)?)
                    .make_directories(dataset, directories)
                    .await?;
                Ok(())
            }
            Operation::InstallPackages { packages } => {
                self.shell(host)?.install_packages(packages).await?;
                Ok(())
            }
            Operation::WriteFile(_)
            | Operation::MakeDirectory { .. }
            | Operation::RemoveFile { .. } => self.files(std::slice::from_ref(change)).await,
            Operation::SetUnit { .. } => self.units(std::slice::from_ref(change)).await,
            Operation::RestartUnit { unit } => {
                let restart = [Reaction::Restart(unit.clone())];
                Ok(self.shell(host)?.react(&restart).await?)
            }
            Operation::RunCommand { argv, seconds } => {
                let command = Command::new(argv).timeout(Duration::from_secs(*seconds));
                self.shell(host)?.demand(command).await?;
                Ok(())
            }
            Operation::MakeFilesystem(wanted) => {
                Ok(self.shell(host)?.make_filesystem(wanted).await?)
            }
            Operation::GrowFilesystem(wanted) => {
                Ok(self.shell(host)?.grow_filesystem(wanted).await?)
            }
            Operation::SetSysctl { key, value } => {
                let setting = [(key.clone(), value.clone())];
                Ok(self.shell(host)?.set_sysctls(&setting).await?)
            }
            Operation::Ufw(steps) => self.ufw(host, steps, notes).await,
            Operation::DeployStack(release) => {
                let compose = Compose::new(self.shell(host)?);
                let tell = |step: compose::Step| {
                    notes.tell(match step {
                        compose::Step::Stage => "writing its files",
                        compose::Step::Pull => "pulling images",
                        compose::Step::Keep => "taking a snapshot of its data",
                        compose::Step::Up => "making containers",
                        compose::Step::Health => "waiting for health",
                        compose::Step::RollBack => "going back to the release before",
                    });
                };
                let guard = data_guard::of(self, release)?;
                compose::deploy(&compose, release, &self.secrets, &guard, tell).await?;
                Ok(())
            }
        }
    }
}
