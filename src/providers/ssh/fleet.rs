//! All hosts of a system.

use super::{
    host::{Counts, SshHost},
    known_hosts::{KnownHosts, entry_name},
    target::{Person, Target},
};
use crate::model::{desired::Desired, ids::HostName};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// What is the same for all hosts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetOptions {
    /// Infra's own pinned keys.
    pub known_hosts: PathBuf,
    /// What of the user's SSH setup may be used.
    pub person: Person,
    /// A key file in place of the inventory's: the lab's operator key.
    pub identity: Option<PathBuf>,
    /// Where hosts really listen, for a scripted lab. Such hosts are reached directly, not through a jump.
    pub addresses: BTreeMap<HostName, SocketAddr>,
}

/// All hosts of a system, none of them connected yet.
#[derive(Debug, Clone)]
pub struct Fleet {
    hosts: BTreeMap<HostName, SshHost>,
    known_hosts: KnownHosts,
    pins: BTreeMap<HostName, Vec<String>>,
}

impl Fleet {
    /// One host for every name that the inventory gives shell access to.
    pub fn new(desired: &Desired, options: &FleetOptions) -> Self {
        let known_hosts = KnownHosts::at(&options.known_hosts);
        let mut hosts = BTreeMap::new();
        let mut pins = BTreeMap::new();
        for name in desired.all_hosts() {
            let Some(target) = target(desired, options, &known_hosts, name, MAX_JUMPS) else {
                continue;
            };
            if let Some((address, access)) = desired.access(name) {
                let address = entry_name(&address.to_string(), access.port);
                pins.insert(name.clone(), vec![name.to_string(), address]);
            }
            hosts.insert(name.clone(), SshHost::new(target));
        }
        Self {
            hosts,
            known_hosts,
            pins,
        }
    }

    /// A host; none when the inventory gives no access to it.
    pub fn host(&self, name: &HostName) -> Option<&SshHost> {
        self.hosts.get(name)
    }

    /// All hosts by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostName, &SshHost)> {
        self.hosts.iter()
    }

    /// The file in which this system's host keys are pinned.
    pub fn known_hosts(&self) -> &KnownHosts {
        &self.known_hosts
    }

    /// The names under which a host's key is pinned: its own, and its address as the inventory has it.
    pub fn pin_names(&self, name: &HostName) -> Vec<String> {
        self.pins
            .get(name)
            .cloned()
            .unwrap_or_else(|| vec![name.to_string()])
    }

    /// What each host has cost so far.
    pub fn counts(&self) -> BTreeMap<HostName, Counts> {
        let counts = self.hosts.iter();
        counts.map(|(n, h)| (n.clone(), h.counts())).collect()
    }
}

/// More hops than this are a circle that the inventory did not notice.
const MAX_JUMPS: u32 = 8;

fn target(
    desired: &Desired,
    options: &FleetOptions,
    known_hosts: &KnownHosts,
    name: &HostName,
    hops: u32,
) -> Option<Target> {
    let (address, access) = desired.access(name)?;
    let mapped = options.addresses.get(name);
    let jump = match (&access.jump, mapped) {
        (Some(jump), None) if hops > 0 => Some(Box::new(target(
            desired,
            options,
            known_hosts,
            jump,
            hops - 1,
        )?)),
        (Some(_), None) => return None,
        (Some(_) | None, Some(_)) | (None, None) => None,
    };
    Some(Target {
        host: name.clone(),
        address: mapped.map_or(address, SocketAddr::ip).to_string(),
        port: mapped.map_or(access.port, SocketAddr::port),
        user: access.user.clone(),
        identity: options.identity.clone().or_else(|| {
            let path = access.identity.as_deref()?;
            Some(match (path.strip_prefix("~/"), &options.person.home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(path),
            })
        }),
        jump,
        known_hosts: known_hosts.clone(),
        person: options.person.clone(),
    })
}
