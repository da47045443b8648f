//! The flow matrix as people think of it: who may talk to whom, and why.

use super::{
    address::Port,
    ids::{BridgeName, HostName, ServiceName, SetName, ZoneName},
};
use crate::diagnostic::Place;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A firewall zone: a network, or the Internet (everything that is in no other zone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Name. `internet` is the outside by definition.
    pub name: ZoneName,
    /// Its networks; empty for the Internet.
    pub cidrs: Vec<IpNet>,
    /// Bridge on every node that carries it.
    pub bridge: Option<BridgeName>,
    /// The node that routes for it, set up by infra (forwarding, and masquerading where asked).
    pub router: Option<HostName>,
    /// Whether the router masquerades what leaves the zone for the Internet.
    pub masquerade: bool,
    /// The zone of which it is a part: what may be done from and to that one holds for this one too.
    pub within: Option<ZoneName>,
    /// Interfaces behind which it stands, by guest or external host: a tunnel, or a card of an external host. There its
    /// packets come in by that interface and by no other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<HostName, String>,
}

/// A named set of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSet {
    /// Name.
    pub name: SetName,
    /// Members.
    pub cidrs: Vec<IpNet>,
}

/// A named service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Name.
    pub name: ServiceName,
    /// What it listens on.
    pub ports: Vec<Port>,
}

/// One end of a flow. Names are unique over zones, hosts and sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// Everything.
    Any,
    /// Everything in no zone with addresses.
    Internet,
    /// A zone with addresses.
    Zone(ZoneName),
    /// A node, guest or external host, by all its addresses.
    Host(HostName),
    /// A set of addresses.
    Set(SetName),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Internet => f.write_str("internet"),
            Self::Zone(name) => name.fmt(f),
            Self::Host(name) => name.fmt(f),
            Self::Set(name) => name.fmt(f),
        }
    }
}

/// Ports with the service name they were written by, if any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlowPort {
    /// Service name, when the owner wrote one.
    pub service: Option<ServiceName>,
    /// Protocol and ports.
    pub port: Port,
}

/// One allowed entry of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Stable id, at most 40 characters of `[a-z0-9-]`; it is the tag of every rule made from this flow.
    pub id: String,
    /// Sources.
    pub from: Vec<Endpoint>,
    /// Destinations.
    pub to: Vec<Endpoint>,
    /// What may be reached.
    pub allow: Vec<FlowPort>,
    /// Why, with who asked for it.
    pub reason: String,
    /// Whether every new connection is written to the logs of the layers that let it in.
    pub log: bool,
    /// Whether one address may open six connections in 30 s and no more (UFW's `limit`).
    pub limit: bool,
    /// Where it was written.
    pub place: Place,
}

/// An assertion: something that no flow may ever allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Never {
    /// Sources.
    pub from: Vec<Endpoint>,
    /// Sources that are excepted.
    pub except: Vec<Endpoint>,
    /// Destinations.
    pub to: Vec<Endpoint>,
    /// What must stay closed; empty means everything.
    pub deny: Vec<FlowPort>,
    /// Why.
    pub reason: String,
    /// Where it was written.
    pub place: Place,
}
