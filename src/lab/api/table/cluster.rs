//! The cluster.

use super::{
    endpoint::{Act::Read, Check, Endpoint, Method::Get, endpoint},
    param::{INTEGER, opt, word},
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
        "/cluster/backup",
        Check::Perm("/", &["Sys.Audit"]),
        Read(cluster::empty),
        &[],
    ),
];
