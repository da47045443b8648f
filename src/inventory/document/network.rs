//! Zones and the flow matrix.

use crate::inventory::{
    word::{Day, Network},
    written::{At, Entries, Many, May, Text},
};
use crate::model::ids::BridgeName;
use schemars::JsonSchema;
use serde::Deserialize;

/// A network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zone {
    /// Its networks; a zone has these or `members`.
    pub(crate) cidrs: May<Many<Text<Network>>>,
    /// Instead of networks: the hosts, sets and addresses that it consists of, all of them in the zone `within`.
    pub(crate) members: May<Many<String>>,
    /// The zone of which it is a part; flows of that zone hold for this one too.
    pub(crate) within: May<String>,
    /// Bridge that carries it, on every node.
    pub(crate) bridge: May<Text<BridgeName>>,
    /// Default gateway of its guests, an address or the name of a host or set; the router's address in the zone unless given.
    pub(crate) gateway: May<Many<String>>,
    /// DNS servers of its guests: addresses, or names of hosts and sets.
    pub(crate) nameservers: May<Many<String>>,
    /// Node that routes for it; infra switches forwarding on.
    pub(crate) router: May<String>,
    /// The router masquerades what leaves the zone for the Internet.
    pub(crate) masquerade: May<bool>,
    /// The interface behind which it stands, by guest or external host: a tunnel such as `wg0` or `tailscale0`, or a card of
    /// an external host. Its packets are let in there by that interface alone.
    pub(crate) interfaces: May<Entries<String>>,
}

/// A simple zone of Proxmox's software-defined network; its key is its name in Proxmox.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SdnZone {
    /// Nodes that have its networks; all of them unless given.
    pub(crate) nodes: May<Many<String>>,
    /// MTU.
    pub(crate) mtu: May<u16>,
    /// Its networks by name. A zone of the inventory names one as its `bridge`.
    pub(crate) vnets: May<Entries<Vnet>>,
}

/// A network of a zone: a bridge on each of its nodes, between guests only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vnet {
    /// Words for people.
    pub(crate) alias: May<String>,
    /// Its guests do not reach each other; false unless given.
    pub(crate) isolate_ports: May<bool>,
    /// Guests may tag their packets; false unless given.
    pub(crate) vlan_aware: May<bool>,
}

/// A row of the flow matrix.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flow {
    /// Stable id, the tag of every rule made from it; made of from, to and the first port unless given.
    pub(crate) id: May<String>,
    /// Zones, hosts and sets it comes from; `internet` and `any` are possible.
    pub(crate) from: At<Many<String>>,
    /// Zones, hosts and sets it goes to.
    pub(crate) to: At<Many<String>>,
    /// Services by name, or ports such as `443/tcp`.
    pub(crate) allow: At<Many<String>>,
    /// Why. It becomes the comment of the rules.
    pub(crate) reason: At<String>,
    /// Who asked for it.
    pub(crate) owner: May<String>,
    /// The last day on which it is open.
    pub(crate) expires: May<Text<Day>>,
    /// Log every new connection, on every layer that lets it in.
    pub(crate) log: May<bool>,
    /// Let one address open six connections in 30 seconds and no more; not for ports that containers publish.
    pub(crate) limit: May<bool>,
}

/// Something that no flow may ever allow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Never {
    /// Zones, hosts and sets.
    pub(crate) from: At<Many<String>>,
    /// Sources that are excepted.
    pub(crate) except: May<Many<String>>,
    /// Zones, hosts and sets.
    pub(crate) to: At<Many<String>>,
    /// Services or ports that stay closed; everything unless given.
    pub(crate) deny: May<Many<String>>,
    /// Why.
    pub(crate) reason: At<String>,
}
