//! What goes into the image, as data: the cache is keyed by a hash of all of it.

use sha2::{Digest, Sha256};

/// Release of Debian.
pub(super) const SUITE: &str = "trixie";

/// The part of Debian's generic cloud image that a homelab tool can notice. No guest agent, no Docker, no UFW: the
/// bootstrap must install those itself. No ifupdown: with it, cloud-init would choose another renderer.
pub(super) const PACKAGES: &[&str] = &[
    "bash-completion",
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-systemd",
    "locales",
    "netplan.io",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "tzdata",
    "udev",
    "vim-tiny",
];

/// What a node has beside that. OpenSSL and zlib are there for this very binary, which plays `zfs` and `zpool`.
pub(super) const NODE_PACKAGES: &[&str] = &[
    "btrfs-progs",
    "conntrack",
    "ipset",
    "iptables",
    "libssl3t64",
    "nftables",
    "rsync",
    "zlib1g",
];

/// Runs inside the new root while its package lists are there: fetches the node's packages and puts them aside.
pub(super) const FETCH_NODE_PACKAGES: &str = r#"chroot "$1" sh -c 'apt-get install -y -q --download-only --no-install-recommends "$@" && mkdir /infra-node && mv /var/cache/apt/archives/*.deb /infra-node/' infra-fetch"#;

/// Enables what Debian's cloud image has enabled and a bare installation has not.
pub(super) const ENABLE_NETWORKD: &str = r#"chroot "$1" systemctl enable systemd-networkd.service"#;

/// Installs the node's packages into the overlay layer. Arguments: lower, upper, work, mount point, packages' folder.
pub(super) const INSTALL_NODE_PACKAGES: &str = r#"set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
mount --bind "$5" "$4/mnt"
mount -t proc proc "$4/proc"
chroot "$4" dpkg --install --force-unsafe-io --recursive /mnt >&2
"#;

/// A file of the image: path, mode, text.
pub(super) type File = (&'static str, u32, &'static str);

/// Files written over the installed packages.
pub(super) const FILES: &[File] = &[
    (
        "etc/cloud/cloud.cfg.d/99-infra-lab.cfg",
        0o644,
        include_str!("files/cloud-init.cfg"),
    ),
    (
        "etc/systemd/system.conf.d/infra-lab.conf",
        0o644,
        "[Manager]\nDefaultTimeoutStopSec=8s\n",
    ),
    (
        "etc/systemd/system/qemu-guest-agent.service",
        0o644,
        include_str!("files/qemu-guest-agent.service"),
    ),
    (
        "etc/systemd/system/infra-lab-agent.path",
        0o644,
        include_str!("files/infra-lab-agent.path"),
    ),
    (
        "etc/tmpfiles.d/infra-lab.conf",
        0o644,
        "c! /dev/net/tun 0666 root root - 10:200\nc! /dev/fuse 0666 root root - 10:229\n",
    ),
    ("etc/dpkg/dpkg.cfg.d/infra-lab", 0o644, "force-unsafe-io\n"),
    (
        "usr/sbin/mount.virtiofs",
        0o755,
        include_str!("files/mount.virtiofs"),
    ),
    ("etc/hostname", 0o644, "localhost\n"),
    ("etc/machine-id", 0o444, ""),
];

/// Symbolic links: path, target.
pub(super) const LINKS: &[(&str, &str)] = &[
    // No module can be loaded from inside a container.
    (
        "etc/systemd/system/systemd-modules-load.service",
        "/dev/null",
    ),
    (
        "etc/systemd/system/multi-user.target.wants/infra-lab-agent.path",
        "../infra-lab-agent.path",
    ),
    ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
];

/// What is taken out again.
pub(super) const REMOVED: &[&str] = &[
    // Made at build time; every guest must get its own.
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ecdsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    // Holds the build's own choice about recommended packages.
    "etc/apt/apt.conf.d/99mmdebstrap",
    // A package run that starts by itself would race with the lab's owner.
    "etc/systemd/system/timers.target.wants/apt-daily.timer",
    "etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer",
    "infra-node",
];

/// Files of the node layer.
pub(super) const NODE_FILES: &[File] = &[("etc/cloud/cloud-init.disabled", 0o644, "")];

/// Links of the node layer: the lab configures the interfaces and names the resolver itself.
pub(super) const NODE_LINKS: &[(&str, &str)] = &[
    ("etc/systemd/system/systemd-networkd.service", "/dev/null"),
    ("etc/systemd/system/systemd-networkd.socket", "/dev/null"),
    (
        "etc/systemd/system/systemd-networkd-wait-online.service",
        "/dev/null",
    ),
    ("etc/systemd/system/systemd-resolved.service", "/dev/null"),
    ("etc/systemd/system/nftables.service", "/dev/null"),
];

/// How the lab's guests differ from Debian's generic cloud image on a real node.
pub const DEVIATIONS: &[&str] = &[
    "guests share the machine's kernel, clock, `/proc/meminfo` and `dmesg`; no kernel module can be loaded",
    "cores and memory of a guest are not enforced, and its root disk is as large as the machine's",
    "cloud-init reads its seed from `/var/lib/cloud/seed/nocloud`, looks for no other data source and writes systemd-networkd's files itself (the real image renders through netplan, whose `PermanentMACAddress=` a virtual wire does not have)",
    "the guest agent, once installed, listens on a socket in `/var/lib/labsock` in place of a virtio port",
    "`mount -t virtiofs TAG` is a bind mount of the node's directory: the mount table names the machine's filesystem",
    "`/dev/net/tun` and `/dev/fuse` exist from the start",
    "a PCI device that is passed through is a graphics card: `/dev/dri/renderD128` exists, and nothing answers behind it",
    "a disk that an external host mounts is a folder beside its own files: containers have no block devices",
    "documentation, manual pages and translations are left out, dpkg does not wait for the disk, and the apt timers are off until something enables them",
    "units are killed after 8 s, not 90 s, when the guest powers off",
    "VLAN tags keep guests apart on the node and lead nowhere else",
    "a change of a running guest's cards takes effect at its next start",
    "a reboot of the node's own system leaves its bridges, guests and kernel settings as they are",
];

/// The image's identity, 12 hex digits: a change in anything above makes another image.
pub(super) fn hash() -> String {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for text in [
        SUITE,
        FETCH_NODE_PACKAGES,
        ENABLE_NETWORKD,
        INSTALL_NODE_PACKAGES,
    ] {
        add(text);
    }
    for text in PACKAGES.iter().chain(NODE_PACKAGES).chain(REMOVED) {
        add(text);
    }
    for (path, mode, text) in FILES.iter().chain(NODE_FILES) {
        add(path);
        add(&mode.to_string());
        add(text);
    }
    for (path, target) in LINKS.iter().chain(NODE_LINKS) {
        add(path);
        add(target);
    }
    let digest = hasher.finalize();
    let mut hex = format!("{digest:x}");
    hex.truncate(12);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_image() {
        let files = FILES.iter().chain(NODE_FILES).map(|(path, _, _)| *path);
        let links = LINKS.iter().chain(NODE_LINKS).map(|(path, _)| *path);
        for path in files.chain(links).chain(REMOVED.iter().copied()) {
            assert!(!path.starts_with('/') && !path.contains(".."), "{path}");
        }
    }

    #[test]
    fn every_difference_to_a_real_guest_is_documented() {
        let page = include_str!("../../../../docs/lab.md");
        for deviation in DEVIATIONS {
            assert!(page.contains(&format!("- {deviation}\n")), "{deviation}");
        }
    }

    #[test]
    fn the_guest_image_has_nothing_that_the_bootstrap_must_prove() {
        for package in [
            "docker.io",
            "ufw",
            "qemu-guest-agent",
            "fail2ban",
            "ifupdown",
        ] {
            assert!(!PACKAGES.contains(&package), "{package}");
        }
    }
}
