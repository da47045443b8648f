//! Which bridges, addresses and routes the lab needs for an inventory. Pure.

use super::error::NamespaceError;
use crate::model::{
    desired::Desired,
    host::{ExternalHost, HostMountSource, SshAccess},
    ids::{BridgeName, HostName, ZpoolName},
};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

/// The lab's "public" address: every name that nobody else owns resolves to it. From the block that is reserved for
/// documentation, so it is nobody's.
pub const PUBLIC_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

/// A namespace's place on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bridge.
    pub bridge: BridgeName,
    /// Addresses with the network's prefix length.
    pub addresses: Vec<IpNet>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Networks behind another machine: (network, via).
    pub routes: Vec<(IpNet, IpAddr)>,
}

/// The lab's network as an inventory asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The Proxmox node, none for a system without one.
    pub node: Option<HostName>,
    /// Its management address.
    pub node_address: Option<IpAddr>,
    /// Bridges and the node's addresses on them.
    pub bridges: BTreeMap<BridgeName, Vec<IpNet>>,
    /// The node's default gateways.
    pub node_gateways: Vec<IpAddr>,
    /// Where the router stands: one place for each bridge on which it is a gateway.
    pub router: Vec<Place>,
    /// Addresses of the Internet that the router answers for.
    pub internet: BTreeSet<IpAddr>,
    /// Where `infra --lab` stands.
    pub operator: Option<Place>,
    /// External hosts.
    pub hosts: BTreeMap<HostName, Place>,
    /// How the node and the external hosts let the operator in.
    pub access: BTreeMap<HostName, SshAccess>,
    /// The filesystems of the disks that external hosts mount.
    pub disks: BTreeMap<HostName, BTreeSet<String>>,
    /// The zpools that each of them owns.
    pub zpools: BTreeMap<HostName, BTreeSet<ZpoolName>>,
}

impl Topology {
    /// Lays out the network of an inventory.
    ///
    /// # Errors
    /// With more than one node, or without any network to stand on.
    pub fn of(desired: &Desired) -> Result<Self, NamespaceError> {
        let refuse = |why: &str| NamespaceError::Topology {
            why: why.to_owned(),
        };
        if desired.nodes.len() > 1 {
            return Err(refuse(
                "the namespace lab has one node, the inventory has several",
            ));
        }
        let node = desired.nodes.values().next();
        let networks = networks(desired)?;
        let mut bridges: BTreeMap<BridgeName, Vec<IpNet>> = networks
            .keys()
            .map(|bridge| (bridge.clone(), Vec::new()))
            .collect();
        if let Some(node) = node {
            bridges.extend(node.bridges.clone());
            if !bridges.values().flatten().any(|a| a.addr() == node.address) {
                let (bridge, network) = network_of(&networks, node.address)
                    .ok_or_else(|| refuse("the node's address is in no zone and on no bridge"))?;
                bridges
                    .entry(bridge)
                    .or_default()
                    .push(in_network(node.address, network));
            }
        }
        let own: BTreeSet<IpAddr> = bridges.values().flatten().map(IpNet::addr).collect();
        let gateways = gateways(desired, &networks, &own);
        let behind = zones_behind_nodes(desired);
        let place = |bridge: &BridgeName, address: IpAddr, network: IpNet| Place {
            bridge: bridge.clone(),
            addresses: vec![in_network(address, network)],
            gateways: gateways.get(bridge).cloned().unwrap_or_default(),
            routes: routes_to(&behind, bridge, address),
        };
        let management = node
            .map(|node| node.address)
            .or_else(|| desired.hosts.values().map(|host| host.address).next());
        let lan = management.and_then(|address| network_of(&networks, address));
        let router = gateways
            .iter()
            .map(|(bridge, gateways)| Place {
                bridge: bridge.clone(),
                addresses: gateways
                    .iter()
                    .filter_map(|gateway| {
                        let network = networks[bridge].iter().find(|n| n.contains(gateway))?;
                        Some(in_network(*gateway, *network))
                    })
                    .collect(),
                gateways: Vec::new(),
                routes: gateways
                    .first()
                    .map(|gateway| routes_to(&behind, bridge, *gateway))
                    .unwrap_or_default(),
            })
            .collect();
        let mut hosts = BTreeMap::new();
        for host in desired.hosts.values() {
            let (bridge, network) = network_of(&networks, host.address).ok_or_else(|| {
                refuse(&format!(
                    "the address of host {} is in no zone with a bridge",
                    host.name
                ))
            })?;
            hosts.insert(host.name.clone(), place(&bridge, host.address, network));
        }
        let mut taken = own.clone();
        taken.extend(desired.all_hosts().flat_map(|host| desired.addresses(host)));
        taken.extend(gateways.values().flatten());
        let operator = lan.map(|(bridge, network)| {
            let address = operator_address(desired, network, &taken);
            place(&bridge, address, network)
        });
        let node_gateways = node
            .map(|node| node.address)
            .and_then(|address| network_of(&networks, address))
            .and_then(|(bridge, _)| gateways.get(&bridge).cloned())
            .unwrap_or_default();
        Ok(Self {
            node: node.map(|node| node.name.clone()),
            node_address: node.map(|node| node.address),
            internet: internet(desired, &networks),
            access: access(desired),
            zpools: zpools(desired),
            disks: disks(desired),
            bridges,
            node_gateways,
            router,
            operator,
            hosts,
        })
    }
}

fn access(desired: &Desired) -> BTreeMap<HostName, SshAccess> {
    let nodes = desired.nodes.values().map(|node| (&node.name, &node.ssh));
    let hosts = desired.hosts.values().map(|host| (&host.name, &host.ssh));
    nodes
        .chain(hosts)
        .map(|(name, ssh)| (name.clone(), ssh.clone()))
        .collect()
}

fn disks(desired: &Desired) -> BTreeMap<HostName, BTreeSet<String>> {
    let fstypes = |host: &ExternalHost| {
        let types = host.mounts.iter().filter_map(|mount| match &mount.source {
            HostMountSource::Device { fstype, .. } => Some(fstype.clone()),
            HostMountSource::WebDav { .. } => None,
        });
        (host.name.clone(), types.collect())
    };
    desired.hosts.values().map(fstypes).collect()
}

fn zpools(desired: &Desired) -> BTreeMap<HostName, BTreeSet<ZpoolName>> {
    let mut zpools: BTreeMap<HostName, BTreeSet<ZpoolName>> = BTreeMap::new();
    for zpool in desired.zpools.values() {
        let of_host = zpools.entry(zpool.host.clone()).or_default();
        of_host.insert(zpool.name.clone());
    }
    zpools
}

/// The networks of each bridge, from the zones and from what hangs on them.
fn networks(desired: &Desired) -> Result<BTreeMap<BridgeName, BTreeSet<IpNet>>, NamespaceError> {
    let mut networks: BTreeMap<BridgeName, BTreeSet<IpNet>> = BTreeMap::new();
    for zone in desired.zones.values() {
        if let Some(bridge) = &zone.bridge {
            let networks = networks.entry(bridge.clone()).or_default();
            networks.extend(zone.cidrs.iter().map(IpNet::trunc));
        }
    }
    for node in desired.nodes.values() {
        for (bridge, addresses) in &node.bridges {
            let networks = networks.entry(bridge.clone()).or_default();
            networks.extend(addresses.iter().map(IpNet::trunc));
        }
    }
    for nic in desired.guests.values().flat_map(|guest| &guest.nics) {
        let networks = networks.entry(nic.bridge.clone()).or_default();
        networks.extend(nic.addresses.iter().map(IpNet::trunc));
    }
    // A system of external hosts alone names no bridge; one switch for each zone is what its owner has.
    for (index, zone) in desired.zones.values().enumerate() {
        if zone.bridge.is_none() && !zone.cidrs.is_empty() {
            let name = format!("switch{index}");
            let bridge = BridgeName::new(name).map_err(|error| NamespaceError::Topology {
                why: error.to_string(),
            })?;
            networks.insert(bridge, zone.cidrs.iter().map(IpNet::trunc).collect());
        }
    }
    Ok(networks)
}

/// The bridge and the narrowest of its networks that hold an address.
fn network_of(
    networks: &BTreeMap<BridgeName, BTreeSet<IpNet>>,
    address: IpAddr,
) -> Option<(BridgeName, IpNet)> {
    networks
        .iter()
        .flat_map(|(bridge, networks)| networks.iter().map(move |network| (bridge, *network)))
        .filter(|(_, network)| network.contains(&address))
        .max_by_key(|(_, network)| network.prefix_len())
        .map(|(bridge, network)| (bridge.clone(), network))
}

fn in_network(address: IpAddr, network: IpNet) -> IpNet {
    IpNet::new(address, network.prefix_len()).expect("a prefix length of the same family")
}

/// The gateways on each bridge that are not the node's own addresses. A LAN whose guests name none gets its first
/// free address as gateway: every home has a router.
fn gateways(
    desired: &Desired,
    networks: &BTreeMap<BridgeName, BTreeSet<IpNet>>,
    own: &BTreeSet<IpAddr>,
) -> BTreeMap<BridgeName, Vec<IpAddr>> {
    let mut found: BTreeMap<BridgeName, BTreeSet<IpAddr>> = BTreeMap::new();
    for nic in desired.guests.values().flat_map(|guest| &guest.nics) {
        for gateway in nic.gateways.iter().filter(|gateway| !own.contains(gateway)) {
            let on_link = networks
                .get(&nic.bridge)
                .is_some_and(|networks| networks.iter().any(|n| n.contains(gateway)));
            if on_link {
                found
                    .entry(nic.bridge.clone())
                    .or_default()
                    .insert(*gateway);
            }
        }
    }
    if found.is_empty() {
        let management = desired
            .nodes
            .values()
            .map(|node| node.address)
            .chain(desired.hosts.values().map(|host| host.address))
            .next();
        let taken: BTreeSet<IpAddr> = desired
            .all_hosts()
            .flat_map(|host| desired.addresses(host))
            .collect();
        if let Some((bridge, network)) = management.and_then(|a| network_of(networks, a))
            && let Some(gateway) = network.hosts().find(|a| !taken.contains(a))
        {
            found.entry(bridge).or_default().insert(gateway);
        }
    }
    found
        .into_iter()
        .map(|(bridge, gateways)| (bridge, gateways.into_iter().collect()))
        .collect()
}

/// A zone behind a node: its networks, and the node's address on every other bridge.
struct ZoneBehind {
    bridge: Option<BridgeName>,
    cidrs: Vec<IpNet>,
    via: Vec<IpNet>,
    on: BTreeMap<BridgeName, Vec<IpNet>>,
}

/// The zones that a node routes for. The owner of such a network has told the LAN's router about them.
fn zones_behind_nodes(desired: &Desired) -> Vec<ZoneBehind> {
    desired
        .zones
        .values()
        .filter_map(|zone| {
            let node = desired.nodes.get(zone.router.as_ref()?)?;
            Some(ZoneBehind {
                bridge: zone.bridge.clone(),
                cidrs: zone.cidrs.clone(),
                via: node.bridges.values().flatten().copied().collect(),
                on: node.bridges.clone(),
            })
        })
        .collect()
}

/// The routes that a machine at this address on this bridge needs towards the zones that the node routes for.
fn routes_to(zones: &[ZoneBehind], bridge: &BridgeName, address: IpAddr) -> Vec<(IpNet, IpAddr)> {
    let mut routes = Vec::new();
    for zone in zones
        .iter()
        .filter(|zone| zone.bridge.as_ref() != Some(bridge))
    {
        for cidr in &zone.cidrs {
            let via = zone
                .on
                .get(bridge)
                .into_iter()
                .flatten()
                .chain(&zone.via)
                .find(|via| via.contains(&address) && same_family(via.addr(), cidr.addr()));
            if let Some(via) = via
                && !cidr.contains(&address)
            {
                routes.push((*cidr, via.addr()));
            }
        }
    }
    routes
}

fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

/// The first address of the operators' set that lies in the LAN, else the last free one of the LAN: such an operator
/// is then refused by the firewall, as in real life.
fn operator_address(desired: &Desired, network: IpNet, taken: &BTreeSet<IpAddr>) -> IpAddr {
    let members = desired
        .operators
        .as_ref()
        .and_then(|name| desired.sets.get(name))
        .map(|set| set.cidrs.as_slice())
        .unwrap_or_default();
    let usable = |address: &IpAddr| network.contains(address) && !taken.contains(address);
    members
        .iter()
        .filter(|member| same_family(member.addr(), network.addr()))
        .find_map(|member| member.hosts().take(4096).find(usable))
        .or_else(|| {
            let hosts: Vec<IpAddr> = network.hosts().take(4096).collect();
            hosts.into_iter().rev().find(usable)
        })
        .unwrap_or(network.addr())
}

/// The public address, and the name servers of guests that stand in no zone.
fn internet(
    desired: &Desired,
    networks: &BTreeMap<BridgeName, BTreeSet<IpNet>>,
) -> BTreeSet<IpAddr> {
    desired
        .guests
        .values()
        .flat_map(|guest| guest.nameservers.iter().copied())
        .filter(|address| network_of(networks, *address).is_none() && !address.is_loopback())
        .chain([IpAddr::V4(PUBLIC_ADDRESS)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        flow::{AddressSet, Zone},
        guest::{Guest, Nic, RootDisk},
        host::{ExternalHost, Node, SshAccess},
        ids::{ImageName, SetName, StorageId, SystemName, Vmid, ZoneName},
        size::Bytes,
    };

    fn name<T: std::str::FromStr>(text: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text.parse().expect("valid")
    }

    fn ssh() -> SshAccess {
        SshAccess {
            user: "root".to_owned(),
            port: 22,
            jump: None,
            identity: None,
        }
    }

    fn zone(zone: &str, cidr: &str, bridge: &str, router: Option<&str>) -> Zone {
        Zone {
            name: name::<ZoneName>(zone),
            cidrs: vec![name(cidr)],
            bridge: Some(name(bridge)),
            router: router.map(name),
            masquerade: router.is_some(),
            within: None,
            interfaces: BTreeMap::new(),
        }
    }

    fn guest(guest: &str, vmid: u32, bridge: &str, address: &str, gateway: &str) -> Guest {
        Guest {
            name: name(guest),
            vmid: Vmid::new(vmid).expect("valid"),
            node: name("pve"),
            homes: Vec::new(),
            ha: None,
            replicas: Vec::new(),
            image: name::<ImageName>("debian"),
            cores: 1,
            cpu: "host".to_owned(),
            memory: Bytes::gib(1),
            balloon: None,
            machine: None,
            firmware: crate::model::device::Firmware::Seabios,
            tpm: None,
            scsi_controller: "virtio-scsi-single".to_owned(),
            disks: Vec::new(),
            disk: RootDisk {
                storage: name::<StorageId>("local-zfs"),
                size: Bytes::gib(4),
                tuning: crate::model::device::DriveTuning::default(),
            },
            nics: vec![Nic {
                zone: name("lan"),
                bridge: name(bridge),
                mac: name("BC:24:11:00:00:01"),
                addresses: vec![name(address)],
                gateways: vec![name(gateway)],
                vlan: None,
                model: "virtio".to_owned(),
                firewall: true,
                rate: None,
                mtu: None,
            }],
            mounts: Vec::new(),
            pci: Vec::new(),
            usb: Vec::new(),
            agent: true,
            boot: Vec::new(),
            options: BTreeMap::new(),
            startup_delay: None,
            shutdown_timeout: None,
            pool: None,
            protection: false,
            cloud_init: crate::model::cloud_init::CloudInit::default(),
            onboot: true,
            startup_order: None,
            tags: Vec::new(),
            notes: String::new(),
            ssh: ssh(),
            nameservers: vec![name("192.168.1.1"), name("9.9.9.9")],
        }
    }

    /// The flagship's network: a LAN with a router of its own, and a DMZ that the node routes for.
    fn home() -> Desired {
        let node = Node {
            name: name("pve"),
            address: name("192.168.1.10"),
            ssh: ssh(),
            bridges: BTreeMap::from([
                (name("vmbr0"), vec![name("192.168.1.10/24")]),
                (name("vmbr1"), vec![name("10.10.10.1/24")]),
            ]),
            made: BTreeMap::new(),
            iso_storage: name("local"),
            import_storage: name("local"),
            routes: vec![name("dmz")],
        };
        let zones = [
            zone("lan", "192.168.1.0/24", "vmbr0", None),
            zone("dmz", "10.10.10.0/24", "vmbr1", Some("pve")),
        ];
        let guests = [
            guest("intranet", 110, "vmbr0", "192.168.1.20/24", "192.168.1.1"),
            guest("extranet", 120, "vmbr1", "10.10.10.2/24", "10.10.10.1"),
        ];
        let operators: SetName = name("operators");
        Desired {
            system: name::<SystemName>("home"),
            proxmox: None,
            nodes: BTreeMap::from([(node.name.clone(), node)]),
            guests: guests.into_iter().map(|g| (g.name.clone(), g)).collect(),
            ha_rules: BTreeMap::new(),
            sdn: BTreeMap::new(),
            adopted: BTreeMap::new(),
            hosts: BTreeMap::new(),
            images: BTreeMap::new(),
            zones: zones.into_iter().map(|z| (z.name.clone(), z)).collect(),
            sets: BTreeMap::from([(
                operators.clone(),
                AddressSet {
                    name: operators.clone(),
                    cidrs: vec![name("10.8.0.0/24"), name("192.168.1.50/32")],
                },
            )]),
            operators: Some(operators),
            services: BTreeMap::new(),
            flows: Vec::new(),
            nevers: Vec::new(),
            zpools: BTreeMap::new(),
            replicas: BTreeMap::new(),
            backups: BTreeMap::new(),
            nights: None,
            datasets: BTreeMap::new(),
            stacks: BTreeMap::new(),
            checks: Vec::new(),
            secrets: BTreeMap::new(),
            authorized_keys: Vec::new(),
            timezone: "Europe/Paris".to_owned(),
        }
    }

    #[test]
    fn a_home_gets_its_router_its_operator_and_the_way_behind_the_node() {
        let topology = Topology::of(&home()).expect("laid out");
        let via_node = vec![(name("10.10.10.0/24"), name("192.168.1.10"))];
        assert_eq!(topology.bridges.len(), 2);
        assert_eq!(
            topology.router,
            [Place {
                bridge: name("vmbr0"),
                addresses: vec![name("192.168.1.1/24")],
                gateways: Vec::new(),
                routes: via_node.clone(),
            }],
            "the node itself is the DMZ's gateway"
        );
        assert_eq!(
            topology.operator,
            Some(Place {
                bridge: name("vmbr0"),
                addresses: vec![name("192.168.1.50/24")],
                gateways: vec![name("192.168.1.1")],
                routes: via_node,
            }),
            "the first operator address that lies in the LAN"
        );
        assert_eq!(topology.node_gateways, [name::<IpAddr>("192.168.1.1")]);
        let internet: Vec<String> = topology.internet.iter().map(ToString::to_string).collect();
        assert_eq!(internet, ["9.9.9.9", "203.0.113.10"]);
    }

    #[test]
    fn an_operator_without_an_address_in_the_lan_takes_a_free_one() {
        let mut desired = home();
        desired.operators = None;
        let operator = Topology::of(&desired).expect("laid out").operator;
        let operator = operator.expect("stands in the LAN");
        assert_eq!(operator.addresses, [name::<IpNet>("192.168.1.254/24")]);
    }

    #[test]
    fn a_lan_that_names_no_gateway_gets_one_and_hosts_find_their_place() {
        let mut desired = home();
        desired.guests.clear();
        let backup = ExternalHost {
            name: name("backup"),
            address: name("192.168.1.30"),
            ssh: ssh(),
            zone: Some(name("lan")),
            mounts: vec![],
        };
        desired.hosts.insert(backup.name.clone(), backup);
        let topology = Topology::of(&desired).expect("laid out");
        let place = &topology.hosts[&name("backup")];
        assert_eq!(place.bridge, name("vmbr0"));
        assert_eq!(place.gateways, [name::<IpAddr>("192.168.1.1")]);
        assert_eq!(topology.access.len(), 2);
    }

    #[test]
    fn two_nodes_and_hosts_nowhere_are_refused() {
        let mut desired = home();
        let mut other = desired.nodes[&name::<HostName>("pve")].clone();
        other.name = name("pve2");
        desired.nodes.insert(other.name.clone(), other);
        let error = Topology::of(&desired).expect_err("two nodes");
        assert!(error.to_string().contains("one node"), "{error}");

        let mut desired = home();
        let lost = ExternalHost {
            name: name("lost"),
            address: name("172.16.0.1"),
            ssh: ssh(),
            zone: None,
            mounts: vec![],
        };
        desired.hosts.insert(lost.name.clone(), lost);
        let error = Topology::of(&desired).expect_err("nowhere");
        assert!(error.to_string().contains("host lost"), "{error}");
    }
}
