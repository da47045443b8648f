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
    let stands_in = |cidrs: &[ipnet::IpNet]| {
        here.is_some_and(|here| cidrs.iter().any(|cidr| cidr.contains(&here)))
    };
    let here_if = |there: bool| {
        if there {
            Asker::Here
        } else {
            Asker::Nobody(format!("this machine does not stand in `{}`", check.from))
        }
    };
    match &check.from {
        Endpoint::Host(host) => Asker::Host(host.clone()),
        Endpoint::Any => Asker::Here,
        Endpoint::Internet => {
            Asker::Nobody("no machine of the inventory stands in the Internet".to_owned())
        }
        Endpoint::Zone(name) => here_if(
            desired
                .zones
                .get(name)
                .is_some_and(|zone| stands_in(&zone.cidrs)),
        ),
        Endpoint::Set(name) => here_if(
            desired
                .sets
                .get(name)
                .is_some_and(|set| stands_in(&set.cidrs)),
        ),
    }
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
            ..
        } => format!("tls\t{name}\t{}\t{port}", or_dash(*connect)),
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
