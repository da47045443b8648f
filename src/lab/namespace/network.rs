//! The lab's network on the machine: namespaces, bridges, virtual wires, routes.
//!
//! Everything is made with `ip -batch`, which reads its commands from standard input: one process for a whole
//! namespace. The names in it were checked by `model::ids`, so no word can hold a space.

use super::{
    error::NamespaceError,
    exec, files,
    names::{Names, Wires, netns_path},
    topology::{Place, Topology},
};
use crate::lab::{backend::VmNic, netns};
use crate::model::ids::Vmid;
use std::{fmt::Write, fs, net::IpAddr, path::Path};

/// The routing table of the Internet's own addresses.
pub(super) const INTERNET_TABLE: u32 = 203;

/// Creates a namespace with its loopback up; one that is there stays.
pub(super) fn create_namespace(name: &str) -> Result<(), NamespaceError> {
    if netns_path(name).exists() {
        return Ok(());
    }
    exec::run(&["ip", "netns", "add", name])?;
    batch(name, "link set lo up\n")
}

/// Deletes a namespace; gone already is fine.
pub(super) fn delete_namespace(name: &str) -> Result<(), NamespaceError> {
    let path = netns_path(name);
    if !path.exists() {
        return Ok(());
    }
    match exec::run(&["ip", "netns", "delete", name]) {
        Err(error) if path.exists() => Err(error),
        _ => Ok(()),
    }
}

/// Writes kernel settings of a namespace: path below `/proc/sys/net`, value.
pub(super) fn set_sysctls(name: &str, settings: &[(&str, &str)]) -> Result<(), NamespaceError> {
    let path = netns_path(name);
    for (key, value) in settings {
        let file = Path::new("/proc/sys/net").join(key);
        // `/proc/sys/net` shows the namespace of the thread that opens it.
        netns::inside(Some(&path), || fs::write(&file, value))
            .map_err(files::failed("write", &file))?;
    }
    Ok(())
}

/// Builds the node's, the router's and the operator's namespaces.
///
/// # Errors
/// When `ip` refuses.
pub(super) fn build(names: &Names, topology: &Topology) -> Result<(), NamespaceError> {
    let node = names.node();
    create_namespace(&node)?;
    // Settings of a new IPv4 namespace are copies of the machine's; whether the node forwards is for infra to decide.
    set_sysctls(
        &node,
        &[("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0")],
    )?;
    call_iptables_for_bridges(&node)?;
    batch(&node, &bridges(topology))?;
    if !topology.router.is_empty() {
        let router = names.router();
        create_namespace(&router)?;
        set_sysctls(
            &router,
            &[
                ("ipv4/ip_forward", "1"),
                ("ipv6/conf/all/forwarding", "1"),
                ("ipv4/conf/all/send_redirects", "0"),
                ("ipv4/conf/default/send_redirects", "0"),
            ],
        )?;
        for (index, place) in topology.router.iter().enumerate() {
            attach(
                names,
                &router,
                &format!("lan{index}"),
                &format!("router{index}"),
                place,
            )?;
        }
        batch(&router, &internet(topology))?;
    }
    if let Some(place) = &topology.operator {
        create_namespace(&names.operator())?;
        attach(names, &names.operator(), "eth0", "operator0", place)?;
    }
    Ok(())
}

/// Connects a namespace to a bridge of the node and configures its end.
pub(super) fn attach(
    names: &Names,
    namespace: &str,
    interface: &str,
    port: &str,
    place: &Place,
) -> Result<(), NamespaceError> {
    let wire = format!(
        "link add {port} type veth peer name {interface} netns {namespace}\n\
         link set {port} master {} addrgenmode none up\n",
        place.bridge
    );
    batch(&names.node(), &wire)?;
    let mut text = format!("link set {interface} up\n");
    for address in &place.addresses {
        let _ = writeln!(
            text,
            "address add {address} dev {interface}{}",
            no_dad(address.addr())
        );
    }
    for (network, via) in &place.routes {
        let _ = writeln!(text, "route add {network} via {via}");
    }
    for gateway in &place.gateways {
        let _ = writeln!(text, "route add default via {gateway}");
    }
    batch(namespace, &text)
}

/// A guest's namespace and its wires: through a firewall bridge of its own where the card says `firewall=1`.
///
/// # Errors
/// When a bridge does not exist, in the words of Proxmox, or `ip` refuses.
pub(super) fn connect_guest(
    names: &Names,
    vmid: Vmid,
    nics: &[VmNic],
) -> Result<(), NamespaceError> {
    disconnect_guest(names, vmid)?;
    let node = names.node();
    let present = links(&node)?;
    if let Some(nic) = nics.iter().find(|nic| !present.contains(&nic.bridge)) {
        return Err(NamespaceError::NoBridge {
            bridge: nic.bridge.clone(),
        });
    }
    let guest = names.guest(vmid);
    create_namespace(&guest)?;
    let mut text = String::new();
    for nic in nics {
        let bridge = tagged_bridge(nic);
        if bridge != nic.bridge && !present.contains(&bridge) {
            let _ = writeln!(text, "link add {bridge} type bridge");
            let _ = writeln!(text, "link set {bridge} addrgenmode none up");
        }
        text.push_str(&guest_wires(vmid, nic, &bridge, &guest));
    }
    batch(&node, &text)?;
    // A firewall bridge must keep quiet: answering ARP for the node, it would let a guest in past its own OUT chain.
    for nic in nics.iter().filter(|nic| nic.firewall) {
        let fwbr = Wires::of(vmid, nic.index).fwbr;
        let (arp, ipv6) = (
            format!("ipv4/conf/{fwbr}/arp_ignore"),
            format!("ipv6/conf/{fwbr}/disable_ipv6"),
        );
        set_sysctls(&node, &[(&arp, "8"), (&ipv6, "1")])?;
    }
    // Duplicate address detection would hold every boot back by two seconds.
    for nic in nics {
        let key = format!("ipv6/conf/eth{}/dad_transmits", nic.index);
        set_sysctls(&guest, &[(&key, "0")])?;
    }
    Ok(())
}

/// Takes a guest's wires and namespace away. The wires go first: a namespace is deleted some time after `ip netns
/// delete` returns, and would keep the names.
pub(super) fn disconnect_guest(names: &Names, vmid: Vmid) -> Result<(), NamespaceError> {
    let node = names.node();
    let ours = ["tap", "fwln", "fwbr"].map(|kind| format!("{kind}{vmid}i"));
    delete_links(&node, |link| {
        ours.iter().any(|prefix| link.starts_with(prefix))
    })?;
    delete_namespace(&names.guest(vmid))
}

/// Deletes every virtual wire that ends in the node's namespace. A wire ends with either of its ends.
pub(super) fn delete_wires(names: &Names) -> Result<(), NamespaceError> {
    // Each `fwpr` goes with its `fwln`.
    delete_links(&names.node(), |link| {
        link != "lo" && !link.starts_with("fwpr")
    })
}

/// Runs `ip` commands in a namespace.
fn batch(namespace: &str, text: &str) -> Result<(), NamespaceError> {
    if text.is_empty() {
        return Ok(());
    }
    exec::feed(&["ip", "-netns", namespace, "-batch", "-"], text).map(drop)
}

fn links(namespace: &str) -> Result<Vec<String>, NamespaceError> {
    match exec::run(&["ip", "-netns", namespace, "-oneline", "link", "show"]) {
        Err(_) if !netns_path(namespace).exists() => Ok(Vec::new()),
        answer => answer.map(|text| parse_links(&text)),
    }
}

/// Deletes interfaces. Somebody else may be deleting them at the same moment (a guest's watcher, the lab's teardown),
/// and a wire goes with its other end: what counts is that none is left.
fn delete_links(namespace: &str, wanted: impl Fn(&str) -> bool) -> Result<(), NamespaceError> {
    for last in [false, true] {
        let mut text = String::new();
        for link in links(namespace)?.iter().filter(|link| wanted(link)) {
            let _ = writeln!(text, "link delete {link}");
        }
        if text.is_empty() {
            break;
        }
        let argv = ["ip", "-netns", namespace, "-force", "-batch", "-"];
        match exec::feed(&argv, &text) {
            Err(error) if last => return Err(error),
            Err(_) => {}
            Ok(_) => break,
        }
    }
    Ok(())
}

/// The second field of each line, without `@peer` and the colon.
fn parse_links(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|name| name.trim_end_matches(':'))
        .map(|name| {
            name.split_once('@')
                .map_or(name, |(name, _)| name)
                .to_owned()
        })
        .collect()
}

/// Lets iptables see what crosses a bridge, as pve-firewall needs it. A kernel whose bridge filter is a module loads
/// it here; the machine's own bridges keep out of it.
fn call_iptables_for_bridges(node: &str) -> Result<(), NamespaceError> {
    let machine = Path::new("/proc/sys/net/bridge");
    if !machine.exists() {
        exec::run(&["modprobe", "br_netfilter"])?;
        for key in ["iptables", "ip6tables", "arptables"] {
            files::poke(&machine.join(format!("bridge-nf-call-{key}")), "0")?;
        }
    }
    set_sysctls(
        node,
        &[
            ("bridge/bridge-nf-call-iptables", "1"),
            ("bridge/bridge-nf-call-ip6tables", "1"),
        ],
    )
}

fn bridges(topology: &Topology) -> String {
    let mut text = String::new();
    for (index, (bridge, addresses)) in topology.bridges.iter().enumerate() {
        // Without an address of its own a bridge takes the lowest of its ports', and a guest that comes or goes would
        // make the neighbours' caches wrong.
        let mac = format!("02:1a:b0:00:{:02x}:{:02x}", index >> 8, index & 0xff);
        let _ = writeln!(text, "link add {bridge} address {mac} type bridge");
        let _ = writeln!(text, "link set {bridge} up");
        for address in addresses {
            let _ = writeln!(
                text,
                "address add {address} dev {bridge}{}",
                no_dad(address.addr())
            );
        }
    }
    for gateway in &topology.node_gateways {
        let _ = writeln!(text, "route add default via {gateway}");
    }
    text
}

/// The Internet's addresses stand on the router itself. What they answer goes to networks on the router's own links
/// only: a private network behind the node gets its answers when the node masquerades it, and not otherwise.
fn internet(topology: &Topology) -> String {
    let mut text = String::new();
    for address in &topology.internet {
        let _ = writeln!(text, "address add {address} dev lo");
        let _ = writeln!(text, "rule add from {address} lookup {INTERNET_TABLE}");
    }
    for (index, place) in topology.router.iter().enumerate() {
        for address in &place.addresses {
            let _ = writeln!(
                text,
                "route add {} dev lan{index} table {INTERNET_TABLE}",
                address.trunc()
            );
        }
    }
    let _ = writeln!(text, "route add unreachable default table {INTERNET_TABLE}");
    if topology.internet.iter().any(IpAddr::is_ipv6) {
        let _ = writeln!(
            text,
            "-6 route add unreachable default table {INTERNET_TABLE}"
        );
    }
    text
}

/// As Proxmox does on a bridge that is not VLAN-aware, except that no uplink carries the tag: guests with the same
/// tag meet on a bridge of their own.
fn tagged_bridge(nic: &VmNic) -> String {
    nic.vlan
        .map_or_else(|| nic.bridge.clone(), |tag| format!("{}v{tag}", nic.bridge))
}

fn guest_wires(vmid: Vmid, nic: &VmNic, bridge: &str, namespace: &str) -> String {
    let Wires {
        tap,
        fwbr,
        fwln,
        fwpr,
    } = Wires::of(vmid, nic.index);
    let mut text = String::new();
    let port_of = if nic.firewall {
        let _ = write!(
            text,
            "link add {fwbr} type bridge\n\
             link set {fwbr} addrgenmode none up\n\
             link add {fwln} type veth peer name {fwpr}\n\
             link set {fwln} master {fwbr} addrgenmode none up\n\
             link set {fwpr} master {bridge} addrgenmode none up\n"
        );
        fwbr.as_str()
    } else {
        bridge
    };
    let _ = write!(
        text,
        "link add {tap} type veth peer name eth{} address {} netns {namespace}\n\
         link set {tap} master {port_of} addrgenmode none up\n",
        nic.index,
        nic.mac.to_lowercase()
    );
    text
}

/// Duplicate address detection would keep an IPv6 address unusable for a second.
fn no_dad(address: IpAddr) -> &'static str {
    if address.is_ipv6() { " nodad" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic(firewall: bool, vlan: Option<u16>) -> VmNic {
        VmNic {
            index: 0,
            bridge: "vmbr0".to_owned(),
            mac: "BC:24:11:00:00:01".to_owned(),
            firewall,
            vlan,
        }
    }

    #[test]
    fn a_card_with_firewall_hangs_behind_a_bridge_of_its_own_as_on_a_node() {
        let vmid = Vmid::new(101).expect("valid");
        insta::assert_snapshot!(guest_wires(vmid, &nic(true, None), "vmbr0", "g"), @r"
        link add fwbr101i0 type bridge
        link set fwbr101i0 addrgenmode none up
        link add fwln101i0 type veth peer name fwpr101p0
        link set fwln101i0 master fwbr101i0 addrgenmode none up
        link set fwpr101p0 master vmbr0 addrgenmode none up
        link add tap101i0 type veth peer name eth0 address bc:24:11:00:00:01 netns g
        link set tap101i0 master fwbr101i0 addrgenmode none up
        ");
        insta::assert_snapshot!(guest_wires(vmid, &nic(false, None), "vmbr0", "g"), @r"
        link add tap101i0 type veth peer name eth0 address bc:24:11:00:00:01 netns g
        link set tap101i0 master vmbr0 addrgenmode none up
        ");
    }

    #[test]
    fn a_tagged_card_hangs_on_the_tags_own_bridge() {
        assert_eq!(tagged_bridge(&nic(true, Some(20))), "vmbr0v20");
        assert_eq!(tagged_bridge(&nic(true, None)), "vmbr0");
    }

    #[test]
    fn links_are_read_from_ip() {
        // Captured from iproute2 6.1.0.
        let text = "\
1: lo: <LOOPBACK> mtu 65536 qdisc noop state DOWN mode DEFAULT group default qlen 1000\\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
3: tap101i0@eth0: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000\\    link/ether b2:0d:76:15:e9:53 brd ff:ff:ff:ff:ff:ff
";
        assert_eq!(parse_links(text), ["lo", "tap101i0"]);
    }
}
