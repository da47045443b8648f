//! Bridges with their addresses -> zones, and the addresses of nodes.

use super::sheet::{Sheet, quoted};
use crate::model::{ids::HostName, observed::ObservedProxmox};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the bridges of a cluster say about its networks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    /// Bridge -> networks, as far as they can be zones.
    zones: BTreeMap<String, BTreeSet<IpNet>>,
    /// Addresses of each node, the management address first.
    pub(super) addresses: BTreeMap<HostName, Vec<IpAddr>>,
}

/// Reads the bridges. `endpoint` is the address by which the API was reached, which is a node's management address.
pub(super) fn networks(
    seen: &ObservedProxmox,
    endpoint: Option<IpAddr>,
    unsaid: &mut Vec<String>,
) -> Networks {
    let mut out = Networks::default();
    for (node, live) in &seen.nodes {
        let mut addresses = Vec::new();
        for (bridge, cidrs) in &live.bridges {
            for text in cidrs {
                let Ok(address) = text.parse::<IpNet>() else {
                    unsaid.push(format!(
                        "bridge {bridge} of node {node}: its address `{text}` is not understood"
                    ));
                    continue;
                };
                if is_link_local(address.addr()) {
                    continue;
                }
                addresses.push(address.addr());
                out.place(bridge, address.trunc(), unsaid);
            }
        }
        // The address of a node may be on a VLAN, a bond or a card itself, which make no zone.
        let others = live.network.interfaces.iter();
        for (_, interface) in others.filter(|(name, _)| !live.bridges.contains_key(*name)) {
            let own = ["cidr", "cidr6"].map(|key| interface.get(key)?.parse::<IpNet>().ok());
            let own = own.into_iter().flatten().map(|network| network.addr());
            addresses
                .extend(own.filter(|address| !is_link_local(*address) && !address.is_loopback()));
        }
        let is_here = |address: &IpAddr| Some(*address) == endpoint;
        addresses.sort_by_key(|address| (!is_here(address), address.is_ipv6()));
        addresses.dedup();
        out.addresses.insert(node.clone(), addresses);
    }
    out
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => (address.segments()[0] & 0xffc0) == 0xfe80,
    }
}

impl Networks {
    fn place(&mut self, bridge: &str, network: IpNet, unsaid: &mut Vec<String>) {
        let elsewhere = self.zones.iter().find(|(other, networks)| {
            other.as_str() != bridge
                && networks
                    .iter()
                    .any(|known| known.contains(&network) || network.contains(known))
        });
        if let Some((other, _)) = elsewhere {
            unsaid.push(format!(
                "bridge {bridge}: its network {network} is that of bridge {other} too, and zones share no addresses"
            ));
            return;
        }
        let networks = self.zones.entry(bridge.to_owned()).or_default();
        networks.insert(network);
    }

    /// The file.
    pub(super) fn print(&self) -> String {
        let mut out = Sheet::begin(&[
            "Networks: one zone for each bridge that has an address on a node. Rename them as you like.",
            "As long as there are no `flows:` and no guests of your own, infra leaves every firewall alone.",
        ]);
        if self.zones.is_empty() {
            return out.text();
        }
        out.open(0, "zones");
        for (bridge, networks) in &self.zones {
            let cidrs: Vec<String> = networks
                .iter()
                .map(|network| quoted(&network.to_string()))
                .collect();
            let name = bridge.to_lowercase().replace('.', "_");
            out.line(
                1,
                &format!(
                    "{name}: {{cidrs: [{}], bridge: {}}}",
                    cidrs.join(", "),
                    quoted(bridge)
                ),
            );
        }
        out.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::ObservedNode;

    /// A management address on a VLAN of the bridge: the node has an address, and the bridge makes no zone of it.
    #[test]
    fn a_node_has_its_address_on_whatever_interface() {
        let interface = |cidr: &str| BTreeMap::from([("cidr".to_owned(), cidr.to_owned())]);
        let mut node = ObservedNode {
            bridges: BTreeMap::from([("vmbr0".to_owned(), Vec::new())]),
            ..ObservedNode::default()
        };
        for (name, cidr) in [
            ("vmbr0.10", "192.0.2.10/24"),
            ("bond0", "198.51.100.10/24"),
            ("lo", "127.0.0.1/8"),
            ("nic1", "fe80::1/64"),
        ] {
            let interfaces = &mut node.network.interfaces;
            interfaces.insert(name.to_owned(), interface(cidr));
        }
        let pve = HostName::new("pve").expect("valid");
        let seen = ObservedProxmox {
            nodes: BTreeMap::from([(pve.clone(), node)]),
            ..ObservedProxmox::default()
        };
        let endpoint = "192.0.2.10".parse().expect("an address");
        let mut unsaid = Vec::new();
        let found = networks(&seen, Some(endpoint), &mut unsaid);
        let wanted: [IpAddr; 2] = [endpoint, "198.51.100.10".parse().expect("an address")];
        assert_eq!(found.addresses[&pve], wanted);
        assert_eq!((found.zones.len(), unsaid.len()), (0, 0));
    }
}
