//! Bridges with their addresses -> zones.

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
