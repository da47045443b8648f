//! What a machine must have for guests in namespaces.

use super::{cgroup::Cgroup, exec, names::Names};
use std::{fmt, path::Path};

/// Programs and the Debian packages that bring them. What is essential in Debian (mount, unshare) is not listed.
const PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("iptables-restore", "iptables"),
    ("ip6tables-restore", "iptables"),
    ("ipset", "ipset"),
    ("mkfs.btrfs", "btrfs-progs"),
];

/// What every guest needs, tried where it leaves nothing behind: a mount of its own in namespaces of its own.
const TRIAL: &[&str] = &[
    "unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "trial", "/mnt",
];

/// Why this machine cannot run a namespace lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// Not root.
    Root,
    /// A Debian package.
    Package(&'static str),
    /// No cgroup v2 hierarchy.
    Cgroup,
    /// Root in a container may be refused what root may do.
    Namespaces,
    /// A guest's disks and the node's pool are on loop devices.
    LoopDevices,
}

impl Missing {
    /// The Debian package that would help.
    pub fn package(&self) -> Option<&'static str> {
        match self {
            Self::Package(name) => Some(name),
            Self::Root | Self::Cgroup | Self::Namespaces | Self::LoopDevices => None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Package(name) => write!(f, "the Debian package {name}"),
            Self::Cgroup => f.write_str("a cgroup v2 hierarchy"),
            Self::Namespaces => f.write_str("the right to make namespaces and to mount"),
            Self::LoopDevices => f.write_str("loop devices"),
        }
    }
}

/// All that is missing here; empty when a namespace lab can run.
pub fn missing() -> Vec<Missing> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push(Missing::Root);
    } else if exec::run(TRIAL).is_err() {
        missing.push(Missing::Namespaces);
    }
    if !Path::new("/dev/loop-control").exists() {
        missing.push(Missing::LoopDevices);
    }
    let folders: Vec<&Path> = exec::PATH.split(':').map(Path::new).collect();
    let absent = |program: &str| !folders.iter().any(|folder| folder.join(program).exists());
    missing.extend(
        PROGRAMS
            .iter()
            .filter(|(program, _)| absent(program))
            .map(|(_, package)| Missing::Package(package)),
    );
    if Cgroup::of_lab(&Names::of(Path::new("/"))).is_err() {
        missing.push(Missing::Cgroup);
    }
    missing.sort();
    missing.dedup();
    missing
}
