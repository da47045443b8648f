//! Real packets through the rules that the lab compiles: bridges, firewall bridges and cards as on a Proxmox node, in
//! network namespaces that live as long as the test. Skips, and says so, without root or the tools.

use infra::{
    lab::{
        backend::{FirewallRule, FirewallScope, FirewallSnapshot},
        netns::{bind_tcp, inside},
        pve_firewall::{LOAD, NodeNetwork, Tap, compile},
    },
    model::ids::Vmid,
};
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

/// Longer than any answer inside one machine takes, also a busy one; only closed ports wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(700);

pub(crate) fn run(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| {
        if !output.status.success() {
            println!(
                "{program} {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        output.status.success()
    })
}

pub(crate) fn demand(line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(run(words[0], &words[1..]), "{line}");
}

/// Whether namespaces and rules can be made here; says so when not.
pub(crate) fn may_run() -> bool {
    let tools = ["ip", "iptables", "ip6tables", "ipset"];
    let found = tools
        .iter()
        .all(|tool| Command::new(tool).arg("--version").output().is_ok());
    let may = rustix::process::geteuid().is_root() && found;
    if !may {
        println!("skipped: needs root and {}", tools.join(", "));
    }
    may
}

/// A node with two bridges, a client on the LAN, and two guests behind firewall bridges.
struct World {
    prefix: String,
    folder: tempfile::TempDir,
    listeners: Vec<TcpListener>,
}

const GUEST_A: u32 = 101;
const GUEST_B: u32 = 102;
const PORTS: [u16; 4] = [22, 8006, 9001, 9002];

impl World {
    fn new() -> Option<Self> {
        if !may_run() {
            return None;
        }
        let mut world = Self {
            prefix: format!("ifw{}", std::process::id()),
            folder: tempfile::tempdir().expect("a folder"),
            listeners: Vec::new(),
        };
        world.build();
        Some(world)
    }

    fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.prefix)
    }

    fn netns(&self, role: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(role))
    }

    fn build(&mut self) {
        for role in ["node", "client", "a", "b"] {
            demand(&format!("ip netns add {}", self.name(role)));
            demand(&format!("ip -n {} link set lo up", self.name(role)));
        }
        let node = self.name("node");
        for (bridge, v4, v6) in [
            ("vmbr0", "192.168.77.1/24", "fd77:0::1/64"),
            ("vmbr1", "10.77.1.1/24", "fd77:1::1/64"),
        ] {
            demand(&format!("ip -n {node} link add {bridge} type bridge"));
            demand(&format!("ip -n {node} link set {bridge} up"));
            demand(&format!("ip -n {node} addr add {v4} dev {bridge}"));
            demand(&format!("ip -n {node} addr add {v6} dev {bridge} nodad"));
        }
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            demand(&format!("ip netns exec {node} sysctl -qw {key}=1"));
        }
        self.plug(
            "client",
            "eth-client",
            "vmbr0",
            None,
            "192.168.77.5",
            "fd77:0::5",
        );
        let a = Some((GUEST_A, "02:00:00:00:01:01"));
        self.plug(
            "a",
            "tap101i0",
            "fwbr101i0",
            a,
            "192.168.77.20",
            "fd77:0::20",
        );
        let b = Some((GUEST_B, "02:00:00:00:01:02"));
        self.plug("b", "tap102i0", "fwbr102i0", b, "10.77.1.2", "fd77:1::2");
        for (role, addresses) in [
            ("a", ["0.0.0.0", "[::]"]),
            ("b", ["0.0.0.0", "[::]"]),
            ("client", ["0.0.0.0", "[::]"]),
            ("node", ["0.0.0.0", "[::]"]),
        ] {
            for port in PORTS {
                // One socket serves both families.
                let address = format!("{}:{port}", addresses[1]).parse().expect("valid");
                let socket = bind_tcp(Some(&self.netns(role)), address).expect("free port");
                self.listeners.push(socket);
            }
        }
    }

    fn plug(
        &self,
        role: &str,
        card: &str,
        bridge: &str,
        guest: Option<(u32, &str)>,
        v4: &str,
        v6: &str,
    ) {
        let (node, inner) = (self.name("node"), self.name(role));
        demand(&format!(
            "ip -n {node} link add {card} type veth peer name eth0 netns {inner}"
        ));
        if let Some((vmid, mac)) = guest {
            let (ln, pr) = (format!("fwln{vmid}i0"), format!("fwpr{vmid}p0"));
            let outer = if vmid == GUEST_A { "vmbr0" } else { "vmbr1" };
            demand(&format!("ip -n {node} link add {bridge} type bridge"));
            demand(&format!("ip -n {node} link set {bridge} up"));
            demand(&format!(
                "ip -n {node} link add {ln} type veth peer name {pr}"
            ));
            demand(&format!("ip -n {node} link set {ln} master {bridge} up"));
            demand(&format!("ip -n {node} link set {pr} master {outer} up"));
            demand(&format!("ip -n {inner} link set eth0 address {mac}"));
        }
        demand(&format!("ip -n {node} link set {card} master {bridge} up"));
        demand(&format!("ip -n {inner} link set eth0 up"));
        demand(&format!("ip -n {inner} addr add {v4}/24 dev eth0"));
        demand(&format!("ip -n {inner} addr add {v6}/64 dev eth0 nodad"));
        let (gw4, gw6) = if v4.starts_with("192") {
            ("192.168.77.1", "fd77:0::1")
        } else {
            ("10.77.1.1", "fd77:1::1")
        };
        demand(&format!("ip -n {inner} route add default via {gw4}"));
        demand(&format!("ip -n {inner} -6 route add default via {gw6}"));
    }

    fn enforce(&self, firewall: &FirewallSnapshot) {
        let tap = |vmid: u32, mac: &str| Tap {
            vmid: Vmid::new(vmid).expect("valid"),
            index: 0,
            mac: mac.to_owned(),
        };
        let node = NodeNetwork {
            name: "pve".to_owned(),
            management: "192.168.77.1/24".parse().ok(),
        };
        let taps = [
            tap(GUEST_A, "02:00:00:00:01:01"),
            tap(GUEST_B, "02:00:00:00:01:02"),
        ];
        let restore = compile(firewall, &taps, &node);
        let folder = self.folder.path();
        for (name, text) in [
            ("ipsets", &restore.ipsets),
            ("v4", &restore.v4),
            ("v6", &restore.v6),
        ] {
            std::fs::write(folder.join(name), text).expect("written");
        }
        let node = self.name("node");
        let folder = folder.to_str().expect("UTF-8");
        let args = ["netns", "exec", &node, "sh", "-c", LOAD, "load", folder];
        assert!(run("ip", &args), "the compiled text loads:\n{restore:#?}");
        // Who asked before the firewall bridges fell silent may remember their answer.
        for role in ["a", "b"] {
            demand(&format!("ip -n {} neigh flush all", self.name(role)));
        }
    }

    fn opens(&self, from: &str, target: &str) -> bool {
        let target: SocketAddr = target.parse().expect("valid");
        inside(Some(&self.netns(from)), || {
            TcpStream::connect_timeout(&target, PATIENCE).map(drop)
        })
        .is_ok()
    }

    fn expect(&self, when: &str, probes: &[(&str, &str, bool)]) {
        let wrong: Vec<String> = probes
            .iter()
            .filter(|(from, to, open)| self.opens(from, to) != *open)
            .map(|(from, to, open)| {
                let wanted = if *open { "open" } else { "closed" };
                format!("{from} -> {to} should be {wanted}")
            })
            .collect();
        assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.listeners.clear();
        for role in ["client", "a", "b", "node"] {
            run("ip", &["netns", "del", &self.name(role)]);
        }
    }
}

fn rule(fields: &str) -> FirewallRule {
    let mut rule: FirewallRule = fields
        .split_whitespace()
        .map(|field| field.split_once('=').expect("key=value"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    rule.entry("enable".to_owned())
        .or_insert_with(|| "1".to_owned());
    rule
}

fn options(fields: &str) -> std::collections::BTreeMap<String, String> {
    let mut rule = rule(fields);
    rule.entry("enable".to_owned())
        .or_insert_with(|| "1".to_owned());
    rule
}

fn scope(fields: &str, rules: &[&str]) -> FirewallScope {
    FirewallScope {
        options: options(fields),
        rules: rules.iter().map(|fields| rule(fields)).collect(),
        ..FirewallScope::default()
    }
}

/// A accepts 9001 from the LAN set and 9002 in a disabled rule only; B may speak to A's 9001 and nothing else.
fn firewall() -> FirewallSnapshot {
    let vmid = |id| Vmid::new(id).expect("valid");
    let mut a = scope(
        "policy_in=DROP policy_out=ACCEPT dhcp=0",
        &[
            "type=in action=ACCEPT proto=tcp dport=9001 source=+dc/infra-zone-lan",
            "type=in action=ACCEPT proto=tcp dport=9001 source=+dc/infra-host-b",
            "type=in action=ACCEPT proto=tcp dport=9002 enable=0",
            "type=in action=ACCEPT proto=tcp dport=8006 source=+dc/gone",
            "type=in action=ACCEPT macro=Ping",
        ],
    );
    a.ipsets.insert(
        "ipfilter-net0".to_owned(),
        vec![
            ("192.168.77.20".to_owned(), false),
            ("fd77:0::20".to_owned(), false),
        ],
    );
    let b = scope(
        "policy_in=DROP policy_out=DROP dhcp=0",
        &[
            "type=out action=ACCEPT proto=tcp dport=9001,9002 dest=+dc/infra-zone-lan",
            "type=group action=web",
        ],
    );
    let set = |members: &[&str]| members.iter().map(|m| ((*m).to_owned(), false)).collect();
    FirewallSnapshot {
        options: options("policy_in=DROP policy_out=ACCEPT"),
        aliases: [("local_network".to_owned(), "192.168.77.1".to_owned())].into(),
        ipsets: [
            ("infra-zone-lan".to_owned(), {
                let mut lan: Vec<(String, bool)> = set(&["192.168.77.0/24", "fd77:0::/64"]);
                lan.push(("192.168.77.99".to_owned(), true));
                lan
            }),
            ("infra-host-b".to_owned(), set(&["10.77.1.2", "fd77:1::2"])),
            ("management".to_owned(), set(&["192.168.77.5", "fd77:0::5"])),
        ]
        .into(),
        groups: [(
            "web".to_owned(),
            vec![rule("type=in action=ACCEPT proto=tcp dport=9001")],
        )]
        .into(),
        guests: [(vmid(GUEST_A), a), (vmid(GUEST_B), b)].into(),
        ..FirewallSnapshot::default()
    }
}

#[test]
fn packets_pass_exactly_where_the_stored_rules_say() {
    let Some(world) = World::new() else { return };
    let (a, b, node) = ("192.168.77.20", "10.77.1.2", "192.168.77.1");
    let to = |host: &str, port: u16| format!("{host}:{port}");

    let mut stored = firewall();
    stored.options.insert("enable".to_owned(), "0".to_owned());
    world.enforce(&stored);
    world.expect(
        "with the datacenter switch off nothing is filtered",
        &[
            ("client", &to(a, 9002), true),
            ("b", &to(a, 22), true),
            ("b", &to(node, 8006), true),
        ],
    );

    let mut stored = firewall();
    world.enforce(&stored);
    world.expect(
        "with everything on",
        &[
            ("client", &to(a, 9001), true),
            ("client", "[fd77:0::20]:9001", true),
            ("client", &to(a, 9002), false),
            ("client", "[fd77:0::20]:9002", false),
            ("client", &to(a, 8006), false),
            ("node", &to(a, 9002), false),
            // Through a group, routed.
            ("client", &to(b, 9001), true),
            ("client", &to(b, 22), false),
            // Out of B: what its policy drops never leaves, also where the target would let it in.
            ("b", &to(a, 9001), true),
            ("b", "[fd77:0::20]:9001", true),
            ("b", &to(a, 9002), false),
            ("b", "192.168.77.5:9001", true),
            ("b", "192.168.77.5:22", false),
            ("b", "[fd77:0::5]:22", false),
            ("a", "192.168.77.5:22", true),
            // The node: its management set, and nobody else, not even its own subnet.
            ("client", &to(node, 8006), true),
            ("client", "[fd77:0::1]:22", true),
            ("client", &to(node, 9001), false),
            ("a", &to(node, 8006), false),
            ("a", "[fd77:0::1]:8006", false),
        ],
    );

    // A second address of A is not in its filter set.
    let inner = world.name("a");
    demand(&format!("ip -n {inner} addr add 192.168.77.21/24 dev eth0"));
    demand(&format!(
        "ip -n {inner} route change default via {node} src 192.168.77.21"
    ));
    world.expect("spoofed", &[("a", &to("10.77.1.2", 9001), false)]);
    demand(&format!("ip -n {inner} route change default via {node}"));

    stored
        .options
        .insert("policy_in".to_owned(), "ACCEPT".to_owned());
    for scope in stored.guests.values_mut() {
        scope.options.insert("enable".to_owned(), "0".to_owned());
    }
    world.enforce(&stored);
    world.expect(
        "with the guests' switches off and the node accepting",
        &[
            ("client", &to(a, 9002), true),
            ("b", "192.168.77.5:22", true),
            ("a", &to(node, 8006), true),
        ],
    );
}
