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
use std::{fs, net::TcpListener, net::TcpStream, path::PathBuf, process::Command};

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

pub(crate) struct Host {
    prefix: String,
    folder: tempfile::TempDir,
    listeners: Vec<TcpListener>,
}

impl Host {
    /// Namespaces that begin with these letters.
    pub(crate) fn new(letters: &str) -> Self {
        let mut host = Self {
            prefix: format!("{letters}{}", std::process::id()),
            folder: tempfile::tempdir().expect("a folder"),
            listeners: Vec::new(),
        };
        host.build();
        host
    }

    pub(crate) fn name(&self, role: &str) -> String {
        format!("{}-{role}", self.prefix)
    }

    fn netns(&self, role: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(role))
    }

    /// The guard's way back on a host that had nothing of ours before: its own script, in a folder instead of the
    /// machine's root.
    fn take_back(&self) {
        let root = self.folder.path().join("root");
        let at = |path: &str| root.join(path).display().to_string();
        for path in ["guard/saved", "units", "bin"] {
            fs::create_dir_all(root.join(path)).expect("made");
        }
        let script = include_str!("../../src/providers/guard/scripts/restore.sh")
            .replace("/var/lib/infra/guard", &at("guard"))
            .replace("/etc/systemd/system", &at("units"))
            .replace("/etc/infra/", &at("infra/"))
            .replace("/usr/lib/ufw", &at("ufw"))
            .replace("/lib/ufw", &at("ufw"))
            .replace("PATH=", &format!("PATH={}:", at("bin")));
        for (name, text) in [
            ("guard/kind", "host\n"),
            ("guard/armed", "token\n"),
            ("guard/files.sh", "true\n"),
            ("bin/systemctl", "#!/bin/sh\ntrue\n"),
            ("guard/restore.sh", script.as_str()),
        ] {
            fs::write(root.join(name), text).expect("written");
        }
        demand(&format!("chmod +x {}", at("bin/systemctl")));
        let (host, script) = (self.name("host"), at("guard/restore.sh"));
        demand(&format!("ip netns exec {host} sh {script}"));
        assert!(root.join("guard/reverted").exists());
    }

    fn build(&mut self) {
        for role in ["host", "lan", "dmz", "out", "ctr"] {
            demand(&format!("ip netns add {}", self.name(role)));
            demand(&format!("ip -n {} link set lo up", self.name(role)));
            // Who is asked at once must not be busy with looking for others of the same address.
            let at_once = "sysctl -qw net.ipv6.conf.default.accept_dad=0";
            demand(&format!("ip netns exec {} {at_once}", self.name(role)));
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
            self.listen(role, address);
        }
    }

    pub(crate) fn listen(&mut self, role: &str, address: &str) {
        let address = address.parse().expect("valid");
        let socket = bind_tcp(Some(&self.netns(role)), address).expect("free");
        self.listeners.push(socket);
    }

    /// From now on, Docker there uses its nftables backend, or its old one.
    pub(crate) fn use_nftables(&self, on: bool) {
        let daemon = self.folder.path().join("daemon.json");
        if on {
            let text = "{\n  \"firewall-backend\" : \"nftables\"\n}\n";
            std::fs::write(daemon, text).expect("written");
        } else {
            std::fs::remove_file(daemon).expect("removed");
        }
    }

    /// What the unit does, with the files in a folder of the test.
    pub(crate) fn load(&self, rules: &DockerUser) {
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
        let daemon = format!("INFRA_DOCKER_DAEMON={folder}/daemon.json");
        let argv = [
            "netns",
            "exec",
            &self.name("host"),
            "env",
            &daemon,
            "sh",
            &script,
        ];
        assert!(run("ip", &argv));
    }

    pub(crate) fn live(&self) -> Option<Vec<String>> {
        let script = format!("{FACTS}\nfacts_ufw");
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name("host"), "sh", "-c", &script])
            .output()
            .expect("ran");
        let facts = parse_facts(&String::from_utf8_lossy(&output.stdout)).expect("understood");
        facts.docker_user
    }

    fn said(&self, line: &str) -> String {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name("host")])
            .args(line.split_whitespace())
            .output()
            .expect("ran");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn expect_matrix(&self) {
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
            assert_eq!(self.opens(from, to), open, "{from} -> {to}");
        }
    }

    pub(crate) fn opens(&self, from: &str, target: &str) -> bool {
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
        for role in ["lan", "dmz", "out", "ctr", "two", "host"] {
            run("ip", &["netns", "del", &self.name(role)]);
        }
    }
}

/// Real tools of others in the same hook: what fail2ban's and CrowdSec's actions do, before and after ours is loaded.
#[test]
fn bans_of_others_reach_containers_and_survive_ours() {
    if !may_run() {
        return;
    }
    let host = Host::new("ifb");
    let (compiled, _) = compile(&system(SYSTEM));
    let rules = &compiled.docker[&HostName::new("apps").expect("valid")];
    let inside = |line: &str| demand(&format!("ip netns exec {} {line}", host.name("host")));
    let opens = || host.opens("lan", "192.168.1.20:8443");

    // fail2ban's `iptables-multiport` with `chain = DOCKER-USER`, started before ours was ever there: containers listen
    // on 80, which is what this hook sees.
    inside("iptables -N f2b-npm");
    inside("iptables -A f2b-npm -j RETURN");
    inside("iptables -I DOCKER-USER -p tcp -m multiport --dports 80,443 -j f2b-npm");
    host.load(rules);
    assert!(rules.is_live("iptables", host.live().as_deref()));
    assert!(opens());
    inside("iptables -I f2b-npm 1 -s 192.168.1.7 -j REJECT --reject-with icmp-port-unreachable");
    assert!(!opens(), "the ban reaches the container");
    host.load(rules);
    assert!(!opens(), "loading ours again keeps the ban");

    // A restart of fail2ban puts its hook before ours: bans only, so ours stays where it is.
    inside("iptables -D DOCKER-USER -p tcp -m multiport --dports 80,443 -j f2b-npm");
    inside("iptables -I DOCKER-USER -p tcp -m multiport --dports 80,443 -j f2b-npm");
    assert!(rules.is_live("iptables", host.live().as_deref()));
    assert!(!opens());
    inside("iptables -D f2b-npm 1");
    assert!(opens());
    assert!(
        !host.opens("lan", "192.168.1.20:8096"),
        "ours still decides"
    );

    // CrowdSec's bouncer: a set, dropped at the top of each of its chains.
    inside("ipset create crowdsec-blacklists-0 hash:net");
    inside("iptables -I DOCKER-USER 1 -m set --match-set crowdsec-blacklists-0 src -j DROP");
    assert!(opens());
    inside("ipset add crowdsec-blacklists-0 192.168.1.0/28");
    assert!(!opens());
    host.load(rules);
    assert!(!opens() && rules.is_live("iptables", host.live().as_deref()));
    inside("ipset flush crowdsec-blacklists-0");
    assert!(opens());

    // A restart of Docker 26 while its containers run: its isolation of networks stands first, and passes nothing by.
    inside("iptables -N DOCKER-ISOLATION-STAGE-1");
    inside("iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN");
    inside("iptables -I FORWARD 1 -j DOCKER-ISOLATION-STAGE-1");
    assert!(rules.is_live("iptables", host.live().as_deref()));
    let before = host.said("iptables -S FORWARD");
    host.load(rules);
    assert_eq!(host.said("iptables -S FORWARD"), before);
    assert!(opens() && !host.opens("lan", "192.168.1.20:8096"));

    // What lets packets pass ours by is not a ban: ours goes before it, once, and takes no second place.
    inside("iptables -I DOCKER-USER 1 -s 192.168.1.7 -j RETURN");
    assert!(host.opens("lan", "192.168.1.20:8096"));
    assert!(!rules.is_live("iptables", host.live().as_deref()));
    host.load(rules);
    host.load(rules);
    assert!(!host.opens("lan", "192.168.1.20:8096"));
    let chain = host.said("iptables -S DOCKER-USER");
    assert_eq!(chain.matches("-j INFRA-DOCKER").count(), 1, "{chain}");
    assert!(
        chain.contains("f2b-npm") && chain.contains("crowdsec-blacklists-0"),
        "{chain}"
    );
}

/// Docker 29 with `firewall-backend: nftables` has no DOCKER-USER: a table of ours before Docker's decides.
#[test]
fn with_the_nftables_backend_a_table_of_ours_decides_the_same() {
    if !may_run() || Command::new("nft").arg("--version").output().is_err() {
        return;
    }
    let host = Host::new("ifn");
    let (compiled, _) = compile(&system(SYSTEM));
    let rules = &compiled.docker[&HostName::new("apps").expect("valid")];
    host.use_nftables(true);
    host.load(rules);
    assert_eq!(
        host.live(),
        Some(rules.nft_lines()),
        "the kernel prints what was written"
    );
    assert!(rules.is_live("nftables", host.live().as_deref()));
    assert!(!rules.is_live("iptables", host.live().as_deref()));
    host.expect_matrix();
    demand(&format!(
        "ip netns exec {} nft flush chain ip infra-docker forward",
        host.name("host")
    ));
    assert!(!rules.is_live("nftables", host.live().as_deref()));
    assert!(
        host.opens("lan", "192.168.1.20:9999"),
        "it was this table that closed it"
    );

    // A change that was the first, and is taken back: nothing of ours stays to judge.
    host.load(rules);
    host.take_back();
    assert_eq!(host.live().unwrap_or_default(), Vec::<String>::new());
    assert!(host.opens("lan", "192.168.1.20:9999"));

    // Back to iptables: the table goes, the chain comes.
    host.use_nftables(false);
    host.load(rules);
    assert_eq!(host.live(), Some(rules.lines()));
    host.expect_matrix();
}

#[test]
fn published_ports_are_reached_only_where_the_matrix_says() {
    if !may_run() {
        return;
    }
    let host = Host::new("ifd");
    assert!(
        host.opens("lan", "192.168.1.20:9999"),
        "Docker alone lets everybody in"
    );
    let (compiled, _) = compile(&system(SYSTEM));
    let rules = &compiled.docker[&HostName::new("apps").expect("valid")];
    assert!(!rules.is_live("iptables", host.live().as_deref()));
    host.load(rules);
    assert_eq!(
        host.live(),
        Some(rules.lines()),
        "the kernel prints what was written"
    );
    host.expect_matrix();
    // Again is the same; a hook that somebody put before ours is seen, and put right.
    let node = host.name("host");
    demand(&format!(
        "ip netns exec {node} iptables -I DOCKER-USER 1 -s 192.168.1.7 -j ACCEPT"
    ));
    assert!(!rules.is_live("iptables", host.live().as_deref()));
    host.load(rules);
    assert!(rules.is_live("iptables", host.live().as_deref()));
    demand(&format!("ip netns exec {node} iptables -D INFRA-DOCKER 1"));
    assert!(!rules.is_live("iptables", host.live().as_deref()));
}
