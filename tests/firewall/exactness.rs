//! Over random systems: every layer opens exactly what the matrix lists.

use crate::{
    evaluator::{Packet, container_may_send, docker_passes, guest_passes, node_passes, ufw_passes},
    system::system,
};
use infra::{
    firewall::{
        CompiledFirewall, Matrix, Strangers,
        analysis::{Layer, disagreements, live, verify},
        compile, diff_pve, diff_ufw,
    },
    model::{
        address::{Port, Proto},
        desired::Desired,
        facts::{DockerFacts, HostFacts},
        firewall::PveRuleKind,
        ids::HostName,
        observed::{Observed, ObservedProxmox, Reading},
        ufw::UfwDirection,
    },
};
use proptest::prelude::*;
use std::net::IpAddr;

pub(crate) const THINGS: &str = "
zone lan 192.168.1.0/24 fd00:1::/64
zone dmz 10.10.10.0/24
zone wide 172.16.0.0/12
zone vpn 10.8.0.0/24 fd00:8::/64 @pi=wg0 @extranet=tun0
set operators 192.168.1.5 fd00:1::5
set friends 203.0.113.0/28 10.10.10.128/25 2001:db8::/48
set halves 192.168.1.20 172.16.0.9
operators operators
node pve 192.168.1.10 10.10.10.1
guest intranet 110 lan=192.168.1.20/24,fd00:1::20/64
guest extranet 111 dmz=10.10.10.2/24 wide=172.16.0.9/12
host pi 192.168.1.30
host six fd00:1::30
stack proxy extranet 80/tcp 443/tcp 1194/udp 8000-8010/tcp
stack photos intranet 2283/tcp 9000/udp
stack music pi 443/tcp
stack choir six 443/tcp 9000/udp
";

const ENDS: [&str; 13] = [
    "any",
    "internet",
    "lan",
    "dmz",
    "wide",
    "vpn",
    "operators",
    "friends",
    "halves",
    "intranet",
    "extranet",
    "pi",
    "six",
];
const PORTS: [&str; 10] = [
    "80/tcp",
    "443/tcp",
    "79-81/tcp",
    "1194/udp",
    "8000-8005/tcp",
    "2283/tcp",
    "1-65535/tcp",
    "9000/udp",
    "22/tcp",
    "icmp",
];
const ADDRESSES: [&str; 19] = [
    "192.168.1.5",
    "192.168.1.10",
    "192.168.1.20",
    "192.168.1.30",
    "192.168.1.99",
    "10.10.10.1",
    "10.10.10.2",
    "10.10.10.200",
    "172.16.0.9",
    "172.20.0.1",
    "10.8.0.7",
    "203.0.113.1",
    "8.8.8.8",
    "fd00:1::5",
    "fd00:1::20",
    "fd00:1::30",
    "fd00:1::99",
    "2001:db8::1",
    "2a00::1",
];
const PROBES: [&str; 14] = [
    "22/tcp",
    "80/tcp",
    "79/tcp",
    "81/tcp",
    "443/tcp",
    "1194/udp",
    "8000/tcp",
    "8006/tcp",
    "8010/tcp",
    "2283/tcp",
    "2283/udp",
    "9000/udp",
    "65535/tcp",
    "icmp",
];

fn flow() -> impl Strategy<Value = String> {
    let ends = || proptest::sample::subsequence(ENDS.to_vec(), 1..3);
    let ports = proptest::sample::subsequence(PORTS.to_vec(), 1..4);
    (ends(), ends(), ports).prop_map(|(from, to, ports)| {
        format!(
            "flow {} > {} : {} | why",
            from.join(","),
            to.join(","),
            ports.join(" ")
        )
    })
}

pub(crate) fn flows() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(flow(), 0..7)
}

fn random_system(flows: &[String]) -> Desired {
    system(&format!("{THINGS}{}", flows.join("\n")))
}

fn owner(desired: &Desired, address: IpAddr) -> Option<HostName> {
    let mut hosts = desired.all_hosts();
    hosts
        .find(|host| desired.addresses(host).contains(&address))
        .cloned()
}

fn check(
    desired: &Desired,
    compiled: &CompiledFirewall,
    wanted: bool,
    packet: Packet,
) -> Result<(), String> {
    let (source, target) = (owner(desired, packet.from), owner(desired, packet.to));
    if source.is_some() && source == target {
        return Ok(());
    }
    let mut found = Vec::new();
    if let Some(guest) = source.as_ref().and_then(|host| desired.guests.get(host)) {
        let passes = guest_passes(&compiled.pve, guest.vmid, PveRuleKind::Out, packet);
        found.push(("Proxmox, out", passes));
    }
    if let Some(passes) = source
        .as_ref()
        .and_then(|host| container_may_send(compiled, host, packet))
    {
        found.push(("Docker, out", passes));
    }
    if let Some(host) = &target {
        if let Some(guest) = desired.guests.get(host) {
            let passes = guest_passes(&compiled.pve, guest.vmid, PveRuleKind::In, packet);
            found.push(("Proxmox, in", passes));
        } else if desired.nodes.contains_key(host) {
            found.push(("Proxmox, node", node_passes(&compiled.pve, host, packet)));
        }
        // UFW's own before.rules answer echo requests, and Docker forwards none.
        if packet.port.proto != Proto::Icmp
            && let Some(ufw) = compiled.ufw.get(host)
        {
            found.push(("UFW", ufw_passes(ufw, UfwDirection::In, packet)));
            let mut stacks = desired.stacks.values().filter(|stack| stack.on == *host);
            let probed = packet.port.range.first;
            let published = stacks.any(|stack| {
                let ports = stack.publish.iter().map(|publish| publish.port);
                ports
                    .into_iter()
                    .any(|p| p.proto == packet.port.proto && p.range.contains(probed))
            });
            if published {
                found.push(("Docker", docker_passes(compiled, host, packet)));
            } else {
                // A port that nobody declared is never let through to a container.
                let open = docker_passes(compiled, host, packet);
                if open {
                    return Err(format!("Docker opens undeclared {packet:?}"));
                }
            }
        }
    }
    let wrong: Vec<&str> = found
        .iter()
        .filter(|(_, open)| *open != wanted)
        .map(|(layer, _)| *layer)
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{packet:?}: the matrix says {wanted}, otherwise {wrong:?}"
        ))
    }
}

/// What would be seen of a system that has these rules, where Docker uses its nftables backend.
fn seen(desired: &Desired, compiled: &CompiledFirewall) -> Observed {
    let facts = |host: &HostName| HostFacts {
        ufw: compiled.ufw.get(host).cloned(),
        docker: compiled.docker.get(host).map(|rules| DockerFacts {
            firewall_backend: "nftables".to_owned(),
            docker_user: Some(rules.nft_lines()),
            ..DockerFacts::default()
        }),
        ..HostFacts::default()
    };
    let hosts = desired.all_hosts();
    Observed {
        proxmox: Some(Reading::Seen(ObservedProxmox {
            firewall: compiled.pve.clone(),
            ..ObservedProxmox::default()
        })),
        hosts: hosts
            .map(|host| (host.clone(), Reading::Seen(facts(host))))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_layer_opens_exactly_what_the_matrix_lists(flows in flows()) {
        let desired = random_system(&flows);
        let (compiled, _) = compile(&desired);
        let matrix = Matrix::of(&desired);
        let mut open = 0;
        for from in ADDRESSES {
            for to in ADDRESSES {
                let (from, to): (IpAddr, IpAddr) = (from.parse().expect("valid"), to.parse().expect("valid"));
                if from == to || from.is_ipv4() != to.is_ipv4() {
                    continue;
                }
                for port in PROBES {
                    let port: Port = port.parse().expect("valid");
                    let packet = Packet { from, to, port };
                    let wanted = matrix.permits(from, to, port).is_some();
                    check(&desired, &compiled, wanted, packet).map_err(TestCaseError::fail)?;
                    open += usize::from(wanted);
                }
            }
        }
        // The operators alone open something in every system: a run in which nothing is open proves nothing.
        prop_assert!(open > 0);
    }

    /// The analysis reads the same rules by other means than the evaluator of this test, and agrees with the matrix too.
    #[test]
    fn the_analysis_finds_every_layer_in_agreement(flows in flows()) {
        let desired = random_system(&flows);
        let (compiled, _) = compile(&desired);
        let found: Vec<String> = verify(&desired, &compiled).into_iter().map(|d| d.summary).collect();
        prop_assert!(found.is_empty(), "{found:#?}");
    }

    /// A rule less or a rule more, anywhere, is seen.
    #[test]
    fn the_analysis_sees_a_rule_that_is_gone(flows in flows(), at in any::<proptest::sample::Index>()) {
        let desired = random_system(&flows);
        let (mut compiled, _) = compile(&desired);
        let vmid = desired.guests.values().nth(at.index(desired.guests.len())).expect("a guest").vmid;
        let group = compiled.pve.guests[&vmid].rules.rules[0].action.clone();
        let rules = &mut compiled.pve.groups.get_mut(&group).expect("compiled").rules.rules;
        // The operators' own way in is covered by no other row of these systems unless a flow opens 22.
        let administration = rules.iter().position(|rule| rule.comment.as_deref() == Some("infra:operators administration"));
        rules.remove(administration.expect("always there"));
        let opened_otherwise = flows.iter().any(|flow| flow.contains("22/tcp") || flow.contains("1-65535"));
        prop_assert!(opened_otherwise || !verify(&desired, &compiled).is_empty());
    }

    /// The live rules of Docker's other backend say the same, and a rule less is seen there.
    #[test]
    fn the_analysis_reads_live_rules_of_the_nftables_backend(flows in flows()) {
        let desired = random_system(&flows);
        let matrix = Matrix::of(&desired);
        let (mut compiled, _) = compile(&desired);
        let found = live(&desired, &seen(&desired, &compiled));
        prop_assert!(found.unseen.is_empty() && found.enforcement.unread().is_empty());
        let said: Vec<String> = disagreements(&desired, &matrix, &found.enforcement).iter().map(ToString::to_string).collect();
        prop_assert!(said.is_empty(), "{said:#?}");
        let held = compiled.docker.values_mut().filter(|rules| !rules.egress.nft6.is_empty());
        let held = held.map(|rules| (rules.nft4.remove(1), rules.nft6.remove(1))).count();
        let found = live(&desired, &seen(&desired, &compiled));
        let said = disagreements(&desired, &matrix, &found.enforcement);
        let all_open = flows.iter().any(|flow| flow.contains("> any") || flow.contains(",any"));
        prop_assert!(held == 0 || all_open || said.iter().any(|one| one.layer == Layer::SourceDocker));
    }

    /// The same for what containers send: a closing line less is seen on the layer that lost it.
    #[test]
    fn the_analysis_sees_that_containers_may_send_what_no_row_lists(flows in flows()) {
        let desired = random_system(&flows);
        let (mut compiled, _) = compile(&desired);
        let mut held = 0;
        for rules in compiled.docker.values_mut().filter(|rules| !rules.egress.v6.is_empty()) {
            rules.egress.v4.pop();
            rules.egress.v6.pop();
            held += 1;
        }
        let said = verify(&desired, &compiled);
        let seen = said.iter().any(|one| one.summary.starts_with("Docker, out of "));
        // Where a row lets everybody reach everything, nothing is left to be closed.
        let all_open = flows.iter().any(|flow| flow.contains("> any") || flow.contains(",any"));
        prop_assert!(held == 0 || seen || all_open, "{said:#?}");
    }

    #[test]
    fn what_was_applied_needs_no_further_change(flows in flows()) {
        let (compiled, _) = compile(&random_system(&flows));
        let again = diff_pve(&compiled.pve, &compiled.pve, |_| Strangers::Remove);
        prop_assert!(again.steps.is_empty(), "{:?}", again.steps);
        for ufw in compiled.ufw.values() {
            let again = diff_ufw(Some(ufw), ufw, Strangers::Remove);
            prop_assert!(again.steps.is_empty(), "{:?}", again.steps);
        }
    }
}
