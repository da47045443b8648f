//! Which open connections a change of the rules ends: those of a flow that is gone or narrower, and no others.

use crate::system::system;
use infra::{
    firewall::{
        CompiledFirewall,
        analysis::{Enforcement, Packet, is_closed},
        compile,
    },
    model::{
        desired::Desired,
        ids::HostName,
        ufw::{UfwAction, UfwDirection, UfwRule},
    },
};

const THINGS: &str = "\
zone lan 192.168.1.0/24
zone dmz 10.10.10.0/24
set operators 192.168.1.5
operators operators
node pve 192.168.1.10
guest intranet 110 lan=192.168.1.20/24
guest extranet 111 dmz=10.10.10.2/24
host pi 192.168.1.30
stack photos intranet 2283/tcp
";
const ALL: &str = "\
flow lan > intranet : 2283/tcp | photos
flow lan > intranet : 9000/tcp | a service without containers
flow extranet > intranet : 8000-8010/tcp | many ports
flow lan > pi : 80/tcp | pages
";
const LESS: &str = "\
flow extranet > intranet : 8005-8010/tcp | fewer ports
flow 192.168.1.7 > intranet : 9000/tcp | one address alone
";

fn wanted(flows: &str) -> Desired {
    let set = "set one 192.168.1.7\n";
    system(&format!(
        "{THINGS}{set}{}",
        flows.replace("192.168.1.7 >", "one >")
    ))
}

struct Change {
    desired: Desired,
    before: Enforcement,
    after: Enforcement,
}

impl Change {
    fn new(before: &str, after: &str, touch: impl Fn(&mut CompiledFirewall, bool)) -> Self {
        let (old, desired) = (wanted(before), wanted(after));
        let (mut rules, _) = compile(&old);
        touch(&mut rules, false);
        let (mut now, _) = compile(&desired);
        touch(&mut now, true);
        // Both as the inventory of now sees them: what is live is read with the eyes of today.
        Self {
            before: Enforcement::of_compiled(&desired, &rules),
            after: Enforcement::of_compiled(&desired, &now),
            desired,
        }
    }

    fn ends(&self, machine: &str, from: &str, to: &str, port: &str) -> bool {
        let packet = Packet {
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            port: port.parse().expect("a port"),
        };
        let machine = HostName::new(machine).expect("a name");
        is_closed(&self.desired, (&self.before, &self.after), &machine, packet)
    }
}

#[test]
fn connections_of_a_flow_that_is_gone_are_ended_where_they_are_tracked() {
    let change = Change::new(ALL, LESS, |_, _| {});
    let intranet = "192.168.1.20";
    for machine in ["intranet", "pve"] {
        assert!(
            change.ends(machine, "192.168.1.99", intranet, "2283/tcp"),
            "{machine}"
        );
    }
    assert!(change.ends("pi", "192.168.1.99", "192.168.1.30", "80/tcp"));
    // Of a narrower flow, those outside what is left of it.
    assert!(change.ends("intranet", "192.168.1.99", intranet, "9000/tcp"));
    assert!(!change.ends("intranet", "192.168.1.7", intranet, "9000/tcp"));
    assert!(change.ends("intranet", "10.10.10.2", intranet, "8004/tcp"));
    assert!(!change.ends("intranet", "10.10.10.2", intranet, "8005/tcp"));
    // The other end of the same flow, tracked by the guest that asked.
    assert!(change.ends("extranet", "10.10.10.2", intranet, "8004/tcp"));
}

#[test]
fn what_no_flow_ever_allowed_is_left_alone() {
    let change = Change::new(ALL, LESS, |_, _| {});
    assert!(!change.ends("intranet", "192.168.1.99", "192.168.1.20", "5432/tcp"));
    assert!(
        !change.ends("pve", "192.168.1.10", "9.9.9.9", "443/tcp"),
        "the node's own"
    );
    assert!(
        !change.ends("pve", "192.168.1.99", "192.168.1.10", "2049/tcp"),
        "a share of the node"
    );
    assert!(
        !change.ends("intranet", "172.18.0.2", "9.9.9.9", "443/tcp"),
        "a container's"
    );
}

#[test]
fn what_containers_of_an_external_host_opened_is_ended_with_its_row() {
    let stack = "stack pages pi 9443/tcp\n";
    let sent = |ports: &str| format!("{stack}flow pi > internet : {ports} | what pi sends\n");
    let wide = sent("443/tcp 51820/udp");
    let change = Change::new(&wide, &sent("443/tcp"), |_, _| {});
    let (container, out) = ("172.18.0.2", "9.9.9.9");
    assert!(change.ends("pi", container, out, "51820/udp"));
    assert!(!change.ends("pi", container, out, "443/tcp"));
    assert!(
        !change.ends("pi", container, out, "25/tcp"),
        "nobody's flow"
    );
    // Inside the host; by a gateway on the host; and on a machine whose containers are not its own to judge.
    assert!(!change.ends("pi", container, "172.19.0.3", "51820/udp"));
    assert!(!change.ends("pi", "192.168.1.99", out, "51820/udp"));
    assert!(!change.ends("intranet", container, out, "51820/udp"));
    // Where nothing holds them any more, or nothing did before, nothing is closed.
    for (before, after) in [(wide.as_str(), stack), (stack, wide.as_str())] {
        let change = Change::new(before, after, |_, _| {});
        assert!(!change.ends("pi", container, out, "51820/udp"));
    }
}

#[test]
fn the_way_of_the_operators_is_left_alone_even_when_the_rows_lose_it() {
    let without = "flow lan > pve : 2222/tcp | something\n";
    let change = Change::new(ALL, without, |rules, is_now| {
        if is_now {
            // Somebody took every rule away, infra's own way in as well.
            for ufw in rules.ufw.values_mut() {
                ufw.rules.clear();
            }
            for group in rules.pve.groups.values_mut() {
                group.rules.rules.clear();
            }
        }
    });
    for (machine, to, port) in [
        ("intranet", "192.168.1.20", "22/tcp"),
        ("pve", "192.168.1.10", "8006/tcp"),
        ("pi", "192.168.1.30", "22/tcp"),
    ] {
        assert!(
            !change.ends(machine, "192.168.1.5", to, port),
            "{to} {port}"
        );
    }
    // An operator is a person of the LAN too: what else was open to the LAN and is gone, is gone.
    assert!(change.ends("intranet", "192.168.1.5", "192.168.1.20", "2283/tcp"));
}

#[test]
fn connections_through_a_rule_that_infra_did_not_make_are_left_alone() {
    let foreign = |action: UfwAction, port: &str, app: Option<&str>| UfwRule {
        action,
        direction: UfwDirection::In,
        proto: Some(infra::model::address::Proto::Tcp),
        from: None,
        to: None,
        ports: port
            .parse::<infra::model::address::Port>()
            .ok()
            .map(|p| p.range)
            .into_iter()
            .collect(),
        source_ports: vec![],
        app: app.map(str::to_owned),
        log: None,
        interface: None,
        comment: None,
    };
    let pi = HostName::new("pi").expect("a name");
    let also = Change::new(ALL, LESS, |rules, _| {
        let ufw = rules.ufw.get_mut(&pi).expect("compiled");
        ufw.rules.push(foreign(UfwAction::Allow, "80/tcp", None));
    });
    assert!(!also.ends("pi", "192.168.1.99", "192.168.1.30", "80/tcp"));
    // A rule that cannot be read may be the one that allows it.
    let unread = Change::new(ALL, LESS, |rules, _| {
        let ufw = rules.ufw.get_mut(&pi).expect("compiled");
        ufw.rules
            .push(foreign(UfwAction::Allow, "", Some("Nginx Full")));
    });
    assert!(!unread.ends("pi", "192.168.1.99", "192.168.1.30", "80/tcp"));
}

#[test]
fn a_firewall_that_is_switched_on_ends_nothing_that_it_found() {
    let change = Change::new(ALL, LESS, |rules, is_now| {
        if !is_now {
            rules
                .pve
                .cluster
                .options
                .insert("enable".to_owned(), "0".to_owned());
            for ufw in rules.ufw.values_mut() {
                ufw.enabled = false;
            }
            rules.docker.clear();
        }
    });
    for port in ["2283/tcp", "9000/tcp", "5432/tcp"] {
        assert!(
            !change.ends("intranet", "192.168.1.99", "192.168.1.20", port),
            "{port}"
        );
    }
}
