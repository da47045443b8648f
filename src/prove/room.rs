//! A room: made, loaded, asked, and gone.

use super::{
    docker_text::docker_text,
    error::ProveError,
    layout::{Layout, layout},
    probe,
    proxmox_snapshot::snapshot,
    shell,
    ufw_text::ufw_text,
};
use crate::firewall::{
    CompiledFirewall,
    analysis::{Packet, Probe},
    docker_resources,
};
use crate::lab::{
    netns::{bind_tcp, bind_udp},
    pve_firewall::{self, LOAD, NodeNetwork, Tap},
};
use crate::model::{address::Proto, desired::Desired, ids::HostName, resource::Resource};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a closed port is waited for. What should be open and is not is asked again, with more of it.
const PATIENCE: Duration = Duration::from_millis(600);
const MORE: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];
const NAMED: &str = "infra-prove-";

/// Namespaces with the machines of a system in them.
pub struct Room {
    layout: Layout,
    folder: tempfile::TempDir,
    owners: BTreeMap<IpAddr, HostName>,
    outsiders: BTreeSet<IpAddr>,
    listening: BTreeSet<(String, Proto, u16)>,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    rounds: u16,
}

impl Room {
    /// Makes the namespaces of a system.
    ///
    /// # Errors
    /// Without root, tools or `br_netfilter`, and when the kernel refuses something.
    pub fn new(desired: &Desired) -> Result<Self, ProveError> {
        shell::check()?;
        if !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() {
            return Err(ProveError::BridgeFilter);
        }
        raise_limit();
        sweep();
        let layout = layout(
            desired,
            &format!("{NAMED}{}-{}-", std::process::id(), serial()),
        );
        let mut owners = BTreeMap::new();
        for host in layout.machines.keys() {
            owners.extend(
                desired
                    .addresses(host)
                    .into_iter()
                    .map(|address| (address, host.clone())),
            );
        }
        let folder = tempfile::tempdir().map_err(ProveError::io("make a temporary folder"))?;
        let room = Self {
            layout,
            folder,
            owners,
            outsiders: BTreeSet::new(),
            listening: BTreeSet::new(),
            tcp: Vec::new(),
            udp: Vec::new(),
            rounds: 0,
        };
        room.wire()?;
        Ok(room)
    }

    fn wire(&self) -> Result<(), ProveError> {
        let names = self.layout.spaces.iter().map(|space| &space.name);
        let all: Vec<String> = names.map(|name| format!("netns add {name}\n")).collect();
        shell::run("this machine", &["ip", "-batch", "-"], &all.concat())?;
        for space in &self.layout.spaces {
            let mut settings = space.settings.clone();
            if self
                .layout
                .taps
                .keys()
                .any(|node| self.layout.machines.get(node) == Some(&space.name))
            {
                settings.extend(
                    [
                        "bridge/bridge-nf-call-iptables=1",
                        "bridge/bridge-nf-call-ip6tables=1",
                    ]
                    .map(str::to_owned),
                );
            }
            if settings.is_empty() {
                continue;
            }
            let script = "while IFS='=' read -r key value; do echo \"$value\" >\"/proc/sys/net/$key\" || exit; done";
            shell::run_in(
                &space.name,
                &["sh", "-c", script],
                &(settings.join("\n") + "\n"),
            )?;
        }
        for space in &self.layout.spaces {
            let text = space.commands.join("\n") + "\n";
            shell::run(
                &space.name,
                &["ip", "-n", &space.name, "-batch", "-"],
                &text,
            )?;
        }
        Ok(())
    }

    /// Loads compiled rules, instead of those that were there.
    ///
    /// # Errors
    /// When a rule does not load: that is a finding, too.
    pub fn load(&self, desired: &Desired, compiled: &CompiledFirewall) -> Result<(), ProveError> {
        let stored = snapshot(&compiled.pve);
        for (node, taps) in &self.layout.taps {
            let Some(space) = self.layout.machines.get(node) else {
                continue;
            };
            let taps: Vec<Tap> = taps
                .iter()
                .map(|(vmid, index, nic)| Tap {
                    vmid: *vmid,
                    index: *index,
                    mac: nic.mac.to_string(),
                })
                .collect();
            let network = NodeNetwork {
                name: node.to_string(),
                management: None,
            };
            let text = pve_firewall::compile(&stored, &taps, &network);
            let files = [("ipsets", text.ipsets), ("v4", text.v4), ("v6", text.v6)];
            let folder = self.files(node.as_str(), &files)?;
            shell::run_in(space, &["sh", "-c", LOAD, "load", &folder], "")?;
        }
        for (host, space) in &self.layout.machines {
            if desired.nodes.contains_key(host) {
                continue;
            }
            for (v6, restore) in [(false, "iptables-restore"), (true, "ip6tables-restore")] {
                let text = ufw_text(compiled.ufw.get(host), v6);
                shell::run_in(space, &[restore, "-w", "5"], &text)?;
                if self.layout.containers.contains_key(host) {
                    let text = docker_text(desired, host, v6);
                    shell::run_in(space, &[restore, "-w", "5", "--noflush"], &text)?;
                }
            }
            if let Some(rules) = compiled.docker.get(host) {
                self.load_docker(host, space, docker_resources(rules))?;
            }
        }
        Ok(())
    }

    /// The chain behind Docker's hook, by the very script that the host would run.
    fn load_docker(
        &self,
        host: &HostName,
        space: &str,
        resources: Vec<Resource>,
    ) -> Result<(), ProveError> {
        let folder = self.folder.path().join(host.as_str());
        let folder = folder.display().to_string();
        let mut files = Vec::new();
        for resource in resources {
            if let Resource::File(file) = resource
                && let Some(name) = file.path.strip_prefix("/etc/infra/")
            {
                let text = file.content.redacted().replace("/etc/infra", &folder);
                files.push((name.to_owned(), text));
            }
        }
        let files: Vec<(&str, String)> =
            files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
        let folder = self.files(host.as_str(), &files)?;
        // This machine's own Docker has nothing to say here.
        let daemon = format!("INFRA_DOCKER_DAEMON={folder}/daemon.json");
        let script = format!("{folder}/docker-firewall.sh");
        shell::run_in(space, &["env", &daemon, "sh", &script], "")?;
        Ok(())
    }

    fn files(&self, below: &str, files: &[(&str, String)]) -> Result<String, ProveError> {
        let folder = self.folder.path().join(below);
        let failed = || ProveError::io(format!("write below {}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        for (name, text) in files {
            std::fs::write(folder.join(name), text).map_err(failed())?;
        }
        Ok(folder.display().to_string())
    }

    /// Asks every question, and fills in what was seen.
    ///
    /// # Errors
    /// When nobody can listen or ask; never because a packet did not arrive.
    pub fn probe(&mut self, desired: &Desired, probes: &mut [Probe]) -> Result<(), ProveError> {
        self.let_in(probes)?;
        for probe in probes.iter_mut() {
            probe.seen = Some(false);
            self.listen(desired, probe.packet)?;
        }
        let all: Vec<usize> = (0..probes.len()).collect();
        self.ask(probes, &all, PATIENCE)?;
        for patience in MORE {
            let missing: Vec<usize> = (0..probes.len())
                .filter(|at| probes[*at].expected && probes[*at].seen != Some(true))
                .collect();
            if missing.is_empty() {
                break;
            }
            self.ask(probes, &missing, patience)?;
        }
        Ok(())
    }

    fn ask(
        &mut self,
        probes: &mut [Probe],
        which: &[usize],
        patience: Duration,
    ) -> Result<(), ProveError> {
        self.rounds = self.rounds.wrapping_add(1);
        let ident = self.rounds;
        let mut by_space: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for at in which {
            by_space
                .entry(self.space_of(probes[*at].packet.from))
                .or_default()
                .push(*at);
        }
        let packets: Vec<Packet> = probes.iter().map(|probe| probe.packet).collect();
        let of = |list: &[usize], proto: Proto| -> Vec<usize> {
            list.iter()
                .copied()
                .filter(|at| packets[*at].port.proto == proto)
                .collect()
        };
        // Old datagrams must not answer new questions.
        probe::udp_receive(&self.udp, Duration::ZERO);
        let found = std::thread::scope(|scope| {
            let workers: Vec<_> = by_space
                .iter()
                .map(|(space, list)| {
                    let path = netns(space);
                    let pick =
                        |list: &[usize]| list.iter().map(|at| packets[*at]).collect::<Vec<_>>();
                    let (tcp, udp, icmp) = (
                        of(list, Proto::Tcp),
                        of(list, Proto::Udp),
                        of(list, Proto::Icmp),
                    );
                    let (tcp_packets, icmp_packets) = (pick(&tcp), pick(&icmp));
                    let numbered: Vec<(u64, Packet)> =
                        udp.iter().map(|at| (*at as u64, packets[*at])).collect();
                    scope.spawn(move || -> Result<Vec<(usize, bool)>, ProveError> {
                        probe::udp_send(&path, &numbered)?;
                        let mut out: Vec<(usize, bool)> = Vec::new();
                        let answers = probe::tcp(&path, &tcp_packets, patience)?;
                        out.extend(tcp.into_iter().zip(answers));
                        let answers = probe::icmp(&path, &icmp_packets, ident, patience)?;
                        out.extend(icmp.into_iter().zip(answers));
                        Ok(out)
                    })
                })
                .collect();
            let mut found = Vec::new();
            for worker in workers {
                let Ok(answers) = worker.join() else {
                    let error = std::io::Error::other("a thread in a namespace panicked");
                    return Err(ProveError::io("probe")(error));
                };
                found.extend(answers?);
            }
            Ok(found)
        })?;
        // Nobody speaks with who got through: they must not fill the queue in which the next ones wait.
        for listener in &self.tcp {
            while listener.accept().is_ok() {}
        }
        let arrived = probe::udp_receive(&self.udp, patience);
        let arrived = arrived
            .into_iter()
            .filter_map(|number| usize::try_from(number).ok());
        let arrived = arrived.map(|at| (at, true));
        for (at, seen) in found.into_iter().chain(arrived) {
            if let Some(probe) = probes.get_mut(at).filter(|_| seen) {
                probe.seen = Some(true);
            }
        }
        Ok(())
    }

    /// Gives whoever stands outside every address that is no machine's.
    fn let_in(&mut self, probes: &[Probe]) -> Result<(), ProveError> {
        let all = probes
            .iter()
            .flat_map(|probe| [probe.packet.from, probe.packet.to]);
        let mut commands = String::new();
        for address in all.filter(|address| !self.owners.contains_key(address)) {
            if self.outsiders.insert(address) {
                let (length, nodad) = if address.is_ipv4() {
                    (32, "")
                } else {
                    (128, " nodad")
                };
                let _ = writeln!(commands, "addr add {address}/{length} dev eth0{nodad}");
            }
        }
        let space = &self.layout.outside;
        shell::run(space, &["ip", "-n", space, "-batch", "-"], &commands)?;
        Ok(())
    }

    /// Makes sure that somebody listens where the packet goes, if it gets there.
    fn listen(&mut self, desired: &Desired, packet: Packet) -> Result<(), ProveError> {
        let proto = packet.port.proto;
        if proto == Proto::Icmp {
            return Ok(());
        }
        let port = packet.port.range.first;
        let space = self
            .owners
            .get(&packet.to)
            .filter(|host| is_published(desired, host, packet))
            .and_then(|host| self.layout.containers.get(host))
            .cloned()
            .unwrap_or_else(|| self.space_of(packet.to));
        if !self.listening.insert((space.clone(), proto, port)) {
            return Ok(());
        }
        let everywhere = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let path = netns(&space);
        let failed = || ProveError::io(format!("listen on {port}/{proto} in {space}"));
        match proto {
            Proto::Tcp => self
                .tcp
                .push(bind_tcp(Some(&path), everywhere).map_err(failed())?),
            Proto::Udp | Proto::Icmp => {
                self.udp
                    .push(bind_udp(Some(&path), everywhere).map_err(failed())?);
            }
        }
        Ok(())
    }

    fn space_of(&self, address: IpAddr) -> String {
        let machine = self.owners.get(&address);
        let space = machine.and_then(|host| self.layout.machines.get(host));
        space.unwrap_or(&self.layout.outside).clone()
    }
}

fn is_published(desired: &Desired, host: &HostName, packet: Packet) -> bool {
    let stacks = desired.stacks.values().filter(|stack| stack.on == *host);
    stacks.flat_map(|stack| &stack.publish).any(|publish| {
        let here = publish.address.is_none_or(|own| {
            own.is_unspecified() && own.is_ipv4() == packet.to.is_ipv4() || own == packet.to
        });
        here && publish.port.proto == packet.port.proto
            && publish.port.range.contains(packet.port.range.first)
    })
}

fn netns(space: &str) -> PathBuf {
    Path::new("/run/netns").join(space)
}

/// Many packets are on their way at the same time, each with a socket: as many files as this process may have.
fn raise_limit() {
    use rustix::process::{Resource as Limit, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Limit::Nofile);
    let wanted = now.maximum.unwrap_or(65_536).min(65_536);
    if now.current.is_some_and(|current| current < wanted) {
        // Where it may not be raised, opening too many is an error of its own.
        let _ = setrlimit(
            Limit::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: now.maximum,
            },
        );
    }
}

/// Rooms of one process have different names.
fn serial() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Removes the namespaces of runs that were killed: those whose process is gone.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(NAMED)
            .and_then(|rest| rest.split('-').next());
        let gone = pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if gone {
            // Whoever else sweeps at the same time may be faster.
            let _ = shell::run("this machine", &["ip", "netns", "del", &name], "");
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.tcp.clear();
        self.udp.clear();
        for space in &self.layout.spaces {
            // A namespace that was never made cannot be removed, and nobody is left to tell.
            let _ = shell::run("this machine", &["ip", "netns", "del", &space.name], "");
        }
    }
}
