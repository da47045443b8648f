//! What is wrong with a matrix: assertions that it breaks, ports that nobody may reach, ways in that are missing.

use super::{
    addresses::Addresses,
    analysis::{contradictions, flaws},
    matrix::{End, Machine, MachineKind, Matrix, Row, api_port, covers, overlap, resolve, tcp},
    ways_out,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::model::{
    address::{Port, Proto},
    desired::Desired,
    flow::{Endpoint, Never},
};

/// A flow opens what a `never` forbids.
pub(crate) const BROKEN_NEVER: Code = Code("FW001");
/// A stack publishes a port that no flow lets anybody reach.
pub(crate) const UNREACHED_PORT: Code = Code("FW002");
/// A flow opens a port on which no stack listens.
pub(crate) const UNSERVED_FLOW: Code = Code("FW003");
/// The operators cannot reach a machine that infra has to manage.
pub(crate) const NO_WAY_IN: Code = Code("FW004");
/// A row names something without addresses, so it means nothing.
pub(crate) const EMPTY_END: Code = Code("FW005");
/// No machine of the system stands at either end of a flow, so nothing enforces it.
pub(crate) const UNENFORCED_FLOW: Code = Code("FW006");
/// A flow lets others than the operators reach SSH or the Proxmox API.
pub(crate) const OPEN_ADMINISTRATION: Code = Code("FW007");

/// There is no flow at all.
pub(crate) const EMPTY_MATRIX: Code = Code("FW013");

/// Everything that is wrong, in the order of the rules above.
pub(crate) fn check(
    desired: &Desired,
    matrix: &Matrix,
    machines: &[Machine<'_>],
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    empty_matrix(desired, machines, &mut out);
    empty_ends(desired, &mut out);
    broken_nevers(desired, matrix, machines, &mut out);
    ways_in(desired, matrix, machines, &mut out);
    published_ports(desired, matrix, &mut out);
    let administered = administered(desired, machines);
    for row in &matrix.rows {
        if let Some(place) = &row.place {
            unserved(desired, machines, row, place, &mut out);
            unenforced(machines, row, place, &mut out);
            open_administration(desired, &administered, row, place, &mut out);
        }
    }
    out.extend(flaws(desired, matrix));
    out.extend(contradictions(matrix));
    ways_out::check(desired, matrix, machines, &mut out);
    super::shares::check(desired, matrix, &mut out);
    out
}

/// Without a flow everything but administration is closed: that is a file that was forgotten, not a wish.
fn empty_matrix(desired: &Desired, machines: &[Machine<'_>], out: &mut Vec<Diagnostic>) {
    let enforced = machines.iter().any(|m| m.kind != MachineKind::Node);
    if enforced && desired.flows.is_empty() {
        out.push(
            Diagnostic::error(
                EMPTY_MATRIX,
                "the matrix is empty: there is no flow, and everything would be closed",
            )
            .help("write under `flows` who may talk to whom"),
        );
    }
}

fn empty_ends(desired: &Desired, out: &mut Vec<Diagnostic>) {
    let mut report = |endpoint: &Endpoint, place: &Place, what: &str| {
        if resolve(desired, endpoint).is_empty() {
            let summary = format!("`{endpoint}` has no addresses, so this {what} means nothing");
            let help = match endpoint {
                Endpoint::Internet => "the zones cover every address: no Internet is left",
                Endpoint::Zone(_) => "give the zone its `cidrs`",
                Endpoint::Set(_) => "give the set its addresses",
                Endpoint::Host(_) => "give the host an address",
                Endpoint::Any => "",
            };
            out.push(
                Diagnostic::error(EMPTY_END, summary)
                    .at(place, "no addresses")
                    .help(help),
            );
        }
    };
    for flow in &desired.flows {
        for endpoint in flow.from.iter().chain(&flow.to) {
            report(endpoint, &flow.place, "flow");
        }
    }
    for never in &desired.nevers {
        for endpoint in never.from.iter().chain(&never.to) {
            report(endpoint, &never.place, "`never`");
        }
    }
}

fn broken_nevers(
    desired: &Desired,
    matrix: &Matrix,
    machines: &[Machine<'_>],
    out: &mut Vec<Diagnostic>,
) {
    for never in &desired.nevers {
        let all = |ends: &[Endpoint]| {
            ends.iter().fold(Addresses::default(), |all, end| {
                all.union(&resolve(desired, end))
            })
        };
        let from = all(&never.from).without(&all(&never.except));
        let to = all(&never.to);
        for row in &matrix.rows {
            let Some(port) = forbidden_port(never, row) else {
                continue;
            };
            let Some((source, target)) = witness(row, &from, &to, machines) else {
                continue;
            };
            let example = || {
                let address = |set: &Addresses| set.example().map(|a| a.to_string());
                let (a, b) = (address(&source), address(&target));
                format!(
                    "{} would reach {port} of {}",
                    a.unwrap_or_default(),
                    b.unwrap_or_default()
                )
            };
            let why = if never.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", never.reason)
            };
            let diagnostic = match &row.place {
                Some(place) => Diagnostic::error(
                    BROKEN_NEVER,
                    format!("flow `{}` opens what must never be open{why}", row.id),
                )
                .at(place, example())
                .at(&never.place, "forbidden here")
                .help("narrow the flow, or add an `except` to the `never`"),
                None => Diagnostic::error(
                    BROKEN_NEVER,
                    format!("this `never` shuts out {}{why}", row.reason),
                )
                .at(&never.place, example())
                .help("infra itself needs this way in: add the operators to `except`"),
            };
            out.push(diagnostic);
        }
    }
}

fn forbidden_port(never: &Never, row: &Row) -> Option<Port> {
    row.ports.iter().copied().find(|open| {
        never.deny.is_empty() || never.deny.iter().any(|denied| overlap(denied.port, *open))
    })
}

/// Addresses at both ends that a row connects; none when only a machine's talk with itself is left.
fn witness(
    row: &Row,
    from: &Addresses,
    to: &Addresses,
    machines: &[Machine<'_>],
) -> Option<(Addresses, Addresses)> {
    for (a, b) in row
        .from
        .iter()
        .flat_map(|a| row.to.iter().map(move |b| (a, b)))
    {
        let source = a.addresses.intersection(from);
        let target = b.addresses.intersection(to);
        if source.is_empty() || target.is_empty() {
            continue;
        }
        let itself = |m: &Machine<'_>| m.addresses.covers(&source) && m.addresses.covers(&target);
        if !machines.iter().any(itself) {
            return Some((source, target));
        }
    }
    None
}

fn ways_in(
    desired: &Desired,
    matrix: &Matrix,
    machines: &[Machine<'_>],
    out: &mut Vec<Diagnostic>,
) {
    let operators = desired
        .operators
        .as_ref()
        .map(|set| (set, resolve(desired, &Endpoint::Set(set.clone()))));
    if let Some((set, addresses)) = &operators
        && addresses.is_empty()
    {
        out.push(
            Diagnostic::error(
                NO_WAY_IN,
                format!(
                    "the operators' set `{set}` is empty: applying this would lock everybody out"
                ),
            )
            .help("list the addresses from which you administer the system"),
        );
        return;
    }
    for machine in machines {
        if machine.addresses.is_empty() {
            let summary = format!(
                "`{}` has no address of its own, so nothing can be allowed to it, not even its administration",
                machine.name
            );
            out.push(
                Diagnostic::error(NO_WAY_IN, summary).help("give its first card a static address"),
            );
        }
    }
    if operators.is_some() {
        return;
    }
    for machine in machines {
        let mut needed = vec![tcp(machine.ssh.port)];
        if machine.kind == MachineKind::Node {
            needed.push(api_port(desired));
        }
        for port in needed {
            let open = matrix.rows.iter().any(|row| {
                row.to
                    .iter()
                    .any(|end| end.addresses.covers(&machine.addresses))
                    && row.ports.iter().any(|open| covers(*open, port))
            });
            if !open {
                let summary = format!(
                    "nobody may reach {port} of `{}`: applying this would lock you out",
                    machine.name
                );
                out.push(Diagnostic::error(NO_WAY_IN, summary).help(
                    "name a set of addresses as `operators`; it is let in everywhere by itself",
                ));
            }
        }
    }
}

fn published_ports(desired: &Desired, matrix: &Matrix, out: &mut Vec<Diagnostic>) {
    for stack in desired.stacks.values() {
        let host = Addresses::of_hosts(desired.addresses(&stack.on));
        for publish in &stack.publish {
            let bound = match publish.address {
                Some(address) if address.is_loopback() => continue,
                Some(address) if !address.is_unspecified() => Addresses::of_hosts([address]),
                Some(_) | None => host.clone(),
            };
            let reached = matrix.rows.iter().any(|row| {
                let to = row.to.iter().any(|end| end.addresses.meets(&bound));
                let others = row.from.iter().any(|end| !host.covers(&end.addresses));
                to && others && row.ports.iter().any(|open| overlap(*open, publish.port))
            });
            if !reached {
                let (on, port) = (&stack.on, publish.port);
                out.push(
                    Diagnostic::error(
                        UNREACHED_PORT,
                        format!(
                            "{}, and no flow lets anybody reach it",
                            publish.words(stack)
                        ),
                    )
                    .help(format!(
                        "add a flow to `{on}` that allows {port}, publish it on 127.0.0.1, or do not publish it"
                    )),
                );
            }
        }
    }
}

/// The ports on which something of a machine listens, as far as the inventory knows; none for nodes, whose services
/// it does not describe.
fn listeners(desired: &Desired, machine: &Machine<'_>) -> Option<Vec<Port>> {
    if machine.kind == MachineKind::Node {
        return None;
    }
    let published = desired
        .stacks
        .values()
        .filter(|stack| stack.on == *machine.name)
        .flat_map(|stack| stack.publish.iter().map(|publish| publish.port));
    Some(published.chain([tcp(machine.ssh.port)]).collect())
}

fn unserved(
    desired: &Desired,
    machines: &[Machine<'_>],
    row: &Row,
    place: &Place,
    out: &mut Vec<Diagnostic>,
) {
    let mut targets = Vec::new();
    for end in &row.to {
        let Endpoint::Host(name) = &end.endpoint else {
            return;
        };
        let known = machines
            .iter()
            .find(|machine| machine.name == name)
            .and_then(|machine| listeners(desired, machine));
        let Some(ports) = known else { return };
        targets.push((name, ports));
    }
    for port in row.ports.iter().filter(|port| port.proto != Proto::Icmp) {
        let served = targets
            .iter()
            .any(|(_, ports)| ports.iter().any(|listening| overlap(*listening, *port)));
        if !served {
            let names: Vec<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
            out.push(
                Diagnostic::warning(
                    UNSERVED_FLOW,
                    format!("nothing on `{}` listens on {port}", names.join("`, `")),
                )
                .at(place, format!("opens {port}"))
                .help("publish the port from a stack, or drop it from the flow"),
            );
        }
    }
}

fn unenforced(machines: &[Machine<'_>], row: &Row, place: &Place, out: &mut Vec<Diagnostic>) {
    let ours = |end: &End| machines.iter().any(|m| m.addresses.meets(&end.addresses));
    if !row.from.iter().chain(&row.to).any(ours) {
        out.push(
            Diagnostic::warning(
                UNENFORCED_FLOW,
                format!(
                    "flow `{}` has no machine of this system at either end",
                    row.id
                ),
            )
            .at(place, "nothing here can allow or deny it")
            .help("only nodes, guests and external hosts of the inventory enforce flows"),
        );
    }
}

/// How a machine is administered.
struct Administered<'a> {
    machine: &'a Machine<'a>,
    ports: Vec<Port>,
    /// The operators, whoever jumps there, and the machine itself.
    by: Addresses,
}

/// None where nobody is named as an operator.
fn administered<'a>(desired: &Desired, machines: &'a [Machine<'a>]) -> Vec<Administered<'a>> {
    let Some(set) = &desired.operators else {
        return vec![];
    };
    let operators = resolve(desired, &Endpoint::Set(set.clone()));
    let one = |machine: &'a Machine<'a>| {
        let mut ports = vec![tcp(machine.ssh.port)];
        if machine.kind == MachineKind::Node {
            ports.push(api_port(desired));
        }
        let jump = machine.ssh.jump.iter();
        let jump = Addresses::of_hosts(jump.flat_map(|name| desired.addresses(name)));
        Administered {
            machine,
            ports,
            by: Addresses::of_all([&operators, &jump, &machine.addresses]),
        }
    };
    machines.iter().map(one).collect()
}

fn open_administration(
    desired: &Desired,
    administered: &[Administered<'_>],
    row: &Row,
    place: &Place,
    out: &mut Vec<Diagnostic>,
) {
    let Some(set) = &desired.operators else {
        return;
    };
    for Administered { machine, ports, by } in administered {
        let opens = |own: &Port| row.ports.iter().any(|port| covers(*port, *own));
        let opened = ports.iter().any(opens)
            && row
                .to
                .iter()
                .any(|end| end.addresses.meets(&machine.addresses));
        if opened && row.from.iter().any(|end| !by.covers(&end.addresses)) {
            out.push(
                Diagnostic::warning(
                    OPEN_ADMINISTRATION,
                    format!(
                        "flow `{}` lets more than the operators (`{set}`) administer `{}`",
                        row.id, machine.name
                    ),
                )
                .at(place, "reaches SSH or the Proxmox API")
                .help(format!(
                    "let it come from `{set}`, or drop the port: operators are always let in"
                )),
            );
        }
    }
}
