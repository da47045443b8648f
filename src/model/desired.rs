//! What the owner wants, resolved and valid.

use super::{
    adopted::Adopted,
    backup::BackupJob,
    check::Check,
    cluster::HaRule,
    dataset::{Dataset, Zpool},
    flow::{AddressSet, Flow, Never, Service, Zone},
    guest::Guest,
    host::{ExternalHost, Node, SshAccess},
    ids::{
        BackupName, BridgeName, DatasetName, HaRuleName, HostName, ImageName, ReplicaName,
        SecretName, ServiceName, SetName, StackName, SystemName, Vmid, ZoneName, ZpoolName,
    },
    image::Image,
    network::SdnZone,
    nights::Nights,
    replica::Replica,
    secret::SecretSource,
    stack::Stack,
};
use serde::Serialize;
use std::{collections::BTreeMap, net::IpAddr};

/// The whole intended state. Every reference in it resolves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Desired {
    /// Name of the inventory.
    pub system: SystemName,
    /// The Proxmox API, none for a system without Proxmox.
    pub proxmox: Option<ProxmoxApi>,
    /// Nodes.
    pub nodes: BTreeMap<HostName, Node>,
    /// Guests.
    pub guests: BTreeMap<HostName, Guest>,
    /// Rules of the HA manager.
    pub ha_rules: BTreeMap<HaRuleName, HaRule>,
    /// Zones of Proxmox's software-defined network.
    pub sdn: BTreeMap<String, SdnZone>,
    /// Guests that were there before, by their names in Proxmox.
    pub adopted: BTreeMap<String, Adopted>,
    /// Machines that Proxmox does not run.
    pub hosts: BTreeMap<HostName, ExternalHost>,
    /// Guest images.
    pub images: BTreeMap<ImageName, Image>,
    /// Zones.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// Address sets.
    pub sets: BTreeMap<SetName, AddressSet>,
    /// The set whose members administer the system: the only ones that reach SSH and the API.
    pub operators: Option<SetName>,
    /// Services.
    pub services: BTreeMap<ServiceName, Service>,
    /// Allowed flows, in the owner's order.
    pub flows: Vec<Flow>,
    /// Assertions.
    pub nevers: Vec<Never>,
    /// Pools.
    pub zpools: BTreeMap<ZpoolName, Zpool>,
    /// Datasets.
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Copies of datasets on other zpools.
    pub replicas: BTreeMap<ReplicaName, Replica>,
    /// Backups with restic.
    pub backups: BTreeMap<BackupName, BackupJob>,
    /// Stacks.
    pub stacks: BTreeMap<StackName, Stack>,
    /// Checks, in the owner's order.
    pub checks: Vec<Check>,
    /// What happens when nobody is looking.
    pub nights: Option<Nights>,
    /// Secrets that are referred to.
    pub secrets: BTreeMap<SecretName, SecretSource>,
    /// Public keys that may log in to guests, `authorized_keys` lines.
    pub authorized_keys: Vec<String>,
    /// IANA time zone of guests.
    pub timezone: String,
}

impl Desired {
    /// The zone of the software-defined network that has a vnet, where the inventory declares it.
    pub fn sdn_zone_of(&self, bridge: &BridgeName) -> Option<&SdnZone> {
        self.sdn
            .values()
            .find(|zone| zone.vnets.contains_key(bridge))
    }

    /// The VMIDs of the guests.
    pub fn vmids(&self) -> impl Iterator<Item = Vmid> {
        self.guests.values().map(|guest| guest.vmid)
    }

    /// Whether the inventory speaks of firewalls: one that only describes guests that were there before, and says neither
    /// who administers nor who may talk to whom, does not.
    pub fn speaks_of_firewalls(&self) -> bool {
        self.adopted.is_empty()
            || self.operators.is_some()
            || !self.flows.is_empty()
            || !self.guests.is_empty()
            || !self.hosts.is_empty()
    }

    /// The datasets that a stack works on, by where they are mounted on its host.
    pub fn datasets_of(&self, stack: &Stack) -> BTreeMap<String, DatasetName> {
        let guest = self.guests.get(&stack.on);
        let shared = guest.into_iter().flat_map(|guest| {
            let mounts = guest.mounts.iter();
            mounts.map(|mount| (&mount.at, &mount.dataset))
        });
        let own = self.datasets.values().filter(|own| own.host == stack.on);
        let own = own.filter_map(|own| Some((own.properties.get("mountpoint")?, &own.name)));
        shared
            .chain(own)
            .filter(|(at, _)| stack.needs_mounts.contains(at))
            .map(|(at, dataset)| (at.clone(), dataset.clone()))
            .collect()
    }

    /// Whether a stack works on a dataset: then the dataset carries its [`MARKER`](super::dataset::MARKER).
    pub fn is_worked_on(&self, dataset: &DatasetName) -> bool {
        let mut stacks = self.stacks.values();
        stacks.any(|stack| self.datasets_of(stack).values().any(|own| own == dataset))
    }

    /// How to reach a host: its address and its shell access. None for an unknown name.
    pub fn access(&self, host: &HostName) -> Option<(IpAddr, &SshAccess)> {
        if let Some(node) = self.nodes.get(host) {
            return Some((node.address, &node.ssh));
        }
        if let Some(guest) = self.guests.get(host) {
            return Some((guest.address()?, &guest.ssh));
        }
        self.hosts.get(host).map(|host| (host.address, &host.ssh))
    }

    /// All hosts with a shell: nodes first, then external hosts, then guests.
    pub fn all_hosts(&self) -> impl Iterator<Item = &HostName> {
        self.nodes
            .keys()
            .chain(self.hosts.keys())
            .chain(self.guests.keys())
    }

    /// The zones in whose networks a host has an address.
    pub fn zones_of(&self, host: &HostName) -> impl Iterator<Item = &ZoneName> {
        let addresses = self.addresses(host);
        self.zones.values().filter_map(move |zone| {
            let mut networks = zone.cidrs.iter();
            let inside = networks.any(|net| addresses.iter().any(|address| net.contains(address)));
            inside.then_some(&zone.name)
        })
    }

    /// Every address of a host, its management address first.
    pub fn addresses(&self, host: &HostName) -> Vec<IpAddr> {
        let mut out = Vec::new();
        if let Some(node) = self.nodes.get(host) {
            out.push(node.address);
            out.extend(node.bridges.values().flatten().map(ipnet::IpNet::addr));
        } else if let Some(guest) = self.guests.get(host) {
            out.extend(
                guest
                    .nics
                    .iter()
                    .flat_map(|n| &n.addresses)
                    .map(ipnet::IpNet::addr),
            );
        } else if let Some(external) = self.hosts.get(host) {
            out.push(external.address);
        }
        let mut seen = std::collections::BTreeSet::new();
        out.retain(|address| seen.insert(*address));
        out
    }
}

/// The Proxmox API and how far it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProxmoxApi {
    /// Host name or address.
    pub host: String,
    /// Port, 8006 unless the owner says otherwise.
    pub port: u16,
    /// Who we are.
    pub auth: ApiAuth,
    /// Why we believe the server.
    pub tls: TlsTrust,
}

/// Who we are to the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiAuth {
    /// An API token.
    Token {
        /// `user@realm!tokenid`.
        id: String,
        /// Its secret.
        secret: SecretName,
    },
    /// A ticket by password, renewed while the run lasts.
    Password {
        /// `user@realm`.
        user: String,
        /// Its password.
        password: SecretName,
    },
}

/// Why we believe a TLS server. There is no "not at all".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsTrust {
    /// SHA-256 of the leaf certificate, 32 bytes, as `pvenode cert info` prints it.
    Fingerprint([u8; 32]),
    /// A CA certificate in PEM, as text.
    CaPem(String),
}
