//! The top level.

use super::{
    Adopted, Backup, Check, Flow, Guest, HaRule, Host, Image, Never, Nights, Node, Profile,
    Replica, Retention, SdnZone, Secret, Stack, Zone, Zpool,
};
use crate::inventory::{
    word::Fingerprint,
    written::{At, Entries, Many, May, Text},
};
use crate::model::{address::Port, ids::SystemName};
use schemars::JsonSchema;
use serde::Deserialize;

/// A homelab: what should be true of it. May be split over several files; each key may stand in any of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "infra inventory")]
pub(crate) struct Document {
    /// Version of this format: 1.
    pub(crate) version: At<u32>,
    /// Name of the system. It is part of every mark that infra leaves on what it owns.
    pub(crate) name: At<Text<SystemName>>,
    /// IANA time zone of the guests, `Etc/UTC` unless given.
    pub(crate) timezone: May<String>,
    /// The Proxmox VE API. Left out by a system without Proxmox.
    pub(crate) proxmox: May<Proxmox>,
    /// Proxmox nodes by their name in the cluster.
    pub(crate) nodes: May<Entries<Node>>,
    /// Virtual machines that infra creates.
    pub(crate) guests: May<Entries<Guest>>,
    /// Rules of Proxmox's HA manager, by name.
    pub(crate) ha_rules: May<Entries<HaRule>>,
    /// Simple zones of Proxmox's software-defined network, by name. They are made and changed, never removed.
    pub(crate) sdn: May<Entries<SdnZone>>,
    /// Virtual machines that were there before infra, by their names in Proxmox: compared and put right, never made,
    /// started, stopped or destroyed. `infra import` writes them.
    pub(crate) adopted: May<Entries<Adopted>>,
    /// Machines that Proxmox does not run: a Raspberry Pi, a rented server.
    pub(crate) hosts: May<Entries<Host>>,
    /// Images that guests are made from.
    pub(crate) images: May<Entries<Image>>,
    /// Networks. `internet` (everything that is in no zone) and `any` are built in.
    pub(crate) zones: May<Entries<Zone>>,
    /// Named sets of addresses, networks and hosts.
    pub(crate) sets: May<Entries<Vec<At<String>>>>,
    /// The set whose members administer the system: the only ones that reach SSH and the Proxmox API.
    pub(crate) operators: May<String>,
    /// Named services: what they listen on. Ports that a stack publishes are services too.
    pub(crate) services: May<Entries<Many<Text<Port>>>>,
    /// The flow matrix: who may talk to whom, on which ports, and why. What is not listed is closed.
    pub(crate) flows: May<Vec<At<Flow>>>,
    /// What no flow may ever allow.
    pub(crate) never: May<Vec<At<Never>>>,
    /// ZFS pools with their datasets, by the pool's name.
    pub(crate) zfs: May<Entries<Zpool>>,
    /// Your own dataset profiles beside the built-in `media`, `photos`, `appdata`, `databases` and `backups`.
    pub(crate) profiles: May<Entries<Profile>>,
    /// How many snapshots are kept: your own policies beside the built-in `standard`.
    pub(crate) retention: May<Entries<Retention>>,
    /// Copies of datasets on other zpools, by a name of your choice.
    pub(crate) replicas: May<Entries<Replica>>,
    /// Backups with restic, by a name of your choice.
    pub(crate) backups: May<Entries<Backup>>,
    /// Compose stacks.
    pub(crate) stacks: May<Entries<Stack>>,
    /// What must be true from the outside; `infra verify` asks.
    pub(crate) checks: May<Vec<At<Check>>>,
    /// What happens when nobody is looking: nightly jobs, their timers, and who is told.
    pub(crate) nights: May<Nights>,
    /// Where secrets come from. Values never stand in an inventory.
    pub(crate) secrets: May<Entries<Secret>>,
    /// Public keys that may log in to guests, one `authorized_keys` line each.
    pub(crate) authorized_keys: May<Vec<At<String>>>,
}

/// The Proxmox VE API: where it is, who we are, why we believe it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proxmox {
    /// `https://NODE:8006`; the name of a node stands for its address.
    pub(crate) endpoint: At<String>,
    /// An API token. Either this or `password`.
    pub(crate) token: May<Token>,
    /// A user with a password. Either this or `token`.
    pub(crate) password: May<Password>,
    /// Why the server is believed: its fingerprint, or a CA.
    pub(crate) tls: At<Tls>,
}

/// An API token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// `user@realm!tokenid`.
    pub(crate) id: At<String>,
    /// Name of the secret that holds the token's value.
    pub(crate) secret: At<String>,
}

/// A user with a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Password {
    /// `user@realm`.
    pub(crate) user: At<String>,
    /// Name of the secret that holds the password.
    pub(crate) secret: At<String>,
}

/// Why a TLS server is believed. There is no "not at all".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tls {
    /// SHA-256 of its certificate, as `pvenode cert info` prints it.
    Fingerprint(At<Text<Fingerprint>>),
    /// A CA certificate in PEM; a path relative to the inventory.
    Ca(At<String>),
}
