//! Replication jobs.

use super::{
    endpoint::{
        Act::{Read, Write},
        Check, Endpoint,
        Method::{Delete, Get, Post, Put},
        endpoint,
    },
    param::{BOOLEAN, NUMBER, Param, TEXT, opt, req, word},
};
use crate::lab::api::endpoint::replication;

/// A job's name is no configuration id: it begins with a digit.
const ID: Param = req(
    "id",
    TEXT.format("pve-replication-job-id")
        .pattern("[1-9][0-9]{2,8}-\\d{1,9}"),
);

/// The endpoints.
pub(super) const REPLICATION: &[Endpoint] = &[
    endpoint(
        Get,
        "/cluster/replication",
        Check::Everyone,
        Read(replication::list),
        &[],
    ),
    endpoint(
        Post,
        "/cluster/replication",
        Check::Everyone,
        Write(replication::create),
        &[&[
            ID,
            opt("comment", TEXT.max(4096)),
            opt("disable", BOOLEAN),
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
        "/cluster/replication/{id}",
        Check::Everyone,
        Read(replication::one),
        &[&[ID]],
    ),
    endpoint(
        Put,
        "/cluster/replication/{id}",
        Check::Everyone,
        Write(replication::update),
        &[&[
            ID,
            opt("comment", TEXT.max(4096)),
            opt("delete", TEXT.format("pve-configid-list").max(4096)),
            opt("digest", TEXT.max(64)),
            opt("disable", BOOLEAN),
            opt("rate", NUMBER.min(1)),
            opt("remove_job", word(&["local", "full"])),
            opt("schedule", TEXT.format("pve-calendar-event").max(128)).or("*/15"),
            opt("source", TEXT.format("pve-node")),
        ]],
    ),
    endpoint(
        Delete,
        "/cluster/replication/{id}",
        Check::Everyone,
        Write(replication::delete),
        &[&[
            ID,
            opt("force", BOOLEAN).or("0"),
            opt("keep", BOOLEAN).or("0"),
        ]],
    ),
];
