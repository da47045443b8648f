//! Which of the connections that are open the flow matrix has no place for.

use crate::apply::{Forbidden, guard::Connection};
use crate::firewall::Matrix;
use crate::model::{
    address::{Port, PortRange},
    desired::Desired,
    ids::HostName,
};
use std::net::IpAddr;

/// Judges connections by the rows. Judged is what the rules judge: on a node the traffic of guests, on a guest all of its
/// own, on an external host what comes in.
pub(crate) fn of(desired: &Desired) -> Forbidden {
    let matrix = Matrix::of(desired);
    let desired = desired.clone();
    Box::new(move |machine, connection| {
        is_judged(&desired, machine, connection)
            && matrix
                .permits(
                    connection.from.0,
                    connection.to.0,
                    Port {
                        proto: connection.proto,
                        range: PortRange::one(connection.to.1),
                    },
                )
                .is_none()
    })
}

fn is_judged(desired: &Desired, machine: &HostName, connection: &Connection) -> bool {
    let (from, to) = (connection.from.0, connection.to.0);
    let has = |host: &HostName, address: IpAddr| {
        desired
            .addresses(host)
            .into_iter()
            .any(|own| own == address)
    };
    let is_guest = |address| desired.guests.keys().any(|guest| has(guest, address));
    // Leases and announcements are nobody's flow.
    let is_plain =
        !to.is_multicast() && !to.is_loopback() && ![67, 68, 546, 547].contains(&connection.to.1);
    if !is_plain || from == to {
        return false;
    }
    if desired.nodes.contains_key(machine) {
        is_guest(from) || is_guest(to)
    } else if desired.guests.contains_key(machine) {
        has(machine, from) != has(machine, to)
    } else {
        has(machine, to) && !has(machine, from)
    }
}
