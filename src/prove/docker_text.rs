//! What Docker would put around the chain of ours: its NAT for published ports, and its part of FORWARD.

use super::layout::{CONTAINER, CONTAINER_BRIDGE, CONTAINER_NETWORK};
use crate::model::{address::Proto, desired::Desired, ids::HostName};
use std::fmt::Write as _;

/// Docker's words for one family.
#[derive(Debug, Default)]
pub(super) struct DockerText {
    /// Lines of the filter table, for its end: Docker's part of FORWARD goes before what stands there.
    pub(super) filter: String,
    /// The whole NAT table.
    pub(super) nat: String,
}

/// What Docker would load for the published ports of a host.
pub(super) fn docker_text(desired: &Desired, host: &HostName, v6: bool) -> DockerText {
    let container = CONTAINER[usize::from(v6)];
    let mut nat = String::from(
        "*nat\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n:DOCKER -\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n",
    );
    // What containers send goes out under the host's address; a guest's several are not told apart here.
    let external = desired.hosts.get(host).map(|host| host.address);
    if let Some(own) = external.filter(|own| own.is_ipv6() == v6) {
        let network = CONTAINER_NETWORK[usize::from(v6)];
        let _ = writeln!(
            nat,
            "-A POSTROUTING -s {network} ! -o {CONTAINER_BRIDGE} -j SNAT --to-source {own}"
        );
    }
    let mut filter = format!(
        ":DOCKER-USER -\n-A FORWARD -j DOCKER-USER\n\
         -A FORWARD -o {CONTAINER_BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FORWARD -i {CONTAINER_BRIDGE} -j ACCEPT\n"
    );
    let stacks = desired.stacks.values().filter(|stack| stack.on == *host);
    for publish in stacks.flat_map(|stack| &stack.publish) {
        let bound = match publish.address {
            Some(address) if address.is_loopback() || address.is_ipv6() != v6 => continue,
            Some(address) if !address.is_unspecified() => format!("-d {address} "),
            Some(_) | None => String::new(),
        };
        let (proto, range) = (publish.port.proto, publish.port.range);
        if proto == Proto::Icmp {
            continue;
        }
        let _ = writeln!(
            nat,
            "-A DOCKER ! -i {CONTAINER_BRIDGE} {bound}-p {proto} --dport {range} -j DNAT --to-destination {container}"
        );
        let _ = writeln!(
            filter,
            "-A FORWARD -d {container} ! -i {CONTAINER_BRIDGE} -o {CONTAINER_BRIDGE} -p {proto} --dport {range} -j ACCEPT"
        );
    }
    // Docker's part of FORWARD stands before UFW's.
    let filter = filter.replace("-A FORWARD ", "-I FORWARD @ ");
    let mut position = 0;
    let mut placed = String::new();
    for line in filter.lines() {
        if line.contains('@') {
            position += 1;
            let _ = writeln!(placed, "{}", line.replace('@', &position.to_string()));
        } else {
            let _ = writeln!(placed, "{line}");
        }
    }
    nat.push_str("COMMIT\n");
    DockerText {
        filter: placed,
        nat,
    }
}
