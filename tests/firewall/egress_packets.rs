//! Real packets of containers on an external host: what its rows list leaves, nothing else does, and what is not theirs
//! is left to others. Skips without root or the tools.

use crate::{
    docker_packets::Host,
    packets::{demand, may_run},
    system::system,
};
use infra::{
    firewall::{DockerUser, compile},
    model::ids::HostName,
    providers::{
        guard::{connections, forget},
        shell::{self, Output, Shell, ShellError},
    },
    verify::cells::{Asker, Door, Knock, Where, ask, judge},
};
use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Child, Command, Stdio},
};

const THINGS: &str = "
zone lan 192.168.1.0/24
zone dmz 10.10.10.0/24 fd00:10::/64
set operators 192.168.1.5
operators operators
host apps 192.168.1.20
stack jellyfin apps 8096/tcp
stack proxy apps 8443/tcp
flow dmz > apps : 8096/tcp | proxy to its backend
flow lan > apps : 8443/tcp | the proxy itself
";
const SENT: &str = "
flow apps > internet : 443/tcp 53/udp | updates
flow apps > dmz : 8000-8010/tcp icmp ; log | metrics
";

/// The host of the other tests, with a second network of Docker's, IPv6, and more doors.
fn host(letters: &str) -> Host {
    let mut host = Host::new(letters);
    let on = |role: &str, line: &str| demand(&format!("ip -n {} {line}", host.name(role)));
    demand(&format!("ip netns add {}", host.name("two")));
    on("two", "link set lo up");
    on("host", "link add docker0 type bridge");
    on("host", "link set docker0 up");
    on("host", "addr add 172.19.0.1/16 dev docker0");
    let two = host.name("two");
    on(
        "host",
        &format!("link add vtwo type veth peer name eth0 netns {two}"),
    );
    on("host", "link set vtwo master docker0 up");
    on("two", "link set eth0 up");
    on("two", "addr add 172.19.0.2/16 dev eth0");
    on("two", "route add default via 172.19.0.1");
    for (role, bridge, net) in [("ctr", "br-apps", "fd00:18"), ("out", "vout", "2001:db8")] {
        on("host", &format!("addr add {net}::1/64 dev {bridge} nodad"));
        on(role, &format!("addr add {net}::9/64 dev eth0 nodad"));
        on(role, &format!("route add ::/0 via {net}::1"));
    }
    let inside = |line: &str| demand(&format!("ip netns exec {} {line}", host.name("host")));
    inside("sysctl -qw net.ipv6.conf.all.forwarding=1");
    inside("iptables -A FORWARD -i docker0 -j ACCEPT");
    inside("iptables -A FORWARD -o docker0 -j ACCEPT");
    inside("iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o br-apps -j MASQUERADE");
    // A gateway's peers, forwarded by a rule of the owner's.
    inside("iptables -A FORWARD -i vdmz -j ACCEPT");
    for (role, address) in [
        ("out", "0.0.0.0:444"),
        ("out", "[2001:db8::9]:443"),
        ("out", "[2001:db8::9]:444"),
        ("lan", "0.0.0.0:443"),
        ("dmz", "0.0.0.0:8005"),
        ("dmz", "0.0.0.0:8011"),
        ("two", "0.0.0.0:80"),
        ("host", "0.0.0.0:22"),
    ] {
        host.listen(role, address);
    }
    host
}

fn rules(flows: &str) -> DockerUser {
    let (compiled, _) = compile(&system(&format!("{THINGS}{flows}")));
    compiled.docker[&HostName::new("apps").expect("valid")].clone()
}

fn expect(host: &Host, held: bool) {
    let cells = [
        ("ctr", "203.0.113.9:443", true),
        ("two", "203.0.113.9:443", true),
        ("ctr", "203.0.113.9:444", !held),
        ("two", "203.0.113.9:444", !held),
        ("ctr", "192.168.1.7:443", !held),
        ("ctr", "10.10.10.2:8005", true),
        ("ctr", "10.10.10.2:8011", !held),
        ("ctr", "[2001:db8::9]:443", true),
        ("ctr", "[2001:db8::9]:444", !held),
        // To other containers, to the host, and to a published port of it: as before.
        ("ctr", "172.19.0.2:80", true),
        ("two", "172.18.0.2:80", true),
        ("two", "192.168.1.20:8443", true),
        ("ctr", "192.168.1.20:22", true),
        // Who comes in, and whose packets the host forwards beside Docker.
        ("lan", "192.168.1.20:8443", true),
        ("lan", "192.168.1.20:8096", false),
        ("dmz", "192.168.1.20:8096", true),
        ("dmz", "203.0.113.9:444", true),
        ("dmz", "172.18.0.2:80", false),
    ];
    // What is closed is waited for, all of it together.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let asked = cells.map(|cell| (cell, scope.spawn(move || host.opens(cell.0, cell.1))));
        let differing = asked.into_iter().filter_map(|((from, to, open), seen)| {
            let seen = seen.join().expect("asked");
            (seen != open).then(|| format!("{from} -> {to}: {seen}"))
        });
        differing.collect()
    });
    assert!(wrong.is_empty(), "held: {held}\n{wrong:#?}");
}

#[test]
fn containers_of_an_external_host_send_what_its_rows_list_and_nothing_else() {
    if !may_run() {
        return;
    }
    let host = host("ife");
    let inside = |line: &str| demand(&format!("ip netns exec {} {line}", host.name("host")));
    let free = rules("");
    let held = rules(SENT);
    host.load(&free);
    assert_eq!(host.live(), Some(free.lines()));
    expect(&host, false);
    host.load(&held);
    assert_eq!(
        host.live(),
        Some(held.lines()),
        "the kernel prints what was written"
    );
    expect(&host, true);

    // What a row allows is handed back: a ban behind ours is asked.
    inside("iptables -I DOCKER-USER 2 -d 203.0.113.9 -j DROP");
    assert!(!host.opens("ctr", "203.0.113.9:443"));
    inside("iptables -D DOCKER-USER -d 203.0.113.9 -j DROP");

    // Whatever lets containers pass is drift, wherever it stands, and goes or is gone before.
    for drift in [
        "-I INFRA-DOCKER-OUT 1 -j RETURN",
        "-D INFRA-DOCKER-OUT -j DROP",
        "-D INFRA-DOCKER -i br-+ -g INFRA-DOCKER-OUT",
        "-I INFRA-DOCKER 1 -i br-apps -j RETURN",
        "-I DOCKER-USER 1 -i br-apps -j ACCEPT",
    ] {
        inside(&format!("iptables {drift}"));
        assert!(host.opens("ctr", "203.0.113.9:444"), "{drift}");
        assert!(!held.is_live("iptables", host.live().as_deref()), "{drift}");
        host.load(&held);
        assert!(held.is_live("iptables", host.live().as_deref()), "{drift}");
        assert!(!host.opens("ctr", "203.0.113.9:444"), "{drift}");
    }

    // No row names the host any more: nothing of the second chain is left.
    host.load(&free);
    assert_eq!(host.live(), Some(free.lines()));
    expect(&host, false);
}

#[test]
fn with_the_nftables_backend_containers_are_held_the_same() {
    if !may_run() || Command::new("nft").arg("--version").output().is_err() {
        return;
    }
    let host = host("iff");
    let (free, held) = (rules(""), rules(SENT));
    host.use_nftables(true);
    host.load(&held);
    assert_eq!(
        host.live(),
        Some(held.nft_lines()),
        "the kernel prints what was written"
    );
    expect(&host, true);
    demand(&format!(
        "ip netns exec {} nft insert rule ip infra-docker containers accept",
        host.name("host")
    ));
    assert!(host.opens("ctr", "203.0.113.9:444"));
    assert!(!held.is_live("nftables", host.live().as_deref()));
    host.load(&held);
    assert!(held.is_live("nftables", host.live().as_deref()));
    host.load(&free);
    assert!(free.is_live("nftables", host.live().as_deref()));
    expect(&host, false);
}

/// The host as infra reaches it, with a Docker that names the processes of its containers.
struct Inside {
    name: HostName,
    space: String,
    folder: tempfile::TempDir,
    containers: Vec<Child>,
}

impl Inside {
    /// A container that shares the host's network comes first: nobody is to ask from there.
    fn new(host: &Host) -> Self {
        let mut out = Self {
            name: HostName::new("apps").expect("valid"),
            space: host.name("host"),
            folder: tempfile::tempdir().expect("a folder"),
            containers: Vec::new(),
        };
        let mut pids = String::new();
        for role in ["host", "ctr"] {
            // It lives as long as its input is open.
            let child = Command::new("ip")
                .args(["netns", "exec", &host.name(role), "cat"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("runs");
            pids = format!("{pids}{}\n", child.id());
            out.containers.push(child);
        }
        let docker = format!("#!/bin/sh\n[ \"$1\" = inspect ] && printf '{pids}' || echo 1f3c\n");
        let path = out.folder.path().join("docker");
        std::fs::write(&path, docker).expect("written");
        demand(&format!("chmod +x {}", path.display()));
        out
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        for child in &mut self.containers {
            drop(child.stdin.take());
            child.wait().expect("ends with its input");
        }
    }
}

impl Shell for Inside {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: shell::Command) -> Result<Output, ShellError> {
        let path = format!(
            "PATH={}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.folder.path().display()
        );
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.space, "env", &path])
            .args(&command.argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(&command.stdin).expect("read");
        drop(input);
        let output = child.wait_with_output().expect("ends");
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
            ..Output::default()
        })
    }
}

#[test]
fn the_live_system_is_asked_from_where_a_container_stands() {
    let tools = ["conntrack", "perl", "nsenter", "ss"];
    let found = |tool: &&str| Command::new(tool).arg("--version").output().is_ok();
    if !may_run() || !tools.iter().all(found) {
        return;
    }
    let host = host("ifg");
    host.load(&rules(SENT));
    let inside = Inside::new(&host);
    let apps = HostName::new("apps").expect("valid");
    let expected = [
        ("203.0.113.9", "443/tcp", true),
        ("203.0.113.9", "444/tcp", false),
        ("203.0.113.9", "53/udp", true),
        ("203.0.113.9", "54/udp", false),
        ("203.0.113.9", "icmp", false),
        // Nobody is there, and nobody answers: the host saw them leave.
        ("203.0.113.77", "443/tcp", true),
        ("203.0.113.77", "444/tcp", false),
        ("10.10.10.2", "8010/tcp", true),
        ("10.10.10.2", "8011/tcp", false),
        ("10.10.10.2", "icmp", true),
        ("192.168.1.7", "443/tcp", false),
    ];
    let knocks = expected.map(|(address, port, _)| Knock {
        asker: Asker::Containers(apps.clone()),
        door: Door {
            name: address.to_owned(),
            at: Where::Address(address.parse().expect("valid")),
            port: port.parse().expect("valid"),
            witness: Some(apps.clone()),
        },
    });
    let hosts = BTreeMap::from([(apps, inside)]);
    let here = Inside::new(&host);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let work = ask(knocks.into(), &hosts, &here);
    let seen = runtime.expect("a runtime").block_on(work);
    for (seen, (address, port, open)) in seen.iter().zip(expected) {
        let cell = judge(seen, open.then(|| "row".to_owned()));
        assert_eq!(cell.from, "apps (containers)");
        assert_eq!(cell.seen_open, Some(open), "{address} {port}: {seen:?}");
        assert_eq!(cell.from_address.as_deref(), Some("172.18.0.2"));
    }
}

#[test]
fn what_a_container_has_open_is_found_under_its_own_address_and_forgotten() {
    let has_conntrack = Command::new("conntrack").arg("--version").output().is_ok();
    if !may_run() || !has_conntrack {
        return;
    }
    let host = host("ifh");
    host.load(&rules(SENT));
    assert!(host.opens("ctr", "203.0.113.9:443"));
    let inside = Inside::new(&host);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let gone = runtime.expect("a runtime").block_on(async {
        let tracked = connections(&inside).await.expect("asked").expect("told");
        let container = "172.18.0.2".parse::<std::net::IpAddr>().expect("valid");
        let of_container = tracked.connections.into_iter();
        let mine: Vec<_> = of_container.filter(|one| one.from.0 == container).collect();
        assert_eq!(mine.len(), 1, "{mine:?}");
        assert_eq!(mine[0].to.1, 443);
        forget(&inside, &mine).await.expect("asked")
    });
    assert_eq!(gone, 1);
}
