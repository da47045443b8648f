//! Machines that are not guests: the node itself, and external hosts. Debian with a real sshd, configured by the lab
//! in place of an installer.

use super::{
    cgroup::Cgroup,
    container::{Bind, Container},
    error::NamespaceError,
    files,
    key::Key,
    machine::Plan,
    names::{Names, netns_path},
    network,
    power::{Cycle, Power},
    trust,
};
use crate::lab::netns;
use crate::model::{
    host::SshAccess,
    ids::{HostName, ZpoolName},
};
use std::{
    collections::BTreeMap,
    io::Read,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a host's sshd may take; it takes 1 s, on a busy machine more.
const SSHD_WITHIN: Duration = Duration::from_mins(1);

/// Where the node finds the filesystem behind its datasets.
const ZFS: &str = "/var/lib/infra-lab/zfs";

/// A machine with a shell that is not a guest.
#[derive(Debug)]
pub(super) struct Host {
    address: IpAddr,
    port: u16,
    key: Key,
    container: Container,
    /// Held so that its watcher's last act finds it; it ends with the lab's cgroup.
    _power: Arc<Power>,
}

impl Host {
    /// Its line in a `known_hosts` file.
    pub(super) fn known_host(&self) -> String {
        let bare = self.key.bare();
        match self.port {
            22 => format!("{} {bare}", self.address),
            port => format!("[{}]:{port} {bare}", self.address),
        }
    }

    /// Its writable layer.
    pub(super) fn upper(&self) -> PathBuf {
        self.container.upper()
    }

    /// Its pid 1, as the machine counts.
    pub(super) fn init(&self) -> Option<u32> {
        self.container.cgroup.init()
    }
}

/// A host's reboot leaves its namespace as it is: the node's bridges and the guests' wires are in it.
struct HostCycle;

impl Cycle for HostCycle {
    fn renew(&self) -> Result<(), NamespaceError> {
        Ok(())
    }

    fn ended(&self) {}
}

/// How a host is reached and where it lives.
struct Role<'a> {
    name: &'a HostName,
    address: IpAddr,
    ssh: &'a SshAccess,
    namespace: String,
    /// Where it asks for names.
    resolver: Option<IpAddr>,
}

/// Boots the node and the external hosts, all at once.
///
/// # Errors
/// The first that does not come up.
pub(super) fn boot_all(
    names: &Names,
    plan: &Plan,
) -> Result<BTreeMap<HostName, Host>, NamespaceError> {
    let topology = &plan.topology;
    let mut roles = Vec::new();
    if let (Some(name), Some(address)) = (&topology.node, topology.node_address) {
        roles.push(Role {
            name,
            address,
            ssh: &topology.access[name],
            namespace: names.node(),
            resolver: topology.node_gateways.first().copied(),
        });
    }
    for (index, (name, place)) in topology.hosts.iter().enumerate() {
        let namespace = names.host(name.as_str());
        network::create_namespace(&namespace)?;
        network::attach(names, &namespace, "eth0", &format!("host{index}"), place)?;
        roles.push(Role {
            name,
            address: place.addresses[0].addr(),
            ssh: &topology.access[name],
            namespace,
            resolver: place.gateways.first().copied(),
        });
    }
    std::thread::scope(|scope| {
        let booting: Vec<_> = roles
            .iter()
            .map(|role| (role.name, scope.spawn(move || boot(names, plan, role))))
            .collect();
        booting
            .into_iter()
            .map(|(name, thread)| {
                let host = thread.join().expect("booting a host does not panic")?;
                Ok((name.clone(), host))
            })
            .collect()
    })
}

fn boot(names: &Names, plan: &Plan, role: &Role<'_>) -> Result<Host, NamespaceError> {
    let folder = plan.folder.host(role.name.as_str());
    let mut container = Container {
        machine: names.host(role.name.as_str()),
        layers: plan.image.host_layers(),
        netns: netns_path(&role.namespace),
        cgroup: Cgroup::of_lab(names)?.child(&format!("host-{}", role.name)),
        binds: Vec::new(),
        folder: folder.clone(),
    };
    let fresh = !container.upper().exists();
    container.create_disk()?;
    let key = Key::at(&folder.join("ssh_host_ed25519_key"), role.name.as_str())?;
    if fresh {
        install(plan, role, &container.upper(), &key)?;
    }
    if plan.topology.zpools.contains_key(role.name) {
        let data = plan.folder.zfs().join(role.name.as_str());
        files::create(&data)?;
        container.binds.push(Bind::writable(data, ZFS));
        for name in ["zfs", "zpool", "mount.zfs"] {
            if let Some(program) = &plan.program {
                let target = Path::new("/usr/sbin").join(name);
                container.binds.push(Bind::read_only(program, target));
            }
        }
    }
    if plan.topology.node.as_ref() == Some(role.name) {
        for (name, target) in [("pve", "/etc/pve"), ("pve-firewall", PVE_FIREWALL)] {
            let source = plan.folder.api().join(name);
            files::create(&source)?;
            container.binds.push(Bind::writable(source, target));
        }
        let program = container.upper().join("usr/sbin/pve-firewall");
        files::write(&program, PVE_FIREWALL_STATUS.as_bytes(), 0o755)?;
    }
    let power = Power::on(container.clone(), HostCycle)?;
    wait_for_sshd(&container, SocketAddr::new(role.address, role.ssh.port))?;
    Ok(Host {
        address: role.address,
        port: role.ssh.port,
        key,
        container,
        _power: power,
    })
}

/// Waits until the host greets on its SSH port.
fn wait_for_sshd(container: &Container, address: SocketAddr) -> Result<(), NamespaceError> {
    let begun = Instant::now();
    let greets = || {
        netns::inside(Some(&container.netns), || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.read_exact(&mut [0; 4])
        })
    };
    while greets().is_err() {
        if begun.elapsed() > SSHD_WITHIN {
            return Err(NamespaceError::Boot {
                name: container.machine.clone(),
                complaint: container.last_words(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What an installer would have written.
fn install(plan: &Plan, role: &Role<'_>, upper: &Path, key: &Key) -> Result<(), NamespaceError> {
    let write =
        |path: &str, mode: u32, text: &str| files::write(&upper.join(path), text.as_bytes(), mode);
    let name = role.name;
    write("etc/hostname", 0o644, &format!("{name}\n"))?;
    write(
        "etc/hosts",
        0o644,
        &format!(
            "127.0.0.1 localhost\n::1 localhost\n{} {name}\n",
            role.address
        ),
    )?;
    files::remove(&upper.join("etc/resolv.conf"))?;
    if let Some(resolver) = role.resolver {
        write(
            "etc/resolv.conf",
            0o644,
            &format!("nameserver {resolver}\n"),
        )?;
    }
    let private = files::read(key.path())?.unwrap_or_default();
    write("etc/ssh/ssh_host_ed25519_key", 0o600, &private)?;
    write("etc/ssh/ssh_host_ed25519_key.pub", 0o644, key.public())?;
    write(
        "etc/ssh/sshd_config.d/infra-lab.conf",
        0o644,
        &format!(
            "Port {}\nHostKey /etc/ssh/ssh_host_ed25519_key\n",
            role.ssh.port
        ),
    )?;
    if let Some(zpools) = plan.topology.zpools.get(name) {
        let zpools: Vec<&str> = zpools.iter().map(ZpoolName::as_str).collect();
        write(
            "etc/systemd/system/infra-lab-zpools.service",
            0o644,
            &zpools_unit(&zpools),
        )?;
        write("usr/local/lib/infra-lab/zpools.sh", 0o644, ZPOOLS)?;
        let wanted =
            upper.join("etc/systemd/system/multi-user.target.wants/infra-lab-zpools.service");
        files::link("../infra-lab-zpools.service", &wanted)?;
    }
    for fstype in plan.topology.disks.get(name).into_iter().flatten() {
        write(&format!("usr/sbin/mount.{fstype}"), 0o755, DISK)?;
    }
    if let Some(ca) = &plan.ca {
        trust::install(&plan.image.root(), upper, ca)?;
    }
    let home = account(&plan.image.root(), upper, &role.ssh.user)?;
    files::create_with_mode(&home, 0o700)?;
    files::create_with_mode(&home.join(".ssh"), 0o700)?;
    let keys = home.join(".ssh/authorized_keys");
    files::write(
        &keys,
        format!("{}\n", plan.operator.public()).as_bytes(),
        0o600,
    )?;
    if role.ssh.user != "root" {
        for path in [home.clone(), home.join(".ssh"), keys] {
            std::os::unix::fs::chown(&path, Some(FIRST_USER), Some(FIRST_USER))
                .map_err(files::failed("write", &path))?;
        }
    }
    Ok(())
}

/// Where the node reads what is enforced.
const PVE_FIREWALL: &str = "/var/lib/infra-lab/pve-firewall";

/// `pve-firewall status` on the node.
const PVE_FIREWALL_STATUS: &str = include_str!("scripts/pve-firewall.sh");

/// A disk of the host: a container has no block devices.
const DISK: &str = include_str!("scripts/mount-disk.sh");

/// Brings the zpools, which infra never creates by itself, and mounts their datasets at every boot.
const ZPOOLS: &str = include_str!("scripts/zpools.sh");

fn zpools_unit(zpools: &[&str]) -> String {
    format!(
        "[Unit]\nDescription=The lab's zpools\nBefore=ssh.service\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh /usr/local/lib/infra-lab/zpools.sh {}\n",
        zpools.join(" ")
    )
}

/// The id that Debian gives to the first user.
const FIRST_USER: u32 = 1000;

/// The home of the login, in the writable layer. Anyone but root is made first, with passwordless sudo.
fn account(root: &Path, upper: &Path, user: &str) -> Result<PathBuf, NamespaceError> {
    if user == "root" {
        return Ok(upper.join("root"));
    }
    for (path, mode, line) in [
        (
            "etc/passwd",
            0o644,
            format!("{user}:x:{FIRST_USER}:{FIRST_USER}::/home/{user}:/bin/bash\n"),
        ),
        ("etc/group", 0o644, format!("{user}:x:{FIRST_USER}:\n")),
        (
            "etc/shadow",
            0o640,
            format!("{user}:*:20000:0:99999:7:::\n"),
        ),
    ] {
        let before = files::read(&root.join(path))?.unwrap_or_default();
        files::write(&upper.join(path), (before + &line).as_bytes(), mode)?;
    }
    files::write(
        &upper.join("etc/sudoers.d/infra-lab"),
        format!("{user} ALL=(ALL) NOPASSWD:ALL\n").as_bytes(),
        0o440,
    )?;
    files::create_with_mode(&upper.join("home"), 0o755)?;
    Ok(upper.join("home").join(user))
}
