//! Nodes and their tasks.

use super::{
    endpoint::{Act::Read, Check, Endpoint, Method::Get, endpoint},
    param::{BOOLEAN, INTEGER, TEXT, opt, word},
};
use crate::lab::api::endpoint::{cluster, node, task};

/// The endpoints.
pub(super) const NODE: &[Endpoint] = &[
    endpoint(
        Get,
        "/version",
        Check::Everyone,
        Read(cluster::version),
        &[],
    ),
    endpoint(Get, "/nodes", Check::Everyone, Read(node::list), &[]),
    endpoint(
        Get,
        "/nodes/{node}/status",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(node::status),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/version",
        Check::Everyone,
        Read(cluster::version),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/dns",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(node::dns),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/time",
        Check::Perm("/nodes/{node}", &["Sys.Audit"]),
        Read(node::time),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/capabilities/qemu/machines",
        Check::Everyone,
        Read(node::machines),
        &[&[opt("arch", word(&["x86_64", "aarch64"]))]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/tasks",
        Check::Everyone,
        Read(task::list),
        &[&[
            opt("errors", BOOLEAN).or("0"),
            opt("limit", INTEGER.min(0)).or("50"),
            opt("since", INTEGER),
            opt("source", word(&["archive", "active", "all"])).or("archive"),
            opt("start", INTEGER.min(0)).or("0"),
            opt("statusfilter", TEXT.format("pve-task-status-type-list")),
            opt("typefilter", TEXT),
            opt("until", INTEGER),
            opt("userfilter", TEXT),
            opt("vmid", INTEGER.min(100).max(999_999_999).format("pve-vmid")),
        ]],
    ),
    endpoint(
        Get,
        "/nodes/{node}/tasks/{upid}/status",
        Check::Everyone,
        Read(task::status),
        &[],
    ),
    endpoint(
        Get,
        "/nodes/{node}/tasks/{upid}/log",
        Check::Everyone,
        Read(task::log),
        &[&[
            opt("download", BOOLEAN),
            opt("limit", INTEGER.min(0)).or("50"),
            opt("start", INTEGER.min(0)).or("0"),
        ]],
    ),
];
