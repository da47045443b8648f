//! Real packets through the chain behind Docker's hook: a host that publishes ports as Docker does, by rewriting the
//! destination, with the script and the fragments that the host would get. Skips without root or the tools.

use crate::{
    packets::{PATIENCE, demand, may_run, run},
    system::system,
};
use infra::{
    firewall::{DockerUser, compile, docker_resources},
    lab::netns::{bind_tcp, inside},
    model::{ids::HostName, resource::Resource},
    providers::ufw::{FACTS, parse_facts},
};
use std::{net::TcpListener, net::TcpStream, path::PathBuf, process::Command};

/// Published on 8096 and 8443 (declared), 9999 (by hand); the containers listen on 80.
const SYSTEM: &str = "
zone lan 192.168.1.0/24
zone dmz 10.10.10.0/24
set operators 192.168.1.5
operators operators
node pve 192.168.1.10
guest apps 110 lan=192.168.1.20/24
stack jellyfin apps 8096/tcp
stack proxy apps 8443/tcp
flow dmz > apps : 8096/tcp | proxy to its backend
flow lan > apps : 8443/tcp | the proxy itself
flow internet > apps : 8443/tcp | public
";

struct Host {
    prefix: String,
    folder: tempfile::TempDir,
    listeners: Vec<TcpListener>,
}

impl Host {
    fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.prefix)
    }

    fn netns(&self, role: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(role))
    }

    fn build(&mut self) {
        for role in ["host", "lan", "dmz", "out", "ctr"] {
            demand(&format!("ip netns add {}", self.name(role)));
            demand(&format!("ip -n {} link set lo up", self.name(role)));
        }
        let host = self.name("host");
        demand(&format!("ip -n {host} link add br-apps type bridge"));
        demand(&format!("ip -n {host} link set br-apps up"));
        demand(&format!("ip -n {host} addr add 172.18.0.1/16 dev br-apps"));
        for (role, here, there) in [
            ("lan", "192.168.1.20", "192.168.1.7"),
            ("dmz", "10.10.10.1", "10.10.10.2"),
            ("out", "203.0.113.1", "203.0.113.9"),
            ("ctr", "", "172.18.0.2"),
        ] {
            let inner = self.name(role);
            demand(&format!(
                "ip -n {host} link add v{role} type veth peer name eth0 netns {inner}"
            ));
            demand(&format!("ip -n {host} link set v{role} up"));
            demand(&format!("ip -n {inner} link set eth0 up"));
            demand(&format!("ip -n {inner} addr add {there}/16 dev eth0"));
            if role == "ctr" {
                demand(&format!("ip -n {host} link set v{role} master br-apps"));
                demand(&format!("ip -n {inner} route add default via 172.18.0.1"));
            } else {
                demand(&format!("ip -n {host} addr add {here}/16 dev v{role}"));
                demand(&format!("ip -n {inner} route add default via {here}"));
            }
        }
        demand(&format!(
            "ip netns exec {host} sysctl -qw net.ipv4.ip_forward=1"
        ));
        let tables = format!("ip netns exec {host} iptables");
        for port in [8096, 8443, 9999] {
            demand(&format!(
                "{tables} -t nat -A PREROUTING -d 192.168.1.20 -p tcp --dport {port} -j DNAT --to-destination 172.18.0.2:80"
            ));
        }
        demand(&format!("{tables} -P FORWARD DROP"));
        demand(&format!("{tables} -N DOCKER-USER"));
        demand(&format!("{tables} -A DOCKER-USER -j RETURN"));
        demand(&format!("{tables} -A FORWARD -j DOCKER-USER"));
        demand(&format!(
            "{tables} -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ));
        demand(&format!("{tables} -A FORWARD -i br-apps -j ACCEPT"));
        demand(&format!(
            "{tables} -A FORWARD -d 172.18.0.2 -o br-apps -p tcp --dport 80 -j ACCEPT"
        ));
        for (role, address) in [("ctr", "0.0.0.0:80"), ("out", "0.0.0.0:443")] {
            let address = address.parse().expect("valid");
            let socket = bind_tcp(Some(&self.netns(role)), address).expect("free");
            self.listeners.push(socket);
        }
    }

    /// What the unit does, with the files in a folder of the test.
    fn load(&self, rules: &DockerUser) {
        let folder = self.folder.path().to_str().expect("UTF-8");
        for resource in docker_resources(rules) {
            if let Resource::File(file) = resource
                && let Some(name) = file.path.strip_prefix("/etc/infra/")
            {
                let text = file.content.redacted().replace("/etc/infra", folder);
                std::fs::write(self.folder.path().join(name), text).expect("written");
            }
        }
        let script = format!("{folder}/docker-firewall.sh");
        assert!(run(
            "ip",
            &["netns", "exec", &self.name("host"), "sh", &script]
        ));
    }

    fn live(&self) -> Option<Vec<String>> {
        let script = format!("{FACTS}\nfacts_ufw");
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name("host"), "sh", "-c", &script])
            .output()
            .expect("ran");
        let facts = parse_facts(&String::from_utf8_lossy(&output.stdout)).expect("understood");
        facts.docker_user
    }

    fn opens(&self, from: &str, target: &str) -> bool {
        let target = target.parse().expect("valid");
        inside(Some(&self.netns(from)), || {
            TcpStream::connect_timeout(&target, PATIENCE).map(drop)
        })
        .is_ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.listeners.clear();
        for role in ["lan", "dmz", "out", "ctr", "host"] {
            run("ip", &["netns", "del", &self.name(role)]);
        }
    }
}

#[test]
fn published_ports_are_reached_only_where_the_matrix_says() {
    if !may_run() {
        return;
    }
    let mut host = Host {
        prefix: format!("ifd{}", std::process::id()),
        folder: tempfile::tempdir().expect("a folder"),
        listeners: Vec::new(),
    };
    host.build();
    assert!(
        host.opens("lan", "192.168.1.20:9999"),
        "Docker alone lets everybody in"
    );
    let (compiled, _) = compile(&system(SYSTEM));
    let rules = &compiled.docker[&HostName::new("apps").expect("valid")];
    assert!(!rules.is_live(host.live().as_deref()));
    host.load(rules);
    assert_eq!(
        host.live(),
        Some(rules.lines()),
        "the kernel prints what was written"
    );
    for (from, to, open) in [
        ("dmz", "192.168.1.20:8096", true),
        ("lan", "192.168.1.20:8096", false),
        ("out", "192.168.1.20:8096", false),
        ("lan", "192.168.1.20:8443", true),
        ("out", "192.168.1.20:8443", true),
        ("dmz", "192.168.1.20:8443", false),
        ("lan", "192.168.1.20:9999", false),
        ("dmz", "172.18.0.2:80", false),
        ("ctr", "203.0.113.9:443", true),
    ] {
        assert_eq!(host.opens(from, to), open, "{from} -> {to}");
    }
    // Again is the same; a hook that somebody put before ours is seen, and put right.
    let node = host.name("host");
    demand(&format!(
        "ip netns exec {node} iptables -I DOCKER-USER 1 -s 192.168.1.7 -j ACCEPT"
    ));
    assert!(!rules.is_live(host.live().as_deref()));
    host.load(rules);
    assert!(rules.is_live(host.live().as_deref()));
    demand(&format!("ip netns exec {node} iptables -D INFRA-DOCKER 1"));
    assert!(!rules.is_live(host.live().as_deref()));
}
