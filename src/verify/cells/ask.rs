//! Knocks at doors, and asks those behind them what came through.

use crate::model::{
    address::{Port, Proto},
    ids::HostName,
};
use crate::providers::{
    guard::{Connection, Tracked, connections},
    shell::{Command, Shell},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};

const SCRIPT: &str = include_str!("probe.sh");
const FROM_CONTAINER: &str = concat!(include_str!("container.sh"), include_str!("probe.sh"));

/// Tenths of a second until silence counts: a lost first packet is sent again after one second.
const PATIENCE: u32 = 16;

/// Who knocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// A host of the inventory.
    Host(HostName),
    /// Whoever stands where a container of it does.
    Containers(HostName),
    /// The machine that runs infra.
    Here,
}

impl std::fmt::Display for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{name}"),
            Self::Containers(name) => write!(f, "{name} (containers)"),
            Self::Here => f.write_str("here"),
        }
    }
}

/// Where a door is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// At an address.
    Address(IpAddr),
    /// At whatever the asker finds under a name.
    Name(String),
}

/// A door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Door {
    /// What it is called: a host, a set, `internet`.
    pub name: String,
    /// Where.
    pub at: Where,
    /// Port.
    pub port: Port,
    /// Whose kernel knows what came through; none when nobody can tell.
    pub witness: Option<HostName>,
}

/// One asker at one door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Knock {
    /// Who.
    pub asker: Asker,
    /// Where.
    pub door: Door,
}

/// What the asker heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Somebody answered.
    Open,
    /// Nobody listens there, or a firewall says so.
    Refused,
    /// Nothing.
    Silent,
    /// There is no way.
    Unreachable,
    /// The name leads nowhere.
    Unresolved,
    /// The asker may not send such a packet.
    Unable,
    /// The asker could not be asked.
    Unasked,
}

/// What is known of a knock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose.
    pub knock: Knock,
    /// The addresses between which it went, as the asker chose them.
    pub between: Option<(IpAddr, IpAddr)>,
    /// What the asker heard.
    pub outcome: Outcome,
    /// Whether the witness saw it come through; none when there is no witness.
    pub came_through: Option<bool>,
    /// Whether somebody listens there, as the witness says; none for UDP.
    pub listens: Option<bool>,
    /// Why the asker could not be asked.
    pub trouble: Option<String>,
}

/// What an asker says of a knock.
enum Reply {
    Heard(Answer),
    Unable,
}

struct Answer {
    from: IpAddr,
    sport: u16,
    to: IpAddr,
    outcome: Outcome,
}

/// Knocks everywhere at once: one exec an asker, and one a witness.
pub async fn ask<S: Shell, L: Shell>(
    knocks: Vec<Knock>,
    hosts: &BTreeMap<HostName, S>,
    here: &L,
) -> Vec<Seen> {
    let mut by_asker: BTreeMap<Asker, Vec<usize>> = BTreeMap::new();
    for (at, knock) in knocks.iter().enumerate() {
        by_asker.entry(knock.asker.clone()).or_default().push(at);
    }
    let rounds = by_asker.into_iter().map(|(asker, members)| {
        let lines = lines(&knocks, &members);
        async move {
            let answer = match &asker {
                Asker::Here => round(here, own(), lines).await,
                Asker::Host(host) | Asker::Containers(host) => match hosts.get(host) {
                    Some(shell) => {
                        let is_own = matches!(asker, Asker::Host(_));
                        let command = if is_own { own() } else { contained() };
                        round(shell, command, lines).await
                    }
                    None => Err(format!("host {host} is not reachable from here")),
                },
            };
            (members, answer)
        }
    });
    let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
    let mut troubles: BTreeMap<usize, String> = BTreeMap::new();
    let mut unable: BTreeSet<usize> = BTreeSet::new();
    for (members, answer) in join_all(rounds).await {
        match answer {
            Ok(found) => {
                for (at, reply) in found {
                    match reply {
                        Reply::Heard(answer) => {
                            answers.insert(at, answer);
                        }
                        Reply::Unable => {
                            unable.insert(at);
                        }
                    }
                }
            }
            Err(why) => troubles.extend(members.into_iter().map(|at| (at, why.clone()))),
        }
    }
    let witnesses: BTreeSet<&HostName> = knocks
        .iter()
        .filter_map(|knock| knock.door.witness.as_ref())
        .collect();
    let statements = join_all(witnesses.into_iter().map(|witness| async move {
        let shell = hosts.get(witness)?;
        let all = connections(shell).await.ok()??;
        Some((witness.clone(), all))
    }))
    .await;
    let statements: BTreeMap<HostName, Tracked> = statements.into_iter().flatten().collect();
    let mut out = Vec::with_capacity(knocks.len());
    for (at, knock) in knocks.into_iter().enumerate() {
        let answer = answers.remove(&at);
        let statement = knock.door.witness.as_ref().and_then(|w| statements.get(w));
        let came_through = answer.as_ref().and_then(|answer| {
            let tracked = Connection {
                proto: knock.door.port.proto,
                from: (answer.from, answer.sport),
                to: (answer.to, knock.door.port.range.first),
            };
            let through = statement.map(|all| all.connections.contains(&tracked));
            // Where there is no way, no rule was asked.
            let is_contained = matches!(knock.asker, Asker::Containers(_));
            let no_way = is_contained && answer.outcome == Outcome::Unreachable;
            through.filter(|through| *through || !no_way)
        });
        out.push(Seen {
            between: answer.as_ref().map(|answer| (answer.from, answer.to)),
            outcome: answer.map_or(
                if troubles.contains_key(&at) {
                    Outcome::Unasked
                } else if unable.contains(&at) {
                    Outcome::Unable
                } else {
                    Outcome::Unresolved
                },
                |answer| answer.outcome,
            ),
            came_through,
            // The host that forwards is no witness of who listens.
            listens: statement
                .filter(|_| knock.door.port.proto == Proto::Tcp)
                .filter(|_| !matches!(knock.asker, Asker::Containers(_)))
                .map(|all| all.listeners.contains(&knock.door.port.range.first)),
            trouble: troubles.remove(&at),
            knock,
        });
    }
    out
}

fn lines(knocks: &[Knock], members: &[usize]) -> String {
    let mut out = String::new();
    for at in members {
        let door = &knocks[*at].door;
        let place = match &door.at {
            Where::Address(address) => address.to_string(),
            Where::Name(name) => name.clone(),
        };
        let proto = match door.port.proto {
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
            Proto::Icmp => "icmp",
        };
        writeln!(out, "{at}\t{proto}\t{place}\t{}", door.port.range.first)
            .expect("writing to a String cannot fail");
    }
    out
}

/// Knocks from the host itself.
fn own() -> Command {
    Command::script("infra-probe", SCRIPT).unprivileged()
}

/// Knocks from where one of its containers stands: only root may go there.
fn contained() -> Command {
    Command::script("infra-probe-from-container", FROM_CONTAINER)
}

async fn round(
    shell: &impl Shell,
    command: Command,
    lines: String,
) -> Result<Vec<(usize, Reply)>, String> {
    let command = command.args([PATIENCE.to_string()]).stdin(lines);
    let output = shell
        .demand(command)
        .await
        .map_err(|error| format!("could not {error}"))?;
    Ok(output.text().lines().filter_map(answer).collect())
}

fn answer(line: &str) -> Option<(usize, Reply)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [at, from, sport, to, outcome] = fields[..] else {
        return None;
    };
    let at = at.parse().ok()?;
    if outcome == "unable" {
        return Some((at, Reply::Unable));
    }
    let outcome = match outcome {
        "open" => Outcome::Open,
        "refused" => Outcome::Refused,
        "silent" => Outcome::Silent,
        "unreachable" => Outcome::Unreachable,
        _ => return None,
    };
    let answer = Answer {
        from: from.parse().ok()?,
        sport: sport.parse().ok()?,
        to: to.parse().ok()?,
        outcome,
    };
    Some((at, Reply::Heard(answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unresolved_name_is_no_answer_and_others_keep_their_source() {
        assert!(answer("6\t-\t0\t-\tunresolved").is_none());
        assert!(matches!(
            answer("4\t-\t0\t192.168.1.20\tunable"),
            Some((4, Reply::Unable))
        ));
        let open = answer("3\t10.10.10.2\t40112\t192.168.1.20\topen");
        let Some((3, Reply::Heard(open))) = open else {
            panic!("an answer");
        };
        assert_eq!((open.sport, open.outcome), (40112, Outcome::Open));
    }
}
