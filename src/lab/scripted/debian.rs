//! What Debian 13 brings: packages with the units and files that come with them.

/// A package that can be installed.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// Units that are enabled and started by the installation.
    pub(super) units: &'static [&'static str],
    /// Packages that come along.
    pub(super) needs: &'static [&'static str],
}

const fn package(
    name: &'static str,
    version: &'static str,
    units: &'static [&'static str],
    needs: &'static [&'static str],
) -> Package {
    Package {
        name,
        version,
        units,
        needs,
    }
}

/// Installed in the generic cloud image, as far as anyone asks.
pub(super) const CLOUD_IMAGE: &[&str] = &[
    "apt",
    "bash",
    "ca-certificates",
    "cloud-init",
    "coreutils",
    "curl",
    "dpkg",
    "e2fsprogs",
    "iproute2",
    "netplan.io",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "unattended-upgrades",
];

/// Installed on a node beside the image's.
pub(super) const NODE: &[&str] = &["iptables", "nftables", "pve-manager", "zfsutils-linux"];

/// What the repositories have. Versions of Debian 13.
pub(super) const CATALOGUE: &[Package] = &[
    package("apt", "3.0.3", &["apt-daily.timer"], &[]),
    package("bash", "5.2.37-2+b5", &[], &[]),
    package("borgbackup", "1.4.0-5", &[], &[]),
    package("ca-certificates", "20250419", &[], &[]),
    package(
        "cloud-init",
        "25.1.4-1+deb13u1",
        &["cloud-init.service"],
        &[],
    ),
    package(
        "containerd",
        "1.7.24~ds1-6+deb13u1",
        &["containerd.service"],
        &["runc"],
    ),
    package("conntrack", "1:1.4.8-2", &[], &[]),
    package("coreutils", "9.7-3", &[], &[]),
    package("curl", "8.14.1-2", &[], &[]),
    package("docker-cli", "26.1.5+dfsg1-9+b9", &[], &[]),
    package("docker-compose", "2.26.1-4", &[], &["docker-cli"]),
    package(
        "docker.io",
        "26.1.5+dfsg1-9+b9",
        &["docker.service"],
        &["containerd", "iptables"],
    ),
    package("dpkg", "1.22.21", &[], &[]),
    package("fail2ban", "1.1.0-8", &["fail2ban.service"], &["python3"]),
    package("iproute2", "6.15.0-1", &[], &[]),
    package("iptables", "1.8.11-2", &[], &[]),
    package("netplan.io", "1.1.2-7", &[], &[]),
    package("nfs-common", "1:2.8.3-1", &[], &[]),
    package(
        "nfs-kernel-server",
        "1:2.8.3-1",
        &["nfs-server.service"],
        &["nfs-common"],
    ),
    package("nftables", "1.1.3-1", &[], &[]),
    package("e2fsprogs", "1.47.2-3+b7", &[], &[]),
    package("xfsprogs", "6.13.0-2+b1", &[], &[]),
    package("openssh-server", "1:10.0p1-7", &["ssh.service"], &[]),
    package("procps", "2:4.0.4-9", &[], &[]),
    package(
        "pve-manager",
        "9.0.11",
        &["pveproxy.service", "pve-firewall.service"],
        &[],
    ),
    package("python3", "3.13.5-1", &[], &[]),
    package("python3-systemd", "235-1+b6", &[], &["python3"]),
    package(
        "qemu-guest-agent",
        "1:10.0.3+ds-0+deb13u1",
        &["qemu-guest-agent.service"],
        &[],
    ),
    package("borgbackup", "1.4.0-5", &[], &[]),
    package("restic", "0.18.0-1+b2", &[], &[]),
    package("runc", "1.1.15+ds1-2+b4", &[], &[]),
    package("sudo", "1.9.16p2-3", &[], &[]),
    package(
        "systemd",
        "257.8-1~deb13u2",
        &["systemd-networkd.service"],
        &[],
    ),
    package("ufw", "0.36.2-9", &["ufw.service"], &["iptables"]),
    package(
        "unattended-upgrades",
        "2.12",
        &["unattended-upgrades.service"],
        &[],
    ),
    package(
        "zfsutils-linux",
        "2.3.4-pve1",
        &["zfs-mount.service", "zfs-share.service"],
        &[],
    ),
];

/// A package by name.
pub(super) fn find(name: &str) -> Option<&'static Package> {
    CATALOGUE.iter().find(|package| package.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_needed_or_installed_is_in_the_catalogue() {
        let needed = CATALOGUE.iter().flat_map(|package| package.needs);
        for name in needed.chain(CLOUD_IMAGE).chain(NODE) {
            assert!(find(name).is_some(), "{name}");
        }
    }
}
