//! What was seen on a host.

use super::{ids::DatasetName, ufw::Ufw};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// What a host is asked for, all in one round trip.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FactsRequest {
    /// Packages to look up.
    pub packages: Vec<String>,
    /// Files and directories to look at (content hash, owner, mode).
    pub paths: Vec<String>,
    /// Units.
    pub units: Vec<String>,
    /// Kernel settings.
    pub sysctls: Vec<String>,
    /// nftables tables, family and name: `ip infra_router`.
    pub nft_tables: Vec<String>,
    /// Serial numbers of disks, as QEMU shows them to a guest.
    #[serde(default)]
    pub disks: Vec<String>,
    /// Whether UFW is of interest.
    pub ufw: bool,
    /// Whether Docker is of interest.
    pub docker: bool,
    /// zpools of interest, with all their datasets; empty for none.
    pub zpools: Vec<String>,
    /// Whether the files of the Proxmox firewall are of interest: any node of a cluster has those of all guests.
    #[serde(default)]
    pub pve_firewall: bool,
    /// Small text files whose content is of interest.
    pub texts: Vec<String>,
    /// Logins.
    pub users: Vec<String>,
    /// Commands that only look, and whether they succeed is of interest.
    pub probes: Vec<Vec<String>>,
    /// Whether packages that could be brought up to date are of interest.
    pub upgrades: bool,
}

/// What a host answered. A thing that was asked for and is not there is present with its "absent" value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `dpkg --print-architecture`.
    pub architecture: String,
    /// `VERSION_CODENAME` of os-release.
    pub os: String,
    /// The connection over which this was asked, none when it did not come by SSH.
    #[serde(default)]
    pub ssh_peer: Option<SshPeer>,
    /// Installed version, none when not installed.
    pub packages: BTreeMap<String, Option<String>>,
    /// What stands at each path, none when nothing does.
    pub paths: BTreeMap<String, Option<PathFact>>,
    /// Units.
    pub units: BTreeMap<String, UnitFact>,
    /// Kernel settings, none when unknown.
    pub sysctls: BTreeMap<String, Option<String>>,
    /// nftables tables as nft lists them, none when not there.
    pub nft_tables: BTreeMap<String, Option<String>>,
    /// Disks by serial number, none when the machine has no such disk.
    #[serde(default)]
    pub disks: BTreeMap<String, Option<DiskFact>>,
    /// Live mounts by mount point.
    pub mounts: BTreeMap<String, MountFact>,
    /// UFW, none when not installed or not asked for.
    pub ufw: Option<Ufw>,
    /// Live rules that stand beside UFW's and Docker's and may let pass what those close, as commands (`iptables -A INPUT
    /// -j ACCEPT`).
    #[serde(default)]
    pub beside_ufw: Vec<String>,
    /// Docker, none when not running or not asked for.
    pub docker: Option<DockerFacts>,
    /// Datasets of the pools that were asked for.
    pub datasets: BTreeMap<DatasetName, DatasetFact>,
    /// Health of the pools that were asked for; a pool that is not imported is absent.
    pub zpools: BTreeMap<String, ZpoolFact>,
    /// Files below `/etc/pve/firewall` by name (`cluster.fw`, `110.fw`), none when not asked for or not readable.
    #[serde(default)]
    pub pve_firewall: Option<BTreeMap<String, String>>,
    /// Content of the files that were asked for, none when there is no file.
    pub texts: BTreeMap<String, Option<String>>,
    /// Logins, none when there is no such.
    pub users: BTreeMap<String, Option<UserFact>>,
    /// The commands that were asked for, and whether each succeeds.
    pub probes: Vec<(Vec<String>, bool)>,
    /// Packages that could be brought up to date.
    pub upgrades: Vec<String>,
}

/// infra's own connection as the host sees it: sshd's `SSH_CONNECTION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshPeer {
    /// Where it comes from, after whatever translates addresses on the way.
    pub address: IpAddr,
    /// The host's own port.
    pub port: u16,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserFact {
    /// Home.
    pub home: String,
    /// Shell.
    pub shell: String,
    /// All of its groups.
    pub groups: Vec<String>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFact {
    /// `file`, `directory`, `link` or `other`.
    pub kind: String,
    /// Owner name.
    pub owner: String,
    /// Group name.
    pub group: String,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Lower-case hex of the content, files only.
    pub sha256: Option<String>,
    /// Link target, links only.
    pub target: Option<String>,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitFact {
    /// `LoadState`.
    pub load: String,
    /// `ActiveState`.
    pub active: String,
    /// `UnitFileState`.
    pub enabled: String,
}

/// A disk, by what is at its beginning and end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskFact {
    /// Size.
    pub bytes: u64,
    /// Filesystem or other signature (`ext4`, `LVM2_member`), none where none is known.
    pub kind: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Partition table (`gpt`).
    pub table: Option<String>,
    /// Several signatures contradict each other.
    pub unclear: bool,
    /// Bytes that the filesystem takes of the disk, where its tools tell.
    pub filesystem_bytes: Option<u64>,
}

/// A live mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountFact {
    /// Filesystem type.
    pub fstype: String,
    /// Source.
    pub source: String,
    /// Mount options.
    pub options: String,
}

/// Docker on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DockerFacts {
    /// Engine version.
    pub version: String,
    /// `iptables` or `nftables`.
    pub firewall_backend: String,
    /// Containers that carry a compose project label, running or not.
    pub containers: Vec<ContainerFact>,
    /// The live rules of our chain behind DOCKER-USER, one `iptables-save` line each, IPv4 then IPv6; none when absent.
    pub docker_user: Option<Vec<String>>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerFact {
    /// Container name.
    pub name: String,
    /// Compose project.
    pub project: String,
    /// Compose service.
    pub service: String,
    /// Label `infra.release` ([`super::release::ReleaseService::release`]), none for a container that is not ours.
    pub release: Option<String>,
    /// infra's system label.
    pub system: Option<String>,
    /// Image reference as created.
    pub image: String,
    /// Image id (`sha256:...`).
    pub image_id: String,
    /// `running`, `exited`, `created`, `restarting` ...
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`, or empty without a healthcheck.
    pub health: String,
    /// Exit code of a stopped one.
    pub exit_code: i64,
    /// Restarts by policy since creation.
    pub restarts: u64,
    /// RFC 3339 time of the last start.
    pub started_at: String,
}

/// A dataset with its properties.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatasetFact {
    /// `filesystem` or `volume`.
    pub kind: String,
    /// Properties by name, user properties included.
    pub properties: BTreeMap<String, PropertyFact>,
}

/// A property's value and source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PropertyFact {
    /// Parsable value (`-p`).
    pub value: String,
    /// `local`, `default`, `inherited from X`, `received`, `temporary`, `-`.
    pub source: String,
}

/// A zpool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ZpoolFact {
    /// `ONLINE`, `DEGRADED` ...
    pub health: String,
    /// Bytes in all.
    pub size: u64,
    /// Bytes free.
    pub free: u64,
}
