//! The outside world of a namespace lab, in the router's namespace.

use super::settings::Settings;
use crate::lab::{
    images::{ImagesError, Sites, World, WorldSpec, forwarder},
    namespace::{Image, Names, PUBLIC_ADDRESS, Topology, netns_path},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

/// Where Cloudflare's edge takes tunnels.
const TUNNELS: u16 = 7844;

/// Starts name servers on the router's own addresses and on those of the public name servers that guests ask, and
/// mirrors and registries on the public address. None when nobody has a gateway.
///
/// # Errors
/// When an address is taken, or the cache cannot be used.
pub fn outside(
    topology: &Topology,
    settings: &Settings,
    image: &Image,
    sites: Sites,
) -> Result<Option<World>, ImagesError> {
    if topology.router.is_empty() {
        return Ok(None);
    }
    let names = Names::of(settings.folder.root());
    let own = topology.router.iter().flat_map(|place| &place.addresses);
    let servers: BTreeSet<IpAddr> = own
        .map(ipnet::IpNet::addr)
        .chain(topology.internet.iter().copied())
        .collect();
    let public = |port| SocketAddr::from((PUBLIC_ADDRESS, port));
    World::start(WorldSpec {
        netns: Some(netns_path(&names.router())),
        dns: servers
            .into_iter()
            .map(|ip| SocketAddr::new(ip, 53))
            .collect(),
        http: public(80),
        https: public(443),
        tunnels: Some(public(TUNNELS)),
        outside: PUBLIC_ADDRESS,
        sites,
        names: private_names(topology),
        mirrors: forwarder::hosts([image.root().as_path(), Path::new("/")]),
        proxy: settings.proxy.clone(),
        packages: None,
        cache: settings.cache.clone(),
    })
    .map(Some)
}

/// The node and the external hosts by name, as a home's router knows the machines of its LAN.
fn private_names(topology: &Topology) -> BTreeMap<String, Ipv4Addr> {
    let node = topology.node.iter().zip(topology.node_address);
    let hosts = topology
        .hosts
        .iter()
        .filter_map(|(name, place)| Some((name, place.addresses.first()?.addr())));
    node.chain(hosts)
        .filter_map(|(name, address)| match address {
            IpAddr::V4(address) => Some((format!("{name}.home.arpa"), address)),
            IpAddr::V6(_) => None,
        })
        .collect()
}
