//! The cluster.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post},
        endpoint,
    },
    param::{BOOLEAN, INTEGER, NUMBER, TEXT, opt, req, word},
};
use crate::lab::api::endpoint::cluster;

/// The endpoints.
pub(super) const CLUSTER: &[Endpoint] = &[
    endpoint(
        Get,
        "/cluster/nextid",
        Check::Everyone,
        Read(cluster::next_id),
        &[&[opt(
            "vmid",
            INTEGER.min(100).max(999_999_999).format("pve-vmid"),
        )]],
    ),
    endpoint(
        Get,
        "/cluster/resources",
        Check::Everyone,
        Read(cluster::resources),
        &[&[opt("type", word(&["vm", "storage", "node", "sdn"]))]],
    ),
    endpoint(
        Get,
        "/cluster/status",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::status),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/options",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::options),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/replication",
        Check::Everyone,
        Read(cluster::empty),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/replication",
        Check::Everyone,
        Read(cluster::add_replication),
        &[&[
            opt("comment", TEXT.max(4096)),
            opt("disable", BOOLEAN),
            req(
                "id",
                TEXT.format("pve-replication-job-id")
                    .pattern("[1-9][0-9]{2,8}-\\d{1,9}"),
            ),
            opt("rate", NUMBER.min(1)),
            opt("remove_job", word(&["local", "full"])),
            opt("schedule", TEXT.format("pve-calendar-event").max(128)).or("*/15"),
            opt("source", TEXT.format("pve-node")),
            req("target", TEXT.format("pve-node")),
            req("type", word(&["local"])),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/sdn/zones",
        Check::Everyone,
        Read(cluster::empty),
        &[&[
            opt("pending", BOOLEAN),
            opt("running", BOOLEAN),
            opt(
                "type",
                word(&["evpn", "faucet", "qinq", "simple", "vlan", "vxlan"]),
            ),
        ]],
    ),
    endpoint(
        Get,
        "/cluster/backup",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::empty),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/ha/resources",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::ha_resources),
        &[&[opt("type", word(&["ct", "vm"]))]],
    ),
    endpoint(
        Post,
        "/cluster/ha/resources",
        Check::Perm("/", &["Sys.Console"]),
        Write(cluster::add_ha_resource),
        &[&[
            opt("comment", TEXT.max(4096)),
            opt("failback", BOOLEAN).or("1"),
            opt("group", TEXT.format("pve-configid")),
            opt("max_relocate", INTEGER.min(0)).or("1"),
            opt("max_restart", INTEGER.min(0)).or("1"),
            req("sid", TEXT.format("pve-ha-resource-or-vm-id")),
            opt(
                "state",
                word(&["started", "stopped", "enabled", "disabled", "ignored"]),
            )
            .or("started"),
            opt("type", word(&["ct", "vm"])),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/ha/resources/{sid}",
        Check::Perm("/", &["Sys.Console"]),
        Write(cluster::delete_ha_resource),
        &[&[opt("purge", BOOLEAN).or("1")]],
    ),
    endpoint(
        Get,
        "/cluster/ha/status/current",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::ha_status),
        &[],
    ),
    endpoint(
        Get,
        "/cluster/ha/groups",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::ha_groups),
        &[],
    ),
];
