//! What machines must be able to reach: name servers, mirrors, the time.

use super::{
    addresses::Addresses,
    matrix::{Machine, Matrix, Row, covers, resolve, tcp},
};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    flow::Endpoint,
    ids::HostName,
};

/// A guest may not ask the name servers that it is given.
pub(crate) const CLOSED_NAMESERVER: Code = Code("FW008");
/// A guest may not fetch packages.
pub(crate) const NO_PACKAGES: Code = Code("FW009");
/// An external host may ask nobody for the time.
pub(crate) const CLOSED_CLOCK: Code = Code("FW022");

/// What guests and closed external hosts may not send and cannot do without.
pub(super) fn check(
    desired: &Desired,
    matrix: &Matrix,
    machines: &[Machine<'_>],
    out: &mut Vec<Diagnostic>,
) {
    of_guests(desired, matrix, out);
    for machine in machines {
        of_external(matrix, machine, out);
    }
}

fn of_guests(desired: &Desired, matrix: &Matrix, out: &mut Vec<Diagnostic>) {
    let dns = Port {
        proto: Proto::Udp,
        range: PortRange::one(53),
    };
    let internet = resolve(desired, &Endpoint::Internet);
    for guest in desired.guests.values() {
        let own = desired.addresses(&guest.name);
        for server in guest.nameservers.iter().filter(|s| !own.contains(s)) {
            let asked = own
                .iter()
                .any(|from| matrix.permits(*from, *server, dns).is_some());
            if !asked {
                let summary = format!(
                    "guest `{}` may not ask its name server {server}",
                    guest.name
                );
                out.push(Diagnostic::warning(CLOSED_NAMESERVER, summary).help(format!(
                    "add a flow from `{}` to {server} that allows 53/udp and 53/tcp; what a guest sends is dropped unless a flow allows it",
                    guest.name
                )));
            }
        }
        if desired.proxmox.is_some() && !fetches(matrix, desired, &guest.name, &internet) {
            let summary = format!(
                "guest `{}` may not fetch anything from the Internet: no packages, no images",
                guest.name
            );
            out.push(Diagnostic::warning(NO_PACKAGES, summary).help(format!(
                "add a flow from `{}` to internet that allows 80/tcp and 443/tcp, unless a mirror inside serves it",
                guest.name
            )));
        }
    }
}

/// One row that names an external host as its source closes everything else that it sends.
fn of_external(matrix: &Matrix, machine: &Machine<'_>, out: &mut Vec<Diagnostic>) {
    if !matrix.holds_egress(machine) {
        return;
    }
    let name = machine.name;
    let sends = |asked: &[Port]| {
        let mine = |row: &&Row| {
            row.from
                .iter()
                .any(|end| end.addresses.meets(&machine.addresses))
        };
        let mut ports = matrix.rows.iter().filter(mine).flat_map(|row| &row.ports);
        ports.any(|port| asked.iter().any(|asked| covers(*port, *asked)))
    };
    let udp = |port| Port {
        proto: Proto::Udp,
        range: PortRange::one(port),
    };
    let why = "a flow names it as its source, so what it sends is dropped unless a flow allows it";
    let mut warn = |code: Code, summary: String, flow: &str| {
        out.push(
            Diagnostic::warning(code, summary).help(format!("{why}: add one from `{name}` {flow}")),
        );
    };
    if !sends(&[udp(53)]) {
        let summary = format!("host `{name}` may ask no name server");
        warn(
            CLOSED_NAMESERVER,
            summary,
            "to its name server that allows 53/udp and 53/tcp",
        );
    }
    if !sends(&[tcp(80), tcp(443)]) {
        let summary = format!("host `{name}` may not fetch anything: no packages, no images");
        warn(
            NO_PACKAGES,
            summary,
            "to internet that allows 80/tcp and 443/tcp",
        );
    }
    if !sends(&[udp(123)]) {
        let summary = format!("host `{name}` may ask nobody for the time");
        warn(CLOSED_CLOCK, summary, "to internet that allows 123/udp");
    }
}

fn fetches(matrix: &Matrix, desired: &Desired, guest: &HostName, internet: &Addresses) -> bool {
    let own = Addresses::of_hosts(desired.addresses(guest));
    matrix.rows.iter().any(|row| {
        row.from.iter().any(|end| end.addresses.meets(&own))
            && row.to.iter().any(|end| end.addresses.meets(internet))
            && row
                .ports
                .iter()
                .any(|p| covers(*p, tcp(80)) || covers(*p, tcp(443)))
    })
}
