//! A room: made, loaded, asked, and gone.

use super::{
    error::ProveError,
    layout::{Layout, layout},
    shell,
};
use crate::model::{address::Proto, desired::Desired, ids::HostName};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

const NAMED: &str = "infra-prove-";

/// Namespaces with the machines of a system in them.
pub struct Room {
    pub(super) layout: Layout,
    pub(super) folder: tempfile::TempDir,
    pub(super) owners: BTreeMap<IpAddr, HostName>,
    pub(super) outsiders: BTreeSet<IpAddr>,
    pub(super) listening: BTreeSet<(String, Proto, u16)>,
    pub(super) tcp: Vec<TcpListener>,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) rounds: u16,
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
            let ip = ["ip", "-n", &space.name, "-batch", "-"];
            shell::run(&space.name, &ip, &text)?;
            // `ip rule` does not see the family in an address.
            let text = space.rules_v6.join("\n") + "\n";
            let ip = ["ip", "-6", "-n", &space.name, "-batch", "-"];
            shell::run(&space.name, &ip, &text)?;
        }
        Ok(())
    }

    /// Where an address is, as its partner in a conversation finds it: a machine behind whose interface it stands meets it
    /// there, everybody else outside.
    pub(super) fn space_of(&self, address: IpAddr, partner: IpAddr) -> String {
        if let Some(host) = self.owners.get(&address) {
            return self
                .layout
                .machines
                .get(host)
                .unwrap_or(&self.layout.outside)
                .clone();
        }
        let partner = self.owners.get(&partner);
        let mut tunnels = self.layout.tunnels.iter();
        let tunnel = tunnels.find(|tunnel| {
            tunnel.holds(address) && partner.is_some_and(|host| tunnel.members.contains_key(host))
        });
        let space = tunnel.map_or(&self.layout.outside, |tunnel| &tunnel.space);
        space.clone()
    }
}

pub(super) fn netns(space: &str) -> PathBuf {
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
