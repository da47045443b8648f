//! Which open connections a change of the rules has closed.

use super::enforcement::{Enforcement, Packet};
use crate::model::{address::Proto, desired::Desired, ids::HostName};
use std::net::IpAddr;

/// Whether a connection that a machine tracks goes through a rule that was there before and is not any more. Ended is
/// only what a flow used to allow: never what others' rules, a firewall that was off or a policy let pass, and never the
/// way by which machines are administered.
pub fn is_closed(
    desired: &Desired,
    (before, after): (&Enforcement, &Enforcement),
    machine: &HostName,
    packet: Packet,
) -> bool {
    if is_of_container(desired, machine, packet) {
        return after.closed_to_containers_since(before, machine, packet);
    }
    is_judged(desired, machine, packet) && after.closed_since(before, packet)
}

/// Whether a container of an external host opened a connection. The kernel tracks it under the container's address, which
/// the inventory does not know: a private one that is in no zone, where its people would be. Two of those talk inside
/// the host.
fn is_of_container(desired: &Desired, machine: &HostName, packet: Packet) -> bool {
    let is_known = |address: IpAddr| {
        let mut zones = desired.zones.values().flat_map(|zone| &zone.cidrs);
        zones.any(|network| network.contains(&address))
            || desired
                .all_hosts()
                .any(|host| desired.addresses(host).contains(&address))
    };
    let is_inside = |address: IpAddr| is_private(address) && !is_known(address);
    desired.hosts.contains_key(machine)
        && is_inside(packet.from)
        && !is_inside(packet.to)
        && is_plain(packet)
        && !desired.addresses(machine).contains(&packet.to)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Leases and announcements are nobody's flow.
fn is_plain(packet: Packet) -> bool {
    let (to, port) = (packet.to, packet.port.range.first);
    !to.is_multicast() && !to.is_loopback() && ![67, 68, 546, 547].contains(&port)
}

/// Whether the machine's rules judge a connection: on a node the traffic of guests and what comes in, on a guest all of
/// its own, on an external host what comes in and what its containers begin. Never the way by which machines are administered.
fn is_judged(desired: &Desired, machine: &HostName, packet: Packet) -> bool {
    let (from, to) = (packet.from, packet.to);
    let has = |host: &HostName, address: IpAddr| {
        desired
            .addresses(host)
            .into_iter()
            .any(|own| own == address)
    };
    let is_guest = |address| desired.guests.keys().any(|guest| has(guest, address));
    if !is_plain(packet) || from == to || administers(desired, packet) {
        return false;
    }
    if desired.nodes.contains_key(machine) {
        is_guest(from) || is_guest(to) || has(machine, to)
    } else if desired.guests.contains_key(machine) {
        has(machine, from) != has(machine, to)
    } else {
        has(machine, to) && !has(machine, from)
    }
}

/// Whether a connection is an operator's, or a jump host's, to where a machine is administered: ending the one by which
/// this run came in would be a lock-out, whatever the rows say.
fn administers(desired: &Desired, packet: Packet) -> bool {
    let (from, to, port) = (packet.from, packet.to, packet.port.range.first);
    let Some((host, ssh)) = desired
        .all_hosts()
        .filter(|host| desired.addresses(host).contains(&to))
        .find_map(|host| desired.access(host).map(|(_, ssh)| (host, ssh)))
    else {
        return false;
    };
    let api = desired.proxmox.as_ref().map(|api| api.port);
    let is_way_in = port == ssh.port || desired.nodes.contains_key(host) && Some(port) == api;
    let operators = desired.operators.as_ref();
    let operators = operators.and_then(|name| desired.sets.get(name));
    let is_operator =
        operators.is_some_and(|set| set.cidrs.iter().any(|network| network.contains(&from)));
    let is_jump = ssh
        .jump
        .as_ref()
        .is_some_and(|jump| desired.addresses(jump).contains(&from));
    packet.port.proto == Proto::Tcp && is_way_in && (is_operator || is_jump)
}
