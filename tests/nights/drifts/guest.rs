//! Packages, files, units and mounts of guests.

use super::Drift;
use crate::lab::Place::{Extranet, Intranet};

pub(super) fn all() -> Vec<Drift> {
    vec![
        Drift::new(
            "a package removed",
            (Extranet, "DEBIAN_FRONTEND=noninteractive apt-get -y -q remove fail2ban >/dev/null 2>&1"),
            &["extranet: packages", "extranet: unit fail2ban.service"],
            &["installed: fail2ban"],
            (Extranet, "systemctl is-active fail2ban.service || true", "active"),
        ),
        Drift::new(
            "a package purged with its configuration",
            (Intranet, "DEBIAN_FRONTEND=noninteractive apt-get -y -q purge unattended-upgrades >/dev/null 2>&1"),
            &["intranet: packages", "intranet: unit unattended-upgrades.service"],
            &["installed: unattended-upgrades"],
            (Intranet, "dpkg-query -W -f '${db:Status-Abbrev}' unattended-upgrades 2>/dev/null || true", "ii"),
        ),
        Drift::new(
            "passwords allowed by sshd",
            (
                Intranet,
                "sed -i 's/PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-infra.conf\n\
                 systemctl reload ssh",
            ),
            &["intranet: file /etc/ssh/sshd_config.d/00-infra.conf"],
            &["content: edited → as in the inventory"],
            (Intranet, "sshd -T | grep '^passwordauthentication'", "passwordauthentication no"),
        ),
        Drift::new(
            "the settings of sshd removed",
            (Extranet, "rm /etc/ssh/sshd_config.d/00-infra.conf; systemctl reload ssh"),
            &["extranet: file /etc/ssh/sshd_config.d/00-infra.conf"],
            &["SSH accepts keys only"],
            (Extranet, "sshd -T | grep '^x11forwarding'", "x11forwarding no"),
        ),
        Drift::new(
            "one more key that may log in",
            (Intranet, "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2hKoEmYj6bS57XVnu2zJ1Tu7tBnumIx4aRLilgaJOO guest' >> /home/infra/.ssh/authorized_keys"),
            &["intranet: file /home/infra/.ssh/authorized_keys"],
            &["content: edited → as in the inventory"],
            (Intranet, "grep -c ' guest$' /home/infra/.ssh/authorized_keys || true", "0"),
        ),
        Drift::new(
            "upgrades that do not install themselves",
            (Intranet, "sed -i 's/Unattended-Upgrade \"1\"/Unattended-Upgrade \"0\"/' /etc/apt/apt.conf.d/52infra-upgrades"),
            &["intranet: file /etc/apt/apt.conf.d/52infra-upgrades"],
            &["content: edited → as in the inventory"],
            (Intranet, "apt-config dump APT::Periodic::Unattended-Upgrade", "APT::Periodic::Unattended-Upgrade \"1\";"),
        ),
        Drift::new(
            "a file with another mode",
            (Extranet, "chmod 0666 /etc/docker/daemon.json"),
            &["extranet: file /etc/docker/daemon.json"],
            &["mode: 0666 → 0644"],
            (Extranet, "stat -c '%a %U' /etc/docker/daemon.json", "644 root"),
        ),
        Drift::new(
            "a file of another owner",
            (Intranet, "chown nobody:nogroup /etc/fail2ban/jail.d/infra.conf"),
            &["intranet: file /etc/fail2ban/jail.d/infra.conf"],
            &["owner: nobody → root", "group: nogroup → root"],
            (Intranet, "stat -c '%U:%G' /etc/fail2ban/jail.d/infra.conf", "root:root"),
        ),
        Drift::new(
            "fail2ban stopped",
            (Intranet, "systemctl stop fail2ban.service"),
            &["intranet: unit fail2ban.service"],
            &["state: inactive → active"],
            (Intranet, "systemctl is-active fail2ban.service || true", "active"),
        )
        .apart(),
        Drift::new(
            "a unit that does not come back at boot",
            (Intranet, "systemctl -q disable fail2ban.service"),
            &["intranet: unit fail2ban.service"],
            &["at boot: disabled → enabled"],
            (Intranet, "systemctl is-enabled fail2ban.service || true", "enabled"),
        )
        .apart(),
        Drift::new(
            "a unit masked",
            (Intranet, "systemctl -q mask --now fail2ban.service"),
            &["intranet: unit fail2ban.service"],
            &["at boot: masked → enabled"],
            (Intranet, "systemctl is-active fail2ban.service || true; systemctl is-enabled fail2ban.service || true", "active\nenabled"),
        ),
        Drift::new(
            "Docker stopped",
            (Extranet, "systemctl stop docker.service docker.socket"),
            &[
                "extranet: stack node-exporter",
                "extranet: stack openvpn",
                "extranet: stack proxy",
                "extranet: unit docker.service",
                "extranet: unit infra-docker-firewall.service",
            ],
            &["Docker does not run"],
            (Extranet, "systemctl is-active docker.service || true; docker ps -q 2>/dev/null | wc -l", "active\n3"),
        )
        .apart(),
        Drift::new(
            "a mount gone",
            (Intranet, "umount /mnt/tank/media"),
            &["intranet: unit mnt-tank-media.mount"],
            &["state: inactive → active"],
            (Intranet, "findmnt -n -o TARGET /mnt/tank/media || true", "/mnt/tank/media"),
        ),
        Drift::new(
            "a mount that does not come back at boot",
            (Intranet, "systemctl -q disable mnt-tank-backups.mount"),
            &["intranet: unit mnt-tank-backups.mount"],
            &["at boot: disabled → enabled"],
            (Intranet, "systemctl is-enabled mnt-tank-backups.mount || true", "enabled"),
        ),
        Drift::new(
            "a mount unit edited",
            (Intranet, "sed -i 's/nosuid/suid/' /etc/systemd/system/mnt-tank-photos.mount"),
            &["intranet: file /etc/systemd/system/mnt-tank-photos.mount"],
            &["content: edited → as in the inventory"],
            (Intranet, "systemctl daemon-reload; systemctl show -p Options --value mnt-tank-photos.mount | grep -o nosuid || true; sed -n 's/^Options=//p' /etc/systemd/system/mnt-tank-photos.mount", "nosuid\nnosuid,nodev"),
        ),
        Drift::new(
            "the rules for published ports edited",
            (Extranet, "echo '# mine' >> /etc/infra/docker-firewall.v4"),
            &["extranet: file /etc/infra/docker-firewall.v4"],
            &["content: edited → as in the inventory"],
            (Extranet, "grep -c mine /etc/infra/docker-firewall.v4 || true", "0"),
        ),
        Drift::new(
            "the guest agent removed",
            (Extranet, "DEBIAN_FRONTEND=noninteractive apt-get -y -q remove qemu-guest-agent >/dev/null 2>&1"),
            &["extranet: packages"],
            &["installed: qemu-guest-agent"],
            (Extranet, "dpkg-query -W -f '${db:Status-Abbrev}' qemu-guest-agent", "ii"),
        )
        .apart(),
    ]
}
