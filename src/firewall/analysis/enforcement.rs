//! Everything that stands between two machines.

use super::{
    chain::{Chain, Pool, membership},
    gates::{Gates, gates},
    place::{Atlas, Place},
    read_proxmox::Names,
};
use crate::firewall::{
    addresses::Addresses, compile::CompiledFirewall, matrix::machines, port_set::PortSet,
};
use crate::model::{
    address::Port,
    desired::Desired,
    firewall::PveFirewall,
    ids::{HostName, Vmid},
    ufw::Ufw,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Who asks.
    pub from: IpAddr,
    /// Whom.
    pub to: IpAddr,
    /// For what; a single port.
    pub port: Port,
}

/// Something on the way that can say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// UFW of the machine that asks.
    SourceUfw,
    /// The chain for what containers of the machine that asks begin. The machine's own packets never meet it, theirs never
    /// meet UFW.
    SourceDocker,
    /// Proxmox, before the card of the guest that asks.
    SourceProxmox,
    /// Proxmox, before the guest or node that is asked.
    TargetProxmox,
    /// The chain for published ports on the machine that is asked.
    TargetDocker,
    /// UFW of the machine that is asked.
    TargetUfw,
}

impl Layer {
    /// The layer in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::SourceUfw => "UFW, out",
            Self::SourceDocker => "Docker, out",
            Self::SourceProxmox => "Proxmox, out",
            Self::TargetProxmox => "Proxmox, in",
            Self::TargetDocker => "Docker",
            Self::TargetUfw => "UFW, in",
        }
    }
}

/// Whose packets a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The machine's own.
    Machine,
    /// Those of its containers, whose address others never see.
    Containers,
}

impl Sender {
    fn is_asked(self, layer: Layer) -> bool {
        match layer {
            Layer::SourceUfw | Layer::SourceProxmox => self == Self::Machine,
            Layer::SourceDocker => self == Self::Containers,
            Layer::TargetProxmox | Layer::TargetDocker | Layer::TargetUfw => true,
        }
    }
}

/// What one layer says to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Layer.
    pub layer: Layer,
    /// Whose.
    pub host: HostName,
    /// Whether it lets the packet on.
    pub passes: bool,
    /// The rule or policy that decides, in the layer's own words.
    pub by: String,
}

/// What is enforced, as compiled or as seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) pve: &'a PveFirewall,
    pub(crate) ufw: &'a BTreeMap<HostName, Ufw>,
    /// Lines of both families, each after `4 ` or `6 `, jumps included; a host without an entry has no chain.
    pub(crate) docker: &'a BTreeMap<HostName, Vec<String>>,
    /// Guests that have a card without `firewall=1`, before which no rule stands.
    pub(crate) bare: &'a BTreeSet<Vmid>,
}

/// All chains of a system.
#[derive(Debug)]
pub struct Enforcement {
    pub(crate) atlas: Atlas,
    pool: Pool,
    members: Vec<Vec<bool>>,
    gates: BTreeMap<HostName, Gates>,
}

impl Enforcement {
    /// What the compiled rules would do.
    pub fn of_compiled(desired: &Desired, compiled: &CompiledFirewall) -> Self {
        let docker = compiled
            .docker
            .iter()
            .map(|(host, rules)| (host.clone(), rules.lines()))
            .collect();
        Self::new(
            desired,
            Sources {
                pve: &compiled.pve,
                ufw: &compiled.ufw,
                docker: &docker,
                bare: &BTreeSet::new(),
            },
        )
    }

    pub(crate) fn new(desired: &Desired, sources: Sources<'_>) -> Self {
        let mut pool = Pool::default();
        let names = Names::new(sources.pve);
        let gates: BTreeMap<HostName, Gates> = machines(desired)
            .iter()
            .map(|machine| {
                let gates = gates(desired, &sources, &names, machine, &mut pool);
                (machine.name.clone(), gates)
            })
            .collect();
        let atlas = Atlas::new(desired, pool.sets());
        let members = membership(&pool, &atlas);
        Self {
            atlas,
            pool,
            members,
            gates,
        }
    }

    /// The places that the rules tell apart.
    pub fn places(&self) -> &[Place] {
        &self.atlas.places
    }

    /// Rules that could not be read, with whose they are.
    pub fn unread(&self) -> Vec<(HostName, String)> {
        let mut out = Vec::new();
        for (host, gates) in &self.gates {
            for chain in gates.chains() {
                out.extend(chain.unread.iter().map(|rule| (host.clone(), rule.clone())));
            }
        }
        out
    }

    /// The ports that stacks publish on a machine.
    pub fn published(&self, host: &HostName) -> Option<&PortSet> {
        self.gates.get(host).map(|gates| &gates.published)
    }

    /// What passes from one place to another, by index into [`Self::places`], of what a machine there sends itself; a
    /// machine's talk with itself is not asked about.
    pub fn opens(&self, from: usize, to: usize) -> PortSet {
        self.opens_to(Sender::Machine, from, to)
    }

    /// The same for what the machine's containers send; none where they are not told apart.
    pub fn opens_to_containers(&self, from: usize, to: usize) -> Option<PortSet> {
        let place = &self.atlas.places[from];
        let gates = self.gates.get(place.machine.as_ref()?)?;
        gates.docker_out[usize::from(place.is_v6())].as_ref()?;
        Some(self.opens_to(Sender::Containers, from, to))
    }

    fn opens_to(&self, sender: Sender, from: usize, to: usize) -> PortSet {
        self.layers(from, to)
            .into_iter()
            .filter(|(layer, ..)| sender.is_asked(*layer))
            .fold(PortSet::all(), |open, (_, passes, asked)| {
                open.without(&asked.without(&passes))
            })
    }

    /// The layers between two places, whoever sends: what each lets pass, of the ports about which it is asked.
    pub(crate) fn layers(&self, from: usize, to: usize) -> Vec<(Layer, PortSet, PortSet)> {
        let place = |at: usize| self.atlas.places[at].machine.as_ref();
        let gates = |at: usize| place(at).and_then(|host| self.gates.get(host));
        let mut out = Vec::new();
        let mut ask = |layer: Layer, chain: Option<&Chain>, asked: PortSet| {
            if let Some(chain) = chain
                && !asked.is_empty()
            {
                out.push((layer, chain.opens(&self.members, from, to), asked));
            }
        };
        if let Some(source) = gates(from) {
            ask(Layer::SourceUfw, source.ufw_out.as_ref(), PortSet::all());
            let v6 = self.atlas.places[from].is_v6();
            let docker = source.docker_out[usize::from(v6)].as_ref();
            ask(Layer::SourceDocker, docker, PortSet::all());
            // What goes into a tunnel is sealed before Proxmox sees it.
            let sealed = source.interfaces.hold(&self.atlas.places[to].addresses);
            let proxmox = source.proxmox_out.as_ref().filter(|_| !sealed);
            ask(Layer::SourceProxmox, proxmox, PortSet::all());
        }
        if let Some(target) = gates(to) {
            let v6 = self.atlas.places[to].is_v6();
            let sealed = target.interfaces.hold(&self.atlas.places[from].addresses);
            let proxmox = target.proxmox_in.as_ref().filter(|_| !sealed);
            ask(Layer::TargetProxmox, proxmox, PortSet::all());
            let docker = target.docker[usize::from(v6)].as_ref();
            ask(Layer::TargetDocker, docker, target.published.clone());
            ask(
                Layer::TargetUfw,
                target.ufw_in.as_ref(),
                PortSet::all().without(&target.published),
            );
        }
        out
    }

    /// The way of one packet, layer by layer, whoever of its machine sends it.
    pub fn path(&self, packet: Packet) -> Vec<Step> {
        let way = self.way(packet).into_iter();
        way.map(|(layer, host, chain)| {
            let (passes, by) = chain.decide(&self.pool, packet.from, packet.to, packet.port);
            Step {
                layer,
                host: host.clone(),
                passes,
                by: by.to_owned(),
            }
        })
        .collect()
    }

    /// Whether a connection is closed now where a rule used to let it pass. What no rule spoke of before, because a
    /// firewall was off or its default was to allow, was nobody's flow; and where a rule cannot be read now, that one
    /// may allow it.
    pub fn closed_since(&self, before: &Self, packet: Packet) -> bool {
        let is_own = |(layer, ..): &(Layer, &HostName, &Chain)| Sender::Machine.is_asked(*layer);
        let earlier = before.way(packet);
        let ruled = |layer: Layer, host: &HostName| {
            let same = |(l, h, _): &&(Layer, &HostName, &Chain)| *l == layer && *h == host;
            let chain = earlier.iter().find(same).map(|(_, _, chain)| chain);
            chain.is_some_and(|chain| {
                chain.rule(&before.pool, packet.from, packet.to, packet.port) == Some(true)
            })
        };
        let mut way = self.way(packet).into_iter().filter(is_own);
        way.any(|(layer, host, chain)| {
            let (passes, _) = chain.decide(&self.pool, packet.from, packet.to, packet.port);
            !passes && chain.unread.is_empty() && ruled(layer, host)
        })
    }

    /// The same for what a container of a host has opened, which the host's kernel tracks under the container's address.
    pub fn closed_to_containers_since(
        &self,
        before: &Self,
        host: &HostName,
        packet: Packet,
    ) -> bool {
        fn chain<'a>(of: &'a Enforcement, host: &HostName, packet: Packet) -> Option<&'a Chain> {
            let gates = of.gates.get(host)?;
            gates.docker_out[usize::from(packet.from.is_ipv6())].as_ref()
        }
        let (Some(now), Some(earlier)) = (chain(self, host, packet), chain(before, host, packet))
        else {
            return false;
        };
        let Packet { from, to, port } = packet;
        let (passes, _) = now.decide(&self.pool, from, to, port);
        !passes && now.unread.is_empty() && earlier.rule(&before.pool, from, to, port) == Some(true)
    }

    /// The chains that a packet has to pass, whoever of its machine sends it.
    fn way<'a>(&'a self, packet: Packet) -> Vec<(Layer, &'a HostName, &'a Chain)> {
        let owner = |address: IpAddr| {
            self.gates
                .iter()
                .find(|(_, gates)| gates.addresses.contains(address))
        };
        let mut out = Vec::new();
        let mut ask = |layer, host, chain: &'a Option<Chain>| {
            out.extend(chain.as_ref().map(|chain| (layer, host, chain)));
        };
        if let Some((host, gates)) = owner(packet.from) {
            ask(Layer::SourceUfw, host, &gates.ufw_out);
            let docker = &gates.docker_out[usize::from(packet.from.is_ipv6())];
            ask(Layer::SourceDocker, host, docker);
            if !gates.interfaces.hold(&Addresses::of_hosts([packet.to])) {
                ask(Layer::SourceProxmox, host, &gates.proxmox_out);
            }
        }
        if let Some((host, gates)) = owner(packet.to) {
            if !gates.interfaces.hold(&Addresses::of_hosts([packet.from])) {
                ask(Layer::TargetProxmox, host, &gates.proxmox_in);
            }
            if gates.published.contains(packet.port) {
                let chain = &gates.docker[usize::from(packet.to.is_ipv6())];
                ask(Layer::TargetDocker, host, chain);
            } else {
                ask(Layer::TargetUfw, host, &gates.ufw_in);
            }
        }
        out
    }
}
