//! Datasets and routing, on the node.

use super::Drift;
use crate::lab::Place::{Desk, Node};

pub(super) fn all() -> Vec<Drift> {
    vec![
        Drift::new(
            "a property of a dataset",
            (Node, "zfs set compression=off tank/media"),
            &["pve: dataset tank/media"],
            &["compression: off → "],
            (Node, "zfs get -H -o value compression tank/media", "lz4"),
        ),
        Drift::new(
            "a property of a dataset inherited again",
            (Node, "zfs inherit recordsize tank/photos"),
            &["pve: dataset tank/photos"],
            &["recordsize: 131072 → 1M"],
            (
                Node,
                "zfs get -Hp -o value recordsize tank/photos",
                "1048576",
            ),
        ),
        Drift::new(
            "a dataset mounted elsewhere",
            (Node, "zfs set mountpoint=/mnt/elsewhere tank/backups"),
            // What stacks know it by is not at its place either.
            &[
                "pve: dataset tank/backups",
                "pve: dataset tank/backups directories",
            ],
            &["mountpoint: /mnt/elsewhere → /mnt/tank/backups"],
            (
                Node,
                "zfs get -H -o value mountpoint tank/backups; findmnt -n -o TARGET /mnt/tank/backups",
                "/mnt/tank/backups\n/mnt/tank/backups",
            ),
        ),
        Drift::new(
            "a dataset that is not mounted",
            (Node, "zfs unmount tank/photos"),
            &[
                "pve: dataset tank/photos mount",
                "pve: dataset tank/photos directories",
            ],
            &["mounted: no → yes"],
            (
                Node,
                "findmnt -n -o TARGET /mnt/tank/photos",
                "/mnt/tank/photos",
            ),
        )
        .apart(),
        Drift::new(
            "a dataset that is gone",
            // Real ZFS calls a dataset busy that a running guest shares; the twin does not know of guests.
            (
                Desk,
                "pve POST /nodes/pve/qemu/110/status/stop | task; on_node zfs destroy tank/backups",
            ),
            &[
                "pve: dataset tank/backups",
                "pve: dataset tank/backups directories",
                "pve: guest 110 intranet power",
            ],
            &["dataset tank/backups  profile backups"],
            (Node, "zfs list -H -o name tank/backups", "tank/backups"),
        )
        .apart(),
        Drift::new(
            "owner and mode of a dataset's directory",
            (
                Node,
                "chown 0:0 /mnt/tank/media && chmod 0700 /mnt/tank/media",
            ),
            &["pve: dataset tank/media directories"],
            &["/mnt/tank/media: 0:0 0700 → 1000:1000 0775"],
            (Node, "stat -c '%u:%g %a' /mnt/tank/media", "1000:1000 775"),
        ),
        Drift::new(
            "a node that does not forward",
            (Node, "sysctl -qw net.ipv4.ip_forward=0"),
            &["pve: sysctl net.ipv4.ip_forward"],
            &["value: 0 → 1"],
            (Node, "sysctl -n net.ipv4.ip_forward", "1"),
        )
        .apart(),
        Drift::new(
            "a node that forgets to forward at its next boot",
            (Node, "rm /etc/sysctl.d/60-infra-router.conf"),
            &["pve: file /etc/sysctl.d/60-infra-router.conf"],
            &["file /etc/sysctl.d/60-infra-router.conf"],
            (
                Node,
                "grep -c '^net.ipv4.ip_forward = 1' /etc/sysctl.d/60-infra-router.conf || true",
                "1",
            ),
        ),
        Drift::new(
            "the node's routing rules edited",
            (Node, "sed -i s/masquerade/accept/ /etc/infra/router.nft"),
            &["pve: file /etc/infra/router.nft"],
            &["content: edited → as in the inventory"],
            (
                Node,
                "grep -c masquerade /etc/infra/router.nft || true",
                "1",
            ),
        ),
        Drift::new(
            "the node's routing stopped",
            (Node, "systemctl stop infra-router.service"),
            &["pve: unit infra-router.service"],
            &["state: inactive → active"],
            (
                Node,
                "nft list table ip infra_router | grep -c masquerade || true",
                "1",
            ),
        )
        .apart(),
        Drift::new(
            "the node's routing rules flushed while their unit is active",
            (Node, "nft delete table ip infra_router"),
            &["pve: nftables ip infra_router"],
            &["live rules: none → as in the inventory"],
            (
                Node,
                "nft list table ip infra_router | grep -c masquerade || true",
                "1",
            ),
        ),
        Drift::new(
            "routing that does not come back at boot",
            (Node, "systemctl -q disable infra-router.service"),
            &["pve: unit infra-router.service"],
            &["at boot: disabled → enabled"],
            (
                Node,
                "systemctl is-enabled infra-router.service || true",
                "enabled",
            ),
        )
        .apart(),
    ]
}
