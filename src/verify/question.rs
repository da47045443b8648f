//! A check -> who asks it, and the line by which it is asked.

use crate::model::{
    check::{Check, Probe},
    desired::Desired,
    flow::Endpoint,
    ids::HostName,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::net::IpAddr;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asker {
    /// A host of the inventory, over SSH.
    Host(HostName),
    /// The machine that runs infra.
    Here,
    /// Nobody can.
    Nobody(String),
}

/// Who asks a check.
pub(super) fn asker(
    check: &Check,
    desired: &Desired,
    here: Option<IpAddr>,
    nobody: Option<&str>,
) -> Asker {
    match &check.probe {
        Probe::Exec { stack, .. } | Probe::Exit { stack, .. } => {
            return desired.stacks.get(stack).map_or_else(
                || Asker::Nobody(format!("there is no stack `{stack}`")),
                |stack| Asker::Host(stack.on.clone()),
            );
        }
        Probe::Mount { host, .. } => return Asker::Host(host.clone()),
        Probe::Http { .. } | Probe::Tcp { .. } | Probe::Tls { .. } | Probe::Dns { .. } => {}
    }
    if let (Some(why), false) = (nobody, matches!(check.from, Endpoint::Host(_))) {
        return Asker::Nobody(why.to_owned());
    }
    // A node's own packets pass by other rules, and some of its addresses lie in another zone.
    let here = here.filter(|here| {
        let mut nodes = desired.nodes.keys();
        !nodes.any(|node| desired.addresses(node).contains(here))
    });
    let stands_in = |cidrs: &[ipnet::IpNet]| {
        here.is_some_and(|here| cidrs.iter().any(|cidr| cidr.contains(&here)))
    };
    let one_of = |cidrs: &[ipnet::IpNet]| {
        if stands_in(cidrs) {
            return Asker::Here;
        }
        host_in(desired, cidrs, &check.probe).map_or_else(
            || {
                Asker::Nobody(format!(
                    "neither this machine nor a host of the inventory stands in `{}` alone",
                    check.from
                ))
            },
            |host| Asker::Host(host.clone()),
        )
    };
    match &check.from {
        Endpoint::Host(host) => Asker::Host(host.clone()),
        Endpoint::Any => Asker::Here,
        Endpoint::Internet => {
            Asker::Nobody("no machine of the inventory stands in the Internet".to_owned())
        }
        Endpoint::Zone(name) => one_of(
            desired
                .zones
                .get(name)
                .map_or(&[][..], |zone| zone.cidrs.as_slice()),
        ),
        Endpoint::Set(name) => one_of(
            desired
                .sets
                .get(name)
                .map_or(&[][..], |set| set.cidrs.as_slice()),
        ),
    }
}

/// A guest or external host that stands in these networks and in no other, so that nobody can doubt where it asks from,
/// and that is not the one that is asked. A node is none: its own packets pass by other rules than its guests'.
fn host_in<'d>(
    desired: &'d Desired,
    cidrs: &[ipnet::IpNet],
    probe: &Probe,
) -> Option<&'d HostName> {
    let target = match probe {
        Probe::Http { connect, .. } | Probe::Tls { connect, .. } => *connect,
        Probe::Tcp { address, .. } => Some(*address),
        Probe::Dns { server, .. } => *server,
        Probe::Exec { .. } | Probe::Exit { .. } | Probe::Mount { .. } => None,
    };
    desired
        .guests
        .keys()
        .chain(desired.hosts.keys())
        .find(|host| {
            let own = desired.addresses(host);
            !own.is_empty()
                && target.is_none_or(|target| !own.contains(&target))
                && own
                    .iter()
                    .all(|address| cidrs.iter().any(|cidr| cidr.contains(address)))
        })
}

/// The line of a check without its number; see the script's head.
pub(super) fn line(probe: &Probe) -> String {
    let or_dash = |address: Option<IpAddr>| {
        address.map_or_else(|| "-".to_owned(), |address| address.to_string())
    };
    match probe {
        Probe::Http {
            url,
            connect,
            self_signed,
            ..
        } => {
            format!(
                "http\t{url}\t{}\t{}",
                or_dash(*connect),
                u8::from(*self_signed)
            )
        }
        Probe::Tcp { address, port, .. } => format!("tcp\t{address}\t{port}"),
        Probe::Tls {
            name,
            connect,
            port,
            only_tls13,
            ..
        } => format!(
            "tls\t{name}\t{}\t{port}\t{}",
            or_dash(*connect),
            u8::from(*only_tls13)
        ),
        Probe::Dns { name, server, .. } => format!("dns\t{name}\t{}", or_dash(*server)),
        Probe::Exec {
            stack,
            service,
            argv,
            ..
        } => {
            let argv: Vec<String> = argv.iter().map(|part| STANDARD.encode(part)).collect();
            format!("exec\t{stack}\t{service}\t{}", argv.join("\t"))
        }
        Probe::Exit {
            stack,
            service,
            url,
        } => format!("exit\t{stack}\t{service}\t{url}"),
        Probe::Mount { .. } => "mounts".to_owned(),
    }
}
