//! The closed set of everything we can change, and what each change means to the owner.

pub use super::impact::Impact;
use crate::model::{
    cluster::{EntryKind, EntryWrite},
    dataset::{DatasetDirectory, ZpoolPart},
    firewall_step::PveStep,
    host::GuestSeed,
    ids::{DatasetName, HostName, ImageName, PoolName, SecretName, SystemName, Vmid, ZpoolName},
    image::{Checksum, Download},
    network::{InterfaceWrite, SdnWrite},
    release::Release,
    resource::{FileResource, FilesystemResource, Reaction},
    size::Bytes,
    ufw::UfwSteps,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happens to the thing. Shown as `+ ~ -`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there and will be.
    Create,
    /// It is there and differs.
    Update,
    /// It is there, is ours, and will not be.
    Delete,
}

impl Action {
    /// The plan's symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Delete => "-",
        }
    }
}

/// One differing field in the owner's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name.
    pub name: String,
    /// As seen; none when it is not there.
    pub before: Option<String>,
    /// As wanted; none when it goes away.
    pub after: Option<String>,
}

impl Field {
    /// A field that changes.
    pub fn new(name: &str, before: Option<&str>, after: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
    }
}

/// One difference between wanted and seen, with the one operation that removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Unique in the plan and stable between plans: host and subject.
    pub id: String,
    /// The host under which the plan shows it, and whose limits it counts against.
    pub host: HostName,
    /// What differs: `guest 110 intranet`, `file /etc/ssh/sshd_config.d/00-infra.conf`.
    pub subject: String,
    /// What happens.
    pub action: Action,
    /// Only differing fields.
    pub fields: Vec<Field>,
    /// What it does to what runs.
    pub impact: Impact,
    /// Why, in one fragment.
    pub reason: String,
    /// Changes of this plan that must succeed first.
    pub needs: Vec<String>,
    /// How.
    pub operation: Operation,
}

/// How a change is carried out. Everything is decided; only secrets are filled in while writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The node downloads an image and checks its checksum.
    DownloadImage {
        /// Node.
        node: HostName,
        /// Storage with content type `import`.
        storage: String,
        /// Image.
        image: ImageName,
        /// Source, checksum and file name.
        download: Download,
    },
    /// Uploads an image from the operator's machine.
    UploadImage {
        /// Node.
        node: HostName,
        /// Storage with content type `import`.
        storage: String,
        /// The file.
        path: String,
        /// Its name in the storage.
        filename: String,
        /// Expected checksum.
        checksum: Option<Checksum>,
    },
    /// Turns a guest that was made for it into a template.
    MakeTemplate {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
    },
    /// Clones a guest from a template.
    CloneGuest {
        /// Node of the template.
        node: HostName,
        /// Template.
        from: Vmid,
        /// Id of the new guest.
        vmid: Vmid,
        /// Its name.
        name: HostName,
        /// Its notes, by which it is known as ours from its first moment.
        notes: String,
        /// Node where it shall live.
        target: HostName,
        /// Storage of a full copy; none shares blocks with the template.
        full: Option<String>,
        /// Options that its boot disk gets in place of the template's: `,discard=on,iothread=1`.
        #[serde(default)]
        tuning: String,
    },
    /// Makes a disk that outlives guests.
    AllocateDisk {
        /// Node.
        node: HostName,
        /// Storage.
        storage: String,
        /// Volume name, which carries the owner's number.
        filename: String,
        /// Its format, where files have one.
        format: Option<String>,
        /// Size.
        size: Bytes,
    },
    /// Moves a disk to another storage, while the guest runs.
    MoveDisk {
        /// Node where the guest lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// `scsi0`.
        disk: String,
        /// Where to.
        storage: String,
    },
    /// Makes a pool.
    MakePool {
        /// Pool.
        pool: PoolName,
    },
    /// Makes a pool if there is none, and puts a guest into it.
    JoinPool {
        /// Pool.
        pool: PoolName,
        /// Whether it is there.
        exists: bool,
        /// Guest.
        vmid: Vmid,
    },
    /// Makes (or takes up) the guest's host key, pins it, and uploads the first-boot seed that carries it.
    UploadBootSeed {
        /// Node.
        node: HostName,
        /// Storage with content type `iso`.
        storage: String,
        /// Seed without its host key.
        seed: GuestSeed,
    },
    /// Replaces the seed in the drive by one without the host's private key, and deletes the other.
    SealSeed {
        /// Id.
        vmid: Vmid,
        /// Node.
        node: HostName,
        /// Storage with content type `iso`.
        storage: String,
        /// Seed; it has no host key.
        seed: GuestSeed,
        /// Volume to delete afterwards, if it is ours.
        replaces: Option<String>,
    },
    /// Creates a guest from parameters, one to one as sent.
    CreateGuest {
        /// Node.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Parameters in Proxmox's words.
        params: BTreeMap<String, String>,
    },
    /// Changes a guest's configuration.
    ConfigureGuest {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Keys to set.
        set: BTreeMap<String, String>,
        /// Keys to delete.
        delete: Vec<String>,
        /// Digest of what was seen.
        digest: Option<String>,
    },
    /// Moves a guest to another node.
    MigrateGuest {
        /// Node where it lives.
        from: HostName,
        /// Node where it shall live.
        to: HostName,
        /// Id.
        vmid: Vmid,
        /// Its host, waited for when it had to stop.
        guest: HostName,
        /// What lies in its drive: Proxmox moves no guest that holds an image of one node's storage.
        drive: Option<String>,
        /// It is stopped for the move, because a device or directory of its node is passed through.
        stop: bool,
    },
    /// Takes the seed out of the drive of a guest that has read it, and deletes it.
    EmptyDrive {
        /// Node where it was made.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Its host, which must have answered.
        guest: HostName,
        /// Volume to delete afterwards, if it is ours.
        seed: Option<String>,
    },
    /// Stages interfaces of a node and applies them, under a guard where a shell allows one.
    ApplyNetwork {
        /// Node.
        node: HostName,
        /// What is staged.
        writes: Vec<InterfaceWrite>,
        /// Interfaces that must be there afterwards.
        expects: Vec<String>,
    },
    /// Stages entries of the software-defined network and applies them on all nodes, under a guard likewise.
    ApplySdn {
        /// What is staged, in order.
        writes: Vec<SdnWrite>,
        /// Zones that must be available afterwards.
        zones: Vec<String>,
        /// Nodes that load them.
        nodes: Vec<HostName>,
    },
    /// Writes an entry of the cluster's own configuration.
    WriteEntry {
        /// Its kind.
        kind: EntryKind,
        /// Its id.
        id: String,
        /// What is written.
        write: EntryWrite,
    },
    /// Grows a disk to a size.
    GrowDisk {
        /// Node where the guest lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// `scsi0`.
        disk: String,
        /// New size.
        size: Bytes,
    },
    /// Starts a guest.
    StartGuest {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Its host, waited for.
        guest: HostName,
    },
    /// Shuts a guest down and starts it again, so that pending settings take effect.
    RestartGuest {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Its host, waited for.
        guest: HostName,
    },
    /// Shuts a guest down and leaves it off.
    StopGuest {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
    },
    /// Destroys a guest of ours with the disks that carry its id.
    DestroyGuest {
        /// Node where it lives.
        node: HostName,
        /// Id.
        vmid: Vmid,
        /// Its name, by which it is recognised right before.
        name: String,
        /// The tag that says whose it is.
        tag: String,
    },
    /// Deletes a volume.
    DeleteVolume {
        /// Node.
        node: HostName,
        /// Its id: `local:iso/x.iso`.
        volume: String,
    },
    /// Creates or corrects a directory mapping.
    MapDirectory {
        /// Mapping id, also the virtiofs tag.
        mapping: String,
        /// Node.
        node: HostName,
        /// Directory on the node.
        path: String,
        /// Whether the mapping exists and is corrected.
        exists: bool,
        /// The entries of other nodes, which stay.
        #[serde(default)]
        others: Vec<String>,
    },
    /// Writes to one level of the Proxmox firewall, in order.
    Firewall {
        /// Writes.
        steps: Vec<PveStep>,
        /// Node of each guest whose level is written.
        nodes: BTreeMap<Vmid, HostName>,
    },
    /// Switches the cluster's firewall on for the first time, under its own dead-man switch.
    EnableFirewall {
        /// Writes; the last one is the main switch.
        steps: Vec<PveStep>,
        /// Node of each guest.
        nodes: BTreeMap<Vmid, HostName>,
        /// A node enforces with nftables, which knows no dead-man switch: the guard's timer is the only one.
        #[serde(default)]
        nftables: bool,
    },
    /// Makes a zpool of empty disks.
    CreateZpool {
        /// Zpool.
        zpool: ZpoolName,
        /// Its disks.
        parts: Vec<ZpoolPart>,
    },
    /// Loads the key of an encrypted dataset.
    LoadKey {
        /// Dataset.
        dataset: DatasetName,
        /// The secret with its passphrase.
        key: SecretName,
    },
    /// Creates a dataset.
    CreateDataset {
        /// Dataset.
        dataset: DatasetName,
        /// System that owns it.
        system: SystemName,
        /// Properties.
        properties: BTreeMap<String, String>,
        /// The secret with the passphrase of its own encryption.
        key: Option<SecretName>,
    },
    /// Sets properties.
    SetProperties {
        /// Dataset.
        dataset: DatasetName,
        /// Properties.
        properties: BTreeMap<String, String>,
    },
    /// Mounts a dataset.
    MountDataset {
        /// Dataset.
        dataset: DatasetName,
    },
    /// Makes directories in a dataset, or corrects their ownership.
    DatasetDirectories {
        /// Dataset.
        dataset: DatasetName,
        /// Mount point.
        mountpoint: String,
        /// Directories.
        directories: Vec<DatasetDirectory>,
    },
    /// Installs Debian packages.
    InstallPackages {
        /// Names.
        packages: Vec<String>,
    },
    /// Writes a file.
    WriteFile(FileResource),
    /// Makes a filesystem on a disk that is provably empty; what the plan cannot see is looked at once more.
    MakeFilesystem(FilesystemResource),
    /// Lets a filesystem take all of its disk, while it is mounted.
    GrowFilesystem(FilesystemResource),
    /// Makes a directory or corrects its ownership.
    MakeDirectory {
        /// Absolute path.
        path: String,
        /// Owner.
        owner: String,
        /// Group.
        group: String,
        /// Permission bits.
        mode: u32,
    },
    /// Removes a file.
    RemoveFile {
        /// Absolute path.
        path: String,
        /// What must happen afterwards.
        then: Vec<Reaction>,
    },
    /// Brings a unit to its wanted state.
    SetUnit {
        /// Name.
        unit: String,
        /// At boot.
        enabled: bool,
        /// Now.
        active: bool,
    },
    /// Starts a unit anew, because what it loads is not live.
    RestartUnit {
        /// Name.
        unit: String,
    },
    /// Runs a command of a playbook.
    RunCommand {
        /// Program and arguments.
        argv: Vec<String>,
        /// Given up after so many seconds.
        seconds: u64,
    },
    /// Sets a kernel setting now.
    SetSysctl {
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// Brings UFW to its wanted state.
    Ufw(UfwSteps),
    /// Deploys a release of a stack, or repairs its containers.
    DeployStack(Box<Release>),
}
