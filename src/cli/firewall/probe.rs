//! `infra firewall probe`: every cell of the matrix, asked of the live system.

use crate::apply::StepFailure;
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::firewall::Matrix;
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    flow::Endpoint,
    ids::HostName,
    image::ImageSource,
};
use crate::providers::local::LocalShell;
use crate::verify::cells::{Asker, CellResult, Door, Knock, Ruling, Seen, Where, ask, judge};
use crate::view::human;
use std::collections::BTreeSet;

/// Ports that no matrix opens: what is not listed is closed, and that is asked too.
const NOBODYS: [&str; 3] = ["9/tcp", "9/udp", "icmp"];

/// What can be done where no packet goes anywhere.
const NO_PACKETS: &str = "Scripted guests send no packets. `infra lab up --kind namespace` makes real ones where this machine can; \
    `infra firewall prove` sends real packets through the compiled rules.";

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(async move {
            if let Some(why) = &session.nobody_here {
                let failure = Failure::new(
                    exit::CHECK_FAILED,
                    format!("no cell was asked, so nothing is proven: it {why}"),
                );
                return Err(failure.hint(NO_PACKETS));
            }
            let cells = cells(&session).await?;
            if context.global.json {
                context
                    .terminal
                    .json(&serde_json::json!({ "cells": cells }));
            } else {
                let verbose = context.terminal.loudness().verbose;
                context.terminal.answer(&human::cells(&cells, verbose));
            }
            let differs = cells.iter().any(|cell| cell.ruling == Ruling::Differs);
            // Nothing asked proves nothing.
            let vacuous = !cells.iter().any(|cell| cell.ruling == Ruling::Holds);
            Ok(if differs || vacuous {
                exit::CHECK_FAILED
            } else {
                exit::DONE
            })
        })
    })
}

/// Refuses a change that makes any cell differ.
pub(super) async fn hold(session: &Session) -> Result<(), StepFailure> {
    if let Some(why) = &session.nobody_here {
        return Err(StepFailure {
            hint: Some("`--no-probe` confirms after new connections alone.".to_owned()),
            ..StepFailure::because(format!("no cell could be asked: it {why}"))
        });
    }
    let cells = cells(session)
        .await
        .map_err(|failure| StepFailure::because(failure.text()))?;
    if !cells.iter().any(|cell| cell.ruling == Ruling::Holds) {
        return Err(StepFailure {
            hint: Some(
                "Where no machine can be asked, `--no-probe` confirms after new connections alone."
                    .to_owned(),
            ),
            ..StepFailure::because("no cell of the matrix could be asked")
        });
    }
    let wrong: Vec<String> = cells
        .iter()
        .filter(|cell| cell.ruling == Ruling::Differs)
        .map(human::cell)
        .collect();
    match wrong.len() {
        0 => Ok(()),
        count => Err(StepFailure::because(format!(
            "{count} cells are not as the matrix says:\n    {}",
            wrong[..count.min(10)].join("\n    ")
        ))),
    }
}

/// Knocks everywhere and judges by the rows.
async fn cells(session: &Session) -> Result<Vec<CellResult>, Failure> {
    let here = HostName::new("here").map_err(|error| crate::cli::failure::failed(&error))?;
    let shell = LocalShell::new(here);
    let matrix = Matrix::of(&session.desired);
    let knocks = knocks(&session.desired, &matrix, session.nobody_here.is_none());
    let seen = ask(knocks, &session.hosts, &shell).await;
    let rows = seen.iter().map(|seen| {
        let (from, to) = seen.between?;
        // Containers are judged as their host is, by whose address others know them.
        let from = match &seen.knock.asker {
            Asker::Containers(host) => {
                let mut own = session.desired.addresses(host).into_iter();
                own.find(|own| own.is_ipv4() == from.is_ipv4())?
            }
            Asker::Host(_) | Asker::Here => from,
        };
        let row = matrix.permits(from, to, seen.knock.door.port)?;
        Some(row.id.clone())
    });
    let cells = seen.iter().zip(rows);
    Ok(cells
        .filter(|(seen, row)| row.is_some() || !is_answered_anyway(&session.desired, seen))
        .filter(|(seen, _)| !is_dropped_anyway(&session.desired, &matrix, seen))
        .map(|(seen, row)| judge(seen, row))
        .collect())
}

/// Echo requests to external hosts are answered by UFW's own before.rules, whatever the matrix says: no cell of it.
fn is_answered_anyway(desired: &Desired, seen: &Seen) -> bool {
    let door = &seen.knock.door;
    let host = desired.hosts.keys().find(|host| host.as_str() == door.name);
    door.port.proto == Proto::Icmp && host.is_some()
}

/// Echo requests that an external host itself sends are before.rules' matter too, where the rest is held.
fn is_dropped_anyway(desired: &Desired, matrix: &Matrix, seen: &Seen) -> bool {
    let is_held =
        |host: &HostName| desired.hosts.contains_key(host) && matrix.names_as_source(host);
    matches!(&seen.knock.asker, Asker::Host(host) if is_held(host))
        && seen.knock.door.port.proto == Proto::Icmp
}

/// Somebody outside who never answers: whether a packet left for there, the kernel that forwards it can tell.
const NOBODY: &str = "203.0.113.9";

/// A door before a witness is chosen: whose it is where it is a machine's, what it is called, and where.
type Doorway<'a> = (Option<&'a HostName>, String, Where);

/// Every asker at every door. Machines knock at each other; guests, whose way out is closed too, also at what lies outside,
/// and so do containers of external hosts, for which their host is the witness.
fn knocks(desired: &Desired, matrix: &Matrix, from_here: bool) -> Vec<Knock> {
    let ports = ports(desired, matrix);
    let doors = doors(desired);
    let mut out = own_knocks(desired, &doors, &ports, from_here);
    out.extend(knocks_of_containers(desired, matrix, &doors, &ports));
    out
}

fn doors(desired: &Desired) -> Vec<Doorway<'_>> {
    let mut doors = Vec::new();
    for host in desired.all_hosts() {
        for address in desired.addresses(host) {
            doors.push((Some(host), host.to_string(), Where::Address(address)));
        }
    }
    for (name, set) in &desired.sets {
        for network in &set.cidrs {
            let single = network.prefix_len() == network.max_prefix_len();
            let managed = desired
                .all_hosts()
                .any(|host| desired.addresses(host).contains(&network.addr()));
            if single && !managed && desired.operators.as_ref() != Some(name) {
                doors.push((None, name.to_string(), Where::Address(network.addr())));
            }
        }
    }
    if let Some(name) = public_name(desired) {
        doors.push((None, "internet".to_owned(), Where::Name(name)));
    }
    doors
}

/// What containers of external hosts send, where the matrix holds it.
fn knocks_of_containers(
    desired: &Desired,
    matrix: &Matrix,
    doors: &[Doorway<'_>],
    ports: &BTreeSet<Port>,
) -> Vec<Knock> {
    let runs_stacks = |host: &&HostName| desired.stacks.values().any(|stack| stack.on == **host);
    let held = |host: &&HostName| matrix.names_as_source(host);
    let nobody = NOBODY.parse().ok().map(Where::Address);
    let nobody = nobody.map(|at| (None, "internet".to_owned(), at));
    let mut out = Vec::new();
    for host in desired.hosts.keys().filter(runs_stacks).filter(held) {
        let own = desired.addresses(host);
        for (_, name, at) in doors.iter().chain(&nobody) {
            let Where::Address(address) = at else {
                continue;
            };
            let has_family = own.iter().any(|own| own.is_ipv4() == address.is_ipv4());
            if own.contains(address) || !has_family {
                continue;
            }
            out.extend(ports.iter().map(|port| Knock {
                asker: Asker::Containers(host.clone()),
                door: Door {
                    name: name.clone(),
                    at: at.clone(),
                    port: *port,
                    witness: Some(host.clone()),
                },
            }));
        }
    }
    out
}

fn own_knocks(
    desired: &Desired,
    doors: &[Doorway<'_>],
    ports: &BTreeSet<Port>,
    from_here: bool,
) -> Vec<Knock> {
    let mut askers: Vec<Asker> = desired.all_hosts().cloned().map(Asker::Host).collect();
    if from_here {
        askers.push(Asker::Here);
    }
    let mut out = Vec::new();
    for asker in askers {
        let guest = match &asker {
            Asker::Host(host) => desired.guests.get(host),
            Asker::Containers(_) | Asker::Here => None,
        };
        let own = match &asker {
            Asker::Host(host) | Asker::Containers(host) => desired.addresses(host),
            Asker::Here => Vec::new(),
        };
        for (host, name, at) in doors {
            let is_own = matches!(at, Where::Address(address) if own.contains(address));
            if is_own || (host.is_none() && guest.is_none()) {
                continue;
            }
            // Without the family there is no way at all, and so no cell.
            let has_family = match at {
                Where::Address(address) => {
                    own.is_empty() || own.iter().any(|o| o.is_ipv4() == address.is_ipv4())
                }
                Where::Name(_) => true,
            };
            if !has_family {
                continue;
            }
            let witness = host
                .map(|host| (*host).clone())
                .or_else(|| guest.map(|guest| guest.node.clone()));
            for port in ports {
                let door = Door {
                    name: name.clone(),
                    at: at.clone(),
                    port: *port,
                    witness: witness.clone(),
                };
                out.push(Knock {
                    asker: asker.clone(),
                    door,
                });
            }
        }
    }
    out
}

/// The ports that anybody speaks of: rows, `never` rows, what is published; and one that nobody does.
fn ports(desired: &Desired, matrix: &Matrix) -> BTreeSet<Port> {
    let of_rows = matrix.rows().iter().flat_map(|row| &row.ports).copied();
    let published = desired
        .stacks
        .values()
        .flat_map(|stack| &stack.publish)
        .map(|publish| publish.port);
    let denied = desired
        .nevers
        .iter()
        .flat_map(|never| &never.deny)
        .map(|deny| deny.port);
    let nobodys = NOBODYS.iter().filter_map(|port| port.parse().ok());
    let all = of_rows.chain(published).chain(denied).chain(nobodys);
    all.flat_map(|port: Port| match port.proto {
        Proto::Icmp => [port, port],
        Proto::Tcp | Proto::Udp => [port.range.first, port.range.last].map(|one| Port {
            range: PortRange::one(one),
            ..port
        }),
    })
    .collect()
}

/// A name that leads out: where the first image comes from; asked only when somebody may go out at all.
fn public_name(desired: &Desired) -> Option<String> {
    let goes_out = desired
        .flows
        .iter()
        .any(|flow| flow.to.contains(&Endpoint::Internet));
    let mut downloads = desired
        .images
        .values()
        .filter_map(|image| match &image.source {
            ImageSource::Download(download) => Some(download),
            ImageSource::Upload { .. } | ImageSource::Volume(_) | ImageSource::Template => None,
        });
    let download = downloads.next().filter(|_| goes_out)?;
    let rest = download.url.split_once("://")?.1;
    let host = rest.split(['/', ':']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}
