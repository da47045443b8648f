//! A packet for every question, all machines at the same time, and what arrived.

use super::{
    error::ProveError,
    layout::CONTAINER,
    probe::{self, Asking, Doors, Question},
    room::{Room, netns},
    shell,
};
use crate::firewall::analysis::{Packet, Probe};
use crate::lab::netns::{bind_tcp, bind_udp};
use crate::model::{address::Proto, desired::Desired, ids::HostName};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::atomic::AtomicUsize,
    time::Duration,
};

/// How long what should be open is waited for. What is not seen then is asked again, with more patience.
const PATIENCE: Duration = Duration::from_millis(600);
const MORE: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];

impl Room {
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
        let round = self.rounds;
        let mut by_space: BTreeMap<String, Vec<Question>> = BTreeMap::new();
        for at in which {
            let probe = &probes[*at];
            let (space, packet) = self.sender(probe)?;
            by_space.entry(space).or_default().push(Question {
                number: *at,
                packet,
                expected: probe.expected,
            });
        }
        let all = by_space.values().flatten();
        let datagrams = all.filter(|q| q.packet.port.proto == Proto::Udp && q.expected);
        let awaited = datagrams.map(|question| question.number).collect();
        let doors = Doors {
            tcp: &self.tcp,
            udp: &self.udp,
        };
        let asking = AtomicUsize::new(by_space.len());
        let found = std::thread::scope(|scope| -> Result<Vec<usize>, ProveError> {
            let workers = by_space.iter().map(|(space, questions)| {
                let asking = Asking(&asking);
                scope.spawn(move || probe::ask(&netns(space), questions, round, patience, asking))
            });
            let workers: Vec<_> = workers.collect();
            let mut found = doors
                .gather(round, awaited, &asking, patience)
                .map_err(ProveError::io("receive packets"))?;
            for worker in workers {
                let panicked = |_| Err(ProveError::panicked("send packets"));
                found.extend(worker.join().unwrap_or_else(panicked)?);
            }
            Ok(found)
        })?;
        for at in found {
            if let Some(probe) = probes.get_mut(at) {
                probe.seen = Some(true);
            }
        }
        Ok(())
    }

    /// From where a packet is sent, and under which address it leaves there.
    fn sender(&self, probe: &Probe) -> Result<(String, Packet), ProveError> {
        let packet = probe.packet;
        if !probe.by_container {
            return Ok((self.space_of(packet.from, packet.to), packet));
        }
        let host = self.owners.get(&packet.from);
        let space = host.and_then(|host| self.layout.containers.get(host));
        let address = CONTAINER[usize::from(packet.from.is_ipv6())].parse();
        match (space, address) {
            (Some(space), Ok(from)) => Ok((space.clone(), Packet { from, ..packet })),
            (None, _) | (_, Err(_)) => Err(ProveError::io("find the containers of a machine")(
                std::io::ErrorKind::NotFound.into(),
            )),
        }
    }

    /// Gives whoever stands outside every address that is no machine's.
    fn let_in(&mut self, probes: &[Probe]) -> Result<(), ProveError> {
        let all = probes
            .iter()
            .flat_map(|probe| [probe.packet.from, probe.packet.to]);
        let mut commands: BTreeMap<&str, String> = BTreeMap::new();
        for address in all.filter(|address| !self.owners.contains_key(address)) {
            if self.outsiders.insert(address) {
                let (length, nodad) = if address.is_ipv4() {
                    (32, "")
                } else {
                    (128, " nodad")
                };
                let tunnels = self.layout.tunnels.iter();
                let there = tunnels.filter(|tunnel| tunnel.holds(address));
                let there = there.map(|tunnel| tunnel.space.as_str());
                for space in there.chain([self.layout.outside.as_str()]) {
                    let lines = commands.entry(space).or_default();
                    let _ = writeln!(lines, "addr add {address}/{length} dev eth0{nodad}");
                }
            }
        }
        for (space, lines) in commands {
            shell::run(space, &["ip", "-n", space, "-batch", "-"], &lines)?;
        }
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
            .unwrap_or_else(|| self.space_of(packet.to, packet.from));
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
