//! A Debian in memory.

use super::{
    answer::Switch,
    debian,
    docker::Docker,
    error::ScriptedError,
    seed::{Login, Seed},
    tree::Tree,
    trouble::{HostTrouble, Visits},
    ufw::Ufw,
    volume::Volumes,
    zfs::Zfs,
};
use crate::lab::backend::{VmDisk, VmShare};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reply {
    pub(super) code: u8,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Reply {
    pub(super) fn said(text: impl Into<String>) -> Self {
        Self {
            stdout: text.into().into_bytes(),
            ..Self::default()
        }
    }

    pub(super) fn failed(code: u8, why: impl Into<String>) -> Self {
        Self {
            code,
            stderr: format!("{}\n", why.into()).into_bytes(),
            ..Self::default()
        }
    }

    /// A failure that is told on standard output.
    pub(super) fn told(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::said(text)
        }
    }
}

/// A unit that a package brings, or whose file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Unit {
    pub(super) enabled: bool,
    pub(super) active: bool,
    /// It came with a package; otherwise its file must stand in `/etc/systemd/system`.
    pub(super) shipped: bool,
}

/// A live mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: String,
    pub(super) fstype: String,
    pub(super) options: String,
}

/// What kind of machine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A Proxmox node.
    Node,
    /// A virtual machine of the cloud image.
    Guest,
    /// A machine that Proxmox does not run.
    External,
}

/// A Debian in memory.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) logins: Vec<Login>,
    pub(super) packages: BTreeMap<String, String>,
    pub(super) tree: Tree,
    pub(super) users: BTreeMap<String, u32>,
    pub(super) shells: BTreeMap<String, String>,
    /// Groups of a user beside its own.
    pub(super) memberships: BTreeMap<String, Vec<String>>,
    pub(super) units: BTreeMap<String, Unit>,
    pub(super) sysctls: BTreeMap<String, String>,
    pub(super) mounts: BTreeMap<String, Mount>,
    pub(super) ufw: Ufw,
    /// Its dead-man switch.
    pub(super) guard: Option<Switch>,
    pub(super) docker: Docker,
    pub(super) zfs: Zfs,
    /// The folder that a node of Proxmox sees as `/etc/pve`.
    pub(super) pve: Option<PathBuf>,
    /// Directories that the node offers through virtiofs.
    pub(super) shares: Vec<VmShare>,
    /// Disks beside the root disk.
    pub(super) disks: Vec<VmDisk>,
    /// What is on disks, by volume: they outlive machines.
    pub(super) volumes: Volumes,
    pub(super) instance_id: String,
    /// A fault: sudo asks for a password.
    pub(super) refuses_sudo: bool,
    /// A fault: every command takes so much longer.
    pub(super) slowness: Duration,
    pub(super) visits: Visits,
    boots: u32,
}

impl Machine {
    pub(super) fn new(name: &str, role: Role) -> Self {
        let mut machine = Self {
            name: name.to_owned(),
            logins: Vec::new(),
            packages: BTreeMap::new(),
            tree: Tree::default(),
            users: [
                ("root", 0),
                ("shadow", 42),
                ("docker", 990),
                ("nobody", 65534),
            ]
            .map(|(user, id)| (user.to_owned(), id))
            .into(),
            shells: BTreeMap::new(),
            memberships: BTreeMap::new(),
            units: BTreeMap::new(),
            sysctls: [
                ("kernel.ostype", "Linux"),
                ("kernel.hostname", name),
                ("net.ipv4.ip_forward", "0"),
                ("net.ipv4.conf.all.rp_filter", "2"),
                ("net.ipv6.conf.all.forwarding", "0"),
                ("net.bridge.bridge-nf-call-iptables", "1"),
                ("net.ipv4.conf.all.accept_redirects", "1"),
                ("net.ipv4.conf.all.send_redirects", "1"),
                ("kernel.dmesg_restrict", "0"),
                ("kernel.kptr_restrict", "0"),
                ("vm.swappiness", "60"),
                ("vm.overcommit_memory", "0"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            mounts: BTreeMap::new(),
            ufw: Ufw::default(),
            guard: None,
            docker: Docker::default(),
            zfs: Zfs::default(),
            pve: None,
            shares: Vec::new(),
            disks: Vec::new(),
            volumes: Volumes::default(),
            instance_id: String::new(),
            refuses_sudo: false,
            slowness: Duration::ZERO,
            visits: Visits::default(),
            boots: 0,
        };
        machine.mount("/", "/dev/sda1", "ext4", "rw,relatime");
        machine.mount("/proc", "proc", "proc", "rw,nosuid,nodev,noexec,relatime");
        machine.mount("/run", "tmpfs", "tmpfs", "rw,nosuid,nodev");
        machine.tree.ship("/etc/hostname", &format!("{name}\n"));
        machine.tree.ship(
            "/etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n",
        );
        for folder in [
            "/etc/ssh/sshd_config.d/x",
            "/etc/systemd/system/x",
            "/opt/x",
            "/srv/x",
            "/tmp/x",
            "/var/lib/x",
        ] {
            // An empty filesystem has room for folders.
            let _ = machine.tree.make_parents(folder);
        }
        machine.install(debian::CLOUD_IMAGE.iter().copied());
        if role == Role::Node {
            machine.install(debian::NODE.iter().copied());
        }
        machine
    }

    /// What `useradd` and `usermod` take of a login.
    pub(super) fn settle(&mut self, name: &str, options: &[&str]) {
        for pair in options.windows(2) {
            match pair {
                ["--shell", shell] => {
                    self.shells.insert(name.to_owned(), (*shell).to_owned());
                }
                ["--groups", groups] => {
                    let own = self.memberships.entry(name.to_owned()).or_default();
                    for group in groups.split(',').map(str::to_owned) {
                        if !own.contains(&group) {
                            own.push(group);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn mount(&mut self, at: &str, source: &str, fstype: &str, options: &str) {
        let mount = Mount {
            source: source.to_owned(),
            fstype: fstype.to_owned(),
            options: options.to_owned(),
        };
        self.mounts.insert(at.to_owned(), mount);
    }

    /// A pool on the machine's own disks.
    pub(super) fn add_pool(&mut self, pool: &str) -> Result<(), ScriptedError> {
        let reply = self.zfs.add_pool(pool);
        if reply.code == 0 {
            return Ok(());
        }
        Err(ScriptedError::Zpool {
            pool: pool.to_owned(),
            why: String::from_utf8_lossy(&reply.stderr).trim().to_owned(),
        })
    }

    /// What happens at a boot before anyone can log in. A new instance takes everything from its seed.
    pub(super) fn boot(&mut self, seed: Option<&Seed>) {
        self.boots += 1;
        if let Some(seed) = seed.filter(|seed| seed.instance_id != self.instance_id) {
            self.instance_id.clone_from(&seed.instance_id);
            self.logins.clone_from(&seed.logins);
            for (login, uid) in seed.logins.iter().filter(|l| l.name != "root").zip(1000..) {
                self.users.insert(login.name.clone(), uid);
            }
            self.tree
                .ship("/etc/hostname", &format!("{}\n", seed.hostname));
            self.install(seed.packages.iter().map(String::as_str));
        }
        self.mount("/run", "tmpfs", "tmpfs", "rw,nosuid,nodev");
        let wanted: Vec<String> = self
            .units
            .iter()
            .filter(|(_, u)| u.enabled)
            .map(|(n, _)| n.clone())
            .collect();
        for unit in self.units.values_mut() {
            unit.active = false;
        }
        for name in wanted {
            // A unit that fails at boot is seen as not active.
            let _ = self.start(&name);
        }
    }

    /// Breaks what is inside the machine; its network is its door's.
    pub(super) fn suffer(&mut self, trouble: &HostTrouble) {
        match trouble {
            HostTrouble::Unreachable | HostTrouble::NewHostKey => {}
            HostTrouble::SudoRefused => self.refuses_sudo = true,
            HostTrouble::DiskFull => self.tree.set_full(true),
            HostTrouble::PullFails => self.docker.is_cut_off = true,
            HostTrouble::Unhealthy { service } => {
                self.docker.sick.insert(service.clone());
            }
            HostTrouble::Slow { seconds } => {
                self.slowness = Duration::try_from_secs_f64(*seconds).unwrap_or_default();
            }
        }
    }

    /// Ends every trouble.
    pub(super) fn recover(&mut self) {
        self.refuses_sudo = false;
        self.tree.set_full(false);
        self.docker.is_cut_off = false;
        self.docker.sick.clear();
        self.slowness = Duration::ZERO;
    }

    /// Changes with every boot.
    pub(super) fn boot_id(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(format!("{} {} {}", self.name, self.instance_id, self.boots));
        let hex = format!("{digest:x}");
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..32]
        )
    }

    /// Installs packages of the catalogue with what they need; names that it does not have are returned.
    pub(super) fn install<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut queue: Vec<String> = names.map(str::to_owned).collect();
        queue.reverse();
        let mut unknown = Vec::new();
        while let Some(name) = queue.pop() {
            if self.packages.contains_key(&name) {
                continue;
            }
            let Some(package) = debian::find(&name) else {
                unknown.push(name);
                continue;
            };
            self.packages.insert(name, package.version.to_owned());
            queue.extend(package.needs.iter().map(|&need| need.to_owned()));
            for unit in package.units {
                self.units.insert(
                    (*unit).to_owned(),
                    Unit {
                        enabled: true,
                        active: true,
                        shipped: true,
                    },
                );
            }
            if package.name == "ufw" {
                self.ufw.installed();
            }
        }
        unknown
    }

    pub(super) fn remove_package(&mut self, name: &str) -> bool {
        for unit in debian::find(name).map_or(&[][..], |package| package.units) {
            self.units.remove(*unit);
        }
        self.packages.remove(name).is_some()
    }

    pub(super) fn has(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }

    /// The Docker engine answers.
    pub(super) fn has_engine(&self) -> bool {
        self.units
            .get("docker.service")
            .is_some_and(|unit| unit.active)
    }

    /// A user or group by name or number.
    pub(super) fn id_of(&self, name: &str) -> Option<u32> {
        name.parse().ok().or_else(|| self.users.get(name).copied())
    }

    pub(super) fn name_of(&self, id: u32) -> String {
        self.users
            .iter()
            .find(|(_, known)| **known == id)
            .map_or_else(|| id.to_string(), |(name, _)| name.clone())
    }

    /// systemd's `LoadState`, `ActiveState` and `UnitFileState`.
    pub(super) fn unit_state(&self, name: &str) -> (&'static str, &'static str, &'static str) {
        let name = alias(name);
        let unit = self.units.get(name).copied().unwrap_or_default();
        let has_file = self.tree.exists(&format!("/etc/systemd/system/{name}"));
        let active = if unit.active { "active" } else { "inactive" };
        if !unit.shipped && !has_file {
            return ("not-found", active, "");
        }
        (
            "loaded",
            active,
            if unit.enabled { "enabled" } else { "disabled" },
        )
    }

    pub(super) fn is_loaded(&self, name: &str) -> bool {
        self.unit_state(name).0 == "loaded"
    }

    pub(super) fn enable(&mut self, name: &str, on: bool) {
        self.units
            .entry(alias(name).to_owned())
            .or_default()
            .enabled = on;
    }

    pub(super) fn start(&mut self, name: &str) -> Result<(), String> {
        let name = alias(name);
        if !self.is_loaded(name) {
            return Err(format!("Failed to start {name}: Unit {name} not found."));
        }
        if is_mount(name) {
            self.start_mount(name)?;
        }
        if name == "infra-docker-firewall.service" {
            self.ufw.load_docker_rules(&self.tree);
        }
        self.units.entry(name.to_owned()).or_default().active = true;
        if name == "docker.service" {
            self.docker.start_engine();
        }
        Ok(())
    }

    pub(super) fn stop(&mut self, name: &str) -> Result<(), String> {
        let name = alias(name);
        if !self.is_loaded(name) {
            return Err(format!("Failed to stop {name}: Unit {name} not loaded."));
        }
        if let Some(at) = self.mount_setting(name, "Where") {
            self.mounts.remove(&at);
        }
        self.units.entry(name.to_owned()).or_default().active = false;
        Ok(())
    }

    fn mount_setting(&self, unit: &str, key: &str) -> Option<String> {
        let text = self.tree.text(&format!("/etc/systemd/system/{unit}"))?;
        let start = format!("{key}=");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))
            .map(str::to_owned)
    }

    /// Mounts what the unit says. A virtiofs tag must be one that the node offers.
    fn start_mount(&mut self, unit: &str) -> Result<(), String> {
        let setting = |key: &str| self.mount_setting(unit, key).unwrap_or_default();
        let (what, at, kind, options) = (
            setting("What"),
            setting("Where"),
            setting("Type"),
            setting("Options"),
        );
        if kind == "virtiofs" && !self.shares.iter().any(|share| share.tag == what) {
            return Err(format!(
                "Job for {unit} failed.\nSee \"systemctl status {unit}\" and \"journalctl -xeu {unit}\" for details.\n\
                 mount: {at}: wrong fs type, bad option, bad superblock on {what}, missing codepage or helper program, or other error."
            ));
        }
        let by_uuid = what.strip_prefix("/dev/disk/by-uuid/");
        if by_uuid.is_some_and(|uuid| !self.has_filesystem(uuid, &kind)) {
            return Err(format!(
                "A dependency job for {unit} failed. See 'journalctl -xe' for details.\n\
                 Timed out waiting for device {what}."
            ));
        }
        self.tree.make_parents(&format!("{at}/."))?;
        let mode = if options.split(',').any(|o| o == "ro") {
            "ro"
        } else {
            "rw"
        };
        self.mount(&at, &what, &kind, &format!("{mode},{options},relatime"));
        Ok(())
    }

    /// The packages as one set, for those who only ask whether.
    pub(super) fn package_names(&self) -> BTreeSet<&str> {
        self.packages.keys().map(String::as_str).collect()
    }
}

/// Debian's own second names.
fn alias(name: &str) -> &str {
    match name {
        "sshd.service" => "ssh.service",
        name => name,
    }
}

/// A unit that mounts something.
pub(super) fn is_mount(unit: &str) -> bool {
    unit.rsplit_once('.')
        .is_some_and(|(_, kind)| kind == "mount")
}
