//! The matrix for ports that containers publish.
//!
//! Docker rewrites the destination before any filter sees the packet, so a rule on the port in FORWARD matches the
//! container's port, and UFW's INPUT is never asked. The rules therefore ask conntrack for the port that the caller
//! wanted, in a chain of our own behind `DOCKER-USER`.
//!
//! For Docker's iptables backend; with `firewall-backend: nftables` (Docker 29) there is no `DOCKER-USER`.

use super::{
    addresses::Addresses,
    matrix::{Machine, Matrix, covers, overlap},
    opening::{Opening, by_address, inbound, pieces},
};
use crate::model::{
    address::{Port, PortRange, Proto},
    desired::Desired,
    flow::Endpoint,
    resource::{FileResource, Reaction, Resource},
    secret::Content,
    stack::Publish,
};
use ipnet::IpNet;
use std::fmt::Write as _;

/// The unit that loads the chain; restarting it repairs the live rules.
pub const DOCKER_UNIT: &str = "infra-docker-firewall.service";

const SCRIPT: &str = include_str!("files/docker-firewall.sh");
const UNIT: &str = include_str!("files/infra-docker-firewall.service");

/// The rules of chain `INFRA-DOCKER` on one host, as `iptables -S` prints them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerUser {
    /// IPv4 rules.
    pub v4: Vec<String>,
    /// IPv6 rules.
    pub v6: Vec<String>,
}

impl DockerUser {
    /// What `model::facts::DockerFacts::docker_user` must be when the live rules are these: each rule after `4 ` or
    /// `6 `, and before each family's rules the jump that leads to them.
    pub fn lines(&self) -> Vec<String> {
        let family = |number: char, rules: &[String]| {
            let jump = format!("{number} -A DOCKER-USER -j INFRA-DOCKER");
            let rules = rules.iter().map(move |rule| format!("{number} {rule}"));
            std::iter::once(jump).chain(rules).collect::<Vec<_>>()
        };
        [family('4', &self.v4), family('6', &self.v6)].concat()
    }

    /// Whether the live rules are these.
    pub fn is_live(&self, observed: Option<&[String]>) -> bool {
        observed.is_some_and(|lines| lines == self.lines())
    }
}

/// Compiles the chain of a host; none when no stack runs there.
pub(crate) fn compile(
    desired: &Desired,
    matrix: &Matrix,
    machine: &Machine<'_>,
) -> Option<DockerUser> {
    let mut stacks = desired
        .stacks
        .values()
        .filter(|stack| stack.on == *machine.name)
        .peekable();
    stacks.peek()?;
    let published: Vec<&Publish> = stacks.flat_map(|stack| &stack.publish).collect();
    let openings = by_address(inbound(matrix, &machine.addresses), &machine.addresses);
    Some(DockerUser {
        v4: family(matrix, &openings, &published, |net| net.addr().is_ipv4()),
        v6: family(matrix, &openings, &published, |net| net.addr().is_ipv6()),
    })
}

fn family(
    matrix: &Matrix,
    openings: &[Opening<'_>],
    published: &[&Publish],
    is_here: impl Fn(&IpNet) -> bool,
) -> Vec<String> {
    let mut out = vec![
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN".to_owned(),
        // What containers send is Proxmox's matter on a guest, and compose's between containers.
        "-i docker0 -j RETURN".to_owned(),
        "-i br-+ -j RETURN".to_owned(),
    ];
    let networks = |addresses: &Addresses| -> Vec<IpNet> {
        addresses.networks().into_iter().filter(&is_here).collect()
    };
    let (outside, known): (Vec<_>, Vec<_>) = openings
        .iter()
        .partition(|opening| opening.peer.endpoint == Endpoint::Internet);
    for opening in &known {
        for port in open_ports(opening, published) {
            for peer in networks(&opening.peer.addresses) {
                push(&mut out, opening, Some(peer), port, "RETURN", &is_here);
            }
        }
    }
    for opening in &outside {
        let others = || known.iter().flat_map(|other| &other.row.ports);
        let ports = open_ports(opening, published).into_iter();
        for port in ports.flat_map(|port| pieces(port, others())) {
            let allowed = known
                .iter()
                .filter(|other| other.own == opening.own)
                .filter(|other| other.row.ports.iter().any(|p| covers(*p, port)))
                .fold(Addresses::default(), |all, other| {
                    all.union(&other.peer.addresses)
                });
            for closed in networks(&matrix.zones.without(&allowed)) {
                push(&mut out, opening, Some(closed), port, "DROP", &is_here);
            }
        }
    }
    for opening in &outside {
        for port in open_ports(opening, published) {
            push(&mut out, opening, None, port, "RETURN", &is_here);
        }
    }
    // The rest: every other published port, whoever published it, and container addresses reached without one.
    out.push("-m conntrack --ctstate DNAT -j DROP".to_owned());
    out.push("-o docker0 -j DROP".to_owned());
    out.push("-o br-+ -j DROP".to_owned());
    out.into_iter()
        .map(|rule| format!("-A INFRA-DOCKER {rule}"))
        .collect()
}

/// The published ports that a row opens, cut to what it opens.
fn open_ports(opening: &Opening<'_>, published: &[&Publish]) -> Vec<Port> {
    let mut out = Vec::new();
    for publish in published {
        for open in &opening.row.ports {
            if !overlap(*open, publish.port) || open.proto == Proto::Icmp {
                continue;
            }
            let range = PortRange {
                first: open.range.first.max(publish.port.range.first),
                last: open.range.last.min(publish.port.range.last),
            };
            out.push(Port {
                proto: open.proto,
                range,
            });
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn push(
    out: &mut Vec<String>,
    opening: &Opening<'_>,
    peer: Option<IpNet>,
    port: Port,
    verdict: &str,
    is_here: impl Fn(&IpNet) -> bool,
) {
    let own: Vec<Option<IpNet>> = match &opening.own {
        None => vec![None],
        Some(own) => own
            .networks()
            .into_iter()
            .filter(is_here)
            .map(Some)
            .collect(),
    };
    for own in own {
        let mut rule = String::new();
        if let Some(peer) = peer.filter(|net| net.prefix_len() > 0) {
            write!(rule, "-s {peer} ").expect("writing to a String cannot fail");
        }
        write!(rule, "-p {} -m conntrack --ctstate DNAT ", port.proto)
            .expect("writing to a String cannot fail");
        if let Some(own) = own {
            write!(rule, "--ctorigdst {} ", super::addresses::written(&own))
                .expect("writing to a String cannot fail");
        }
        write!(
            rule,
            "--ctorigdstport {} --ctdir ORIGINAL -j {verdict}",
            port.range
        )
        .expect("writing to a String cannot fail");
        if !out.contains(&rule) {
            out.push(rule);
        }
    }
}

/// What a host needs to load the chain, now and at every start of Docker: two fragments for `iptables-restore
/// --noflush`, a script and a unit.
pub fn docker_resources(rules: &DockerUser) -> Vec<Resource> {
    let file = |path: &str, text: String, purpose: &str, then: Vec<Reaction>| {
        Resource::File(FileResource {
            path: path.to_owned(),
            content: Content::text(text),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then,
            purpose: purpose.to_owned(),
        })
    };
    let restart = || vec![Reaction::Restart(DOCKER_UNIT.to_owned())];
    let purpose = "published container ports follow the flow matrix";
    vec![
        Resource::Directory {
            path: "/etc/infra".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o755,
        },
        file(
            "/etc/infra/docker-firewall.v4",
            fragment(&rules.v4),
            purpose,
            restart(),
        ),
        file(
            "/etc/infra/docker-firewall.v6",
            fragment(&rules.v6),
            purpose,
            restart(),
        ),
        file(
            "/etc/infra/docker-firewall.sh",
            SCRIPT.to_owned(),
            purpose,
            restart(),
        ),
        file(
            "/etc/systemd/system/infra-docker-firewall.service",
            UNIT.to_owned(),
            purpose,
            vec![
                Reaction::DaemonReload,
                Reaction::Restart(DOCKER_UNIT.to_owned()),
            ],
        ),
        Resource::Unit {
            name: DOCKER_UNIT.to_owned(),
            enabled: true,
            active: true,
        },
    ]
}

/// Naming the chain empties it before the rules are added, all in one transaction.
fn fragment(rules: &[String]) -> String {
    format!(
        "# Made by infra from the flow matrix.\n*filter\n:INFRA-DOCKER - [0:0]\n{}\nCOMMIT\n",
        rules.join("\n")
    )
}
