//! `infra firewall explain FROM TO PORT`: the row that is meant, and what each layer says.

use crate::cli::{context::Context, exit, failure::Failure, system};
use crate::firewall::{
    Matrix,
    analysis::{Enforcement, Explanation, Packet, Place, explain},
};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    ids::ServiceName,
    secret::SecretValues,
};
use crate::plan::compile;
use crate::view::human;
use clap::Args;
use std::net::IpAddr;

/// Options of `infra firewall explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Who asks: a host, zone or set, `internet`, or an address
    pub(crate) from: String,
    /// Who is asked, likewise
    pub(crate) to: String,
    /// `443/tcp`, `icmp`, or the name of a service
    pub(crate) port: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ExplainArgs) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let desired = &system.desired;
    let (compiled, _) = compile(desired, &SecretValues::default());
    let matrix = Matrix::of(desired);
    let enforcement = Enforcement::of_compiled(desired, &compiled.firewall);
    let packets = packets(desired, &enforcement, args)?;
    let found: Vec<Explanation> = packets
        .into_iter()
        .map(|packet| explain(desired, &matrix, &enforcement, packet))
        .collect();
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "explanations": found }));
    } else {
        context.terminal.answer(&human::explanations(&found));
    }
    Ok(exit::DONE)
}

/// One packet for every family and port that is asked about: an example of the places by that name.
fn packets(
    desired: &Desired,
    enforcement: &Enforcement,
    args: &ExplainArgs,
) -> Result<Vec<Packet>, Failure> {
    let ports = ports(desired, &args.port)?;
    let from = addresses(desired, enforcement, &args.from)?;
    let to = addresses(desired, enforcement, &args.to)?;
    let mut out = Vec::new();
    for (from, to) in from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b))) {
        if from.is_ipv4() == to.is_ipv4() && from != to {
            out.extend(ports.iter().map(|port| Packet {
                from,
                to,
                port: *port,
            }));
        }
    }
    if out.is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            format!(
                "nothing can go from {} to {}: they share no family of addresses, or are one address",
                args.from, args.to
            ),
        ));
    }
    Ok(out)
}

fn ports(desired: &Desired, text: &str) -> Result<Vec<Port>, Failure> {
    let first = |port: &Port| match port.proto {
        Proto::Icmp => *port,
        Proto::Tcp | Proto::Udp => Port {
            range: PortRange::one(port.range.first),
            ..*port
        },
    };
    if let Some(service) = desired.services.values().find(|s| s.name.as_str() == text) {
        return Ok(service.ports.iter().map(first).collect());
    }
    text.parse().map(|port| vec![first(&port)]).map_err(|_| {
        let names: Vec<&str> = desired.services.keys().map(ServiceName::as_str).collect();
        Failure::new(
            exit::USAGE,
            format!("`{text}` is neither a service nor a port such as 443/tcp"),
        )
        .hint(format!("The services are: {}.", names.join(", ")))
    })
}

/// An address for every place by this name; an address stands for itself.
fn addresses(
    desired: &Desired,
    enforcement: &Enforcement,
    text: &str,
) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let places: Vec<&Place> = enforcement.places().iter().collect();
    let labelled = |place: &&&Place| place.label.split('+').any(|part| part == text);
    let found: Vec<IpAddr> = places.iter().filter(labelled).map(|p| p.example).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // A set of machines has no place of its own.
    let set = desired.sets.values().find(|set| set.name.as_str() == text);
    if let Some(set) = set {
        let addresses = set.cidrs.iter().map(ipnet::IpNet::addr);
        return Ok(addresses.collect());
    }
    // Nor has a zone whose addresses all belong to sets or machines.
    let zone = desired
        .zones
        .values()
        .find(|zone| zone.name.as_str() == text);
    if let Some(zone) = zone {
        let first = |net: &ipnet::IpNet| net.hosts().next();
        return Ok(zone.cidrs.iter().filter_map(first).collect());
    }
    let mut names: Vec<&str> = places.iter().map(|place| place.label.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Err(
        Failure::new(exit::USAGE, format!("there is no `{text}` in the matrix"))
            .hint(format!("Name an address, or one of: {}.", names.join(", "))),
    )
}
